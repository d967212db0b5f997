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

int store_verify_accept(struct store_txn *txn, struct record_job *job)
{
	struct search search = {.backup = job->backup, .found = job};
	struct record_job new = *job;
	int rc = backup_check_readable(txn, job->cluster, job->backup);

	if (rc == 0)
		rc = store_job_each_open(txn, 1, match, &search);
	if (rc != 0)
		return rc > 0 ? 0 : rc;
	if (!db_may_accept(txn, STORE_ROOM_ALL))
		return ERR_FULL;
	new.kind = JOB_KIND_VERIFY;
	rc = next_id_get(txn, &new.id);
	if (rc < 0)
		return rc;
	ident_verify_clone(new.id, new.clone);
	rc = job_insert_alone(txn, &new);
	if (rc == 0)
		*job = new;
	return rc;
}
