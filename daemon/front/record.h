/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of every stored thing. Each record starts with its version (1) and,
 * where lists filter, with fields at fixed offsets, so that a scan can peek
 * without decoding strings. What the key says (cluster, id, clone name, day) is
 * not repeated in the bytes: the decoders leave it empty, the store fills it in. The
 * formats with worked examples are in record.c; tests/unit/test_record.c checks every byte.
 *
 * Times are wall milliseconds since 1970 as the clock gave them, 0 is "never" or
 * "not yet". Strings are bounded arrays: an encoder whose field has no end in its array, or
 * whose buffer is too small, gives ERR_TOO_LONG, and one whose record no decoder
 * would take (a state that is never stored, say) ERR_INVALID. Decoders give ERR_VERSION for another version,
 * ERR_CORRUPT for bytes that no encoder wrote, and leave the output untouched.
 */
#ifndef DBSNAP_FRONT_RECORD_H
#define DBSNAP_FRONT_RECORD_H

#include "common/ident.h"
#include "daemon/front/job.h"
#include "daemon/front/schedule.h"
#include "daemon/front/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RECORD_WORD_SIZE = 16, /* backend, procedure, promise, database type */
	RECORD_TEXT_SIZE = 1024, /* cause, remedy, last error: as long as a message carries (common/msg.h) */
	RECORD_CHECKED_SIZE = 256,
	RECORD_LIST_SIZE = 1024, /* several lines, separated by newlines */
	RECORD_PATH_SIZE = 1024,
	RECORD_SERVER_SIZE = 128, /* "PostgreSQL 15.6 (Debian ...)" */
	RECORD_POSITION_SIZE = 128, /* "LSN 0/3000148, timeline 1" */
	RECORD_DESCRIPTION_SIZE = 257,
	RECORD_MAX = 8192 /* bytes of the longest record */
};

/* Why something failed: a code and two sentences for people. All empty: it did not. */
struct record_failure {
	int32_t code; /* enum err; 0: none */
	char cause[RECORD_TEXT_SIZE];
	char remedy[RECORD_TEXT_SIZE];
};

/* Who asked, and in which request. */
struct record_origin {
	char principal[IDENT_PRINCIPAL_SIZE]; /* "uid:1000", "key:ID", "policy" for Automated */
	char request_id[IDENT_UUID_SIZE];
};

enum record_verdict {
	RECORD_UNVERIFIED = 0,
	RECORD_VERIFIED_GOOD = 1,
	RECORD_VERIFIED_BAD = 2,
	RECORD_VERDICTS
};

struct record_verified {
	int64_t at_ms;
	char by[IDENT_PRINCIPAL_SIZE];
	enum record_verdict result;
	char checked[RECORD_CHECKED_SIZE]; /* what was looked at, one sentence */
	char found[RECORD_TEXT_SIZE];      /* BAD: what is wrong, one thing a line */
};

struct record_backup {
	char cluster[IDENT_CLUSTER_SIZE]; /* in the key */
	uint64_t id;                      /* in the key; its create's job has the same */

	enum backup_state state; /* never RUNNING */
	enum backup_mode mode;
	bool held;     /* HoldBackup: cannot be deleted */
	bool refunded; /* its slot of the day was given back */
	bool adopted;  /* taken over from the quarantine: no create of this catalogue made it, no quota counts it */
	enum backup_state end_state; /* with DELETING: the state before; else BACKUP_NONE */
	int64_t accepted_ms;
	int64_t ended_ms; /* AVAILABLE, FAILED or CANCELLED reached */

