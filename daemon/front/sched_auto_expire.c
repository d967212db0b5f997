/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removing automated backups by their age, a handful at a time, and telling beforehand. */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/grow.h"
#include "common/scope.h"
#include "daemon/front/outcome.h"

#include <stdlib.h>
#include <string.h>

enum { HANDFUL = 8 /* removals of a cluster that are accepted and not over: 10,000 old ones hold nobody up */ };

/* The newest good automated backup. Its cluster's newest good one is this, or a manual one: neither is ever removed by a rule. */
static int keep_id(void *arg, const struct record_backup *backup)
{
	*(uint64_t *)arg = backup->id;
	return 0;
}

static int find_newest(struct store_txn *txn, const char *cluster, uint64_t *ret_id)
{
	struct store_backup_filter filter = {.cluster = cluster, .groups = BACKUP_GROUP_SUCCESS, .mode = BACKUP_AUTOMATED};

	*ret_id = 0;
	return store_backup_list(txn, &filter, &(struct store_page){.count = 1}, keep_id, ret_id, NULL);
}

/* What a rule may ever remove, were it old enough. A lost one may be seen again. */
static bool is_subject(enum backup_mode mode, enum backup_state state, bool held)
{
	return mode == BACKUP_AUTOMATED && !held &&
	       (state == BACKUP_AVAILABLE || state == BACKUP_FAILED || state == BACKUP_CANCELLED);
}

int64_t sched_auto_expires(const struct sched *sched, const struct record_backup *backup)
{
	const struct sched_auto *a = sched_auto_find(sched, backup->cluster);
	const struct cluster *cluster = cluster_find(sched->front->clusters, backup->cluster);
	bool pending = backup->mode == BACKUP_AUTOMATED && backup->state == BACKUP_PENDING;

	if (!a || !cluster || (!pending && !is_subject(backup->mode, backup->state, backup->held)))
		return SCHEDULE_NEVER;
	return schedule_expires(&a->record.policy, cluster->registered, backup->accepted_ms);
}

/* ---- removing ---- */

struct scan {
	struct store_txn *txn;
	const struct sched_auto *a;
	bool registered;
	int64_t now_ms;
	uint64_t newest;
	size_t room; /* for more removals */
	uint64_t ids[HANDFUL];
	size_t count;
	int64_t next_ms; /* wall time at which the next one is old enough */
};

/* 1: no more can be taken. */
static int scan_one(void *arg, uint64_t id, const struct record_backup_peek *peek)
{
	struct scan *scan = arg;
	enum store_refusal refusal;
	int64_t goes_ms;
	int r;

	if (id == scan->newest || !is_subject(peek->mode, peek->state, peek->held))
		return 0;
	goes_ms = schedule_expires(&scan->a->record.policy, scan->registered, peek->accepted_ms);
	if (goes_ms > scan->now_ms) {
		scan->next_ms = goes_ms < scan->next_ms ? goes_ms : scan->next_ms;
		return 0;
	}
	r = store_backup_check_delete(scan->txn, scan->a->record.cluster, id, &refusal);
	if (r == ERR_STATE) /* a job reads it: its end is a reason to look again */
		return 0;
	if (r < 0)
		return r;
	if (scan->count == scan->room)
		return 1;
	scan->ids[scan->count++] = id;
	return 0;
}

static int scan(struct scan *scan, struct store_txn *txn)
{
	const char *cluster = scan->a->record.cluster;
	struct record_counts counts;
	int r = store_counts_get(txn, cluster, &counts);

	if (r == 0)
		r = find_newest(txn, cluster, &scan->newest);
	if (r < 0)
		return r;
	scan->txn = txn;
	scan->room = counts.jobs[JOB_KIND_DELETE][JOB_OPEN] < HANDFUL ? HANDFUL - counts.jobs[JOB_KIND_DELETE][JOB_OPEN] : 0;
	r = store_backup_each_peek(txn, cluster, 0, scan_one, scan);
	return r > 0 ? 0 : r;
}

static int accept_one(const struct sched_auto *a, uint64_t id, int64_t wall_ms, struct store_txn *txn, struct record_job *job)
{
	*job = (struct record_job){.backup = id, .accepted_ms = wall_ms};
	memcpy(job->cluster, a->record.cluster, sizeof(job->cluster));
	outcome_copy(job->origin.principal, sizeof(job->origin.principal), "policy");
	uuid_make(job->origin.request_id);
	return store_backup_accept_delete(txn, job, a->sched->front->conf.refund_deleted);
}

static int accept_all(const struct scan *scan, uint64_t jobs[static HANDFUL])
{
	scope_store_abort struct store_txn *txn = NULL;
	struct sched *sched = scan->a->sched;
	struct record_job job;
	int r = store_begin(sched->front->store, &txn);

	for (size_t i = 0; r == 0 && i < scan->count; i++) {
		r = accept_one(scan->a, scan->ids[i], scan->now_ms, txn, &job);
		jobs[i] = job.id;
	}
	if (r == 0)
		r = store_guard_put(txn, &sched->guard);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

static void remove_all(const struct scan *scan)
{
	const struct schedule *policy = &scan->a->record.policy;
	uint64_t jobs[HANDFUL];

	if (scan->count == 0 || sched_store_result("accepting removals by age", accept_all(scan, jobs)) < 0)
		return; /* without room: what ends makes some, and is a reason to look again */
	for (size_t i = 0; i < scan->count; i++) {
		struct log_about about = {.cluster = scan->a->record.cluster, .backup = scan->ids[i], .job = jobs[i]};

		log_about(LOG_LEVEL_NOTICE, &about, "removed by its policy: automated backups are kept for %d days (%s)",
			  schedule_kept_days(policy), policy->level2_days ? "DataLevel2BackupRetentionPeriod" :
			  "DataLevel1BackupRetentionPeriod");
	}
	sched_kick(scan->a->sched);
}

static int look(struct scan *what)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(what->a->sched->front->store, &txn);

	return r < 0 ? r : scan(what, txn);
}

