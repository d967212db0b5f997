/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DescribeDBClusters and CheckCluster. */
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/present.h"
#include "daemon/front/reply.h"
#include "daemon/front/right.h"
#include "daemon/front/sched.h"
#include "daemon/front/view.h"

#include <string.h>

enum { CHECK_WAIT_MS = 30000 };

static const char *type_name(const char *database)
{
	if (strcmp(database, "postgresql") == 0)
		return "PostgreSQL";
	return strcmp(database, "mariadb") == 0 ? "MariaDB" : "";
}

static json_t *present_cluster(const struct front *front, const struct cluster *cluster)
{
	json_t *object = json_object();

	reply_put(object, "DBClusterId", cluster->id);
	reply_put(object, "DBClusterDescription", cluster->conf.description);
	reply_put(object, "DBType", type_name(cluster->database));
	reply_put(object, "DBVersion", present_version(cluster->server));
	reply_put(object, "DBClusterStatus", cluster->registered ? "Running" : NULL);
	reply_put(object, "RegionId", front->conf.region_id);
	reply_put_new(object, "StorageUsed", json_integer((json_int_t)cluster->size));
	return object;
}

/* Is id in the comma list? */
static bool is_listed(const char *list, const char *id)
{
	size_t length = strlen(id);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',' ? 1 : 0;
		if (strncmp(at, id, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return false;
}

void op_describe_db_clusters(struct call *call)
{
	const struct front *front = call->front;
	const char *wanted = request_get(&call->request, "DBClusterIds");
	json_t *items, *wrapped, *answer;
	scope_view struct view view = {0};
	struct param_page page;
	uint64_t total = 0;

	if (!param_page(call, &page))
		return;
	view_make(call, &view);
	items = json_array();
	for (size_t i = 0; i < view.count; i++) {
		const struct cluster *cluster = view.clusters[i];

		if (wanted && !is_listed(wanted, cluster->id))
			continue;
		if (total >= page.store.skip && total - page.store.skip < page.store.count)
			json_array_append_new(items, present_cluster(front, cluster));
		total++;
	}
	answer = reply_begin(call);
	reply_put_new(answer, "TotalRecordCount", json_integer((json_int_t)total));
	reply_put_new(answer, "PageRecordCount", json_integer((json_int_t)json_array_size(items)));
	reply_put_new(answer, "PageNumber", json_integer((json_int_t)page.number));
	wrapped = json_object();
	reply_put_new(wrapped, "DBCluster", items);
	reply_put_new(answer, "Items", wrapped);
	reply_send(call, answer);
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
	return object;
}

static json_t *present_parts(const struct sched_answer *answer)
{
	json_t *parts = json_array();

	for (size_t i = 0; i < answer->part_count; i++)
		json_array_append_new(parts, present_part(&answer->parts[i]));
	return parts;
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
	reply_put_lines(answer, "Warnings", checked->warnings);
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
	sched_check(call->front->sched, call->cluster, DEPTH_LAYOUT, CHECK_WAIT_MS, on_checked, call);
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