	struct nonce nonce;
	int64_t started_ms;    /* of the attempt that made it */
	int64_t consistent_ms; /* the moment of the cut */
	int64_t expires_ms;
	int64_t deleting_ms;   /* a delete was accepted */
	uint64_t size;
	int64_t size_ms; /* when size was measured; 0: taken over from an earlier backup, or nothing */
	uint64_t cut_us;
	uint64_t freeze_us;
	char backend[RECORD_WORD_SIZE];   /* "btrfs" */
	char procedure[RECORD_WORD_SIZE]; /* "A", "G", "none" */
	char promise[RECORD_WORD_SIZE];   /* "atomic", "stopped", "crash", ... */
	char weakened[RECORD_LIST_SIZE];  /* one sentence a line */
	char path[RECORD_PATH_SIZE];
	char server[RECORD_SERVER_SIZE];
	char position[RECORD_POSITION_SIZE]; /* in the server's log, at the cut */
	struct record_origin origin;
	struct record_failure failure;      /* of FAILED, CANCELLED, LOST */
	char last_error[RECORD_TEXT_SIZE];  /* of the last attempt that failed, a delete's too; "" after a good one */
	struct record_verified verified;
};

/* The fixed part of a backup's bytes: what a filtered list or a recount needs. */
struct record_backup_peek {
	enum backup_state state;
	enum backup_mode mode;
	bool held;
	bool refunded;
	bool adopted;
	int64_t accepted_ms;
};

struct record_job {
	char cluster[IDENT_CLUSTER_SIZE]; /* in the key */
	uint64_t id;                      /* in the key */

	enum job_state state;
	enum job_kind kind;
	enum backup_mode mode; /* of a create: its backup's; else 0 */
	int64_t accepted_ms;
	int64_t ended_ms;

	uint64_t backup;               /* the backup that is made, deleted or read */
	char clone[IDENT_CLONE_SIZE];  /* of CLONE and DELETE_CLONE; of VERIFY the throw-away one; of DELETE_QUARANTINED: "" or a clone's */
	uint8_t item;                  /* of DELETE_QUARANTINED: enum msg_item, no STRANGER */
	struct nonce nonce;            /* of DELETE_QUARANTINED: of what is to go; of RESTORE: its own */
	char kept[RECORD_PATH_SIZE];   /* of RESTORE, once DONE: where the old data directory is; "" there was none */
	struct token_key token;        /* size 0: accepted without one */
	uint32_t attempts;             /* that were seen to end */
	uint32_t failures;
	uint32_t cutoffs;              /* in a row */
	int64_t started_ms;            /* of the last attempt */
	uint64_t bytes;                /* done when it ended */
	uint8_t percent;               /* 0 to 100, when it ended */
	struct record_origin origin;
	struct record_failure failure; /* of the last attempt that failed; with JOB_FAILED: why it was given up */
};

struct record_job_peek {
	enum job_state state;
	enum job_kind kind;
	enum backup_mode mode;
	int64_t accepted_ms;
	int64_t ended_ms;
};

struct record_clone {
	char name[IDENT_CLONE_SIZE]; /* in the key; unique on the host */

	enum clone_state state;
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t backup;
	uint64_t job; /* that made it */
	struct nonce nonce;
	int64_t created_ms; /* accepted */
	int64_t ended_ms;   /* AVAILABLE or FAILED reached */
	int64_t expires_ms; /* wall time at which it is removed; 0: never by itself */
	bool start;         /* its server is to run while it is AVAILABLE */
	uint16_t port;
	char path[RECORD_PATH_SIZE];       /* the clone's data directory */
	char socket_dir[RECORD_PATH_SIZE];
	struct record_origin origin;
	struct record_failure failure;
	char last_error[RECORD_TEXT_SIZE];
};

/* What stays of a deleted backup for as long as history is kept. */
struct record_tomb {
	char cluster[IDENT_CLUSTER_SIZE]; /* in the key */
	uint64_t id;                      /* in the key */

	enum backup_state end_state; /* AVAILABLE, FAILED, CANCELLED or LOST: before it was deleted */
	enum backup_mode mode;
	bool refunded;
	bool adopted;
	int64_t accepted_ms;
	int64_t deleted_ms;
	struct nonce nonce;
};

struct record_token {
	struct token_fingerprint fingerprint;
	uint64_t job;
	int64_t created_ms;
};

/* Value of the index of ended tokens: under which start of the front the job ended, and when by running time. */
struct record_token_end {
	struct nonce start;
	int64_t running_ms;
};

enum record_layout {
	RECORD_LAYOUT_UNKNOWN = 0, /* never looked, or OFFLINE since */
	RECORD_LAYOUT_OK = 1,
	RECORD_LAYOUT_REFUSED = 2,
	RECORD_LAYOUTS
};

