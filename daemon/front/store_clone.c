/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clones from acceptance until their name is free again. */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

static int load(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct record_clone *ret_clone)
{
	struct record_clone clone;
	int rc = record_clone_decode(value->mv_data, value->mv_size, &clone);

	if (rc == 0)
		rc = key_parse_name(key, clone.name);
	if (rc < 0)
		return db_die(txn, rc);
	*ret_clone = clone;
	return 0;
}

int store_clone_get(struct store_txn *txn, const char *name, struct record_clone *ret_clone)
{
	struct store_key key;
	MDB_val value;
	int rc;

	if (!ident_is_clone(name))
		return ERR_NOT_FOUND;
	key = key_text(name);
	rc = db_get(txn, LIST_CLONES, &key, &value);
	return rc < 0 ? rc : load(txn, &(MDB_val){key.size, key.bytes}, &value, ret_clone);
}

static int encode(const struct record_clone *clone, struct store_blob *ret_blob)
{
	ret_blob->size = record_clone_encode(clone, ret_blob->bytes, sizeof(ret_blob->bytes));
	return ret_blob->size < 0 ? ret_blob->size : 0;
}

static int put(struct store_txn *txn, const struct record_clone *clone, const struct store_blob *blob)
{
	const struct store_key key = key_text(clone->name);

	return db_put_blob(txn, LIST_CLONES, &key, blob);
}

/* ---- create ---- */

static int check_accept(struct store_txn *txn, const struct record_clone *clone, const struct store_token *token,
			bool *name_taken)
{
	struct record_clone other;
	int rc;

	*name_taken = false;
	if (!ident_is_clone(clone->name))
		return ERR_INVALID;
	rc = token ? token_lives(txn, token) : 0;
	if (rc != 0)
		return rc > 0 ? ERR_EXISTS : rc;
	rc = backup_check_readable(txn, clone->cluster, clone->backup);
	if (rc < 0)
		return rc;
	rc = store_clone_get(txn, clone->name, &other);
	*name_taken = rc == 0;
	if (rc != ERR_NOT_FOUND)
		return rc == 0 ? ERR_EXISTS : rc;
	return db_may_accept(txn, STORE_ROOM_ALL) ? 0 : ERR_FULL;
}

static void join_job(const struct record_clone *clone, const struct store_token *token, struct record_job *job)
{
	memcpy(job->cluster, clone->cluster, sizeof(job->cluster));
	memcpy(job->clone, clone->name, sizeof(job->clone));
	job->kind = JOB_KIND_CLONE;
	job->mode = 0;
	job->backup = clone->backup;
	job->token = token ? token->key : (struct token_key){0};
}

/* The clone beside its job; from and to are counters of its cluster. */
static int insert(struct store_txn *txn, const struct record_clone *clone, const struct store_blob *clone_blob,
		  const struct record_job *job, const struct store_blob *job_blob, const struct store_token *token,
		  enum clone_state from)
{
	struct record_counts counts;
	int rc = store_counts_get(txn, clone->cluster, &counts);

	if (rc < 0)
		return rc;
	count_move(from == CLONE_NONE ? NULL : &counts.clones[from], &counts.clones[clone->state]);
	count_move(NULL, &counts.jobs[job->kind][JOB_OPEN]);
	rc = put(txn, clone, clone_blob);
	if (rc == 0)
		rc = job_insert(txn, job, job_blob, token);
	return rc == 0 ? counts_put(txn, clone->cluster, &counts) : rc;
}

int store_clone_accept(struct store_txn *txn, struct record_clone *clone, struct record_job *job,
		       const struct store_token *token, bool *ret_name_taken)
{
	struct store_blob clone_blob, job_blob;
	struct record_clone new = *clone;
	struct record_job new_job = *job;
	int rc = check_accept(txn, clone, token, ret_name_taken);

	if (rc == 0)
		rc = next_id_get(txn, &new.job);
	if (rc < 0)
		return rc;
	new.state = CLONE_CREATING;
	join_job(&new, token, &new_job);
	rc = encode(&new, &clone_blob);
	if (rc == 0)
		rc = job_prepare(&new_job, new.job, &job_blob);
	if (rc == 0)
		rc = insert(txn, &new, &clone_blob, &new_job, &job_blob, token, CLONE_NONE);
	if (rc < 0)
		return rc;
	*clone = new;
	*job = new_job;
	return 0;
}

/* ---- update ---- */

