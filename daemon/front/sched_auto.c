/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The policies in memory, when they are looked at, and automated creates. */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/outcome.h"
#include "daemon/front/standing.h"

#include <stdlib.h>
#include <string.h>

enum {
	SPACE_WAIT_MS = 1000,
	LAYOUT_WAIT_MS = 30000,
	PAUSE_NOTE_MS = 3600000 /* how often the rest of a pause is written down */
};

struct sched_auto *sched_auto_find(const struct sched *sched, const char *cluster)
{
	struct sched_auto *a = sched->autos;

	while (a && strcmp(a->record.cluster, cluster) != 0)
		a = a->next;
	return a;
}

static struct sched_auto *add(struct sched *sched, const char *cluster)
{
	struct sched_auto *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->sched = sched;
	a->seed = schedule_seed(store_install_id(sched->front->store), cluster);
	a->record.policy = schedule_default();
	memcpy(a->record.cluster, cluster, strlen(cluster) + 1);
	a->slot_ms = INT64_MIN;
	a->next = sched->autos;
	sched->autos = a;
	return a;
}

static int load_one(void *arg, const struct record_schedule *record)
{
	struct sched_auto *a = add(arg, record->cluster);

	if (!a)
		return ERR_NOMEM;
	a->record = *record;
	return 0;
}

int sched_auto_load(struct sched *sched)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(sched->front->store, &txn);

	if (r == 0)
		r = store_guard_get(txn, &sched->guard);
	sched->noted_ms = sched->guard.left_ms;
	return r < 0 ? r : store_schedule_each(txn, load_one, sched);
}

void sched_auto_free_all(struct sched *sched)
{
	while (sched->autos) {
		struct sched_auto *a = sched->autos;

		sched->autos = a->next;
		free(a);
	}
}

void sched_auto_changed(struct sched *sched)
{
	if (!sched->autos)
		return;
	sched->auto_due = true;
	sched_kick(sched);
}

void sched_auto_clock_set(struct sched *sched)
{
	sched_auto_changed(sched);
	sched_verify_changed(sched);
}

/* ---- what is owed ---- */

static struct cluster *cluster_of(const struct sched_auto *a)
{
	return cluster_find(a->sched->front->clusters, a->record.cluster);
}

static bool makes_backups(const struct sched_auto *a)
{
	const struct cluster *cluster = cluster_of(a);

	return a->record.policy.enabled && cluster && cluster->registered;
}

/* The newest create failed for good, and nobody has cancelled it. */
static bool has_failed(struct sched_auto *a, int64_t *ret_ended_ms)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_backup backup;

	if (!a->record.tries || store_read(a->sched->front->store, &txn) < 0 ||
	    store_backup_get(txn, a->record.cluster, a->record.create, &backup) < 0 || backup.state != BACKUP_FAILED)
		return false;
	*ret_ended_ms = backup.ended_ms;
	return true;
}

/* Tries of one slot begin at this running time, those of another are over. */
static void begin_tries(struct sched_auto *a, int64_t slot_ms, uint64_t after, int64_t try_ms)
{
	if (a->slot_ms == slot_ms && a->after == after)
		return;
	a->slot_ms = slot_ms;
	a->after = after;
	a->refusals = 0;
	a->try_ms = try_ms;
}

/* A create failed for its slot: the pause runs from its end on, as far as the wall clock can tell. */
static void begin_retries(struct sched_auto *a, int64_t ended_ms, const struct store_now *now)
{
	int64_t pause = schedule_retry_pause(a->record.tries), left = ended_ms + pause - now->wall_ms;

	begin_tries(a, a->record.served_ms, a->record.create,
		    now->running_ms + (left < 0 ? 0 : left > pause ? pause : left));
}

