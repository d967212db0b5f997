/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The states of backups, clones and jobs, and when an attempt is repeated: pure
 * tables and arithmetic, no store and no clock. The numbers are stored: they
 * never change.
 *
 * RUNNING is never committed: it is PENDING whose job the engine has. So what
 * the store may commit is wider than one arrow; see backup_committable().
 */
#ifndef DBSNAP_FRONT_JOB_H
#define DBSNAP_FRONT_JOB_H

#include <stdbool.h>
#include <stdint.h>

enum backup_state {
	BACKUP_NONE = 0, /* no state: what a forbidden move gives */
	BACKUP_PENDING = 1,
	BACKUP_RUNNING = 2,
	BACKUP_AVAILABLE = 3,
	BACKUP_FAILED = 4,
	BACKUP_CANCELLED = 5,
	BACKUP_LOST = 6,
	BACKUP_DELETING = 7,
	BACKUP_DELETED = 8,
	BACKUP_STATES /* one past the last */
};

enum backup_event {
	BACKUP_EVENT_START,    /* the engine has taken the job */
	BACKUP_EVENT_AGAIN,    /* the attempt ended without a result, another follows */
	BACKUP_EVENT_COMPLETE, /* the snapshot and its manifest are on disk */
	BACKUP_EVENT_FAIL,     /* given up; nothing is left on disk */
	BACKUP_EVENT_CANCEL,   /* cancelled; nothing is left on disk */
	BACKUP_EVENT_LOSE,     /* the marker is there, the snapshot is not */
	BACKUP_EVENT_FIND,     /* seen again with its nonce */
	BACKUP_EVENT_DELETE,   /* a delete was accepted */
	BACKUP_EVENT_DELETED,  /* it is gone from the disk, durably */
	BACKUP_EVENTS
};

enum backup_mode {
	BACKUP_MANUAL = 1,
	BACKUP_AUTOMATED = 2,
	BACKUP_MODES
};

/* What the API calls Running, Success and Failed; bits of a filter. Every state has exactly one. */
enum backup_group {
	BACKUP_GROUP_RUNNING = 1, /* PENDING, RUNNING */
	BACKUP_GROUP_SUCCESS = 2, /* AVAILABLE */
	BACKUP_GROUP_FAILED = 4,  /* FAILED, CANCELLED, LOST */
	BACKUP_GROUP_GONE = 8,    /* DELETING, DELETED: never listed */
	BACKUP_GROUPS_LISTED = BACKUP_GROUP_RUNNING | BACKUP_GROUP_SUCCESS | BACKUP_GROUP_FAILED
};

enum clone_state {
	CLONE_NONE = 0,
	CLONE_CREATING = 1,
	CLONE_AVAILABLE = 2,
	CLONE_FAILED = 3,
	CLONE_DELETING = 4,
	CLONE_DELETED = 5, /* its record is gone, its name is free */
	CLONE_STATES
};

enum clone_event {
	CLONE_EVENT_COMPLETE,
	CLONE_EVENT_FAIL, /* given up or cancelled */
	CLONE_EVENT_DELETE,
	CLONE_EVENT_DELETED,
	CLONE_EVENTS
};

enum job_kind {
	JOB_KIND_CREATE = 1,
	JOB_KIND_DELETE = 2,
	JOB_KIND_CLONE = 3,
	JOB_KIND_DELETE_CLONE = 4,
	JOB_KIND_VERIFY = 5,
	JOB_KIND_RESTORE = 6,
	JOB_KIND_DELETE_QUARANTINED = 7,
	JOB_KINDS
};

enum job_state {
	JOB_OPEN = 1, /* queued, running or waiting for its next attempt */
	JOB_DONE = 2,
	JOB_FAILED = 3,
	JOB_CANCELLED = 4,
	JOB_STATES
};

/* Where event leads from state, or BACKUP_NONE / CLONE_NONE if there is no such arrow. Any numbers are taken. */
enum backup_state backup_next(enum backup_state state, enum backup_event event);
enum clone_state clone_next(enum clone_state state, enum clone_event event);

/*
 * May the store replace a record in state from by one in state to? One arrow,
 * or no move at all; from PENDING also what RUNNING leads to; never to RUNNING.
 */
bool backup_committable(enum backup_state from, enum backup_state to);
bool clone_committable(enum clone_state from, enum clone_state to);

/* No job changes it any more but a delete: AVAILABLE, FAILED, CANCELLED, LOST. */
bool backup_is_final(enum backup_state state);
/* Counts against manual_retained: PENDING, RUNNING, AVAILABLE. */
bool backup_is_retained(enum backup_state state);
/* 0 for BACKUP_NONE and unknown numbers. */
enum backup_group backup_group(enum backup_state state);

/* Upper-case names as design.md writes them ("PENDING", "OPEN", "CREATE"). Static; "?" for unknown numbers. */
const char *backup_state_name(enum backup_state state);
const char *clone_state_name(enum clone_state state);
const char *job_state_name(enum job_state state);
const char *job_kind_name(enum job_kind kind);

/* A job whose work is to remove something: never cancelled, and never given up while another attempt may help. */
bool job_is_removal(enum job_kind kind);
/* Whose failure that no further attempt can help is its end: nothing waits for it, as a record in DELETING would. */
bool job_may_fail(enum job_kind kind);
/* A job whose attempts leave what only another attempt can finish or undo: never ended while that is not known. */
bool job_must_settle(enum job_kind kind);
/* A job that reads its backup, which therefore must not be deleted: CLONE, VERIFY, RESTORE. */
bool job_pins_backup(enum job_kind kind);

enum {
	JOB_FAILURES_MAX = 3,         /* the third failed attempt is the last */
	JOB_CUTOFFS_MAX = 20,         /* so many in a row are repeated; one more ends the job */
	JOB_PAUSE_FIRST_MS = 100,
	JOB_PAUSE_SECOND_MS = 1000,
	JOB_PAUSE_REMOVAL_MAX_MS = 300000
};

/*
 * Milliseconds to wait before the next attempt, or -1: give up.
 * After a failure (reported, the worker's own death, a timeout): failures counts
 * this one too (1 for the first). A removal is repeated for ever: 100 ms,
 * doubling, at most five minutes.
 */
int64_t job_pause_after_failure(enum job_kind kind, uint32_t failures);
/*
 * After an attempt that the death of engine, front or machine cut off: cutoffs
 * counts those in a row, this one too. Any failure sets cutoffs back to 0.
 */
int64_t job_pause_after_cutoff(enum job_kind kind, uint32_t cutoffs);

#endif
