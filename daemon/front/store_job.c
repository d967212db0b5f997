/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Jobs, the ids that they share with backups, and which of them are unfinished. */
#include "daemon/front/store_internal.h"

#include "common/cursor.h"
#include "common/err.h"

#include <string.h>

/* ---- ids ---- */

int next_id_get(struct store_txn *txn, uint64_t *ret_id)
{
	const struct store_key key = key_text("next_id");
	MDB_val value;
	int rc = db_get(txn, LIST_META, &key, &value);

	if (rc == 0)
		rc = key_parse_id(&value, ret_id);
	return rc < 0 ? db_die(txn, rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc) : 0;
}

static int next_id_put(struct store_txn *txn, uint64_t id)
{
	const struct store_key key = key_text("next_id"), bytes = key_id(id);

	return db_put(txn, LIST_META, &key, bytes.bytes, bytes.size);
}

int store_raise_id(struct store_txn *txn, uint64_t min)
{
	uint64_t next;
	int rc = next_id_get(txn, &next);

	if (rc < 0)
		return rc;
	if (min > INT64_MAX)
		return ERR_INVALID;
	return min > next ? next_id_put(txn, min) : 0;
}

int store_id_cluster(struct store_txn *txn, uint64_t id, char ret_cluster[static IDENT_CLUSTER_SIZE])
{
	const struct store_key key = key_id(id);
	MDB_val value;
	int rc = db_get(txn, LIST_IDS, &key, &value);

	if (rc < 0)
		return rc;
	rc = key_parse_name(&value, ret_cluster);
	return rc < 0 ? db_die(txn, rc) : 0;
}

/* ---- reading ---- */

int job_load(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct record_job *ret_job)
{
	struct record_job job;
	int rc = record_job_decode(value->mv_data, value->mv_size, &job);

	if (rc == 0)
		rc = key_parse_cluster_id(key, job.cluster, &job.id);
	if (rc < 0)
		return db_die(txn, rc);
	*ret_job = job;
	return 0;
}

int store_job_get(struct store_txn *txn, const char *cluster, uint64_t id, struct record_job *ret_job)
{
	struct store_key key;
	MDB_val value;
	int rc;

	if (!ident_is_cluster(cluster))
		return ERR_NOT_FOUND;
	key = key_cluster_id(cluster, id);
	rc = db_get(txn, LIST_JOBS, &key, &value);
	return rc < 0 ? rc : job_load(txn, &(MDB_val){key.size, key.bytes}, &value, ret_job);
}

int store_job_find(struct store_txn *txn, uint64_t id, struct record_job *ret_job)
{
	char cluster[IDENT_CLUSTER_SIZE];
	int rc = store_id_cluster(txn, id, cluster);

	return rc < 0 ? rc : store_job_get(txn, cluster, id, ret_job);
}

/* The job that an entry of the list of open ones speaks of; without it the list is damaged. */
static int load_open(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct record_job *ret_job)
{
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t id;
	int rc = key_parse_id(key, &id);

	if (rc == 0)
		rc = key_parse_name(value, cluster);
	if (rc == 0)
		rc = store_job_get(txn, cluster, id, ret_job);
	return rc < 0 ? db_die(txn, rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc) : 0;
}

int job_pinning(struct store_txn *txn, uint64_t backup)
{
	scope_cursor MDB_cursor *cursor = NULL;
	struct store_key first = key_pin(backup, 0);
	MDB_val key = {first.size, first.bytes}, value;
	int rc = db_cursor(txn, LIST_PINS, &cursor);

	if (rc == 0)
		rc = db_cursor_get(txn, cursor, &key, &value, MDB_SET_RANGE);
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	return key.mv_size == first.size && memcmp(key.mv_data, first.bytes, sizeof(backup)) == 0;
}

int store_job_each_open(struct store_txn *txn, uint64_t from, store_job_fn *fn, void *arg)
{
	scope_cursor MDB_cursor *cursor = NULL;
	struct store_key first = key_id(from);
	MDB_val key = {first.size, first.bytes}, value;
	MDB_cursor_op op = MDB_SET_RANGE;
	struct record_job job;
	int rc = db_cursor(txn, LIST_OPEN, &cursor);

	for (; rc == 0; op = MDB_NEXT) {
		rc = db_cursor_get(txn, cursor, &key, &value, op);
		if (rc < 0)
			return rc == ERR_NOT_FOUND ? 0 : rc;
		rc = load_open(txn, &key, &value, &job);
		if (rc < 0)
			return rc;
		rc = fn(arg, &job);
	}
	return rc;
}

/* ---- writing ---- */

static int encode(const struct record_job *job, struct store_blob *ret_blob)
{
	ret_blob->size = record_job_encode(job, ret_blob->bytes, sizeof(ret_blob->bytes));
	return ret_blob->size < 0 ? ret_blob->size : 0;
}

