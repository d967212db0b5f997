/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What runs next. The scheduler reads open jobs from the store, gives them to
 * the engine, writes how they ended, and asks the engine what operations want
 * to know. It is single-threaded; nothing here blocks but the commit of a job's end.
 *
 * Rules: at most one job that touches a source a cluster; deletes one at a time a
 * file system; max_running in all; nothing on a cluster that is not ONLINE;
 * pauses and give-up by job.h.
 */
#ifndef DBSNAP_FRONT_SCHED_H
#define DBSNAP_FRONT_SCHED_H

#include "common/msg.h"

#include <stdbool.h>
#include <stdint.h>

struct sched;

/* An operation committed a new job, or a cancel: look again (before the loop sleeps). */
void sched_kick(struct sched *sched);

struct sched_view {
	bool running; /* the engine has it */
	uint8_t phase;
	uint8_t percent;
	uint64_t bytes_done, bytes_total;
	int64_t started_ms;
};
/* How far an open job is; all zero if it is not running. */
void sched_view_job(const struct sched *sched, uint64_t job, struct sched_view *ret_view);
/* Adds the open jobs of a cluster to both numbers. */
void sched_count(const struct sched *sched, const char *cluster, uint32_t *pending, uint32_t *running);

enum sched_cancel { SCHED_CANCEL_DONE, SCHED_CANCEL_ASKED };
/*
 * Cancels an open job. Pending: CANCELLED is committed at once (DONE). Running: the worker
 * is asked (ASKED); the job may still succeed. ERR_STATE: a removal, or ended; ERR_NOT_FOUND; store errors.
 */
int sched_cancel(struct sched *sched, uint64_t job, enum sched_cancel *ret_how);

/*
 * Asks the engine about a cluster; answer is called once, later, never from inside
 * this call: with the CHECKED message and the parts before it; or with checked NULL and a code (ERR_TIMEOUT
 * after timeout_ms of running time, ERR_CLOSED, ERR_NOT_FOUND, ERR_BUSY: too many questions). The cluster's entry in the table has
 * been brought up to date before. Questions about space of one cluster share one worker.
 */
struct sched_answer {
	int code;
	const struct msg_checked *checked; /* borrowed for the call */
	const struct msg_checked_part *parts;
	size_t part_count;
};
typedef void sched_answer_fn(void *arg, const struct sched_answer *answer);
void sched_check(struct sched *sched, const char *cluster, enum msg_depth depth, int64_t timeout_ms,
		 sched_answer_fn *answer, void *arg);
/* DEPTH_LAYOUT for a person: every name is looked at as well, which takes time. */
void sched_survey(struct sched *sched, const char *cluster, int64_t timeout_ms, sched_answer_fn *answer, void *arg);

/* How a restore in place would go now; fn as sched_check()'s. */
struct sched_plan {
	const char *cluster;
	uint64_t backup;
	struct nonce nonce; /* the backup's */
	int64_t timeout_ms;
};
void sched_plan(struct sched *sched, const struct sched_plan *what, sched_answer_fn *fn, void *arg);

/*
 * Takes a backup of the quarantine into the catalogue: looks at its cluster's disk, and commits a record of what its
 * manifest says. fn is called once, later, never from inside this call: 0; ERR_NOT_FOUND: it is not there, whole and with this nonce;
 * ERR_EXISTS: its number is known, or it is being removed; ERR_OFFLINE: the disk cannot be looked at; ERR_TIMEOUT after
 * timeout_ms of running time; ERR_BUSY: too many wait; ERR_CLOSED; ERR_FULL: the catalogue has no room.
 * may is asked just before anything is committed, or told but ERR_CLOSED: false ends it, and fn is not called.
 */
typedef bool sched_adopt_may_fn(void *arg);
typedef void sched_adopt_fn(void *arg, int code);
struct sched_adopt {
	const char *cluster;
	uint64_t backup;
	struct nonce nonce;
	int64_t timeout_ms;
	sched_adopt_may_fn *may;
	sched_adopt_fn *fn;
	void *arg;
};
void sched_adopt(struct sched *sched, const struct sched_adopt *what);

/* A clone's record or its cluster's disk has changed, or the clock was set: looks before the loop sleeps which servers are to run. */
void sched_serve_changed(struct sched *sched);
/* Whether the server of this clone runs and has answered. */
bool sched_serve_answers(const struct sched *sched, const char *clone);

/* No new work is taken: the engine is stopping. Operations that start work answer 503. */
bool sched_stopping(const struct sched *sched);

/* ---- for main alone ---- */

struct front;

/* Every cluster of the catalogue and the configuration has been looked at, or has had its time. Called once. */
typedef void sched_ready_fn(void *arg);

/* Reads the open jobs. front: outlives the scheduler. NULL: out of memory, or the store could not be read. */
struct sched *sched_new(struct front *front, sched_ready_fn *ready, void *arg);
struct sched *sched_free(struct sched *sched);
/*
 * A message that is the scheduler's. 0, or ERR_INVALID: one that cannot come now, or contradicts itself.
 * The first ones are RUNNING and RUNNING_END: only then anything is asked.
 */
int sched_take(struct sched *sched, const struct msg *msg);
/* A reload is in force: new clusters are probed, all layouts are looked at again. */
void sched_reconfigured(struct sched *sched);
void sched_stop(struct sched *sched);
/* The engine is gone: every question that is still open is answered with ERR_CLOSED. */
void sched_close(struct sched *sched);

#endif
