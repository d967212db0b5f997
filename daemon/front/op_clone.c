/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CloneBackup, DescribeClones, DeleteClone. */
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/caller.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/param.h"
#include "daemon/front/present.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched.h"
#include "daemon/front/standing.h"
#include "daemon/front/view.h"

#include <stdio.h>
#include <string.h>

enum { TTL_S_MAX = 400 * 24 * 3600 };

struct clone_request {
	uint64_t backup;
	const char *name;
	uint8_t start;
	int64_t ttl_ms; /* 0: none */
	bool has_token;
	struct store_token token;
};

/* The fingerprint holds the cluster of the backup, named or not: the same clone is the same request. */
static int read_token(const struct call *call, const char *cluster, struct clone_request *clone)
{
	const char *token = request_get(&call->request, "ClientToken");
	struct token_owner owner = caller_token_owner(call);
	const struct token_param params[] = {
		{"DBClusterId", cluster}, {"BackupId", request_get(&call->request, "BackupId")}, {"CloneName", clone->name},
		{"Start", clone->start ? "true" : "false"}, {"TTL", request_get(&call->request, "TTL")}};
	int r;

	clone->token.now = (struct store_now){clock_wall_ms(), clock_running_ms()};
	clone->token.ttl_ms = call->front->conf.token_ttl_ms;
	if (!token)
		return 0;
	clone->has_token = true;
	r = token_key_make(&owner, TOKEN_CLONE_BACKUP, token, &clone->token.key);
	return r == 0 ? token_fingerprint_make(params, sizeof(params) / sizeof(params[0]), &clone->token.fingerprint) : r;
}

/* Where a clone of this cluster lies, or will lie: its record knows, if it was accepted. */
static void reply_clone(struct call *call, uint64_t job, const char *path)
{
	json_t *answer = reply_begin(call);

	call->about_job = job;
	reply_put_number(answer, "JobId", job);
	reply_put(answer, "ClonePath", path);
	reply_send(call, answer);
}

static int make_path(const struct cluster *cluster, const char *name, char path[static RECORD_PATH_SIZE])
{
	size_t room = RECORD_PATH_SIZE;
	int length = snprintf(path, room, "%s/clones/%s", cluster->snapshot_dir, name);

	return length < 0 || (size_t)length >= room ? ERR_TOO_LONG : 0;
}

/* False: answered, as the first request with this token was. */
static bool check_token(struct call *call, struct store_txn *txn, const struct clone_request *clone)
{
	char path[RECORD_PATH_SIZE] = "";
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);
	struct record_token known;
	int r = clone->has_token ? store_token_find(txn, &clone->token, &known) : ERR_NOT_FOUND;

	if (r == ERR_NOT_FOUND)
		return true;
	if (r < 0) {
		reply_store_error(call, r);
	} else if (!token_fingerprint_equal(&known.fingerprint, &clone->token.fingerprint)) {
		reply_error(call, REPLY_TOKEN_MISMATCH, NULL);
	} else {
		if (!cluster || !cluster->snapshot_dir[0] || make_path(cluster, clone->name, path) < 0)
			path[0] = '\0';
		reply_clone(call, known.job, path);
	}
	return false;
}

/* Clones of a retired cluster's backups may be made; its place must be there all the same. */
static bool check_place(struct call *call, const struct cluster *cluster)
{
	if (sched_stopping(call->front->sched)) {
		reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
		return false;
	}
	if (!cluster || !cluster->snapshot_dir[0]) {
		reply_error(call, REPLY_UNAVAILABLE, "The cluster is offline: its snapshot_dir is not known.");
		return false;
	}
	return cluster->registered ? standing_check(call, cluster) : standing_check_place(call, cluster);
}

static void reply_refusal(struct call *call, const struct clone_request *clone, int error, bool name_taken)
{
	if (error == ERR_EXISTS && name_taken)
		reply_error(call, REPLY_BACKUP_STATUS, "A clone \"%s\" exists already: delete it, or take another name.",
			    clone->name);
	else if (error == ERR_NOT_FOUND)
		reply_error(call, REPLY_BACKUP_NOT_FOUND, NULL);
	else if (error == ERR_STATE)
		reply_error(call, REPLY_BACKUP_STATUS, "Backup %llu is not available: only an available one can be cloned.",
			    (unsigned long long)clone->backup);
	else
		reply_store_error(call, error);
}

