/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The catalogue: backups, jobs, clones, tokens, counters, in one LMDB file.
 *
 * One write transaction a request. Every function here that changes something
 * keeps all that is derived from it (counts, days, ids, open jobs, ends of
 * tokens) in step, so a caller cannot forget it; and makes all its checks
 * before its first put, so that a call that fails with ERR_NOT_FOUND, ERR_STATE,
 * ERR_EXISTS, ERR_BUSY, ERR_INVALID or ERR_FULL-by-floor has changed nothing and the
 * transaction can go on. After any other error the transaction is dead: each
 * further call and the commit repeat that error.
 *
 * ERR_FULL: map or disk full, nothing changed; the caller answers 503 and goes on.
 * ERR_UNKNOWN (commit only): nobody can tell whether it is on disk; the caller
 * answers nobody and exits. ERR_CORRUPT, ERR_VERSION: bytes that this release did not write.
 *
 * Only commit (and open) wait for the disk. After store_open no call takes a
 * path or opens a file; a full disk is told from a broken one by fstatfs on the
 * open file. One transaction at a time, none kept over a turn of the loop; a second
 * one is our own mistake and is asserted. Limits and times are arguments.
 * Records given to callbacks live for that call; callbacks must not use the transaction
 * to change anything. Not thread-safe. The process that opened it must be the one that uses it.
 */
#ifndef DBSNAP_FRONT_STORE_H
#define DBSNAP_FRONT_STORE_H

#include "daemon/front/quota.h"
#include "daemon/front/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_txn;

enum {
	STORE_WHY_SIZE = 512,
	STORE_VERSION = 1 /* of the whole: which lists there are and how their keys look */
};

struct store_options {
	const char *dir;    /* state_dir: exists, is the caller's own; borrowed for the call */
	uint64_t map_size;  /* bytes; less than 4 MiB counts as 4 MiB. Never shrunk below what is in use */
	int lock_wait_ms;   /* how long to wait for another process to let go of the store */
	int64_t running_ms; /* this start, by running time: tokens' life is counted from it */
};

/* Both clocks at one moment. */
struct store_now {
	int64_t wall_ms;
	int64_t running_ms;
};

/*
 * Opens or makes the store in dir (files "lock" and "store.mdb", 0600,
 * close-on-exec). Blocks: waits for the lock, reads, writes and syncs when the store is new.
 * On failure why holds one sentence for people, with the path; else it is "".
 * ERR_BUSY: another process has it (after lock_wait_ms). ERR_VERSION: the
 * sentence names found and expected. ERR_CORRUPT: truncated, or no LMDB file.
 * ERR_FULL, ERR_DENIED, ERR_IO, ERR_NOMEM, ERR_NOT_FOUND (no dir).
 * The caller must call store_recount() before it serves anyone.
 */
int store_open(const struct store_options *options, char why[static STORE_WHY_SIZE], struct store **ret_store);
/* Takes NULL. No transaction may be open. Returns NULL. */
struct store *store_close(struct store *store);

/* 128 random bits, made with the store. Lives as long as the store. */
const struct nonce *store_install_id(const struct store *store);

enum store_room {
	STORE_ROOM_ALL = 0,    /* everything is accepted */
	STORE_ROOM_REMOVE = 1, /* from 80 % of the map, or when the disk is full: no creates and no clones */
	STORE_ROOM_END = 2     /* from 95 %: only what is under way can end */
};

struct store_usage {
	uint64_t used; /* bytes of the map that hold something */
	uint64_t map_size;
};

/* Outside or inside a transaction; inside, as of the last commit. 0 or ERR_IO. */
int store_usage(struct store *store, struct store_usage *ret_usage);
enum store_room store_room(struct store *store);
bool store_creates_allowed(struct store *store);

/* ---- transactions ---- */

