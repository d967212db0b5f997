/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HoldBackup and ReleaseBackup: whether a backup can be deleted at all. */
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched_auto.h"

static int put(const struct call *call, uint64_t id, bool held)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = call->hidden ? ERR_NOT_FOUND : store_begin(call->front->store, &txn);

	if (r == 0)
		r = store_backup_hold(txn, call->cluster, id, held);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

static void hold(struct call *call, bool held)
{
	struct sched *sched = call->front->sched;
	uint64_t id;
	int r;

	if (!param_id(call, "BackupId", &id))
		return;
	call->about_backup = id;
	r = put(call, id, held);
	if (r == ERR_NOT_FOUND)
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
	else if (r == ERR_STATE)
		reply_error(call, REPLY_BACKUP_STATUS, "Backup %llu failed or was cancelled: there is nothing to be held.",
			    (unsigned long long)id);
	else if (r < 0)
		reply_store_error(call, r);
	else
		reply_done(call);
	if (r == 0)
		sched_auto_changed(sched);
}

void op_hold_backup(struct call *call)
{
	hold(call, true);
}

void op_release_backup(struct call *call)
{
	hold(call, false);
}
