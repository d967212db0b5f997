/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a step gets: its order, the cluster that it is about, and the way back
 * to the engine; and how a step says why it failed. Runs in a worker.
 */
#ifndef DBSNAP_ENGINE_JOB_H
#define DBSNAP_ENGINE_JOB_H

#include "common/conf.h"
#include "common/msg.h"
#include "common/proc.h"
#include "daemon/engine/gauge.h"

#include <stdbool.h>
#include <stdint.h>

/* Why something failed, for people. Filled by whoever finds out; starts as {0}. */
struct reason {
	int code; /* enum err */
	char cause[MSG_TEXT_SIZE];
	char remedy[MSG_TEXT_SIZE]; /* "": none known */
	bool retry;                 /* another attempt may help */
};

/* Fills why and returns code. remedy: NULL for none. retry becomes false. */
int reason_set(struct reason *why, int code, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same for something that another attempt may well overcome. */
int reason_set_retry(struct reason *why, int code, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/*
 * A system call failed: the code comes from errno_value, ": strerror" is appended, and a full or
 * read-only file system gets its remedy. retry: unless the error is one that stays.
 */
int reason_set_errno(struct reason *why, int errno_value, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Of a server, by the engine, for this job. */
enum job_hold {
	JOB_HOLD_NONE,
	JOB_HOLD_ASKED,
	JOB_HOLD_ON,
	JOB_HOLD_OVER /* refused, or ended, by whomever */
};

/* One job or question in its worker. The worker owns it and closes data_fd. */
struct worker_job {
	struct msg_job order; /* of a question only .cluster (and MEASURE's .backup, .nonce) */
	const struct conf_cluster *cluster;
	bool retired;         /* cluster is from its note: there is no source */
	const char *libexec_dir;
	const char *state_dir;
	const char *copies_dir; /* see struct conf */
	struct nonce install; /* of the store that asks */
	uint64_t records;     /* that the store has of this cluster */
	bool as_root;         /* else every process is the caller's own */
	pid_t pid;            /* of the worker: what its children die with */
	int link;             /* to the engine */
	int data_fd;          /* the cluster's data_dir, open for reading; -1 before job_open_source() */
	int lock_fd;          /* the place's locked marker, kept open by walkers; -1 before place_open() */
	struct proc_identity identity; /* the database's user; valid with data_fd */
	int64_t deadline_ms;  /* running time at which the engine kills this worker; 0: none */
	bool cancelled;
	enum job_hold hold;
	int hold_code;         /* over: 0, or why it was not held until this job gave it up */
	uint64_t held_us;      /* over: how long it was */
	struct gauge gauge;   /* of the walk that goes on, or was the last */
};

/*
 * Opens data_dir component by component into job->data_fd and settles who the database's
 * user is. 0; or a code with why: missing, no directory, is or passes a link (naming the real path), nobody's;
 * a retired cluster, whose data_dir may be anything by now.
 */
int job_open_source(struct worker_job *job, struct reason *why);

/* Tells the engine how far the job is, and its gauge's bytes. A lost link ends the process. */
void job_progress(const struct worker_job *job, enum msg_phase phase, unsigned percent);

/* Has the engine asked to stop? Does not block; to be asked between steps. */
bool job_is_cancelled(struct worker_job *job);
/* 0, or ERR_CANCELLED with why; the same for a hold that ended early: nothing of this job is worth anything then. */
int job_check_cancelled(struct worker_job *job, struct reason *why);

/*
 * Has the engine hold the process still, for at most max_ms; start: field 22 of its /proc/PID/stat. 0: all its threads
 * stand still. Or a code with why: it runs.
 */
int job_hold(struct worker_job *job, pid_t pid, uint64_t start, int64_t max_ms, struct reason *why);
/* Has it let go. 0 only if it stood still until now; *ret_held_us: how long, whatever is returned. */
int job_release(struct worker_job *job, uint64_t *ret_held_us, struct reason *why);

/* Milliseconds left until the deadline, at most limit. At least 1. */
int job_time_left_ms(const struct worker_job *job, int limit);

/* The fields of every log line of this job. Borrowed from job. */
struct log_about job_about(const struct worker_job *job);

#endif
