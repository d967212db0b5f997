/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CreateBackup. All its checks after authorization are made in one write
 * transaction, in the order of design.md. Its one difficulty: free space is only
 * worth checking when it is fresh, so a create may have to wait for the engine;
 * then those of the same cluster that come after it wait behind it, in order.
 */
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/caller.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/standing.h"
#include "daemon/front/reply.h"
#include "daemon/front/right.h"
#include "daemon/front/sched.h"
#include "daemon/front/store.h"

#include <stdlib.h>
#include <string.h>

enum {
	SPACE_FRESH_MS = 2000, /* running time for which free space is taken as seen */
	SPACE_WAIT_MS = 1000,
	LOOK_WAIT_MS = 30000
};

/* Of one cluster; made at its first create, kept. */
struct create_queue {
	char cluster[IDENT_CLUSTER_SIZE];
	struct call_list calls;
	bool asked;   /* about space; the calls wait for it */
	bool looking; /* in the background, whether an offline cluster is back */
	bool orphan;  /* freed with a question under way: its answer frees the memory */
	struct create_queue *next;
};

struct create_queues {
	struct create_queue *first;
};

struct create_queues *op_create_queues_new(void)
{
	return calloc(1, sizeof(struct create_queues));
}

static struct create_queue *queue_of(struct create_queues *queues, const char *cluster)
{
	struct create_queue *queue = queues->first;

	while (queue && strcmp(queue->cluster, cluster) != 0)
		queue = queue->next;
	if (queue)
		return queue;
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		front_die("queueing a create", ERR_NOMEM);
	memcpy(queue->cluster, cluster, strlen(cluster) + 1);
	TAILQ_INIT(&queue->calls);
	queue->next = queues->first;
	queues->first = queue;
	return queue;
}

static struct call *pop(struct create_queue *queue)
{
	struct call *call = TAILQ_FIRST(&queue->calls);

	if (call)
		TAILQ_REMOVE(&queue->calls, call, waiting);
	return call;
}

struct create_queues *op_create_queues_free(struct create_queues *queues)
{
	struct create_queue *queue;
	struct call *call;

	while (queues && (queue = queues->first)) {
		queues->first = queue->next;
		while ((call = pop(queue)))
			reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
		if (queue->asked || queue->looking)
			queue->orphan = true;
		else
			free(queue);
	}
	free(queues);
	return NULL;
}

/* An answer came. False: to nobody, and the queue may be gone. */
static bool is_alive(struct create_queue *queue)
{
	if (!queue->orphan)
		return true;
	if (!queue->asked && !queue->looking)
		free(queue);
	return false;
}

static void on_looked(void *arg, const struct sched_answer *answer)
{
	struct create_queue *queue = arg;

	(void)answer; /* the cluster's entry is up to date: that was the purpose */
	queue->looking = false;
	is_alive(queue);
}

/* So that the create after this refused one is served when the remedy has been done, with no check asked for. */
static void look_again(struct call *call)
{
	struct create_queue *queue = queue_of(call->api->creates, call->cluster);

	if (queue->looking || sched_stopping(call->front->sched))
		return;
	queue->looking = true;
	sched_check(call->front->sched, call->cluster, DEPTH_LAYOUT, LOOK_WAIT_MS, on_looked, queue);
}

/* What the request asks for, with defaults filled in. */
struct create {
	const char *type;
	const char *method;
	bool has_token;
	struct store_token token;
};

static int read_create(const struct call *call, struct create *ret_create)
{
	const char *token = request_get(&call->request, "ClientToken");
	struct create create = {.type = request_get(&call->request, "BackupType"),
				.method = request_get(&call->request, "BackupMethod")};
	struct token_owner owner = caller_token_owner(call);
	int r = 0;

	create.type = create.type ? create.type : "FullBackup";
	create.method = create.method ? create.method : "Snapshot";
	create.token.now = (struct store_now){clock_wall_ms(), clock_running_ms()};
	create.token.ttl_ms = call->front->conf.token_ttl_ms;
	if (token) {
		const struct token_param params[] = {
			{"DBClusterId", call->cluster}, {"BackupType", create.type}, {"BackupMethod", create.method}};

		create.has_token = true;
		r = token_key_make(&owner, TOKEN_CREATE_BACKUP, token, &create.token.key);
		if (r == 0)
			r = token_fingerprint_make(params, 3, &create.token.fingerprint);
	}
	if (r == 0)
		*ret_create = create;
	return r;
}

static void reply_job(struct call *call, uint64_t job)
{
	json_t *answer = reply_begin(call);

	call->about_job = job;
	call->about_backup = job;
	reply_put_number(answer, "BackupJobId", job);
	reply_send(call, answer);
}

/* Each of these says whether the create goes on; if not, it is answered. */

static bool check_token(struct call *call, struct store_txn *txn, const struct create *create)
{
	struct record_token known;
	int r = create->has_token ? store_token_find(txn, &create->token, &known) : ERR_NOT_FOUND;

	if (r == ERR_NOT_FOUND)
		return true;
	if (r < 0)
		reply_store_error(call, r);
	else if (!token_fingerprint_equal(&known.fingerprint, &create->token.fingerprint))
		reply_error(call, REPLY_TOKEN_MISMATCH, NULL);
	else
		reply_job(call, known.job);
	return false;
}

