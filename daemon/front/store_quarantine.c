/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What lies on disk and in no record: taken into the catalogue, or removed by a job that says itself what it removes. */
#include "daemon/front/store_internal.h"

#include "common/err.h"
#include "common/msg.h"

#include <string.h>

struct search {
	const struct nonce *nonce;
	uint64_t job;
};

static int match_job(void *arg, const struct record_job *job)
{
	struct search *search = arg;

	if (job->kind != JOB_KIND_DELETE_QUARANTINED || !nonce_equal(&job->nonce, search->nonce))
		return 0;
	search->job = job->id;
	return 1;
}

int store_quarantine_job(struct store_txn *txn, const struct nonce *nonce, uint64_t *ret_job)
{
	struct search search = {.nonce = nonce};
	int rc = store_job_each_open(txn, 0, match_job, &search);

	if (rc > 0)
		*ret_job = search.job;
	return rc > 0 ? 0 : rc < 0 ? rc : ERR_NOT_FOUND;
}

static int match_clone(void *arg, const struct record_clone *clone)
{
	return nonce_equal(&clone->nonce, arg);
}

static int check_clone(struct store_txn *txn, struct nonce nonce)
{
	const struct store_page all = {.count = UINT32_MAX};
	int rc = store_clone_list(txn, NULL, 0, &all, match_clone, &nonce, NULL);

	return rc > 0 ? ERR_STATE : rc;
}

/* What a record speaks of is not the quarantine's, whatever a list in memory says. */
static int check_unrecorded(struct store_txn *txn, const struct record_job *job)
{
	struct record_backup backup;
	int rc;

	if (job->item == ITEM_CLONE || job->item == ITEM_CLONE_PARTIAL)
		return check_clone(txn, job->nonce);
	rc = store_backup_get(txn, job->cluster, job->backup, &backup);
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	/* What a create that failed left behind is nobody's. */
	if (!nonce_equal(&backup.nonce, &job->nonce) || backup.state == BACKUP_FAILED || backup.state == BACKUP_CANCELLED)
		return 0;
	return ERR_STATE;
}

int store_quarantine_accept_delete(struct store_txn *txn, struct record_job *job)
{
	struct record_job new = *job;
	uint64_t id;
	int rc = check_unrecorded(txn, job);

	if (rc == 0)
		rc = store_quarantine_job(txn, &job->nonce, &id);
	if (rc != ERR_NOT_FOUND)
		return rc == 0 ? ERR_EXISTS : rc;
	if (!db_may_accept(txn, STORE_ROOM_REMOVE))
		return ERR_FULL;
	new.kind = JOB_KIND_DELETE_QUARANTINED;
	rc = next_id_get(txn, &new.id);
	if (rc == 0)
		rc = job_insert_alone(txn, &new);
	if (rc == 0)
		*job = new;
	return rc;
}

int store_backup_adopt(struct store_txn *txn, const struct record_backup *backup)
{
	const struct store_key key = key_cluster_id(backup->cluster, backup->id), id = key_id(backup->id);
	char cluster[IDENT_CLUSTER_SIZE];
	struct record_counts counts;
	struct store_blob blob;
	uint64_t job;
	int rc;

	if (!ident_is_cluster(backup->cluster) || !backup->adopted || backup->state != BACKUP_AVAILABLE)
		return ERR_INVALID;
	rc = store_id_cluster(txn, backup->id, cluster);
	if (rc == ERR_NOT_FOUND)
		rc = store_quarantine_job(txn, &backup->nonce, &job);
	if (rc != ERR_NOT_FOUND)
		return rc == 0 ? ERR_EXISTS : rc;
	if (!db_may_accept(txn, STORE_ROOM_ALL))
		return ERR_FULL;
	rc = store_counts_get(txn, backup->cluster, &counts);
	if (rc < 0)
		return rc;
	blob.size = record_backup_encode(backup, blob.bytes, sizeof(blob.bytes));
	if (blob.size < 0)
		return blob.size;
	count_move(NULL, &counts.backups[BACKUP_AVAILABLE][backup->mode]);
	if (backup->mode == BACKUP_MANUAL)
		count_move(NULL, &counts.adopted);
	rc = db_put_blob(txn, LIST_BACKUPS, &key, &blob);
	if (rc == 0)
		rc = db_put(txn, LIST_IDS, &id, backup->cluster, strlen(backup->cluster));
	if (rc == 0)
		rc = counts_put(txn, backup->cluster, &counts);
	return rc == 0 ? store_raise_id(txn, backup->id + 1) : rc;
}