static int check_update(const struct record_clone *old, const struct record_clone *clone)
{
	if (!clone_committable(old->state, clone->state) || clone->state == CLONE_DELETED ||
	    (clone->state == CLONE_DELETING && old->state != CLONE_DELETING))
		return ERR_STATE;
	if (strcmp(old->cluster, clone->cluster) != 0 || old->backup != clone->backup || old->job != clone->job ||
	    !nonce_equal(&old->nonce, &clone->nonce))
		return ERR_INVALID;
	return 0;
}

static int move_count(struct store_txn *txn, const char *cluster, enum clone_state from, enum clone_state to)
{
	struct record_counts counts;
	int rc;

	if (from == to)
		return 0;
	rc = store_counts_get(txn, cluster, &counts);
	if (rc < 0)
		return rc;
	count_move(&counts.clones[from], to == CLONE_DELETED ? NULL : &counts.clones[to]);
	return counts_put(txn, cluster, &counts);
}

int store_clone_update(struct store_txn *txn, const struct record_clone *clone)
{
	struct store_blob blob;
	struct record_clone old;
	int rc = store_clone_get(txn, clone->name, &old);

	if (rc == 0)
		rc = check_update(&old, clone);
	if (rc == 0)
		rc = encode(clone, &blob);
	if (rc == 0)
		rc = move_count(txn, clone->cluster, old.state, clone->state);
	return rc == 0 ? put(txn, clone, &blob) : rc;
}

/* ---- delete ---- */

int store_clone_accept_delete(struct store_txn *txn, struct record_job *job)
{
	struct store_blob clone_blob, job_blob;
	struct record_job new_job = *job;
	struct record_clone clone;
	enum clone_state from;
	uint64_t id;
	int rc = store_clone_get(txn, job->clone, &clone);

	if (rc == 0 && clone_next(clone.state, CLONE_EVENT_DELETE) == CLONE_NONE)
		rc = ERR_STATE;
	if (rc == 0 && !db_may_accept(txn, STORE_ROOM_REMOVE))
		rc = ERR_FULL;
	if (rc == 0)
		rc = next_id_get(txn, &id);
	if (rc < 0)
		return rc;
	from = clone.state;
	clone.state = CLONE_DELETING;
	clone.last_error[0] = '\0';
	join_job(&clone, NULL, &new_job);
	new_job.kind = JOB_KIND_DELETE_CLONE;
	rc = encode(&clone, &clone_blob);
	if (rc == 0)
		rc = job_prepare(&new_job, id, &job_blob);
	if (rc == 0)
		rc = insert(txn, &clone, &clone_blob, &new_job, &job_blob, NULL, from);
	if (rc == 0)
		*job = new_job;
	return rc;
}

int store_clone_deleted(struct store_txn *txn, const char *name)
{
	struct record_clone clone;
	struct store_key key;
	int rc = store_clone_get(txn, name, &clone);

	if (rc == 0 && clone_next(clone.state, CLONE_EVENT_DELETED) != CLONE_DELETED)
		rc = ERR_STATE;
	if (rc == 0)
		rc = move_count(txn, clone.cluster, clone.state, CLONE_DELETED);
	if (rc < 0)
		return rc;
	key = key_text(name);
	return db_delete(txn, LIST_CLONES, &key);
}

/* ---- list ---- */

static bool matches(const struct record_clone *clone, const char *cluster, uint64_t backup)
{
	return (!cluster || strcmp(cluster, clone->cluster) == 0) && (!backup || backup == clone->backup);
}

int store_clone_list(struct store_txn *txn, const char *cluster, uint64_t backup, const struct store_page *page,
		     store_clone_fn *fn, void *arg, uint64_t *ret_total)
{
	scope_cursor MDB_cursor *cursor = NULL;
	struct record_clone clone;
	uint64_t matched = 0;
	MDB_val key, value;
	int rc = db_cursor(txn, LIST_CLONES, &cursor);

	while (rc == 0) {
		rc = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (rc == ERR_NOT_FOUND) {
			if (ret_total)
				*ret_total = matched;
			return 0;
		}
		if (rc == 0)
			rc = load(txn, &key, &value, &clone);
		if (rc < 0)
			break;
		if (!matches(&clone, cluster, backup))
			continue;
		matched++;
		if (matched > page->skip && matched - page->skip <= page->count)
			rc = fn(arg, &clone);
	}
	return rc;
}
