/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DescribeJobs and CancelJob. */
#include "common/err.h"
#include "common/grow.h"
#include "common/scope.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/present.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched.h"
#include "daemon/front/view.h"

#include <stdlib.h>
#include <string.h>

struct collector {
	const struct front *front;
	json_t *items;
};

static int collect(void *arg, const struct record_job *job)
{
	struct collector *collector = arg;

	return json_array_append_new(collector->items, present_job(collector->front, job)) < 0 ? ERR_NOMEM : 0;
}

/* The newest ids of all clusters together: which of them make up the page is known only after sorting. */
struct ids {
	uint64_t *ids;
	size_t count, room;
};

static int collect_id(void *arg, const struct record_job *job)
{
	struct ids *ids = arg;
	uint64_t *larger = grow(ids->ids, ids->count, &ids->room, sizeof(*larger));

	if (!larger)
		return ERR_NOMEM;
	ids->ids = larger;
	ids->ids[ids->count++] = job->id;
	return 0;
}

static int compare_newest(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x > y ? -1 : x < y;
}

/* One look at each cluster's newest jobs: count of them, or with 0 only how many there are. */
static int gather_ids(const struct view *view, struct store_txn *txn, uint64_t count, struct ids *ids, uint64_t *ret_total)
{
	struct store_page newest = {.count = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count};
	uint64_t sum = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < view->count; i++) {
		struct store_job_filter filter = {.cluster = view->clusters[i]->id};
		uint64_t total = 0;

		r = store_job_list(txn, &filter, &newest, collect_id, ids, &total);
		sum += total;
	}
	*ret_total = sum;
	return r;
}

static int list_all(struct call *call, struct store_txn *txn, const struct store_page *page, json_t *items, uint64_t *ret_total)
{
	scope_view struct view view = {0};
	struct ids ids = {0};
	struct collector collector = {call->front, items};
	int r;

	view_make(call, &view);
	r = gather_ids(&view, txn, 0, &ids, ret_total);

	/* A page beyond the end is no reason to gather everything. */
	if (r == 0 && page->skip < *ret_total)
		r = gather_ids(&view, txn, page->skip + page->count, &ids, ret_total);
	if (ids.count > 1)
		qsort(ids.ids, ids.count, sizeof(ids.ids[0]), compare_newest);
	for (size_t i = page->skip; r == 0 && i < ids.count && i - page->skip < page->count; i++) {
		struct record_job job;

		r = store_job_find(txn, ids.ids[i], &job);
		if (r == 0)
			r = collect(&collector, &job);
	}
	free(ids.ids);
	return r;
}

static int list_one(struct call *call, struct store_txn *txn, uint64_t id, json_t *items, uint64_t *ret_total)
{
	struct collector collector = {call->front, items};
	struct record_job job;
	int r = call->hidden ? ERR_NOT_FOUND : store_job_find(txn, id, &job);

	if (r == 0)
		r = collect(&collector, &job);
	if (r == 0)
		*ret_total = 1;
	return r;
}

static int list(struct call *call, uint64_t id, const struct store_page *page, json_t *items, uint64_t *ret_total)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct store_job_filter filter = {.cluster = call->cluster};
	struct collector collector = {call->front, items};
	int r = store_read(call->front->store, &txn);

	if (r < 0)
		return r;
	if (id)
		return list_one(call, txn, id, items, ret_total);
	if (!call->cluster[0])
		return list_all(call, txn, page, items, ret_total);
	return store_job_list(txn, &filter, page, collect, &collector, ret_total);
}

void op_describe_jobs(struct call *call)
{
	struct param_page page;
	uint64_t id, total = 0;
	json_t *items, *answer;
	int r;

	if (!param_id(call, "JobId", &id) || !param_page(call, &page))
		return;
	items = json_array();
	r = list(call, id, &page.store, items, &total);
	if (r < 0 && r != ERR_NOT_FOUND) {
		json_decref(items);
		reply_store_error(call, r);
		return;
	}
	answer = reply_begin(call);
	present_page(answer, &page, total, "Job", items);
	reply_send(call, answer);
}

void op_cancel_job(struct call *call)
{
	enum sched_cancel how;
	uint64_t id;
	int r;

	if (!param_id(call, "JobId", &id))
		return;
	call->about_job = call->hidden ? 0 : id;
	r = call->hidden ? ERR_NOT_FOUND : sched_cancel(call->front->sched, id, &how);
	if (r == ERR_NOT_FOUND)
		reply_error(call, REPLY_JOB_NOT_FOUND, NULL);
	else if (r == ERR_STATE)
		reply_error(call, REPLY_BACKUP_STATUS, "Job %llu has ended, or removes something: it cannot be cancelled.",
			    (unsigned long long)id);
	else if (r < 0)
		reply_store_error(call, r);
	else
		reply_done(call);
}