/* Is a create owed? With the slot it would be for, and from which running time on it may be tried. */
static bool is_owed(struct sched_auto *a, const struct store_now *now, struct schedule_step *ret_step)
{
	int64_t ended_ms;

	schedule_look(&a->record.policy, a->seed, a->record.served_ms, now->wall_ms, ret_step);
	switch (ret_step->what) {
	case SCHEDULE_ON_TIME:
		begin_tries(a, ret_step->slot_ms, 0, now->running_ms);
		return true;
	case SCHEDULE_LATE:
		begin_tries(a, ret_step->slot_ms, 0, now->running_ms + schedule_spread(a->seed, ret_step->slot_ms));
		return true;
	default:
		if (ret_step->slot_ms > a->record.served_ms || !has_failed(a, &ended_ms))
			return false;
		begin_retries(a, ended_ms, now);
		ret_step->slot_ms = a->record.served_ms;
		return true;
	}
}

/* ---- accepting a create ---- */

static struct store_now now_of(void)
{
	return (struct store_now){.wall_ms = clock_wall_ms(), .running_ms = clock_running_ms()};
}

static void refuse(struct sched_auto *a, const char *cause, const char *remedy)
{
	struct log_about about = {.cluster = a->record.cluster};
	uint32_t failures = ++a->refusals + (a->after ? a->record.tries : 0);
	int64_t pause = schedule_retry_pause(failures);

	a->try_ms = clock_running_ms() + pause;
	a->refused = true;
	outcome_copy(a->cause, sizeof(a->cause), cause);
	outcome_copy(a->remedy, sizeof(a->remedy), remedy);
	log_about(LOG_LEVEL_WARNING, &about, "no automated backup: %s; again in %lld minutes, or at the next slot", cause,
		  (long long)(pause / SCHEDULE_MINUTE_MS));
}

/* Why none can be accepted now; "": it can. */
static const char *find_obstacle(const struct cluster *cluster, const char **ret_remedy)
{
	const char *reason, *state = standing_state(cluster, &reason, ret_remedy);

	if (strcmp(state, "Online") != 0)
		return reason[0] ? reason : "its snapshots cannot be reached";
	*ret_remedy = "make room, or delete backups";
	if (cluster->space_low)
		return cluster->space[0] ? cluster->space : "there is too little free space for a backup";
	return "";
}

static void fill_records(const struct sched_auto *a, const struct store_now *now, struct record_backup *backup,
			 struct record_job *job)
{
	*backup = (struct record_backup){.mode = BACKUP_AUTOMATED, .accepted_ms = now->wall_ms, .size = cluster_of(a)->size};
	*job = (struct record_job){.accepted_ms = now->wall_ms};
	memcpy(backup->cluster, a->record.cluster, sizeof(backup->cluster));
	nonce_make(&backup->nonce);
	outcome_copy(backup->origin.principal, sizeof(backup->origin.principal), "policy");
	uuid_make(backup->origin.request_id);
	job->origin = backup->origin;
}

/* The create; an automated one that is not over yet is taken for it. */
static int put_create(struct sched_auto *a, const struct store_now *now, struct store_txn *txn, struct record_schedule *record)
{
	struct record_counts counts;
	struct record_backup backup;
	struct record_job job;
	int r = store_counts_get(txn, record->cluster, &counts);

	if (r < 0 || counts.backups[BACKUP_PENDING][BACKUP_AUTOMATED] > 0)
		return r;
	fill_records(a, now, &backup, &job);
	r = store_backup_accept(txn, &backup, &job, NULL);
	if (r == 0)
		record->create = job.id;
	return r;
}

/* The slot is served in the same commit: no death of this process makes two of it. */
static int commit_create(struct sched_auto *a, int64_t slot_ms, const struct store_now *now)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_schedule record = a->record;
	int r = store_begin(a->sched->front->store, &txn);

	record.tries = slot_ms == record.served_ms ? record.tries + 1 : 1;
	record.served_ms = slot_ms;
	if (r == 0)
		r = put_create(a, now, txn, &record);
	if (r == 0)
		r = store_schedule_put(txn, &record);
	if (r == 0)
		r = store_guard_put(txn, &a->sched->guard);
	if (r == 0)
		r = store_commit(scope_take_ptr(txn));
	if (r == 0)
		a->record = record;
	return r;
}