/* A write transaction, or one that only reads (any change in it: ERR_INVALID). 0, ERR_NOMEM, ERR_IO, ERR_UNKNOWN. */
int store_begin(struct store *store, struct store_txn **ret_txn);
int store_read(struct store *store, struct store_txn **ret_txn);
/* Ends and frees txn in any case. 0: on disk. ERR_FULL, ERR_UNKNOWN, or the error the transaction died of. */
int store_commit(struct store_txn *txn);
/* Takes NULL. */
void store_abort(struct store_txn *txn);

static inline void scope_store_abort_p(struct store_txn **txn)
{
	store_abort(*txn);
}
/* A local transaction that is aborted unless it was committed: store_commit(scope_take_ptr(txn)). */
#define scope_store_abort __attribute__((cleanup(scope_store_abort_p)))

/* ---- ids ---- */

/* The next id given will be at least min. ERR_INVALID over 2^63-1. */
int store_raise_id(struct store_txn *txn, uint64_t min);
/* Cluster of the backup, job or tombstone with this id. ERR_NOT_FOUND. */
int store_id_cluster(struct store_txn *txn, uint64_t id, char ret_cluster[static IDENT_CLUSTER_SIZE]);

/* ---- tokens ---- */

/* A request's token. A struct store_token * that is NULL: the request has none. */
struct store_token {
	struct token_key key;
	struct token_fingerprint fingerprint;
	int64_t ttl_ms;
	struct store_now now;
};

/* 0 and the record if the token is known and not forgotten (compare the fingerprint), else ERR_NOT_FOUND. */
int store_token_find(struct store_txn *txn, const struct store_token *token, struct record_token *ret_record);
/* Removes tokens that are over, looking at no more than limit; ret_removed may be NULL. */
int store_token_purge(struct store_txn *txn, int64_t ttl_ms, const struct store_now *now, uint32_t limit,
		      uint32_t *ret_removed);

/* ---- backups ---- */

/*
 * Accepts a create: gives both records their id, state PENDING and OPEN, job's
 * kind, mode, cluster and token, and stores them; a manual one is counted in its day. The caller
 * fills in the rest (cluster, mode, accepted_ms, nonce, origin, ...) and has
 * checked the quota. ERR_FULL: store_creates_allowed() is false. ERR_EXISTS:
 * the token is known and not forgotten. ERR_INVALID: malformed cluster or mode.
 */
int store_backup_accept(struct store_txn *txn, struct record_backup *backup, struct record_job *job,
			const struct store_token *token);
/* ERR_NOT_FOUND. A backup in DELETING is found. */
int store_backup_get(struct store_txn *txn, const char *cluster, uint64_t id, struct record_backup *ret_backup);
/* Its fixed part alone: takes little longer than finding out that there is none. */
int store_backup_peek(struct store_txn *txn, const char *cluster, uint64_t id, struct record_backup_peek *ret_peek);
/*
 * Replaces the record of the same cluster and id. ERR_STATE if its state may not
 * move there (job.h; DELETING and DELETED have their own functions below).
 * ERR_INVALID if mode, nonce or accepted_ms differ. FAILED and CANCELLED give a
 * manual backup's slot back, once: *backup then says refunded.
 */
int store_backup_update(struct store_txn *txn, struct record_backup *backup);

/*
 * Sets or ends a hold; one that is so already stays. ERR_NOT_FOUND (also if a delete was accepted); ERR_STATE: a FAILED or
 * CANCELLED one cannot be held, nothing is there to be kept; ERR_FULL at STORE_ROOM_END.
 */
int store_backup_hold(struct store_txn *txn, const char *cluster, uint64_t id, bool held);

enum store_refusal {
	STORE_REFUSAL_RUNNING = 1, /* not in a final state */
	STORE_REFUSAL_HELD = 2,
	STORE_REFUSAL_PINNED = 3 /* an unfinished job reads it */
};

/* 0, ERR_NOT_FOUND (also if a delete was accepted before), or ERR_STATE and the reason. */
int store_backup_check_delete(struct store_txn *txn, const char *cluster, uint64_t id,
			      enum store_refusal *ret_refusal);