int job_prepare(struct record_job *job, uint64_t id, struct store_blob *ret_blob)
{
	if (id > INT64_MAX)
		return ERR_FULL;
	job->id = id;
	job->state = JOB_OPEN;
	job->ended_ms = 0;
	return encode(job, ret_blob);
}

int job_insert(struct store_txn *txn, const struct record_job *job, const struct store_blob *blob,
	       const struct store_token *token)
{
	const struct store_key key = key_cluster_id(job->cluster, job->id), id = key_id(job->id);
	const struct store_key pin = key_pin(job->backup, job->id);
	size_t length = strlen(job->cluster);
	int rc = db_put_blob(txn, LIST_JOBS, &key, blob);

	if (rc == 0)
		rc = db_put(txn, LIST_IDS, &id, job->cluster, length);
	if (rc == 0)
		rc = db_put(txn, LIST_OPEN, &id, job->cluster, length);
	if (rc == 0 && job_pins_backup(job->kind))
		rc = db_put(txn, LIST_PINS, &pin, "", 0);
	if (rc == 0)
		rc = next_id_put(txn, job->id + 1);
	return rc == 0 && token ? token_insert(txn, token, job->id, job->accepted_ms) : rc;
}

int job_insert_alone(struct store_txn *txn, struct record_job *job)
{
	struct record_counts counts;
	struct store_blob blob;
	int rc = store_counts_get(txn, job->cluster, &counts);

	if (rc < 0)
		return rc;
	job->mode = 0;
	job->token = (struct token_key){0};
	rc = job_prepare(job, job->id, &blob);
	if (rc < 0)
		return rc;
	count_move(NULL, &counts.jobs[job->kind][JOB_OPEN]);
	rc = job_insert(txn, job, &blob, NULL);
	return rc == 0 ? counts_put(txn, job->cluster, &counts) : rc;
}

/* What replaces the stored job must be of the same work. */
static int check_same(const struct record_job *old, const struct record_job *job)
{
	if (old->state != JOB_OPEN)
		return ERR_STATE;
	if (old->kind != job->kind || old->mode != job->mode || old->backup != job->backup ||
	    old->accepted_ms != job->accepted_ms || old->item != job->item || !nonce_equal(&old->nonce, &job->nonce) || strcmp(old->clone, job->clone) != 0 ||
	    old->token.size != job->token.size || memcmp(old->token.bytes, job->token.bytes, old->token.size) != 0)
		return ERR_INVALID;
	return 0;
}

int store_job_update(struct store_txn *txn, const struct record_job *job)
{
	struct store_blob blob;
	struct record_job old;
	struct store_key key;
	int rc = store_job_get(txn, job->cluster, job->id, &old);

	if (rc == 0)
		rc = check_same(&old, job);
	if (rc == 0 && job->state != JOB_OPEN)
		rc = ERR_STATE;
	if (rc == 0)
		rc = encode(job, &blob);
	if (rc < 0)
		return rc;
	key = key_cluster_id(job->cluster, job->id);
	return db_put_blob(txn, LIST_JOBS, &key, &blob);
}

static int put_end(struct store_txn *txn, const struct record_job *job, const struct store_blob *blob,
		   const struct store_now *now)
{
	const struct store_key key = key_cluster_id(job->cluster, job->id), id = key_id(job->id);
	const struct store_key pin = key_pin(job->backup, job->id);
	struct record_counts counts;
	int rc = store_counts_get(txn, job->cluster, &counts);

	if (rc < 0)
		return rc;
	count_move(&counts.jobs[job->kind][JOB_OPEN], &counts.jobs[job->kind][job->state]);
	rc = db_put_blob(txn, LIST_JOBS, &key, blob);
	if (rc == 0)
		rc = db_delete(txn, LIST_OPEN, &id);
	if (rc == 0 && job_pins_backup(job->kind))
		rc = db_delete(txn, LIST_PINS, &pin);
	if (rc == 0)
		rc = counts_put(txn, job->cluster, &counts);
	return rc == 0 ? token_end(txn, job, now) : rc;
}

int store_job_finish(struct store_txn *txn, struct record_job *job, const struct store_now *now)
{
	struct store_blob blob;
	struct record_job old;
	int64_t ended_ms = job->ended_ms;
	int rc = store_job_get(txn, job->cluster, job->id, &old);

	if (rc == 0)
		rc = check_same(&old, job);
	if (rc == 0 && job->state == JOB_OPEN)
		rc = ERR_STATE;
	if (rc < 0)
		return rc;
	job->ended_ms = now->wall_ms;
	rc = encode(job, &blob);
	if (rc < 0) {
		job->ended_ms = ended_ms;
		return rc;
	}
	return put_end(txn, job, &blob, now);
}