static void accept(struct sched_auto *a, int64_t slot_ms, const struct store_now *now)
{
	uint64_t before = a->record.create;
	char slot[18];
	struct log_about about = {.cluster = a->record.cluster};

	if (sched_store_result("accepting an automated backup", commit_create(a, slot_ms, now)) < 0) {
		refuse(a, "the catalogue has no room", "free space for it, or raise store.map_size");
		return;
	}
	a->refused = false;
	a->slot_ms = INT64_MIN;
	about.job = about.backup = a->record.create;
	clock_format_minute(slot_ms, slot);
	log_about(LOG_LEVEL_INFO, &about, "%s for %s", before == a->record.create ? "an automated backup is still made, and taken" :
		  "automated backup", slot);
	sched_kick(a->sched);
}

static void try(struct sched_auto *a)
{
	struct store_now now = now_of();
	struct schedule_step step;
	const char *cause, *remedy;

	/* While it was asked for, a slot may have passed, a policy been set, a cluster been removed. */
	if (!makes_backups(a) || !is_owed(a, &now, &step) || a->try_ms > now.running_ms)
		return;
	cause = find_obstacle(cluster_of(a), &remedy);
	if (cause[0])
		refuse(a, cause, remedy);
	else
		accept(a, step.slot_ms, &now);
}

static void on_looked(void *arg, const struct sched_answer *answer)
{
	struct sched_auto *a = arg;

	a->asked = false;
	if (answer->code == ERR_CLOSED || a->sched->stopping)
		return;
	/* No answer in time: what was seen last holds, the worker looks again before it cuts. */
	try(a);
	sched_auto_changed(a->sched);
}

/* First how much room there is; where something was wrong, whether it still is. */
static void ask(struct sched_auto *a)
{
	const char *reason, *remedy;
	bool online = strcmp(standing_state(cluster_of(a), &reason, &remedy), "Online") == 0;

	a->asked = true;
	sched_check(a->sched, a->record.cluster, online ? DEPTH_SPACE : DEPTH_LAYOUT, online ? SPACE_WAIT_MS : LAYOUT_WAIT_MS,
		    on_looked, a);
}

/* ---- looking ---- */

/* The served slot is of a clock that was wrong. Without room it is forgotten in memory, and written with the next create. */
static void forget_slot(struct sched_auto *a, int64_t slot_ms)
{
	struct log_about about = {.cluster = a->record.cluster};

	a->record.served_ms = slot_ms;
	a->record.tries = 0;
	log_about(LOG_LEVEL_NOTICE, &about, "the clock was set back: the next automated backup is made at its time");
	sched_store_result("writing a schedule", sched_auto_save(a->sched, &a->record));
}

int sched_auto_save(struct sched *sched, const struct record_schedule *record)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_begin(sched->front->store, &txn);

	if (r == 0 && record)
		r = store_schedule_put(txn, record);
	if (r == 0)
		r = store_guard_put(txn, &sched->guard);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

/* The running time of the next look. */
static int64_t look_at_creates(struct sched_auto *a, const struct store_now *now)
{
	struct schedule_step step;
	bool owed;
	int64_t next;

	if (!makes_backups(a))
		return INT64_MAX;
	schedule_look(&a->record.policy, a->seed, a->record.served_ms, now->wall_ms, &step);
	if (step.what == SCHEDULE_FORGET)
		forget_slot(a, step.slot_ms);
	owed = is_owed(a, now, &step);
	next = now->running_ms + schedule_due(a->seed, step.next_ms) - now->wall_ms;
	if (!owed || a->asked)
		return next;
	if (a->try_ms <= now->running_ms)
		ask(a);
	else if (a->try_ms < next)
		next = a->try_ms;
	return next;
}

/* A pause is written down when it begins and ends, and each hour between: so that restarts do not begin it anew. */
static void note_clock(struct sched *sched, bool jumped, bool ended)
{
	int64_t left = sched->guard.left_ms;

	if (!jumped && !ended && (!left || sched->noted_ms - left < PAUSE_NOTE_MS))
		return;
	sched->noted_ms = left;
	sched_store_result("writing how the clock goes", sched_auto_save(sched, NULL));
}

