/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Backups from acceptance to tombstone. The one place that changes a backup's state. */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

int backup_load(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct record_backup *ret_backup)
{
	struct record_backup backup;
	int rc = record_backup_decode(value->mv_data, value->mv_size, &backup);

	if (rc == 0)
		rc = key_parse_cluster_id(key, backup.cluster, &backup.id);
	if (rc < 0)
		return db_die(txn, rc);
	*ret_backup = backup;
	return 0;
}

int store_backup_get(struct store_txn *txn, const char *cluster, uint64_t id, struct record_backup *ret_backup)
{
	struct store_key key;
	MDB_val value;
	int rc;

	if (!ident_is_cluster(cluster))
		return ERR_NOT_FOUND;
	key = key_cluster_id(cluster, id);
	rc = db_get(txn, LIST_BACKUPS, &key, &value);
	return rc < 0 ? rc : backup_load(txn, &(MDB_val){key.size, key.bytes}, &value, ret_backup);
}

int store_backup_peek(struct store_txn *txn, const char *cluster, uint64_t id, struct record_backup_peek *ret_peek)
{
	struct store_key key;
	MDB_val value;
	int rc;

	if (!ident_is_cluster(cluster))
		return ERR_NOT_FOUND;
	key = key_cluster_id(cluster, id);
	rc = db_get(txn, LIST_BACKUPS, &key, &value);
	if (rc < 0)
		return rc;
	rc = record_backup_peek(value.mv_data, value.mv_size, ret_peek);
	return rc < 0 ? db_die(txn, rc) : 0;
}

int backup_check_readable(struct store_txn *txn, const char *cluster, uint64_t id)
{
	struct record_backup backup;
	int rc = store_backup_get(txn, cluster, id, &backup);

	if (rc < 0)
		return rc;
	if (backup.state == BACKUP_DELETING)
		return ERR_NOT_FOUND;
	return backup.state == BACKUP_AVAILABLE ? 0 : ERR_STATE;
}

static int encode(const struct record_backup *backup, struct store_blob *ret_blob)
{
	ret_blob->size = record_backup_encode(backup, ret_blob->bytes, sizeof(ret_blob->bytes));
	return ret_blob->size < 0 ? ret_blob->size : 0;
}

static int put(struct store_txn *txn, const struct record_backup *backup, const struct store_blob *blob)
{
	const struct store_key key = key_cluster_id(backup->cluster, backup->id);

	return db_put_blob(txn, LIST_BACKUPS, &key, blob);
}

/* ---- create ---- */

static int check_accept(struct store_txn *txn, const struct record_backup *backup, const struct store_token *token)
{
	int rc;

	if (!ident_is_cluster(backup->cluster))
		return ERR_INVALID;
	if (!db_may_accept(txn, STORE_ROOM_ALL))
		return ERR_FULL;
	rc = token ? token_lives(txn, token) : 0;
	return rc > 0 ? ERR_EXISTS : rc;
}

static void join_job(const struct record_backup *backup, const struct store_token *token, struct record_job *job)
{
	memcpy(job->cluster, backup->cluster, sizeof(job->cluster));
	job->kind = JOB_KIND_CREATE;
	job->mode = backup->mode;
	job->backup = backup->id;
	job->token = token ? token->key : (struct token_key){0};
}

int store_backup_accept(struct store_txn *txn, struct record_backup *backup, struct record_job *job,
			const struct store_token *token)
{
	struct store_blob backup_blob, job_blob;
	struct record_backup new = *backup;
	struct record_job new_job = *job;
	struct record_counts counts;
	int rc = check_accept(txn, backup, token);

	if (rc == 0)
		rc = next_id_get(txn, &new.id);
	if (rc == 0)
		rc = store_counts_get(txn, new.cluster, &counts);
	if (rc < 0)
		return rc;
	new.state = BACKUP_PENDING;
	join_job(&new, token, &new_job);
	rc = encode(&new, &backup_blob);
	if (rc == 0)
		rc = job_prepare(&new_job, new.id, &job_blob);
	if (rc < 0)
		return rc;
	count_move(NULL, &counts.backups[BACKUP_PENDING][new.mode]);
	count_move(NULL, &counts.jobs[JOB_KIND_CREATE][JOB_OPEN]);
	rc = put(txn, &new, &backup_blob);
	if (rc == 0)
		rc = job_insert(txn, &new_job, &job_blob, token);
	if (rc == 0)
		rc = counts_put(txn, new.cluster, &counts);
	if (rc == 0 && new.mode == BACKUP_MANUAL)
		rc = day_add(txn, new.cluster, new.accepted_ms, 1, 0);
	if (rc < 0)
		return rc;
	*backup = new;
	*job = new_job;
	return 0;
}

