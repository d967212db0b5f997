/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Backups that exist: lists of them, of their tasks, and their deletion. */
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/present.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched.h"

#include <stdlib.h>
#include <string.h>

enum { TASKS_FINISHED_SHOWN = 100 };

/* Collects what a list's callback is given. */
struct collector {
	const struct front *front;
	json_t *items;
};

static int collect_backup(void *arg, const struct record_backup *backup)
{
	struct collector *collector = arg;

	return json_array_append_new(collector->items, present_backup(collector->front, backup)) < 0 ? ERR_NOMEM : 0;
}

/* The filter of DescribeBackups. */
static bool read_filter(struct call *call, struct store_backup_filter *ret_filter)
{
	static const struct param_word statuses[] = {{"Running", BACKUP_GROUP_RUNNING},
						     {"Success", BACKUP_GROUP_SUCCESS},
						     {"Failed", BACKUP_GROUP_FAILED},
						     {NULL, 0}};
	static const struct param_word modes[] = {{"Manual", BACKUP_MANUAL}, {"Automated", BACKUP_AUTOMATED}, {NULL, 0}};
	struct store_backup_filter filter = {0};

	if (!param_id(call, "BackupId", &filter.id) || !param_word(call, "BackupStatus", statuses, &filter.groups) ||
	    !param_word(call, "BackupMode", modes, &filter.mode) || !param_minute(call, "StartTime", &filter.from_ms) ||
	    !param_minute(call, "EndTime", &filter.until_ms))
		return false;
	if (request_get(&call->request, "StartTime") && request_get(&call->request, "EndTime") &&
	    filter.until_ms <= filter.from_ms) {
		reply_malformed(call, "EndTime");
		return false;
	}
	/* 0 would be no bound; nothing began before 1970. */
	if (request_get(&call->request, "EndTime") && filter.until_ms == 0)
		filter.until_ms = -1;
	if (call->mode)
		filter.mode = call->mode;
	*ret_filter = filter;
	return true;
}

/* The cluster of a backup that is listed. ERR_NOT_FOUND. */
static int find_backup(struct store_txn *txn, uint64_t id, char ret_cluster[static IDENT_CLUSTER_SIZE])
{
	struct record_backup backup;
	int r = store_id_cluster(txn, id, ret_cluster);

	if (r == 0)
		r = store_backup_get(txn, ret_cluster, id, &backup);
	if (r == 0 && backup_group(backup.state) == BACKUP_GROUP_GONE)
		return ERR_NOT_FOUND;
	return r;
}

/* A BackupId must be one that exists. */
static int check_backup(struct store_txn *txn, const struct call *call, uint64_t id)
{
	char cluster[IDENT_CLUSTER_SIZE];

	if (call->hidden)
		return ERR_NOT_FOUND;
	return id ? find_backup(txn, id, cluster) : 0;
}

void op_describe_backups(struct call *call)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct store_backup_filter filter;
	struct param_page page;
	uint64_t total = 0;
	struct collector collector = {call->front, NULL};
	json_t *answer;
	int r;

	if (!read_filter(call, &filter) || !param_page(call, &page))
		return;
	r = store_read(call->front->store, &txn);
	if (r == 0)
		r = check_backup(txn, call, filter.id);
	if (r == ERR_NOT_FOUND) {
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
		return;
	}
	filter.cluster = call->cluster;
	collector.items = json_array();
	if (r == 0)
		r = store_backup_list(txn, &filter, &page.store, collect_backup, &collector, &total);
	if (r < 0) {
		json_decref(collector.items);
		reply_store_error(call, r);
		return;
	}
	answer = reply_begin(call);
	present_page(answer, &page, total, "Backup", collector.items);
	reply_send(call, answer);
}

static int collect_task(void *arg, const struct record_job *job)
{
	struct collector *collector = arg;

	return json_array_append_new(collector->items, present_task(collector->front, job)) < 0 ? ERR_NOMEM : 0;
}

static uint64_t task_id(const json_t *task)
{
	return strtoull(json_string_value(json_object_get(task, "BackupJobId")), NULL, 10);
}

/* Both newest first; the finished ones are few. Takes finished. */
static void merge_tasks(json_t *open, json_t *finished)
{
	size_t at = 0, i;
	json_t *task;

	json_array_foreach(finished, i, task) {
		while (at < json_array_size(open) && task_id(json_array_get(open, at)) > task_id(task))
			at++;
		json_array_insert(open, at, task);
	}
	json_decref(finished);
}

