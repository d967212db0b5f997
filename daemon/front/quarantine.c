/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap touches only what its own papers prove to be its own; all else is a person's. */
#include "daemon/front/quarantine.h"

#include "common/err.h"
#include "daemon/front/reply.h"
#include "daemon/front/standing.h"

#include <stdio.h>

#define BY_HAND "look at it, and remove it by hand if it is not needed"

static const char *kind_of(uint8_t item)
{
	static const char *const kinds[] = {
		[ITEM_BACKUP] = "Backup", [ITEM_PARTIAL] = "Partial", [ITEM_PARTIAL_DONE] = "Partial",
		[ITEM_DELETING] = "Deleting", [ITEM_CLONE] = "Clone", [ITEM_CLONE_PARTIAL] = "Clone",
		[ITEM_STRANGER] = "Stranger",
	};

	return kinds[item];
}

static const char *not_adoptable(const struct cluster_stranger *stranger)
{
	switch (stranger->item) {
	case ITEM_BACKUP:
		return NULL;
	case ITEM_PARTIAL:
	case ITEM_PARTIAL_DONE:
		return "it is not complete";
	case ITEM_DELETING:
		return "its removal had begun";
	case ITEM_CLONE:
	case ITEM_CLONE_PARTIAL:
		return "it is a clone: make another one of its backup";
	default:
		return stranger->why;
	}
}

/* A removal must be able to tell again what it was asked for, after whatever came between. */
static bool is_ours(const struct cluster_stranger *stranger)
{
	return stranger->item != ITEM_STRANGER && stranger->owner == OWNER_OURS && !nonce_is_zero(&stranger->nonce);
}

static int look_at_number(struct store_txn *txn, uint64_t id, struct quarantine_view *view)
{
	char cluster[IDENT_CLUSTER_SIZE];
	struct record_tomb tomb;
	int r = store_id_cluster(txn, id, cluster);

	if (r < 0)
		return r == ERR_NOT_FOUND ? 0 : r;
	r = store_tomb_get(txn, cluster, id, &tomb);
	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	view->no_adopt = r == 0 ? "its number is that of a backup that was deleted" :
				  "its number is that of another backup or job";
	return 0;
}

int quarantine_look(struct store_txn *txn, const struct cluster_stranger *stranger, struct quarantine_view *ret_view)
{
	struct quarantine_view view = {.no_adopt = not_adoptable(stranger)};
	int r = 0;

	if (!is_ours(stranger)) {
		view.no_delete = "dbsnap cannot prove that it made it";
		view.remedy = BY_HAND;
	}
	if (!view.no_adopt)
		r = look_at_number(txn, stranger->backup, &view);
	if (r == 0 && !view.no_delete)
		r = store_quarantine_job(txn, &stranger->nonce, &view.job);
	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	if (view.job)
		view.no_adopt = view.no_delete = "it is being removed";
	*ret_view = view;
	return 0;
}

static void put_manifest(json_t *object, const struct cluster_stranger *stranger)
{
	if (stranger->mode == MODE_NONE)
		return;
	reply_put(object, "BackupMode", stranger->mode == MODE_AUTOMATED ? "Automated" : "Manual");
	reply_put_time(object, "BackupStartTime", stranger->accepted_ms);
	if (stranger->consistent_ms)
		reply_put_number(object, "ConsistentTime", (uint64_t)(stranger->consistent_ms / 1000));
	if (stranger->size)
		reply_put_number(object, "BackupSetSize", stranger->size);
}

json_t *quarantine_present(const struct cluster *cluster, const struct cluster_stranger *stranger,
			   const struct quarantine_view *view)
{
	json_t *object = json_object();
	const char *reason, *remedy;
	char path[MSG_PATH_SIZE + MSG_NAME_SIZE];

	snprintf(path, sizeof(path), "%s/%s", cluster->snapshot_dir, stranger->name);
	reply_put(object, "Name", stranger->name);
	reply_put(object, "DBClusterId", cluster->id);
	reply_put(object, "Kind", kind_of(stranger->item));
	if (stranger->backup)
		reply_put_number(object, "BackupId", stranger->backup);
	reply_put(object, "Path", path);
	reply_put(object, "Why", stranger->why);
	reply_put_bool(object, "CanAdopt", !view->no_adopt);
	reply_put(object, "NoAdopt", view->no_adopt);
	reply_put_bool(object, "CanDelete", !view->no_delete);
	reply_put(object, "NoDelete", view->no_delete);
	reply_put(object, "Remedy", view->remedy);
	if (view->job)
		reply_put_number(object, "JobId", view->job);
	put_manifest(object, stranger);
	reply_put(object, "ClusterState", standing_state(cluster, &reason, &remedy));
	return object;
}
