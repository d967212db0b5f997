/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Accepting the verification of a backup. */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

struct search {
	uint64_t backup;
	struct record_job *found;
};

static int match(void *arg, const struct record_job *job)
{
	const struct search *search = arg;

	if (job->kind != JOB_KIND_VERIFY || job->backup != search->backup)
		return 0;
	*search->found = *job;
	return 1;
}

static int check_source(struct store_txn *txn, const struct record_job *job)
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
	int rc = next_id_get(txn, &job->id);

	if (rc == 0)
		rc = store_counts_get(txn, job->cluster, &counts);
	if (rc < 0)
		return rc;
	job->kind = JOB_KIND_VERIFY;
	job->mode = 0;
	job->token = (struct token_key){0};
	ident_verify_clone(job->id, job->clone);
	rc = job_prepare(job, job->id, &blob);
	if (rc < 0)
		return rc;
	count_move(NULL, &counts.jobs[JOB_KIND_VERIFY][JOB_OPEN]);
	rc = job_insert(txn, job, &blob, NULL);
	return rc == 0 ? counts_put(txn, job->cluster, &counts) : rc;
}

int store_verify_accept(struct store_txn *txn, struct record_job *job)
{
	struct search search = {.backup = job->backup, .found = job};
	struct record_job new = *job;
	int rc = check_source(txn, job);

	if (rc == 0)
		rc = store_job_each_open(txn, 1, match, &search);
	if (rc != 0)
		return rc > 0 ? 0 : rc;
	if (!db_may_accept(txn, STORE_ROOM_ALL))
		return ERR_FULL;
	rc = insert(txn, &new);
	if (rc == 0)
		*job = new;
	return rc;
}
