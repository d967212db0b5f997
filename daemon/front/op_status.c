/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DescribeStatus: the daemon and its clusters at one glance. */
#include "config.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched.h"
#include "daemon/front/standing.h"
#include "daemon/front/store.h"
#include "daemon/front/view.h"

static json_t *present_quota(const struct quota_left *left)
{
	json_t *object = json_object();

	reply_put_number(object, "RetainedLeft", left->retained);
	reply_put_number(object, "PerDayLeft", left->per_day);
	reply_put_number(object, "CreatesLeft", left->creates);
	return object;
}

/* Those that DescribeBackups lists. */
static uint64_t count_listed(const struct record_counts *counts)
{
	uint64_t sum = 0;

	for (int state = 0; state < BACKUP_STATES; state++) {
		if (!(backup_group((enum backup_state)state) & BACKUP_GROUPS_LISTED))
			continue;
		for (int mode = 0; mode < BACKUP_MODES; mode++)
			sum += counts->backups[state][mode];
	}
	return sum;
}

static int present_cluster(const struct front *front, struct store_txn *txn, const struct cluster *cluster, json_t *items)
{
	struct quota_limits limits = front_quota_limits(front);
	struct quota_counts quota;
	struct quota_left left;
	struct record_counts counts;
	const char *reason, *remedy;
	json_t *object;
	int r = store_counts_get(txn, cluster->id, &counts);

	if (r == 0)
		r = store_quota_counts(txn, cluster->id, clock_wall_ms(), &quota);
	if (r < 0)
		return r;
	left = quota_left(&limits, &quota);
	object = json_object();
	reply_put(object, "DBClusterId", cluster->id);
	reply_put(object, "State", standing_state(cluster, &reason, &remedy));
	reply_put(object, "Reason", reason);
	reply_put(object, "Remedy", remedy);
	if (cluster->total_bytes) {
		reply_put_number(object, "FreeBytes", cluster->free_bytes);
		reply_put_number(object, "TotalBytes", cluster->total_bytes);
	}
	reply_put_number(object, "Backups", count_listed(&counts));
	if (cluster->registered)
		reply_put_new(object, "QuotaLeft", present_quota(&left));
	reply_put_number(object, "Quarantine", cluster->stranger_count);
	return json_array_append_new(items, object) < 0 ? ERR_NOMEM : 0;
}

static int present_clusters(const struct front *front, const struct view *view, json_t *items)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(front->store, &txn);

	for (size_t i = 0; r == 0 && i < view->count; i++)
		r = present_cluster(front, txn, view->clusters[i], items);
	return r;
}

static json_t *present_jobs(const struct front *front, const struct view *view)
{
	json_t *object = json_object();
	uint32_t pending = 0, running = 0;

	for (size_t i = 0; i < view->count; i++)
		sched_count(front->sched, view->clusters[i]->id, &pending, &running);
	reply_put_number(object, "Pending", pending);
	reply_put_number(object, "Running", running);
	return object;
}

void op_describe_status(struct call *call)
{
	scope_view struct view view = {0};
	json_t *items = json_array(), *answer;
	int r;

	view_make(call, &view);
	r = present_clusters(call->front, &view, items);
	if (r < 0) {
		json_decref(items);
		reply_store_error(call, r);
		return;
	}
	answer = reply_begin(call);
	reply_put(answer, "Version", PACKAGE_VERSION);
	reply_put_number(answer, "Uptime",
			 (uint64_t)((clock_running_ms() - call->front->started_running_ms) / CLOCK_MS_PER_S));
	reply_put_new(answer, "Clusters", items);
	reply_put_new(answer, "Jobs", present_jobs(call->front, &view));
	reply_send(call, answer);
}