/*
 * Accepts a delete of the backup job->cluster, job->backup: DELETING, the refund if due,
 * and the job with an id of its own, OPEN, kind DELETE. The caller fills in job's cluster, backup,
 * accepted_ms and origin. ERR_NOT_FOUND, ERR_STATE as store_backup_check_delete; ERR_FULL at STORE_ROOM_END.
 */
int store_backup_accept_delete(struct store_txn *txn, struct record_job *job, bool refund_deleted);
/* DELETING to its tombstone. The job is finished on its own. ERR_NOT_FOUND, ERR_STATE. */
int store_backup_deleted(struct store_txn *txn, const char *cluster, uint64_t id, int64_t deleted_ms);

/* ERR_NOT_FOUND. */
int store_tomb_get(struct store_txn *txn, const char *cluster, uint64_t id, struct record_tomb *ret_tomb);

/* ---- jobs ---- */

/* ERR_NOT_FOUND. */
int store_job_get(struct store_txn *txn, const char *cluster, uint64_t id, struct record_job *ret_job);
/* The same by the id alone. */
int store_job_find(struct store_txn *txn, uint64_t id, struct record_job *ret_job);
/* Replaces the record of an OPEN job by one that is still OPEN (attempts, times, last failure). ERR_NOT_FOUND, ERR_STATE. */
int store_job_update(struct store_txn *txn, const struct record_job *job);
/* The same, ending it: state DONE, FAILED or CANCELLED; ended_ms is set to now; its token's life begins to run out. */
int store_job_finish(struct store_txn *txn, struct record_job *job, const struct store_now *now);

/* A callback that returns nonzero ends the iteration, which then returns that number. */
typedef int store_job_fn(void *arg, const struct record_job *job);
/* Every unfinished job from this id on, oldest first. */
int store_job_each_open(struct store_txn *txn, uint64_t from, store_job_fn *fn, void *arg);

/*
 * Accepts a verification of job->cluster, job->backup: job's id, kind, throw-away clone, OPEN. The caller fills in accepted_ms
 * and origin. Where one is open already, *job becomes that one and nothing is changed. ERR_NOT_FOUND: no such backup (or a
 * delete was accepted); ERR_STATE: it is not AVAILABLE; ERR_FULL as for creates.
 */
int store_verify_accept(struct store_txn *txn, struct record_job *job);

/* ---- clones ---- */

/*
 * Accepts a clone of clone->cluster, clone->backup: states CREATING and OPEN, job's id, kind, cluster, backup, clone and token.
 * ERR_EXISTS with *ret_name_taken true: the name; false: the token. ERR_NOT_FOUND: no such backup (or a delete was accepted).
 * ERR_STATE: the backup is not AVAILABLE. ERR_FULL as for creates. ERR_INVALID: malformed name.
 */
int store_clone_accept(struct store_txn *txn, struct record_clone *clone, struct record_job *job,
		       const struct store_token *token, bool *ret_name_taken);
/* ERR_NOT_FOUND. */
int store_clone_get(struct store_txn *txn, const char *name, struct record_clone *ret_clone);
/* ERR_STATE if its state may not move there. ERR_INVALID if cluster, backup, job or nonce differ. */
int store_clone_update(struct store_txn *txn, const struct record_clone *clone);
/* DELETING, and a job OPEN of kind DELETE_CLONE for job->clone. ERR_NOT_FOUND, ERR_STATE (creating, deleting), ERR_FULL at STORE_ROOM_END. */
int store_clone_accept_delete(struct store_txn *txn, struct record_job *job);
/* Its record goes, its name is free. ERR_NOT_FOUND, ERR_STATE unless DELETING. */
int store_clone_deleted(struct store_txn *txn, const char *name);

/* ---- the quarantine ---- */

/*
 * A record of its own for a backup that is on disk and in no record: AVAILABLE, adopted, its id and nonce those on disk.
 * ERR_EXISTS: the id is known (a backup, a tombstone, a job), or a job is removing it; ERR_FULL as for creates.
 */
