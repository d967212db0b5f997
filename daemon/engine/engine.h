/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The privileged process: its loop, and everything that lives as long as it
 * does. It waits for messages, signals and deadlines only, never for a disk.
 */
#ifndef DBSNAP_ENGINE_ENGINE_H
#define DBSNAP_ENGINE_ENGINE_H

#include "common/conf.h"
#include "common/msg.h"
#include "daemon/engine/keeper.h"
#include "daemon/engine/listen.h"
#include "daemon/engine/notes.h"
#include "daemon/engine/notify.h"
#include "daemon/engine/worker.h"

#include <stdbool.h>
#include <stdint.h>

/* How many records the front's store has of a cluster. */
struct records {
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t count;
};

struct engine {
	const char *conf_path; /* as given; NULL: the default */
	const char *libexec_dir;
	struct conf *conf; /* owned; replaced by a reload */
	uint32_t generation;
	bool as_root;
	struct listens listens;
	int signal_fd;
	struct notify notify;
	struct keeper keeper;
	struct worker *workers; /* owned */
	struct nonce install;   /* the store's, from the first HELLO on */
	struct records *records; /* owned */
	size_t record_count, record_room;
	struct notes notes;
	bool ready;    /* a front has said READY */
	bool stopping;
	bool reload_due; /* once no server is held */
	uint64_t reload_ping; /* its answer says that the front has taken the configuration; 0: none is awaited */
	bool failed;   /* the exit status is 1 */
};

/* Runs until it is told to stop; the exit status. conf is taken over. */
int engine_run(struct conf *conf, const char *conf_path, const char *libexec_dir);

/* Registered or retired; borrowed, until a reload. NULL: neither. */
const struct conf_cluster *engine_find_cluster(const struct engine *engine, const char *cluster);

/* Sends the front the configuration in force. */
void engine_send_config(struct engine *engine);

/* 0 for a cluster that no front has named. */
uint64_t records_of(const struct engine *engine, const char *cluster);
/* 0 or ERR_NOMEM; ERR_INVALID: too many clusters. */
int records_set(struct engine *engine, const char *cluster, uint64_t count);
/* The same for the next one in order; ERR_INVALID also when it is not. */
int records_add_last(struct engine *engine, const char *cluster, uint64_t count);
void records_clear(struct engine *engine);

#endif