/* What was last seen of a cluster: lists answer without the disk, and retired clusters are still listed. */
struct record_facts {
	char cluster[IDENT_CLUSTER_SIZE]; /* in the key */

	enum record_layout layout;
	int64_t checked_ms;
	uint64_t size; /* last known; 0: none yet */
	int64_t size_ms;
	char db_type[RECORD_WORD_SIZE]; /* "postgresql", "mariadb", "none", "" */
	char db_version[RECORD_SERVER_SIZE];
	char backend[RECORD_WORD_SIZE];
	char procedure[RECORD_WORD_SIZE];
	char promise[RECORD_WORD_SIZE];
	char refusal[RECORD_TEXT_SIZE];
	char remedy[RECORD_TEXT_SIZE];
	char description[RECORD_DESCRIPTION_SIZE];
	char data_dir[RECORD_PATH_SIZE];
	char snapshot_dir[RECORD_PATH_SIZE];
};

/* How many records a cluster has; indices are the enums' numbers, unused ones stay 0. */
struct record_counts {
	uint32_t backups[BACKUP_STATES][BACKUP_MODES];
	uint32_t jobs[JOB_KINDS][JOB_STATES];
	uint32_t clones[CLONE_STATES];
	uint32_t tombs;
	uint32_t adopted; /* of the AVAILABLE manual backups */
};

/* Manual creates of one cluster and day. */
struct record_day {
	uint32_t accepted;
	uint32_t refunded;
};

/* A cluster's policy, and how far it has been followed. */
struct record_schedule {
	char cluster[IDENT_CLUSTER_SIZE]; /* in the key */

	struct schedule policy;
	int64_t served_ms; /* the newest slot that a create was accepted for, or that is not owed */
	uint64_t create;   /* the newest automated create; 0: none yet */
	uint32_t tries;    /* creates that were accepted for that slot */
};

/* Each encoder: the number of bytes, ERR_TOO_LONG or ERR_INVALID. RECORD_MAX bytes always suffice. */
int record_backup_encode(const struct record_backup *backup, void *bytes, size_t size);
int record_backup_decode(const void *bytes, size_t size, struct record_backup *ret_backup);
int record_backup_peek(const void *bytes, size_t size, struct record_backup_peek *ret_peek);

int record_job_encode(const struct record_job *job, void *bytes, size_t size);
int record_job_decode(const void *bytes, size_t size, struct record_job *ret_job);
int record_job_peek(const void *bytes, size_t size, struct record_job_peek *ret_peek);

int record_clone_encode(const struct record_clone *clone, void *bytes, size_t size);
int record_clone_decode(const void *bytes, size_t size, struct record_clone *ret_clone);

int record_tomb_encode(const struct record_tomb *tomb, void *bytes, size_t size);
int record_tomb_decode(const void *bytes, size_t size, struct record_tomb *ret_tomb);

int record_token_encode(const struct record_token *token, void *bytes, size_t size);
int record_token_decode(const void *bytes, size_t size, struct record_token *ret_token);

int record_token_end_encode(const struct record_token_end *end, void *bytes, size_t size);
int record_token_end_decode(const void *bytes, size_t size, struct record_token_end *ret_end);

int record_facts_encode(const struct record_facts *facts, void *bytes, size_t size);
int record_facts_decode(const void *bytes, size_t size, struct record_facts *ret_facts);

int record_counts_encode(const struct record_counts *counts, void *bytes, size_t size);
int record_counts_decode(const void *bytes, size_t size, struct record_counts *ret_counts);

int record_day_encode(const struct record_day *day, void *bytes, size_t size);
int record_day_decode(const void *bytes, size_t size, struct record_day *ret_day);

int record_schedule_encode(const struct record_schedule *schedule, void *bytes, size_t size);
int record_schedule_decode(const void *bytes, size_t size, struct record_schedule *ret_schedule);

int record_guard_encode(const struct schedule_guard *guard, void *bytes, size_t size);
int record_guard_decode(const void *bytes, size_t size, struct schedule_guard *ret_guard);

#endif