static int count_started(void *arg, const struct record_clone *clone)
{
	*(unsigned *)arg += clone->start && (clone->state == CLONE_CREATING || clone->state == CLONE_AVAILABLE);
	return 0;
}

/* False: answered. Of a backup that is not there the answer is the store's. */
static bool check_start(struct call *call, struct store_txn *txn, const struct clone_request *request)
{
	static const struct store_page everything = {.count = UINT32_MAX};
	struct record_backup backup;
	unsigned started = 0;
	int r;

	if (!request->start)
		return true;
	if (store_backup_get(txn, call->cluster, request->backup, &backup) == 0 && strcmp(backup.procedure, "none") == 0) {
		reply_error(call, REPLY_UNSUPPORTED_PARAMETER,
			    "Start is not possible: the cluster's database.type is none, so there is no server to run on the clone.");
		return false;
	}
	r = store_clone_list(txn, NULL, 0, &everything, count_started, &started, NULL);
	if (r < 0)
		reply_store_error(call, r);
	else if (started >= MSG_SERVERS_MAX)
		reply_error(call, REPLY_BACKUP_STATUS, "%u clones run, or are to run: no more can. Delete one, or make this one without Start.",
			    started);
	return r == 0 && started < MSG_SERVERS_MAX;
}

static int put(struct call *call, struct store_txn *txn, const struct clone_request *request, struct record_clone *clone,
	       bool *ret_name_taken)
{
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);
	struct record_job job = {.accepted_ms = request->token.now.wall_ms};
	int r = make_path(cluster, request->name, clone->path);

	if (r < 0)
		return r;
	memcpy(clone->name, request->name, strlen(request->name) + 1);
	memcpy(clone->cluster, call->cluster, sizeof(clone->cluster));
	clone->backup = request->backup;
	clone->created_ms = request->token.now.wall_ms;
	clone->expires_ms = request->ttl_ms ? clone->created_ms + request->ttl_ms : 0;
	clone->start = request->start;
	nonce_make(&clone->nonce);
	memcpy(clone->origin.principal, call->principal, sizeof(clone->origin.principal));
	memcpy(clone->origin.request_id, call->request_id, sizeof(clone->origin.request_id));
	job.origin = clone->origin;
	r = store_clone_accept(txn, clone, &job, request->has_token ? &request->token : NULL, ret_name_taken);
	if (r == 0)
		clone->job = job.id;
	return r;
}

static void accept_clone(struct call *call, struct clone_request *request)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct sched *sched = call->front->sched;
	struct record_clone clone = {0};
	bool name_taken = false;
	int r = store_begin(call->front->store, &txn);

	/* A tombstone's cluster is known as well: a replay finds its token after the backup is gone. */
	if (r == 0 && call->hidden)
		r = ERR_NOT_FOUND;
	if (r == 0)
		r = read_token(call, call->cluster, request);
	if (r == 0) {
		if (!check_token(call, txn, request) || !check_place(call, cluster_find(call->front->clusters, call->cluster)) ||
		    !check_start(call, txn, request))
			return;
		r = put(call, txn, request, &clone, &name_taken);
	}
	if (r == 0)
		r = store_commit(scope_take_ptr(txn));
	if (r < 0) {
		reply_refusal(call, request, r, name_taken);
		return;
	}
	reply_clone(call, clone.job, clone.path);
	sched_serve_changed(sched);
}

void op_clone_backup(struct call *call)
{
	static const struct param_word yes_no[] = {{"false", false}, {"true", true}, {NULL, 0}};
	struct clone_request request = {0};

	if (!param_id(call, "BackupId", &request.backup) || !param_clone(call, &request.name) ||
	    !param_word(call, "Start", yes_no, &request.start) || !param_seconds(call, "TTL", TTL_S_MAX, &request.ttl_ms))
		return;
	call->about_backup = request.backup;
	/* A verification's throw-away clone goes by it, and recovery removes what does. */
	if (ident_is_verify_clone(request.name, NULL)) {
		reply_malformed(call, "CloneName");
		return;
	}
	accept_clone(call, &request);
}

