/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens: found, kept, and forgotten when both clocks say so. */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

static int token_get(struct store_txn *txn, const struct token_key *token, struct record_token *ret_record)
{
	const struct store_key key = key_token(token);
	MDB_val value;
	int rc = db_get(txn, LIST_TOKENS, &key, &value);

	if (rc < 0)
		return rc;
	rc = record_token_decode(value.mv_data, value.mv_size, ret_record);
	return rc < 0 ? db_die(txn, rc) : 0;
}

/* By running time since the later of the job's end and this start. */
static int64_t since_end(const struct store *store, const struct record_token_end *end, int64_t running_ms)
{
	bool ours = nonce_equal(&end->start, &store->start);

	return running_ms - (ours ? end->running_ms : store->start_running_ms);
}

static int read_end(struct store_txn *txn, const MDB_val *value, int64_t running_ms, struct token_age *age)
{
	struct record_token_end end;
	int rc = record_token_end_decode(value->mv_data, value->mv_size, &end);

	if (rc < 0)
		return db_die(txn, rc);
	age->since_end_ms = since_end(txn->store, &end, running_ms);
	return 0;
}

/* A token's job is kept as long as the token, so one without a job is damage. */
static int age_of(struct store_txn *txn, const struct token_key *token, const struct record_token *record,
		  int64_t running_ms, struct token_age *ret_age)
{
	struct token_age age = {0};
	struct store_key key;
	struct record_job job;
	MDB_val value;
	int rc = store_job_find(txn, record->job, &job);

	if (rc == ERR_NOT_FOUND)
		return db_die(txn, ERR_CORRUPT);
	if (rc < 0)
		return rc;
	age.ended = job.state != JOB_OPEN;
	age.ended_ms = job.ended_ms;
	if (age.ended) {
		key = key_token_end(job.ended_ms, token);
		rc = db_get(txn, LIST_TOKEN_ENDS, &key, &value);
		if (rc == ERR_NOT_FOUND)
			return db_die(txn, ERR_CORRUPT);
		if (rc == 0)
			rc = read_end(txn, &value, running_ms, &age);
		if (rc < 0)
			return rc;
	}
	*ret_age = age;
	return 0;
}

int store_token_find(struct store_txn *txn, const struct store_token *token, struct record_token *ret_record)
{
	struct record_token record;
	struct token_age age;
	int rc = token_get(txn, &token->key, &record);

	if (rc == 0)
		rc = age_of(txn, &token->key, &record, token->now.running_ms, &age);
	if (rc < 0)
		return rc;
	if (token_is_over(&age, token->ttl_ms, token->now.wall_ms))
		return ERR_NOT_FOUND;
	*ret_record = record;
	return 0;
}

int token_lives(struct store_txn *txn, const struct store_token *token)
{
	struct record_token record;
	int rc = store_token_find(txn, token, &record);

	return rc == ERR_NOT_FOUND ? 0 : rc < 0 ? rc : 1;
}

/* One that is over but not yet purged makes room for its namesake. */
static int forget(struct store_txn *txn, const struct token_key *token)
{
	struct record_token record;
	struct store_key key;
	struct record_job job;
	int rc = token_get(txn, token, &record);

	if (rc == 0)
		rc = store_job_find(txn, record.job, &job);
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	key = key_token_end(job.ended_ms, token);
	return db_delete(txn, LIST_TOKEN_ENDS, &key);
}

int token_insert(struct store_txn *txn, const struct store_token *token, uint64_t job, int64_t created_ms)
{
	const struct record_token record = {token->fingerprint, job, created_ms};
	const struct store_key key = key_token(&token->key);
	struct store_blob blob;
	int rc = forget(txn, &token->key);

	if (rc < 0)
		return rc;
	blob.size = record_token_encode(&record, blob.bytes, sizeof(blob.bytes));
	return blob.size < 0 ? db_die(txn, blob.size) : db_put_blob(txn, LIST_TOKENS, &key, &blob);
}

int token_end(struct store_txn *txn, const struct record_job *job, const struct store_now *now)
{
	const struct record_token_end end = {txn->store->start, now->running_ms};
	struct store_blob blob;
	struct store_key key;

	if (job->token.size == 0)
		return 0;
	key = key_token_end(job->ended_ms, &job->token);
	blob.size = record_token_end_encode(&end, blob.bytes, sizeof(blob.bytes));
	return blob.size < 0 ? db_die(txn, blob.size) : db_put_blob(txn, LIST_TOKEN_ENDS, &key, &blob);
}

/* ---- purge ---- */

/* The two parts of an end's key. */
static int parse_end(const MDB_val *key, int64_t *ret_ended_ms, struct token_key *ret_token)
{
	uint64_t ended;

	if (key->mv_size <= 8 || key->mv_size > 8 + TOKEN_KEY_MAX ||
	    key_parse_id(&(MDB_val){8, key->mv_data}, &ended) < 0 || ended > INT64_MAX)
		return ERR_CORRUPT;
	*ret_ended_ms = (int64_t)ended;
	ret_token->size = (uint8_t)(key->mv_size - 8);
	memcpy(ret_token->bytes, (const uint8_t *)key->mv_data + 8, ret_token->size);
	return 0;
}

/* 1 removed, 0 not over, or an error. */
static int purge_one(struct store_txn *txn, MDB_cursor *cursor, const MDB_val *key, const MDB_val *value,
		     int64_t ttl_ms, const struct store_now *now)
{
	struct token_age age = {.ended = true};
	struct token_key token;
	struct store_key token_key;
	int rc = parse_end(key, &age.ended_ms, &token);

	if (rc < 0)
		return db_die(txn, rc);
	rc = read_end(txn, value, now->running_ms, &age);
	if (rc < 0)
		return rc;
	if (!token_is_over(&age, ttl_ms, now->wall_ms))
		return 0;
	token_key = key_token(&token);
	rc = db_delete(txn, LIST_TOKENS, &token_key);
	if (rc == 0)
		rc = db_cursor_delete(txn, cursor);
	return rc < 0 ? rc : 1;
}

int store_token_purge(struct store_txn *txn, int64_t ttl_ms, const struct store_now *now, uint32_t limit,
		      uint32_t *ret_removed)
{
	scope_cursor MDB_cursor *cursor = NULL;
	MDB_val key, value;
	uint32_t removed = 0;
	int rc = db_cursor(txn, LIST_TOKEN_ENDS, &cursor);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < limit; i++) {
		rc = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (rc == 0)
			rc = purge_one(txn, cursor, &key, &value, ttl_ms, now);
		if (rc < 0)
			break;
		removed += (uint32_t)rc;
	}
	if (rc < 0 && rc != ERR_NOT_FOUND)
		return rc;
	if (ret_removed)
		*ret_removed = removed;
	return 0;
}
