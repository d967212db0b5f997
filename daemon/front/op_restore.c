/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RestoreBackup: the plan, or the job. */
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

enum { PLAN_WAIT_MS = 60000 };

/* The cluster that may be restored now, as far as is known without its disk. NULL: answered. */
static const struct cluster *check_cluster(struct call *call)
{
	const struct cluster *cluster = call->hidden ? NULL : cluster_find(call->front->clusters, call->cluster);

	if (!cluster) {
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
		return NULL;
	}
	if (sched_stopping(call->front->sched)) {
		reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
		return NULL;
	}
	return standing_check(call, cluster) ? cluster : NULL;
}

static void reply_refusal(struct call *call, uint64_t backup, int error)
{
	if (error == ERR_NOT_FOUND)
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
	else if (error == ERR_STATE)
		reply_error(call, REPLY_BACKUP_STATUS, "Backup %llu is not available: only an available one can be restored.",
			    (unsigned long long)backup);
	else
		reply_store_error(call, error);
}

/* ---- the plan ---- */

static void reply_plan(struct call *call, const struct msg_checked *checked)
{
	json_t *answer = reply_begin(call);

	reply_put(answer, "DBClusterId", call->cluster);
	reply_put_number(answer, "BackupId", call->about_backup);
	reply_put_bool(answer, "Ok", checked->ok);
	reply_put_lines(answer, "Steps", checked->steps);
	reply_put(answer, "Refusal", checked->refusal);
	reply_put(answer, "Remedy", checked->remedy);
	reply_send(call, answer);
}

static void on_planned(void *arg, const struct sched_answer *answer)
{
	struct call *call = arg;

	if (answer->checked)
		reply_plan(call, answer->checked);
	else if (answer->code == ERR_BUSY)
		reply_error(call, REPLY_THROTTLING, NULL);
	else if (answer->code == ERR_TIMEOUT)
		reply_error(call, REPLY_UNAVAILABLE, "The plan was not made within %d seconds: a server or disk may hang.",
			    PLAN_WAIT_MS / 1000);
	else
		reply_error(call, REPLY_UNAVAILABLE, "The plan was cut off: %s.", err_text(answer->code));
}

static int read_backup(const struct call *call, uint64_t id, struct record_backup *ret_backup)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(call->front->store, &txn);

	if (r == 0)
		r = store_backup_get(txn, call->cluster, id, ret_backup);
	if (r < 0)
		return r;
	if (ret_backup->state == BACKUP_DELETING)
		return ERR_NOT_FOUND;
	return ret_backup->state == BACKUP_AVAILABLE ? 0 : ERR_STATE;
}

static void plan(struct call *call, uint64_t id)
{
	struct record_backup backup;
	int r = read_backup(call, id, &backup);

	if (r < 0)
		reply_refusal(call, id, r);
	else
		sched_plan(call->front->sched, &(struct sched_plan){call->cluster, id, backup.nonce, PLAN_WAIT_MS}, on_planned, call);
}

/* ---- the job ---- */

static int put(const struct call *call, uint64_t backup, struct record_job *job)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_begin(call->front->store, &txn);

	if (r < 0)
		return r;
	*job = (struct record_job){.accepted_ms = clock_wall_ms(), .backup = backup};
	memcpy(job->cluster, call->cluster, sizeof(job->cluster));
	memcpy(job->origin.principal, call->principal, sizeof(job->origin.principal));
	memcpy(job->origin.request_id, call->request_id, sizeof(job->origin.request_id));
	nonce_make(&job->nonce);
	r = store_restore_accept(txn, job);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

/* Whoever asks again for what is under way already gets the same answer. */
static void begin(struct call *call, uint64_t backup)
{
	struct sched *sched = call->front->sched;
	struct record_job job;
	json_t *answer;
	int r = put(call, backup, &job);

	if (r == ERR_EXISTS && job.backup == backup)
		r = 0;
	if (r == ERR_EXISTS) {
		reply_error(call, REPLY_BACKUP_STATUS, "A restore of the cluster, from backup %llu, is under way (job %llu).",
			    (unsigned long long)job.backup, (unsigned long long)job.id);
		return;
	}
	if (r < 0) {
		reply_refusal(call, backup, r);
		return;
	}
	call->about_job = job.id;
	answer = reply_begin(call);
	reply_put_number(answer, "JobId", job.id);
	reply_send(call, answer);
	sched_kick(sched);
}

void op_restore_backup(struct call *call)
{
	static const struct param_word words[] = {{"true", 1}, {"false", 0}, {NULL, 0}};
	const struct cluster *cluster;
	uint8_t dry_run = 0;
	uint64_t backup;

	if (!param_id(call, "BackupId", &backup) || !param_word(call, "DryRun", words, &dry_run))
		return;
	call->about_backup = backup;
	cluster = check_cluster(call);
	if (!cluster)
		return;
	if (dry_run)
		plan(call, backup);
	else if (!cluster->conf.restore_in_place)
		reply_error(call, REPLY_LAYOUT,
			    "Restore in place is off for this cluster; set restore: in-place in its file and reload, or restore it by hand: README, Restoring");
	else
		begin(call, backup);
}
