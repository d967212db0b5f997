/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the store's files share: the lists in the environment, their keys, and
 * access to them that translates LMDB's errors. Included by store_*.c only.
 *
 * Keys (integers big-endian):
 *   meta        "version", "install", "next_id", "utc_offset", "guard" (record_guard),
 *               "sign_clock" (ahead i64, wall i64, in ms)
 *   backups     cluster 00 id u64      record_backup
 *   tombs       cluster 00 id u64      record_tomb
 *   jobs        cluster 00 id u64      record_job
 *   ids         id u64                 cluster: of every backup, job and tomb
 *   open        id u64                 cluster: of every job that is OPEN
 *   pins        backup u64, job u64    nothing: of every OPEN job that reads a backup
 *   clones      name                   record_clone
 *   tokens      token key (token.h)    record_token
 *   token_ends  ended_ms u64, token key   record_token_end: of every token whose job ended
 *   days        cluster 00 day u32     record_day; the day's sign bit flipped, so that they sort
 *   counts      cluster                record_counts
 *   clusters    cluster                record_facts
 *   schedules   cluster                record_schedule
 *   nonces      stamp u64, hash        window u8: of signed requests that were stamped later than the clock said
 * e.g. backup 258 of "pc":  70 63 00 00 00 00 00 00 00 01 02
 */
#ifndef DBSNAP_FRONT_STORE_INTERNAL_H
#define DBSNAP_FRONT_STORE_INTERNAL_H

#include "daemon/front/store.h"

#include <lmdb.h>

enum store_list {
	LIST_META,
	LIST_BACKUPS,
	LIST_TOMBS,
	LIST_JOBS,
	LIST_IDS,
	LIST_OPEN,
	LIST_PINS,
	LIST_CLONES,
	LIST_TOKENS,
	LIST_TOKEN_ENDS,
	LIST_DAYS,
	LIST_COUNTS,
	LIST_CLUSTERS,
	LIST_SCHEDULES, /* from here on: not in every store of version 1 */
	LIST_NONCES,
	LISTS
};

struct store_txn {
	struct store *store;
	MDB_txn *mdb;  /* NULL: none is open */
	bool writable;
	int dead;      /* 0, or the error that the transaction died of */
};

struct store {
	MDB_env *env;
	int lock_fd;
	MDB_dbi lists[LISTS];
	struct nonce install_id;
	struct nonce start;       /* this start, to tell which token ends' running times it knows */
	int64_t start_running_ms;
	int utc_offset_minutes;
	uint64_t purge_from;      /* history is looked at from this id on */
	struct store_usage usage; /* as of the last commit seen */
	uint64_t reserved_to;     /* bytes of the file that the disk has promised; UINT64_MAX: it cannot promise */
	bool tight;               /* less than half of the reserve could be had: nothing new is accepted */
	struct store_txn txn;     /* the one transaction */
};

enum { STORE_KEY_MAX = 8 + TOKEN_KEY_MAX };

struct store_key {
	size_t size;
	uint8_t bytes[STORE_KEY_MAX];
};

/* An encoded record, ready before the first put. */
struct store_blob {
	int size;
	uint8_t bytes[RECORD_MAX];
};

/* ---- keys (store_db.c) ---- */

struct store_key key_text(const char *text);
struct store_key key_id(uint64_t id);
struct store_key key_cluster_id(const char *cluster, uint64_t id);
struct store_key key_pin(uint64_t backup, uint64_t job);
struct store_key key_day(const char *cluster, int32_t day);
struct store_key key_token(const struct token_key *token);
struct store_key key_token_end(int64_t ended_ms, const struct token_key *token);
/* Parts of keys that we wrote. ERR_CORRUPT if it is none. */
int key_parse_id(const MDB_val *key, uint64_t *ret_id);
int key_parse_cluster_id(const MDB_val *key, char ret_cluster[static IDENT_CLUSTER_SIZE], uint64_t *ret_id);
/* A key or value that is a name: cluster or clone. */
int key_parse_name(const MDB_val *key, char ret_name[static IDENT_CLUSTER_SIZE]);

