/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asked once a cluster and request, so that totals and pages know nothing of the others. */
#include "daemon/front/view.h"

#include "common/err.h"
#include "common/policy.h"
#include "daemon/front/authz.h"
#include "daemon/front/front.h"

#include <stdlib.h>
#include <string.h>

static bool is_seen(const struct call *call, const struct cluster *cluster)
{
	struct policy_decision decision;

	return (!call->cluster[0] || strcmp(call->cluster, cluster->id) == 0) &&
	       authz_allows(call, cluster->id, NULL, &decision);
}

void view_make(const struct call *call, struct view *ret_view)
{
	const struct cluster_table *table = call->front->clusters;
	struct view view = {.clusters = calloc(cluster_count(table) + 1, sizeof(*view.clusters))};

	if (!view.clusters)
		front_die("listing clusters", ERR_NOMEM);
	for (size_t i = 0; i < cluster_count(table); i++) {
		const struct cluster *cluster = cluster_at(table, i);

		if (is_seen(call, cluster))
			view.clusters[view.count++] = cluster;
	}
	*ret_view = view;
}

void view_clear(struct view *view)
{
	free(view->clusters);
	*view = (struct view){0};
}

static int compare(const void *id, const void *entry)
{
	const struct cluster *const *cluster = entry;

	return strcmp(id, (*cluster)->id);
}

bool view_has(const struct view *view, const char *cluster)
{
	return bsearch(cluster, view->clusters, view->count, sizeof(*view->clusters), compare) != NULL;
}
