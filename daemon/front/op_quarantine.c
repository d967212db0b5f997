/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DescribeQuarantine, AdoptBackup, DeleteQuarantined. */
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/present.h"
#include "daemon/front/quarantine.h"
#include "daemon/front/reply.h"
#include "daemon/front/right.h"
#include "daemon/front/sched.h"
#include "daemon/front/standing.h"
#include "daemon/front/view.h"

#include <string.h>

enum { ADOPT_WAIT_MS = 30000 };

/* ---- the list: from memory, and the catalogue's word on each ---- */

struct listing {
	const struct view *view;
	const char *name;    /* NULL: all */
	const struct store_page *page;
	uint64_t total;
	json_t *items;
};

static int list_one(struct store_txn *txn, struct listing *listing, const struct cluster *cluster,
		    const struct cluster_stranger *stranger)
{
	uint64_t at = listing->total++;
	struct quarantine_view view;
	int r;

	if (at < listing->page->skip || at - listing->page->skip >= listing->page->count)
		return 0;
	r = quarantine_look(txn, stranger, &view);
	if (r == 0 && json_array_append_new(listing->items, quarantine_present(cluster, stranger, &view)) < 0)
		r = ERR_NOMEM;
	return r;
}

static int list_cluster(struct store_txn *txn, struct listing *listing, const struct cluster *cluster)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cluster->stranger_count; i++) {
		if (!listing->name || strcmp(listing->name, cluster->strangers[i].name) == 0)
			r = list_one(txn, listing, cluster, &cluster->strangers[i]);
	}
	return r;
}

static int list(struct call *call, struct listing *listing)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(call->front->store, &txn);

	for (size_t i = 0; r == 0 && i < listing->view->count; i++)
		r = list_cluster(txn, listing, listing->view->clusters[i]);
	return r;
}

/* Clusters whose disk cannot be looked at now: what is listed of them is as last seen, or nothing. */
static json_t *list_unseen(const struct view *view)
{
	json_t *items = json_array();

	for (size_t i = 0; i < view->count; i++) {
		const struct cluster *cluster = view->clusters[i];
		json_t *object;

		if (cluster->place == PLACE_ONLINE)
			continue;
		object = json_object();
		reply_put(object, "DBClusterId", cluster->id);
		reply_put(object, "Reason", cluster->cause[0] ? cluster->cause : "its disk has not been looked at yet");
		reply_put(object, "Remedy", cluster->remedy);
		json_array_append_new(items, object);
	}
	return items;
}

void op_describe_quarantine(struct call *call)
{
	scope_view struct view view = {0};
	struct listing listing = {.view = &view};
	struct param_page page;
	json_t *answer, *unseen;
	int r;

	if (!param_name(call, &listing.name) || !param_page(call, &page))
		return;
	view_make(call, &view);
	listing.page = &page.store;
	listing.items = json_array();
	r = list(call, &listing);
	if (r < 0) {
		json_decref(listing.items);
		reply_store_error(call, r);
		return;
	}
	answer = reply_begin(call);
	present_page(answer, &page, listing.total, "Quarantined", listing.items);
	unseen = list_unseen(&view);
	if (json_array_size(unseen) > 0)
		reply_put_new(answer, "Unseen", unseen);
	else
		json_decref(unseen);
	reply_send(call, answer);
}

/* ---- what changes something ---- */

/* The thing that the call names, on a cluster that can be looked at. NULL: answered. */
static const struct cluster_stranger *find(struct call *call)
{
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);
	const struct cluster_stranger *stranger;
	const char *name;

	if (!param_name(call, &name))
		return NULL;
	if (sched_stopping(call->front->sched)) {
		reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
		return NULL;
	}
	if (!standing_check_place(call, cluster))
		return NULL;
	stranger = cluster_find_stranger(cluster, name);
	if (!stranger)
		reply_error(call, REPLY_QUARANTINED_NOT_FOUND, NULL);
	else
		call->about_backup = stranger->backup;
	return stranger;
}

static int look(struct call *call, const struct cluster_stranger *stranger, struct quarantine_view *ret_view)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(call->front->store, &txn);

	return r < 0 ? r : quarantine_look(txn, stranger, ret_view);
}

static bool may_adopt(void *arg)
{
	return right_check_again(arg);
}