int store_backup_adopt(struct store_txn *txn, const struct record_backup *backup);
/*
 * Accepts the removal of what has this nonce: a job OPEN of kind DELETE_QUARANTINED. The caller fills in cluster, backup
 * or clone, item, nonce, accepted_ms, origin. ERR_STATE: a record speaks of it; ERR_EXISTS: such a job is open already;
 * ERR_FULL at STORE_ROOM_END.
 */
int store_quarantine_accept_delete(struct store_txn *txn, struct record_job *job);
/* The open job that removes what has this nonce. ERR_NOT_FOUND. */
int store_quarantine_job(struct store_txn *txn, const struct nonce *nonce, uint64_t *ret_job);

/* ---- restores ---- */

/*
 * Accepts a restore of job->cluster, job->backup: a job OPEN of kind RESTORE. The caller fills in cluster, backup, nonce,
 * accepted_ms, origin. ERR_NOT_FOUND: no such backup (or a delete was accepted); ERR_STATE: not AVAILABLE; ERR_EXISTS: a
 * restore of the cluster is open already, and *job is it; ERR_FULL as for creates.
 */
int store_restore_accept(struct store_txn *txn, struct record_job *job);

/* ---- lists ---- */

/* Which part of a list is wanted. */
struct store_page {
	uint64_t skip;
	uint32_t count; /* 0: none, only the total */
};

struct store_backup_filter {
	const char *cluster;
	uint8_t groups;  /* bits of enum backup_group; 0: BACKUP_GROUPS_LISTED */
	uint8_t mode;    /* enum backup_mode; 0: both */
	uint64_t id;     /* 0: all */
	int64_t from_ms; /* accepted_ms >= from_ms; 0: no bound */
	int64_t until_ms; /* accepted_ms < until_ms; 0: no bound */
};

typedef int store_backup_fn(void *arg, const struct record_backup *backup);
/*
 * Newest (highest id) first. *ret_total (may be NULL) is how many match in all:
 * from the counts, unless there is a time bound, which reads the fixed part of each
 * record of the cluster. With the counts known, a list ends with the last that can match.
 */
int store_backup_list(struct store_txn *txn, const struct store_backup_filter *filter,
		      const struct store_page *page, store_backup_fn *fn, void *arg, uint64_t *ret_total);

struct store_job_filter {
	const char *cluster;
	uint8_t kinds;  /* bits 1 << enum job_kind; 0: all */
	uint8_t states; /* bits 1 << enum job_state; 0: all */
	uint8_t mode;   /* of creates; 0: all. The total is then found by reading */
	uint64_t id;    /* 0: all */
};

/* Newest first; *ret_total as above. */
int store_job_list(struct store_txn *txn, const struct store_job_filter *filter, const struct store_page *page,
		   store_job_fn *fn, void *arg, uint64_t *ret_total);

typedef int store_clone_fn(void *arg, const struct record_clone *clone);
/* By name. cluster, backup: NULL and 0 for all; the total is found by reading. */
int store_clone_list(struct store_txn *txn, const char *cluster, uint64_t backup, const struct store_page *page,
		     store_clone_fn *fn, void *arg, uint64_t *ret_total);

/* ---- clusters ---- */

/* ERR_NOT_FOUND: nothing is known of it yet. */
int store_facts_get(struct store_txn *txn, const char *cluster, struct record_facts *ret_facts);
/* ERR_FULL at STORE_ROOM_END: what was seen can be seen again, what ends needs the rest. */
int store_facts_put(struct store_txn *txn, const struct record_facts *facts);
typedef int store_facts_fn(void *arg, const struct record_facts *facts);
/* By cluster id. */
int store_facts_each(struct store_txn *txn, store_facts_fn *fn, void *arg);
/* Forgets a cluster without backups and clones. ERR_NOT_FOUND, ERR_STATE (it has some: store_counts_records()). */
int store_facts_delete(struct store_txn *txn, const char *cluster);