/* ---- lists (store_db.c) ---- */

/* The project's code for LMDB's (0 for 0). */
int db_error(int mdb_rc);
/* The transaction dies of rc, which is returned. */
int db_die(struct store_txn *txn, int rc);
/* value points into the map: valid until the next put, delete or end. ERR_NOT_FOUND leaves the transaction alive. */
int db_get(struct store_txn *txn, enum store_list list, const struct store_key *key, MDB_val *ret_value);
int db_put(struct store_txn *txn, enum store_list list, const struct store_key *key, const void *bytes, size_t size);
int db_put_blob(struct store_txn *txn, enum store_list list, const struct store_key *key, const struct store_blob *blob);
/* Deleting what is not there is no error. */
int db_delete(struct store_txn *txn, enum store_list list, const struct store_key *key);
/* How many entries. */
int db_count(struct store_txn *txn, enum store_list list, uint64_t *ret_count);
int db_empty(struct store_txn *txn, enum store_list list);

int db_cursor(struct store_txn *txn, enum store_list list, MDB_cursor **ret_cursor);
/* ERR_NOT_FOUND at the end. */
int db_cursor_get(struct store_txn *txn, MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
/* Deletes where the cursor stands; MDB_NEXT then gives the one after. */
int db_cursor_delete(struct store_txn *txn, MDB_cursor *cursor);

static inline void scope_cursor_p(MDB_cursor **cursor)
{
	if (*cursor)
		mdb_cursor_close(*cursor);
}
#define scope_cursor __attribute__((cleanup(scope_cursor_p)))

/* Nothing more is accepted when less than this share of the map is left. */
bool db_may_accept(const struct store_txn *txn, enum store_room room);

/* ---- what the rooms of the store lend each other ---- */

/* store_count.c: counters are a cache; they stop at 0 and are put right by the next recount. */
void count_move(uint32_t *from, uint32_t *to); /* either may be NULL */
int counts_put(struct store_txn *txn, const char *cluster, const struct record_counts *counts);
int day_add(struct store_txn *txn, const char *cluster, int64_t accepted_ms, int accepted, int refunded);

/* store_job.c */
int next_id_get(struct store_txn *txn, uint64_t *ret_id);
/* Encodes a new job (OPEN); no put. */
int job_prepare(struct record_job *job, uint64_t id, struct store_blob *ret_blob);
/* The job, its id (which is used up), open, and its token if it has one. Counts are the caller's. */
int job_insert(struct store_txn *txn, const struct record_job *job, const struct store_blob *blob,
	       const struct store_token *token);

/*
 * A new job beside which no other record changes: id, which the caller took by next_id_get(), kind and names are the caller's;
 * OPEN, without a token; counted.
 */
int job_insert_alone(struct store_txn *txn, struct record_job *job);

/* 1 if an unfinished job reads the backup, 0, or an error. */
int job_pinning(struct store_txn *txn, uint64_t backup);

/* store_backup.c: may a new job read it? ERR_NOT_FOUND (a delete was accepted, too), ERR_STATE: not AVAILABLE. */
int backup_check_readable(struct store_txn *txn, const char *cluster, uint64_t id);
/* Decodes and fills in what the key says; an error kills the transaction. */
int backup_load(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct record_backup *ret_backup);
/* store_job.c, likewise. */
int job_load(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct record_job *ret_job);

/* store_token.c: 1 lives, 0 unknown or over, or an error. */
int token_lives(struct store_txn *txn, const struct store_token *token);
int token_insert(struct store_txn *txn, const struct store_token *token, uint64_t job, int64_t created_ms);
int token_end(struct store_txn *txn, const struct record_job *job, const struct store_now *now);

#endif