/* ---- update ---- */

static struct quota_backup slot_of(const struct record_backup *backup)
{
	/* An adopted one never took a slot that it could give back. */
	return (struct quota_backup){backup->mode, backup->state, backup->accepted_ms, backup->refunded || backup->adopted};
}

static uint32_t *adopted_count(const struct record_backup *backup, struct record_counts *counts)
{
	bool counted = backup->adopted && backup->mode == BACKUP_MANUAL && backup->state == BACKUP_AVAILABLE;

	return counted ? &counts->adopted : NULL;
}

/* Writes new over old: record, counts, and the day if the slot is given back. */
static int replace(struct store_txn *txn, const struct record_backup *old, const struct record_backup *new,
		   const struct store_blob *blob)
{
	struct record_counts counts;
	int rc = 0;

	if (old->state != new->state) {
		rc = store_counts_get(txn, new->cluster, &counts);
		if (rc < 0)
			return rc;
		count_move(&counts.backups[old->state][new->mode], &counts.backups[new->state][new->mode]);
		count_move(adopted_count(old, &counts), adopted_count(new, &counts));
		rc = counts_put(txn, new->cluster, &counts);
	}
	if (rc == 0)
		rc = put(txn, new, blob);
	if (rc == 0 && new->refunded && !old->refunded)
		rc = day_add(txn, new->cluster, new->accepted_ms, 0, 1);
	return rc;
}

static int check_update(const struct record_backup *old, const struct record_backup *backup)
{
	if (!backup_committable(old->state, backup->state))
		return ERR_STATE;
	if (backup->state == BACKUP_DELETED || (backup->state == BACKUP_DELETING && old->state != BACKUP_DELETING))
		return ERR_STATE;
	if (old->mode != backup->mode || old->accepted_ms != backup->accepted_ms ||
	    !nonce_equal(&old->nonce, &backup->nonce) || old->end_state != backup->end_state ||
	    old->adopted != backup->adopted)
		return ERR_INVALID;
	return 0;
}

int store_backup_update(struct store_txn *txn, struct record_backup *backup)
{
	struct record_backup old, new = *backup;
	struct quota_backup slot;
	struct store_blob blob;
	int rc = store_backup_get(txn, backup->cluster, backup->id, &old);

	if (rc == 0)
		rc = check_update(&old, backup);
	if (rc < 0)
		return rc;
	new.refunded = old.refunded;
	slot = slot_of(&new);
	if (quota_refunds_end(&slot))
		new.refunded = true;
	rc = encode(&new, &blob);
	if (rc == 0)
		rc = replace(txn, &old, &new, &blob);
	if (rc == 0)
		backup->refunded = new.refunded;
	return rc;
}

int store_backup_hold(struct store_txn *txn, const char *cluster, uint64_t id, bool held)
{
	struct record_backup backup;
	struct store_blob blob;
	int rc = store_backup_get(txn, cluster, id, &backup);

	if (rc < 0)
		return rc;
	if (backup.state == BACKUP_DELETING)
		return ERR_NOT_FOUND;
	if (backup.held == held)
		return 0;
	if (held && (backup.state == BACKUP_FAILED || backup.state == BACKUP_CANCELLED))
		return ERR_STATE;
	if (!db_may_accept(txn, STORE_ROOM_REMOVE))
		return ERR_FULL;
	backup.held = held;
	rc = encode(&backup, &blob);
	return rc < 0 ? rc : put(txn, &backup, &blob);
}

/* ---- delete ---- */

static int check_delete(struct store_txn *txn, const struct record_backup *backup, enum store_refusal *ret_refusal)
{
	int rc;

	if (backup->state == BACKUP_DELETING)
		return ERR_NOT_FOUND;
	if (!backup_is_final(backup->state)) {
		*ret_refusal = STORE_REFUSAL_RUNNING;
		return ERR_STATE;
	}
	if (backup->held) {
		*ret_refusal = STORE_REFUSAL_HELD;
		return ERR_STATE;
	}
	rc = job_pinning(txn, backup->id);
	if (rc <= 0)
		return rc;
	*ret_refusal = STORE_REFUSAL_PINNED;
	return ERR_STATE;
}

int store_backup_check_delete(struct store_txn *txn, const char *cluster, uint64_t id,
			      enum store_refusal *ret_refusal)
{
	struct record_backup backup;
	int rc = store_backup_get(txn, cluster, id, &backup);

	return rc < 0 ? rc : check_delete(txn, &backup, ret_refusal);
}

