/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Forgetting what is older than history. Everything that has one id (a job, a
 * tombstone) goes at once with the id, so that an id is either known or not.
 */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

/* What is stored under one id. */
struct entry {
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t id;
	bool has_backup, has_job, has_tomb;
	struct record_job job;
	struct record_tomb tomb;
};

static int load_entry(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct entry *ret_entry)
{
	struct record_backup backup;
	int rc = key_parse_id(key, &ret_entry->id);

	if (rc == 0)
		rc = key_parse_name(value, ret_entry->cluster);
	if (rc < 0)
		return db_die(txn, rc);
	rc = store_backup_get(txn, ret_entry->cluster, ret_entry->id, &backup);
	ret_entry->has_backup = rc == 0;
	if (rc == 0 || rc == ERR_NOT_FOUND)
		rc = store_job_get(txn, ret_entry->cluster, ret_entry->id, &ret_entry->job);
	ret_entry->has_job = rc == 0;
	if (rc == 0 || rc == ERR_NOT_FOUND)
		rc = store_tomb_get(txn, ret_entry->cluster, ret_entry->id, &ret_entry->tomb);
	ret_entry->has_tomb = rc == 0;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static bool is_older(int64_t then_ms, int64_t history_ms, int64_t wall_ms)
{
	int64_t age_ms;

	return !__builtin_sub_overflow(wall_ms, then_ms, &age_ms) && age_ms >= history_ms;
}

/* 1 if the job's token is still known. */
static int has_token(struct store_txn *txn, const struct record_job *job)
{
	struct record_token record;
	struct store_key key;
	MDB_val value;
	int rc;

	if (job->token.size == 0)
		return 0;
	key = key_token(&job->token);
	rc = db_get(txn, LIST_TOKENS, &key, &value);
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	rc = record_token_decode(value.mv_data, value.mv_size, &record);
	return rc < 0 ? db_die(txn, rc) : record.job == job->id;
}

/* 1 if all of it may go. */
static int is_over(struct store_txn *txn, const struct entry *entry, int64_t history_ms, int64_t wall_ms)
{
	int rc;

	if (entry->has_backup)
		return 0;
	if (entry->has_tomb && !is_older(entry->tomb.deleted_ms, history_ms, wall_ms))
		return 0;
	if (!entry->has_job)
		return 1;
	if (entry->job.state == JOB_OPEN || !is_older(entry->job.ended_ms, history_ms, wall_ms))
		return 0;
	rc = has_token(txn, &entry->job);
	return rc < 0 ? rc : !rc;
}

static int remove_entry(struct store_txn *txn, MDB_cursor *cursor, const struct entry *entry)
{
	const struct store_key key = key_cluster_id(entry->cluster, entry->id);
	struct record_counts counts;
	int rc = store_counts_get(txn, entry->cluster, &counts);

	if (rc == 0 && entry->has_job) {
		count_move(&counts.jobs[entry->job.kind][entry->job.state], NULL);
		rc = db_delete(txn, LIST_JOBS, &key);
	}
	if (rc == 0 && entry->has_tomb) {
		count_move(&counts.tombs, NULL);
		rc = db_delete(txn, LIST_TOMBS, &key);
	}
	if (rc == 0 && entry->has_tomb && entry->tomb.mode == BACKUP_MANUAL && !entry->tomb.adopted)
		rc = day_add(txn, entry->cluster, entry->tomb.accepted_ms, -1, entry->tomb.refunded ? -1 : 0);
	if (rc == 0)
		rc = counts_put(txn, entry->cluster, &counts);
	return rc == 0 ? db_cursor_delete(txn, cursor) : rc;
}

/* 1 removed, 0 kept, ERR_NOT_FOUND: nothing more to do. */
static int purge_one(struct store_txn *txn, MDB_cursor *cursor, const MDB_val *key, const MDB_val *value,
		     int64_t history_ms, int64_t wall_ms)
{
	struct entry entry;
	int rc = load_entry(txn, key, value, &entry);

	if (rc < 0)
		return rc;
	/* Ids are given in the order of time: none after this one is older. */
	if (entry.has_job && !is_older(entry.job.accepted_ms, history_ms, wall_ms))
		return ERR_NOT_FOUND;
	txn->store->purge_from = entry.id + 1;
	rc = is_over(txn, &entry, history_ms, wall_ms);
	if (rc <= 0)
		return rc;
	rc = remove_entry(txn, cursor, &entry);
	return rc < 0 ? rc : 1;
}

int store_history_purge(struct store_txn *txn, int64_t history_ms, int64_t wall_ms, uint32_t limit,
			uint32_t *ret_removed)
{
	struct store_key from = key_id(txn->store->purge_from);
	scope_cursor MDB_cursor *cursor = NULL;
	MDB_val key = {from.size, from.bytes}, value;
	uint32_t removed = 0;
	int rc = db_cursor(txn, LIST_IDS, &cursor);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < limit; i++) {
		rc = db_cursor_get(txn, cursor, &key, &value, i == 0 ? MDB_SET_RANGE : MDB_NEXT);
		if (rc == 0)
			rc = purge_one(txn, cursor, &key, &value, history_ms, wall_ms);
		if (rc < 0)
			break;
		removed += (uint32_t)rc;
	}
	if (rc == ERR_NOT_FOUND)
		txn->store->purge_from = 0; /* the end: from the oldest again */
	else if (rc < 0)
		return rc;
	if (ret_removed)
		*ret_removed = removed;
	return 0;
}