static bool check_kind(struct call *call, const struct create *create)
{
	if (strcmp(create->type, "FullBackup") != 0) {
		reply_error(call, REPLY_BACKUP_TYPE, NULL);
		return false;
	}
	if (strcmp(create->method, "Snapshot") != 0) {
		reply_error(call, REPLY_BACKUP_METHOD, NULL);
		return false;
	}
	return true;
}

static bool may_be_cured(const struct cluster *cluster)
{
	return cluster->registered && !cluster->conf.refusal[0] &&
	       (cluster->place != PLACE_ONLINE || (cluster->layout_known && !cluster->layout_ok));
}

static bool check_place(struct call *call, const struct cluster *cluster)
{
	if (sched_stopping(call->front->sched)) {
		reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
		return false;
	}
	if (may_be_cured(cluster))
		look_again(call);
	return standing_check(call, cluster) && standing_check_layout(call, cluster);
}

/* Everything that comes before free space. */
static bool check_first(struct call *call, struct store_txn *txn, const struct create *create)
{
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);

	if (!cluster) { /* a reload took it away while the call waited */
		reply_error(call, REPLY_CLUSTER_NOT_FOUND, NULL);
		return false;
	}
	return check_token(call, txn, create) && check_kind(call, create) && check_place(call, cluster);
}

static bool check_space(struct call *call)
{
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);

	if (!cluster->space_low)
		return true;
	reply_error(call, REPLY_DISK_FULL, cluster->space[0] ? "%s" : NULL, cluster->space);
	return false;
}

static bool check_quota(struct call *call, struct store_txn *txn, int64_t wall_ms)
{
	struct quota_limits limits = front_quota_limits(call->front);
	struct quota_counts counts;
	enum quota_which which;
	int r = store_quota_counts(txn, call->cluster, wall_ms, &counts);

	if (r < 0) {
		reply_store_error(call, r);
		return false;
	}
	if (quota_check(&limits, &counts, &which) == 0)
		return true;
	reply_error(call, REPLY_QUOTA,
		    which == QUOTA_MANUAL_RETAINED ? "Exceeding the daily backup times of this DB cluster." : NULL);
	return false;
}

static int put(struct call *call, struct store_txn *txn, const struct create *create, uint64_t *ret_job)
{
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);
	struct record_backup backup = {.mode = BACKUP_MANUAL, .accepted_ms = create->token.now.wall_ms, .size = cluster->size};
	struct record_job job = {.accepted_ms = create->token.now.wall_ms};
	int r;

	memcpy(backup.cluster, call->cluster, sizeof(backup.cluster));
	nonce_make(&backup.nonce);
	memcpy(backup.origin.principal, call->principal, sizeof(backup.origin.principal));
	memcpy(backup.origin.request_id, call->request_id, sizeof(backup.origin.request_id));
	job.origin = backup.origin;
	r = store_backup_accept(txn, &backup, &job, create->has_token ? &create->token : NULL);
	if (r == 0)
		*ret_job = job.id;
	return r;
}

/* Checks, puts, commits, and only then answers. */
static void accept_create(struct call *call)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct sched *sched = call->front->sched;
	struct create create = {0};
	uint64_t job = 0;
	int r = read_create(call, &create);

	if (r == 0)
		r = store_begin(call->front->store, &txn);
	if (r == 0) {
		if (!check_first(call, txn, &create) || !check_space(call) ||
		    !check_quota(call, txn, create.token.now.wall_ms))
			return;
		r = put(call, txn, &create, &job);
	}
	if (r == 0)
		r = store_commit(scope_take_ptr(txn));
	if (r != 0) {
		reply_store_error(call, r);
		return;
	}
	reply_job(call, job);
	sched_kick(sched);
}

static void on_space(void *arg, const struct sched_answer *answer)
{
	struct create_queue *queue = arg;
	struct call *call;

	/* No answer in time: what was seen last holds, the worker looks again before it cuts. */
	queue->asked = false;
	if (!is_alive(queue))
		return;
	while ((call = pop(queue))) {
		if (answer->code == ERR_CLOSED) /* nobody would learn of it any more */
			reply_error(call, REPLY_UNAVAILABLE, "The service is stopping.");
		else if (right_check_again(call))
			accept_create(call);
	}
}

static bool is_space_known(const struct cluster *cluster)
{
	return cluster->space_running_ms != INT64_MIN &&
	       clock_running_ms() - cluster->space_running_ms <= SPACE_FRESH_MS;
}

/* What can be answered without looking at the disk is answered; the rest waits. */
static void wait_for_space(struct call *call, struct create_queue *queue)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct create create = {0};
	int r = read_create(call, &create);

	if (r == 0)
		r = store_read(call->front->store, &txn);
	if (r != 0) {
		reply_store_error(call, r);
		return;
	}
	if (!check_first(call, txn, &create))
		return;
	right_keep(call);
	TAILQ_INSERT_TAIL(&queue->calls, call, waiting);
	if (queue->asked)
		return;
	queue->asked = true;
	sched_check(call->front->sched, queue->cluster, DEPTH_SPACE, SPACE_WAIT_MS, on_space, queue);
}

void op_create_backup(struct call *call)
{
	const struct cluster *cluster = cluster_find(call->front->clusters, call->cluster);
	struct create_queue *queue = queue_of(call->api->creates, call->cluster);
	bool can_look = cluster->registered && cluster->place == PLACE_ONLINE;

	if (queue->asked || (can_look && !is_space_known(cluster)))
		wait_for_space(call, queue);
	else
		accept_create(call);
}
