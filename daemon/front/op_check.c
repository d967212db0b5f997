/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CheckCluster: what a worker found, and what the catalogue knows of earlier cuts. */
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/present.h"
#include "daemon/front/reply.h"
#include "daemon/front/right.h"
#include "daemon/front/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_WAIT_MS = 30000, CUTS_MAX = 5, BACKUPS_READ = 50 };

/* What was not measured is not said to be 0. */
static void put_size(const struct msg_checked_part *part, json_t *object)
{
	if (part->measured == PART_NOT_MEASURED)
		return;
	reply_put_number(object, "Bytes", part->bytes);
	reply_put_number(object, "Files", part->files);
	reply_put_bool(object, "Whole", part->measured == PART_MEASURED);
	reply_put(object, "Largest", part->largest);
	if (!part->extents)
		return;
	reply_put_number(object, "Extents", part->extents);
	reply_put_bool(object, "MoreExtents", part->more_extents);
}

static json_t *present_part(const struct msg_checked_part *part)
{
	json_t *object = json_object();

	reply_put(object, "Role", part->role);
	reply_put(object, "Path", part->path);
	reply_put(object, "Device", part->device);
	reply_put(object, "FileSystem", part->file_system);
	reply_put(object, "Subvolume", part->subvolume);
	reply_put_bool(object, "Inside", part->inside);
	reply_put(object, "Taken", part->taken);
	put_size(part, object);
	return object;
}

static json_t *present_parts(const struct sched_answer *answer)
{
	json_t *parts = json_array();

	for (size_t i = 0; i < answer->part_count; i++)
		json_array_append_new(parts, present_part(&answer->parts[i]));
	return parts;
}

/* The newest backups that were cut in the same way. */
struct cuts {
	const struct msg_checked *checked;
	size_t count;
	uint64_t cut_us[CUTS_MAX], freeze_us[CUTS_MAX];
};

static int collect_cut(void *arg, const struct record_backup *backup)
{
	struct cuts *cuts = arg;

	if (strcmp(backup->procedure, cuts->checked->procedure) != 0 || strcmp(backup->backend, cuts->checked->backend) != 0 ||
	    backup->cut_us == 0)
		return 0;
	cuts->cut_us[cuts->count] = backup->cut_us;
	cuts->freeze_us[cuts->count++] = backup->freeze_us;
	return cuts->count == CUTS_MAX;
}

/* Nothing to tell where the catalogue cannot be read. */
static void read_cuts(const struct call *call, struct cuts *cuts)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct store_backup_filter filter = {.cluster = call->cluster, .groups = BACKUP_GROUP_SUCCESS};

	if (cuts->checked->backend[0] && store_read(call->front->store, &txn) == 0)
		store_backup_list(txn, &filter, &(struct store_page){.count = BACKUPS_READ}, collect_cut, cuts, NULL);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static uint64_t median(uint64_t *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[(count - 1) / 2];
}

static void put_expected(const struct call *call, const struct msg_checked *checked, json_t *answer)
{
	struct cuts cuts = {.checked = checked};
	json_t *object = json_object();
	char from[64];

	read_cuts(call, &cuts);
	if (cuts.count) {
		present_milliseconds(object, "CutMs", median(cuts.cut_us, cuts.count));
		present_milliseconds(object, "FreezeMs", median(cuts.freeze_us, cuts.count));
		snprintf(from, sizeof(from), "the median of the last %zu backups", cuts.count);
		reply_put(object, "From", cuts.count > 1 ? from : "as the last backup");
	} else {
		if (checked->cut_us >= 0)
			present_milliseconds(object, "CutMs", (uint64_t)checked->cut_us);
		if (checked->freeze_us >= 0 && checked->expected[0])
			present_milliseconds(object, "FreezeMs", (uint64_t)checked->freeze_us);
		reply_put(object, "From", checked->expected);
	}
	if (checked->ok && json_object_size(object))
		reply_put_new(answer, "Expected", object);
	else
		json_decref(object);
}

static void reply_checked(struct call *call, const struct sched_answer *found)
{
	const struct msg_checked *checked = found->checked;
	json_t *answer = reply_begin(call);

	reply_put(answer, "DBClusterId", call->cluster);
	reply_put_bool(answer, "Ok", checked->ok);
	reply_put(answer, "Backend", checked->backend);
	reply_put(answer, "Procedure", checked->procedure);
	reply_put(answer, "Promise", checked->promise);
	reply_put(answer, "DatabaseType", checked->database);
	reply_put(answer, "DatabaseVersion", present_version(checked->server));
	reply_put(answer, "SnapshotDir", checked->snapshot_dir);
	reply_put_new(answer, "Parts", present_parts(found));
	put_expected(call, checked, answer);
	reply_put_lines(answer, "Warnings", checked->warnings);
	reply_put_lines(answer, "Weakened", checked->weakened);
	reply_put_lines(answer, "Account", checked->account);
	reply_put_lines(answer, "NotBetter", checked->why_not);
	reply_put(answer, "Refusal", checked->refusal);
	reply_put(answer, "Remedy", checked->remedy);
	if (checked->total_bytes) {
		reply_put_number(answer, "FreeBytes", checked->free_bytes);
		reply_put_number(answer, "TotalBytes", checked->total_bytes);
	}
	reply_send(call, answer);
}

static void on_checked(void *arg, const struct sched_answer *answer)
{
	struct call *call = arg;

	if (answer->code != ERR_CLOSED && !right_check_again(call))
		return;
	if (answer->checked)
		reply_checked(call, answer);
	else if (answer->code == ERR_NOT_FOUND)
		reply_error(call, REPLY_CLUSTER_NOT_FOUND, NULL);
	else if (answer->code == ERR_BUSY)
		reply_error(call, REPLY_THROTTLING, NULL);
	else if (answer->code == ERR_TIMEOUT)
		reply_error(call, REPLY_UNAVAILABLE, "The check has not ended within %d seconds: its server or disk may hang.",
			    CHECK_WAIT_MS / 1000);
	else
		reply_error(call, REPLY_UNAVAILABLE, "The check was cut off: %s.", err_text(answer->code));
}

static void ask(struct call *call)
{
	right_keep(call);
	sched_survey(call->front->sched, call->cluster, CHECK_WAIT_MS, on_checked, call);
}

void op_check_cluster(struct call *call)
{
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);

	if (!cluster->registered)
		reply_error(call, REPLY_CLUSTER_NOT_FOUND, "The cluster is retired: no cluster file registers it any more.");
	else if (sched_stopping(call->front->sched))
		reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
	else
		ask(call);
}