int64_t sched_auto_expire(struct sched_auto *a, const struct store_now *now)
{
	const struct cluster *cluster = cluster_find(a->sched->front->clusters, a->record.cluster);
	struct scan scan = {.a = a, .now_ms = now->wall_ms, .next_ms = INT64_MAX};

	if (a->sched->guard.left_ms || !cluster || !cluster->probed || cluster->place != PLACE_ONLINE)
		return INT64_MAX;
	scan.registered = cluster->registered;
	if (schedule_expires(&a->record.policy, scan.registered, now->wall_ms) == SCHEDULE_NEVER)
		return INT64_MAX;
	if (sched_store_result("looking for old backups", look(&scan)) < 0)
		return INT64_MAX;
	remove_all(&scan);
	return scan.next_ms == INT64_MAX ? INT64_MAX : now->running_ms + scan.next_ms - now->wall_ms;
}

/* ---- telling ---- */

struct gather {
	struct store_txn *txn;
	const char *cluster;
	uint64_t newest;
	int64_t made_until_ms; /* later ones are too young */
	struct schedule_backup *backups; /* owned */
	size_t count, size;
};

static int gather_one(void *arg, uint64_t id, const struct record_backup_peek *peek)
{
	struct gather *gather = arg;
	struct schedule_backup *larger;
	enum store_refusal refusal;

	if (!is_subject(peek->mode, peek->state, peek->held) || peek->accepted_ms > gather->made_until_ms)
		return 0;
	larger = grow(gather->backups, gather->count, &gather->size, sizeof(*larger));
	if (!larger)
		return ERR_NOMEM;
	gather->backups = larger;
	gather->backups[gather->count++] = (struct schedule_backup){
		.id = id, .accepted_ms = peek->accepted_ms, .newest = id == gather->newest,
		.read = store_backup_check_delete(gather->txn, gather->cluster, id, &refusal) < 0,
	};
	return 0;
}

static int gather(struct sched *sched, struct gather *gather)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(sched->front->store, &txn);

	if (r == 0)
		r = find_newest(txn, gather->cluster, &gather->newest);
	if (r < 0)
		return r;
	gather->txn = txn;
	return store_backup_each_peek(txn, gather->cluster, 0, gather_one, gather);
}

/* Removals that the policy in force would make later, or never. */
static void compare_ages(const struct schedule_outlook *outlook, const struct schedule *in_force,
			 struct sched_auto_event *event)
{
	const struct schedule_event *e = &event->event;

	event->sooner = e->backup && schedule_expires(outlook->schedule, outlook->registered, e->made_ms) <
					     schedule_expires(in_force, outlook->registered, e->made_ms);
}

static int make_plan(const struct schedule_outlook *outlook, const struct schedule *in_force,
		     struct sched_auto_event **ret_events, size_t *ret_count)
{
	size_t most = outlook->backup_count + SCHEDULE_PLAN_CREATES;
	scope_free struct schedule_event *plain = calloc(most, sizeof(*plain));
	struct sched_auto_event *events = calloc(most, sizeof(*events));

	if (!plain || !events) {
		free(events);
		return ERR_NOMEM;
	}
	*ret_count = schedule_plan(outlook, plain);
	for (size_t i = 0; i < *ret_count; i++) {
		events[i].event = plain[i];
		compare_ages(outlook, in_force, &events[i]);
	}
	*ret_events = events;
	return 0;
}

int sched_auto_plan(struct sched *sched, const char *cluster, const struct schedule *policy,
		    struct sched_auto_event **ret_events, size_t *ret_count)
{
	struct sched_auto blank = {.sched = sched, .seed = schedule_seed(store_install_id(sched->front->store), cluster),
				   .record = {.policy = schedule_default()}};
	const struct sched_auto *a = sched_auto_find(sched, cluster);
	const struct cluster *known = cluster_find(sched->front->clusters, cluster);
	struct gather what = {.cluster = cluster};
	struct schedule_outlook outlook = {.schedule = policy, .now_ms = clock_wall_ms()};
	struct record_schedule record;
	struct sched_auto_view view;
	int kept = schedule_kept_days(policy), r;

	outlook.until_ms = outlook.now_ms + 7 * SCHEDULE_DAY_MS;
	what.made_until_ms = policy->enabled && kept > 0 ? outlook.until_ms - kept * SCHEDULE_DAY_MS : INT64_MIN;
	r = gather(sched, &what);
	a = a ? a : &blank;
	record = sched_auto_changed_record(a, policy, outlook.now_ms);
	sched_auto_view(sched, cluster, &view);
	outlook.seed = a->seed;
	outlook.registered = known && known->registered;
	outlook.served_ms = record.served_ms;
	outlook.late_ms = schedule_same_slots(policy, &a->record.policy) ? view.retry_ms : 0;
	outlook.not_removed_ms = view.paused_ms ? outlook.now_ms + view.paused_ms : 0;
	outlook.backups = what.backups;
	outlook.backup_count = what.count;
	if (r == 0)
		r = make_plan(&outlook, &a->record.policy, ret_events, ret_count);
	free(what.backups);
	return r;
}