struct collector {
	const struct sched *sched;
	const struct view *view;
	const struct store_page *page;
	uint64_t seen; /* so far, on whichever page */
	json_t *items;
};

static int collect(void *arg, const struct record_clone *clone)
{
	struct collector *collector = arg;

	if (!view_has(collector->view, clone->cluster))
		return 0;
	collector->seen++;
	if (collector->seen <= collector->page->skip || collector->seen - collector->page->skip > collector->page->count)
		return 0;
	return json_array_append_new(collector->items, present_clone(clone, sched_serve_answers(collector->sched, clone->name))) < 0 ? ERR_NOMEM : 0;
}

static int list_one(const struct call *call, struct store_txn *txn, const char *name, json_t *items, uint64_t *ret_total)
{
	struct record_clone clone;
	int r = store_clone_get(txn, name, &clone);

	if (r == 0)
		r = json_array_append_new(items, present_clone(&clone, sched_serve_answers(call->front->sched, name))) < 0 ? ERR_NOMEM : 0;
	if (r == 0)
		*ret_total = 1;
	return r;
}

/* A page of those that the caller may see. */
static int list_all(const struct call *call, struct store_txn *txn, const struct store_page *page, json_t *items,
		    uint64_t *ret_total)
{
	static const struct store_page everything = {.count = UINT32_MAX};
	scope_view struct view view = {0};
	struct collector collector = {.sched = call->front->sched, .view = &view, .page = page, .items = items};
	int r;

	view_make(call, &view);
	r = store_clone_list(txn, NULL, 0, &everything, collect, &collector, NULL);
	*ret_total = collector.seen;
	return r;
}

static int list(struct call *call, const char *name, const struct store_page *page, json_t *items, uint64_t *ret_total)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(call->front->store, &txn);

	if (r < 0 || call->hidden)
		return r;
	return name ? list_one(call, txn, name, items, ret_total) : list_all(call, txn, page, items, ret_total);
}

void op_describe_clones(struct call *call)
{
	struct param_page page;
	const char *name;
	uint64_t total = 0;
	json_t *items, *answer;
	int r;

	if (!param_clone(call, &name) || !param_page(call, &page))
		return;
	items = json_array();
	r = list(call, name, &page.store, items, &total);
	if (r < 0 && r != ERR_NOT_FOUND) {
		json_decref(items);
		reply_store_error(call, r);
		return;
	}
	answer = reply_begin(call);
	present_page(answer, &page, total, "Clone", items);
	reply_send(call, answer);
}

static int accept_delete(struct call *call, struct store_txn *txn, const char *name)
{
	struct record_clone clone;
	struct record_job job = {.accepted_ms = clock_wall_ms()};
	int r = call->hidden ? ERR_NOT_FOUND : store_clone_get(txn, name, &clone);

	if (r < 0)
		return r;
	memcpy(job.cluster, clone.cluster, sizeof(job.cluster));
	memcpy(job.clone, clone.name, sizeof(job.clone));
	job.backup = clone.backup;
	memcpy(job.origin.principal, call->principal, sizeof(job.origin.principal));
	memcpy(job.origin.request_id, call->request_id, sizeof(job.origin.request_id));
	return store_clone_accept_delete(txn, &job);
}

void op_delete_clone(struct call *call)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct sched *sched = call->front->sched;
	const char *name;
	int r;

	if (!param_clone(call, &name))
		return;
	if (sched_stopping(sched)) {
		reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
		return;
	}
	r = store_begin(call->front->store, &txn);
	if (r == 0)
		r = accept_delete(call, txn, name);
	if (r == 0)
		r = store_commit(scope_take_ptr(txn));
	if (r == ERR_NOT_FOUND) {
		reply_error(call, REPLY_CLONE_NOT_FOUND, NULL);
	} else if (r == ERR_STATE) {
		reply_error(call, REPLY_BACKUP_STATUS, "Clone \"%s\" is being made or deleted.", name);
	} else if (r < 0) {
		reply_store_error(call, r);
	} else {
		reply_done(call);
		sched_serve_changed(sched);
	}
}
