/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HoldBackup and ReleaseBackup: whether a backup can be deleted at all. */
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched_auto.h"

#include <string.h>

/* The backup's cluster becomes the call's, named or not. */
static int put(struct call *call, uint64_t id, bool held)
{
	scope_store_abort struct store_txn *txn = NULL;
	char cluster[IDENT_CLUSTER_SIZE];
	int r = store_begin(call->front->store, &txn);

	if (r == 0)
		r = store_id_cluster(txn, id, cluster);
	if (r == 0 && call->cluster[0] && strcmp(call->cluster, cluster) != 0)
		r = ERR_NOT_FOUND;
	if (r == 0)
		r = store_backup_hold(txn, cluster, id, held);
	if (r < 0)
		return r;
	memcpy(call->cluster, cluster, sizeof(cluster));
	return store_commit(scope_take_ptr(txn));
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