static void mark_deleting(const struct store_txn *txn, struct record_backup *backup, int64_t now_ms, bool refund_deleted)
{
	struct quota_backup slot;

	backup->end_state = backup->state;
	backup->state = BACKUP_DELETING;
	backup->deleting_ms = now_ms;
	backup->last_error[0] = '\0';
	slot = slot_of(backup);
	if (quota_refunds_delete(&slot, refund_deleted, now_ms, txn->store->utc_offset_minutes))
		backup->refunded = true;
}

static int add_job(struct store_txn *txn, const struct record_job *job, const struct store_blob *blob)
{
	struct record_counts counts;
	int rc = store_counts_get(txn, job->cluster, &counts);

	if (rc < 0)
		return rc;
	count_move(NULL, &counts.jobs[job->kind][JOB_OPEN]);
	rc = job_insert(txn, job, blob, NULL);
	return rc == 0 ? counts_put(txn, job->cluster, &counts) : rc;
}

int store_backup_accept_delete(struct store_txn *txn, struct record_job *job, bool refund_deleted)
{
	struct store_blob backup_blob, job_blob;
	struct record_backup old, new;
	struct record_job new_job = *job;
	enum store_refusal refusal;
	uint64_t id;
	int rc = store_backup_get(txn, job->cluster, job->backup, &old);

	if (rc == 0)
		rc = check_delete(txn, &old, &refusal);
	if (rc == 0 && !db_may_accept(txn, STORE_ROOM_REMOVE))
		rc = ERR_FULL;
	if (rc == 0)
		rc = next_id_get(txn, &id);
	if (rc < 0)
		return rc;
	new = old;
	mark_deleting(txn, &new, job->accepted_ms, refund_deleted);
	new_job.kind = JOB_KIND_DELETE;
	new_job.mode = 0;
	new_job.token = (struct token_key){0};
	rc = encode(&new, &backup_blob);
	if (rc == 0)
		rc = job_prepare(&new_job, id, &job_blob);
	if (rc == 0)
		rc = replace(txn, &old, &new, &backup_blob);
	if (rc == 0)
		rc = add_job(txn, &new_job, &job_blob);
	if (rc == 0)
		*job = new_job;
	return rc;
}

static int put_tomb(struct store_txn *txn, const struct record_backup *backup, int64_t deleted_ms)
{
	const struct store_key key = key_cluster_id(backup->cluster, backup->id);
	const struct record_tomb tomb = {
		.end_state = backup->end_state,
		.mode = backup->mode,
		.refunded = backup->refunded,
		.adopted = backup->adopted,
		.accepted_ms = backup->accepted_ms,
		.deleted_ms = deleted_ms,
		.nonce = backup->nonce,
	};
	struct store_blob blob;
	int rc;

	blob.size = record_tomb_encode(&tomb, blob.bytes, sizeof(blob.bytes));
	if (blob.size < 0)
		return blob.size;
	rc = db_put_blob(txn, LIST_TOMBS, &key, &blob);
	return rc == 0 ? db_delete(txn, LIST_BACKUPS, &key) : rc;
}

int store_backup_deleted(struct store_txn *txn, const char *cluster, uint64_t id, int64_t deleted_ms)
{
	struct record_backup backup;
	struct record_counts counts;
	int rc = store_backup_get(txn, cluster, id, &backup);

	if (rc == 0 && backup_next(backup.state, BACKUP_EVENT_DELETED) != BACKUP_DELETED)
		rc = ERR_STATE;
	if (rc == 0)
		rc = store_counts_get(txn, cluster, &counts);
	if (rc < 0)
		return rc;
	count_move(&counts.backups[BACKUP_DELETING][backup.mode], &counts.tombs);
	rc = put_tomb(txn, &backup, deleted_ms);
	return rc == 0 ? counts_put(txn, cluster, &counts) : rc;
}

int store_tomb_get(struct store_txn *txn, const char *cluster, uint64_t id, struct record_tomb *ret_tomb)
{
	struct record_tomb tomb;
	struct store_key key;
	MDB_val value;
	int rc;

	if (!ident_is_cluster(cluster))
		return ERR_NOT_FOUND;
	key = key_cluster_id(cluster, id);
	rc = db_get(txn, LIST_TOMBS, &key, &value);
	if (rc < 0)
		return rc;
	rc = record_tomb_decode(value.mv_data, value.mv_size, &tomb);
	if (rc < 0)
		return db_die(txn, rc);
	memcpy(tomb.cluster, cluster, strlen(cluster) + 1);
	tomb.id = id;
	*ret_tomb = tomb;
	return 0;
}
