/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Workers: forked for one job or question, watched until they are reaped. A
 * job's result is passed on when its worker is gone, so that nothing of a job outlives
 * its result; but one that was killed and cannot be reaped (state D) is answered for at once.
 */
#ifndef DBSNAP_ENGINE_WORKER_H
#define DBSNAP_ENGINE_WORKER_H

#include "common/msg.h"
#include "daemon/engine/freeze.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct engine;

struct worker {
	struct worker *next;
	pid_t pid;
	int link;           /* -1 after its end of file */
	enum msg_type type; /* JOB, PROBE, CHECK, MEASURE, SERVE */
	uint32_t tag;       /* of the question */
	uint32_t front;     /* the life of the front that asked: nobody else gets the answers to a question */
	char cluster[IDENT_CLUSTER_SIZE];
	uint8_t kind;       /* JOB: enum msg_job_kind */
	uint64_t job;
	uint64_t backup;
	uint32_t attempt;
	uint8_t phase, percent;
	uint8_t depth;       /* CHECK */
	char clone[IDENT_CLONE_SIZE]; /* SERVE */
	struct nonce nonce;  /* SERVE: the clone's */
	bool serving;        /* SERVE: its server has answered */
	int64_t deadline_ms; /* running time; INT64_MAX: none */
	bool killed;
	bool told;          /* its last answer is passed on, or was made up for it */
	bool asked;         /* for a hold, some time */
	struct freeze freeze; /* of the server that is held for it; FREEZE_NONE: none */
	struct msg *answer; /* its last answer, kept until it is reaped; owned */
};

enum {
	WORKERS_MAX = 320,
	WORKERS_STUCK_MAX = 4 /* of one cluster */
};

/*
 * Forks a worker for a checked question or job. 0; ERR_BUSY (too many, or too many of this cluster are stuck),
 * ERR_IO. The caller has answered nothing yet.
 */
int worker_start(struct engine *engine, const struct msg *question);

/* May it be read from now? Not while the front has too much to read; but a server that is held waits for nothing. */
bool worker_is_heard(const struct engine *engine, const struct worker *worker);
/* Something to read from it. */
void worker_receive(struct engine *engine, struct worker *worker);
/* SIGCHLD: takes in those that ended. */
void worker_reap_all(struct engine *engine);
/* Kills those whose time is up. */
void worker_check_deadlines(struct engine *engine, int64_t now_ms);
/* The next deadline, INT64_MAX if there is none. */
int64_t worker_next_deadline(const struct engine *engine);
/* Kills all; for a stop that must not wait. */
void worker_kill_all(struct engine *engine);

/* A job that the front may still ask for or cancel; NULL if there is none. */
struct worker *worker_find_job(struct engine *engine, uint64_t job);
/* One that runs the clone's server; NULL if there is none. */
struct worker *worker_find_server(struct engine *engine, const char *cluster, const char *clone);
/* Those of them that have not ended. */
unsigned worker_count_servers(const struct engine *engine);
/* Tells it to end its server, in order; the first word is enough. */
void worker_end_server(struct worker *w);
void worker_end_servers(struct engine *engine);
/* Of workers that a stop waits for: all but those that cannot be reaped. */
unsigned worker_count_living(const struct engine *engine);
/* Jobs that count against max_running. */
unsigned worker_count_jobs(const struct engine *engine);
/* Does a job touch the cluster's source, or may a killed one still do? */
bool worker_touches_source(const struct engine *engine, const char *cluster);
/* Any job at all of the cluster (for a reload). */
bool worker_has_job(const struct engine *engine, const char *cluster);

#endif
