/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything that lives as long as the front, made once by main and handed down.
 * Owned by main. Configuration is replaced whole by a reload; read it anew in every request.
 */
#ifndef DBSNAP_FRONT_FRONT_H
#define DBSNAP_FRONT_FRONT_H

#include "common/msg.h"
#include "daemon/front/cluster.h"
#include "daemon/front/quota.h"
#include "daemon/front/replay.h"

struct event_base;
struct http;
struct link;
struct policy;
struct sched;
struct store;
struct timers;

enum { FRONT_LISTENERS_MAX = 8 };

struct front {
	struct event_base *base;
	struct timers *timers;
	struct store *store;
	struct link *link;
	struct sched *sched;
	struct http *http;
	struct sign *sign;
	struct replay replay;
	struct cluster_table *clusters;
	struct msg_config conf; /* the generation in force */
	struct msg_config_listener listeners[FRONT_LISTENERS_MAX]; /* of the same; in the order of the descriptors */
	struct policy *policy; /* of the same; NULL: there is no policy file, the default policy holds */
	int64_t started_ms;     /* wall time */
	int64_t started_running_ms;
};

/* The limits of the configuration in force. */
struct quota_limits front_quota_limits(const struct front *front);

/*
 * Ends this process at once: nobody can tell what is on disk (ERR_UNKNOWN from a commit),
 * or the engine broke the protocol. No answer goes out; the engine starts another front, which recovers.
 */
void front_die(const char *what, int code) __attribute__((noreturn));

#endif
