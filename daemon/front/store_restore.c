/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Accepting a restore: one at a time a cluster. */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

struct search {
	const char *cluster;
	struct record_job *found;
};

static int match(void *arg, const struct record_job *job)
{
	const struct search *search = arg;

	if (job->kind != JOB_KIND_RESTORE || strcmp(job->cluster, search->cluster) != 0)
		return 0;
	*search->found = *job;
	return 1;
}

static int check_backup(struct store_txn *txn, const struct record_job *job)
{
	struct record_backup backup;
	int rc = store_backup_get(txn, job->cluster, job->backup, &backup);

	if (rc < 0)
		return rc;
	if (backup.state == BACKUP_DELETING)
		return ERR_NOT_FOUND;
	return backup.state == BACKUP_AVAILABLE ? 0 : ERR_STATE;
}

static int insert(struct store_txn *txn, struct record_job *job)
{
	struct record_counts counts;
	struct store_blob blob;
	uint64_t id;
	int rc = next_id_get(txn, &id);

	if (rc == 0)
		rc = store_counts_get(txn, job->cluster, &counts);
	if (rc < 0)
		return rc;
	job->kind = JOB_KIND_RESTORE;
	job->mode = 0;
	job->token = (struct token_key){0};
	rc = job_prepare(job, id, &blob);
	if (rc < 0)
		return rc;
	count_move(NULL, &counts.jobs[JOB_KIND_RESTORE][JOB_OPEN]);
	rc = job_insert(txn, job, &blob, NULL);
	return rc == 0 ? counts_put(txn, job->cluster, &counts) : rc;
}

int store_restore_accept(struct store_txn *txn, struct record_job *job)
{
	struct record_job new = *job;
	struct record_job open;
	struct search search = {.cluster = job->cluster, .found = &open};
	int rc = check_backup(txn, job);

	if (rc == 0)
		rc = store_job_each_open(txn, 1, match, &search);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		*job = open;
		return ERR_EXISTS;
	}
	if (!db_may_accept(txn, STORE_ROOM_ALL))
		return ERR_FULL;
	rc = insert(txn, &new);
	if (rc == 0)
		*job = new;
	return rc;
}