/* The running time of the next look that a pause needs. */
static int64_t look_at_clock(struct sched *sched, const struct store_now *now)
{
	bool paused = sched->guard.left_ms > 0;
	bool jumped = schedule_guard_look(&sched->guard, now->wall_ms, now->running_ms);
	int64_t left = sched->guard.left_ms;

	if (jumped)
		log_warning("the clock has gone ahead by %lld hours: no backup is removed by its age until this machine has "
			    "run for another day, or the clock is back", (long long)(sched->guard.ahead_ms / SCHEDULE_HOUR_MS));
	else if (paused && !left)
		log_notice("backups are removed by their age again");
	note_clock(sched, jumped, paused && !left);
	return left ? now->running_ms + (left < PAUSE_NOTE_MS ? left : PAUSE_NOTE_MS) : INT64_MAX;
}

void sched_auto_run(struct sched *sched)
{
	struct store_now now = now_of();
	int64_t next;

	if (!sched->auto_due || !sched->told || sched->stopping)
		return;
	sched->auto_due = false;
	next = look_at_clock(sched, &now);
	for (struct sched_auto *a = sched->autos; a; a = a->next) {
		int64_t create = look_at_creates(a, &now), removal = sched_auto_expire(a, &now);

		next = create < next ? create : next;
		next = removal < next ? removal : next;
	}
	if (next == INT64_MAX)
		timer_disarm(&sched->auto_timer);
	else
		timer_arm(&sched->auto_timer, next);
}

void sched_auto_timer(void *arg)
{
	sched_auto_changed(arg);
}

/* ---- what operations ask ---- */

struct schedule sched_auto_policy(const struct sched *sched, const char *cluster)
{
	const struct sched_auto *a = sched_auto_find(sched, cluster);

	return a ? a->record.policy : schedule_default();
}

int sched_auto_set_policy(struct sched *sched, const char *cluster, const struct schedule *policy)
{
	struct sched_auto *a = sched_auto_find(sched, cluster);
	struct store_now now = now_of();
	struct record_schedule record;
	int r;

	if (!a)
		a = add(sched, cluster);
	if (!a)
		return ERR_NOMEM;
	record = sched_auto_changed_record(a, policy, now.wall_ms);
	look_at_clock(sched, &now);
	r = sched_auto_save(sched, &record);
	if (r < 0)
		return r;
	a->record = record;
	a->slot_ms = INT64_MIN;
	sched_auto_changed(sched);
	return 0;
}

struct record_schedule sched_auto_changed_record(const struct sched_auto *a, const struct schedule *policy, int64_t wall_ms)
{
	struct record_schedule record = a->record;
	int64_t last_ms = schedule_last(policy, a->seed, wall_ms);

	/* What would have been due before it was wanted is not owed. */
	if (!schedule_same_slots(policy, &record.policy)) {
		record.served_ms = last_ms > record.served_ms ? last_ms : record.served_ms;
		record.tries = 0;
	}
	record.policy = *policy;
	return record;
}

void sched_auto_view(struct sched *sched, const char *cluster, struct sched_auto_view *ret_view)
{
	struct sched_auto *a = sched_auto_find(sched, cluster);
	struct store_now now = now_of();
	struct schedule_step step;

	*ret_view = (struct sched_auto_view){0};
	if (!a)
		return;
	ret_view->create = a->record.create;
	ret_view->paused_ms = sched->guard.left_ms;
	ret_view->ahead_ms = sched->guard.ahead_ms;
	if (!makes_backups(a))
		return;
	if (is_owed(a, &now, &step))
		ret_view->retry_ms = now.wall_ms + (a->try_ms > now.running_ms ? a->try_ms - now.running_ms : 0);
	ret_view->next_ms = schedule_due(a->seed, step.next_ms);
	if (a->refused) {
		ret_view->cause = a->cause;
		ret_view->remedy = a->remedy;
	}
}