static void on_adopted(void *arg, int code)
{
	struct call *call = arg;
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);

	if (code == 0)
		reply_done(call);
	else if (code == ERR_NOT_FOUND)
		reply_error(call, REPLY_QUARANTINED_NOT_FOUND, "The backup is not there any more, or not as it was seen.");
	else if (code == ERR_EXISTS)
		reply_error(call, REPLY_BACKUP_STATUS, "The backup's number is known by now, or it is being removed.");
	else if (code == ERR_OFFLINE && cluster)
		standing_check_place(call, cluster);
	else if (code == ERR_BUSY)
		reply_error(call, REPLY_THROTTLING, NULL);
	else if (code == ERR_FULL)
		reply_store_error(call, code);
	else if (code == ERR_TIMEOUT)
		reply_error(call, REPLY_UNAVAILABLE, "The disk was not looked at within %d seconds: it may hang.",
			    ADOPT_WAIT_MS / 1000);
	else
		reply_error(call, REPLY_UNAVAILABLE, "The look at the disk was cut off: %s.", err_text(code));
}

void op_adopt_backup(struct call *call)
{
	const struct cluster_stranger *stranger = find(call);
	struct quarantine_view view;
	int r;

	if (!stranger)
		return;
	r = look(call, stranger, &view);
	if (r < 0) {
		reply_store_error(call, r);
	} else if (view.no_adopt) {
		reply_error(call, REPLY_BACKUP_STATUS, "\"%s\" cannot be adopted: %s.", stranger->name, view.no_adopt);
	} else {
		struct sched_adopt what = {.cluster = call->cluster, .backup = stranger->backup, .nonce = stranger->nonce,
					   .timeout_ms = ADOPT_WAIT_MS, .may = may_adopt, .fn = on_adopted, .arg = call};

		right_keep(call);
		sched_adopt(call->front->sched, &what);
	}
}

static void fill_job(const struct call *call, const struct cluster_stranger *stranger, struct record_job *job)
{
	const char *slash = strchr(stranger->name, '/');

	*job = (struct record_job){.accepted_ms = clock_wall_ms(), .item = stranger->item, .nonce = stranger->nonce};
	memcpy(job->cluster, call->cluster, sizeof(job->cluster));
	memcpy(job->origin.principal, call->principal, sizeof(job->origin.principal));
	memcpy(job->origin.request_id, call->request_id, sizeof(job->origin.request_id));
	if ((stranger->item == ITEM_CLONE || stranger->item == ITEM_CLONE_PARTIAL) && slash && ident_is_clone(slash + 1))
		memcpy(job->clone, slash + 1, strlen(slash + 1) + 1);
	else
		job->backup = stranger->backup;
}

static int accept_delete(struct call *call, const struct cluster_stranger *stranger, struct record_job *job)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_begin(call->front->store, &txn);

	fill_job(call, stranger, job);
	if (r == 0)
		r = store_quarantine_accept_delete(txn, job);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

static void reply_accepted(struct call *call, uint64_t job)
{
	json_t *answer = reply_begin(call);

	call->about_job = job;
	reply_put_number(answer, "JobId", job);
	reply_send(call, answer);
}

void op_delete_quarantined(struct call *call)
{
	struct sched *sched = call->front->sched;
	const struct cluster_stranger *stranger = find(call);
	struct quarantine_view view;
	struct record_job job;
	int r;

	if (!stranger)
		return;
	r = look(call, stranger, &view);
	if (r == 0 && view.remedy) {
		reply_error(call, REPLY_BACKUP_STATUS, "\"%s\" is not removed: %s; remove it by hand: %s/%s", stranger->name,
			    view.no_delete, cluster_find(call->front->clusters, call->cluster)->snapshot_dir, stranger->name);
		return;
	}
	if (r == 0)
		r = accept_delete(call, stranger, &job);
	if (r == ERR_EXISTS)
		reply_error(call, REPLY_BACKUP_STATUS, "\"%s\" is being removed by job %llu.", stranger->name,
			    (unsigned long long)view.job);
	else if (r == ERR_STATE)
		reply_error(call, REPLY_BACKUP_STATUS, "\"%s\" is not removed: a record speaks of it by now.", stranger->name);
	else if (r < 0)
		reply_store_error(call, r);
	else
		reply_accepted(call, job.id);
	if (r == 0)
		sched_kick(sched);
}