/* All unfinished ones and the newest finished ones; one alone if asked for. */
static int list_tasks(struct call *call, uint64_t id, uint8_t mode, json_t *ret_items)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct store_job_filter filter = {.cluster = call->cluster, .kinds = 1 << JOB_KIND_CREATE, .mode = mode, .id = id};
	struct collector open = {call->front, ret_items}, finished = {call->front, json_array()};
	uint64_t total, *ret_total = mode ? NULL : &total; /* where it is counted, the list ends with the last that matches */
	int r = store_read(call->front->store, &txn);

	filter.states = 1 << JOB_OPEN;
	if (r == 0)
		r = store_job_list(txn, &filter, &(struct store_page){.count = UINT32_MAX}, collect_task, &open, ret_total);
	filter.states = 1 << JOB_DONE | 1 << JOB_FAILED | 1 << JOB_CANCELLED;
	if (r == 0)
		r = store_job_list(txn, &filter, &(struct store_page){.count = TASKS_FINISHED_SHOWN}, collect_task, &finished, ret_total);
	merge_tasks(ret_items, finished.items);
	return r;
}

void op_describe_backup_tasks(struct call *call)
{
	static const struct param_word modes[] = {{"Manual", BACKUP_MANUAL}, {"Automated", BACKUP_AUTOMATED}, {NULL, 0}};
	json_t *items, *wrapped, *answer;
	uint64_t id;
	uint8_t mode = 0;
	int r;

	if (!param_id(call, "BackupJobId", &id) || !param_word(call, "BackupMode", modes, &mode))
		return;
	items = json_array();
	r = list_tasks(call, id, call->mode ? call->mode : mode, items);
	if (r < 0) {
		json_decref(items);
		reply_store_error(call, r);
		return;
	}
	wrapped = json_object();
	reply_put_new(wrapped, "BackupJob", items);
	answer = reply_begin(call);
	reply_put_new(answer, "Items", wrapped);
	reply_send(call, answer);
}

static void reply_refusal(struct call *call, uint64_t id, enum store_refusal refusal)
{
	static const char *const why[] = {[STORE_REFUSAL_RUNNING] = "is not finished: cancel its job, or wait",
					  [STORE_REFUSAL_HELD] = "is held: release it first",
					  [STORE_REFUSAL_PINNED] = "is read by an unfinished job: wait for it, or cancel it"};

	reply_error(call, REPLY_BACKUP_STATUS, "Backup %llu %s.", (unsigned long long)id, why[refusal]);
}

/* All of them, before any is marked. False: answered. */
static bool check_deletes(struct call *call, struct store_txn *txn, const uint64_t *ids, int count)
{
	char cluster[IDENT_CLUSTER_SIZE];

	for (int i = 0; i < count; i++) {
		enum store_refusal refusal = STORE_REFUSAL_RUNNING;
		int r = call->hidden ? ERR_NOT_FOUND : find_backup(txn, ids[i], cluster);

		if (r == 0)
			r = store_backup_check_delete(txn, cluster, ids[i], &refusal);
		if (r == 0)
			continue;
		call->about_backup = r == ERR_STATE ? ids[i] : 0;
		if (r == ERR_STATE)
			reply_refusal(call, ids[i], refusal);
		else if (r == ERR_NOT_FOUND)
			reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
		else
			reply_store_error(call, r);
		return false;
	}
	return true;
}

static int accept_deletes(struct call *call, struct store_txn *txn, const uint64_t *ids, int count)
{
	int r = 0;

	for (int i = 0; r == 0 && i < count; i++) {
		struct record_job job = {.backup = ids[i], .accepted_ms = clock_wall_ms()};

		memcpy(job.origin.principal, call->principal, sizeof(job.origin.principal));
		memcpy(job.origin.request_id, call->request_id, sizeof(job.origin.request_id));
		r = store_id_cluster(txn, ids[i], job.cluster);
		if (r == 0)
			r = store_backup_accept_delete(txn, &job, call->front->conf.refund_deleted);
	}
	return r;
}

static void delete_all(struct call *call, const uint64_t *ids, int count)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct sched *sched = call->front->sched;
	int r = store_begin(call->front->store, &txn);

	if (r == 0 && !check_deletes(call, txn, ids, count))
		return;
	if (r == 0)
		r = accept_deletes(call, txn, ids, count);
	if (r == 0)
		r = store_commit(scope_take_ptr(txn));
	if (r < 0) {
		reply_store_error(call, r);
		return;
	}
	call->about_backup = count == 1 ? ids[0] : 0;
	reply_done(call);
	sched_kick(sched);
}

void op_delete_backup(struct call *call)
{
	uint64_t ids[PARAM_IDS_MAX];
	int count = param_parse_ids(request_get(&call->request, "BackupId"), ids, PARAM_IDS_MAX);

	if (count == ERR_INVALID)
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
	else if (count == ERR_TOO_LONG)
		reply_error(call, REPLY_INVALID_PARAMETER, "At most %d backups can be deleted by one request.", PARAM_IDS_MAX);
	else if (count < 0)
		reply_store_error(call, count);
	else if (sched_stopping(call->front->sched))
		reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
	else
		delete_all(call, ids, count);
}