/* All zero for a cluster without records. */
int store_counts_get(struct store_txn *txn, const char *cluster, struct record_counts *ret_counts);
typedef int store_counts_fn(void *arg, const char *cluster, const struct record_counts *counts);
/* Every cluster that has records, by id. */
int store_counts_each(struct store_txn *txn, store_counts_fn *fn, void *arg);
/* How many records speak of something on the cluster's disk: backups in any state and clones, no tombstones. */
uint64_t store_counts_records(const struct record_counts *counts);
/* What quota_check() wants, for a create at wall_ms. */
int store_quota_counts(struct store_txn *txn, const char *cluster, int64_t wall_ms, struct quota_counts *ret_counts);

/* ---- schedules ---- */

/* ERR_NOT_FOUND: nobody has set a policy for it. */
int store_schedule_get(struct store_txn *txn, const char *cluster, struct record_schedule *ret_schedule);
/* ERR_INVALID: no valid policy. ERR_FULL at STORE_ROOM_END. */
int store_schedule_put(struct store_txn *txn, const struct record_schedule *schedule);
typedef int store_schedule_fn(void *arg, const struct record_schedule *schedule);
/* By cluster id. */
int store_schedule_each(struct store_txn *txn, store_schedule_fn *fn, void *arg);
/* All 0 if it was never put. */
int store_guard_get(struct store_txn *txn, struct schedule_guard *ret_guard);
int store_guard_put(struct store_txn *txn, const struct schedule_guard *guard);

typedef int store_peek_fn(void *arg, uint64_t id, const struct record_backup_peek *peek);
/* The fixed part of every backup of the cluster from this id on, oldest first. A nonzero answer ends it and is returned. */
int store_backup_each_peek(struct store_txn *txn, const char *cluster, uint64_t from, store_peek_fn *fn, void *arg);

/* ---- signed requests (replay.h says what for) ---- */

enum { STORE_NONCES_MAX = 8192 };

struct store_nonce {
	uint8_t hash[16];
	int64_t stamp_s; /* seconds since 1970 */
	uint8_t window;
};

/* The clocks as they were at most when a signed request was served. */
struct store_clock {
	int64_t ahead_ms; /* wall time less running time */
	int64_t wall_ms;
};

/* Keeps it, and forgets those that are stamped not later than gone_s. ERR_BUSY: there are STORE_NONCES_MAX. ERR_FULL at STORE_ROOM_END. */
int store_nonce_keep(struct store_txn *txn, const struct store_nonce *nonce, int64_t gone_s);
typedef int store_nonce_fn(void *arg, const struct store_nonce *nonce);
int store_nonce_each(struct store_txn *txn, store_nonce_fn *fn, void *arg);
/* ERR_NOT_FOUND: none was ever kept. */
int store_clock_get(struct store_txn *txn, struct store_clock *ret_clock);
int store_clock_put(struct store_txn *txn, const struct store_clock *clock);

/* ---- upkeep ---- */

struct store_report {
	uint32_t counts; /* clusters whose counts were wrong */
	uint32_t days;   /* days that were wrong; 0 if only the offset changed */
	bool offset_changed;
	bool repaired;   /* counts or days were wrong and are right now */
};

/*
 * Counts and days again from the records, at start and on every reload, in a
 * transaction of its own; what differs is put right. From here on a day is meant at
 * this offset. ERR_CORRUPT: a record cannot be read.
 */
int store_recount(struct store *store, int utc_offset_minutes, struct store_report *ret_report);

/*
 * Forgets jobs and tombstones that ended history_ms ago, together with their
 * ids; never a job whose token lives or a create whose backup exists. Looks at
 * no more than limit ids, going on where the last call stopped; ret_removed may be NULL.
 */
int store_history_purge(struct store_txn *txn, int64_t history_ms, int64_t wall_ms, uint32_t limit,
			uint32_t *ret_removed);

#endif
