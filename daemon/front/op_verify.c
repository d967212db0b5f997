/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VerifyBackup: proves that a backup can be started, or that it is damaged. */
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched.h"
#include "daemon/front/standing.h"

#include <string.h>

static int put(struct call *call, uint64_t backup, struct record_job *job)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_begin(call->front->store, &txn);

	if (r < 0)
		return r;
	*job = (struct record_job){.backup = backup, .accepted_ms = clock_wall_ms()};
	memcpy(job->cluster, call->cluster, sizeof(job->cluster));
	memcpy(job->origin.principal, call->principal, sizeof(job->origin.principal));
	memcpy(job->origin.request_id, call->request_id, sizeof(job->origin.request_id));
	r = store_verify_accept(txn, job);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

/* As for a clone: a retired cluster's backups can be verified, its place must be there. */
static bool check_place(struct call *call, const struct cluster *cluster)
{
	if (sched_stopping(call->front->sched)) {
		reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
		return false;
	}
	return cluster->registered ? standing_check(call, cluster) : standing_check_place(call, cluster);
}

static void reply_job(struct call *call, uint64_t job)
{
	json_t *answer = reply_begin(call);

	call->about_job = job;
	reply_put_number(answer, "JobId", job);
	reply_send(call, answer);
}

void op_verify_backup(struct call *call)
{
	struct sched *sched = call->front->sched;
	const struct cluster *cluster;
	struct record_job job;
	uint64_t backup;
	int r;

	if (!param_id(call, "BackupId", &backup))
		return;
	call->about_backup = backup;
	cluster = call->hidden ? NULL : cluster_find(call->front->clusters, call->cluster);
	if (!cluster) {
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
		return;
	}
	if (!check_place(call, cluster))
		return;
	r = put(call, backup, &job);
	if (r == ERR_NOT_FOUND) {
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
	} else if (r == ERR_STATE) {
		reply_error(call, REPLY_BACKUP_STATUS, "Backup %llu is not available: only an available one can be verified.",
			    (unsigned long long)backup);
	} else if (r < 0) {
		reply_store_error(call, r);
	} else {
		reply_job(call, job.id);
		sched_kick(sched);
	}
}
