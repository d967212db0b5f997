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

int store_restore_accept(struct store_txn *txn, struct record_job *job)
{
	struct record_job new = *job;
	struct record_job open;
	struct search search = {.cluster = job->cluster, .found = &open};
	int rc = backup_check_readable(txn, job->cluster, job->backup);

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
	new.kind = JOB_KIND_RESTORE;
	rc = next_id_get(txn, &new.id);
	if (rc == 0)
		rc = job_insert_alone(txn, &new);
	if (rc == 0)
		*job = new;
	return rc;
}
