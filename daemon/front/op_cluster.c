/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DescribeDBClusters. */
#include "common/scope.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/present.h"
#include "daemon/front/reply.h"
#include "daemon/front/view.h"

#include <string.h>

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
