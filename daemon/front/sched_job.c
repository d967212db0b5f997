/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The open jobs in memory, and which of them may start. Of a job's record only
 * what the choice needs is kept; the rest is read when it starts.
 */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/grow.h"
#include "common/scope.h"

#include <stdlib.h>
#include <string.h>

bool sched_job_in_flight(const struct sched_job *job)
{
	return job->state == SCHED_SENT || job->state == SCHED_RUNNING;
}

bool sched_job_needs_settling(const struct sched_job *job)
{
	return job->begun && job_must_settle(job->kind);
}

struct log_about sched_job_about(const struct sched_job *job)
{
	return (struct log_about){.cluster = job->place->cluster->id, .backup = job->backup, .job = job->id,
				  .clone = job->clone[0] ? job->clone : NULL};
}

/* Where id is, or would have to be inserted. */
static size_t position(const struct sched *sched, uint64_t id)
{
	size_t low = 0, high = sched->job_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sched->jobs[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct sched_job *sched_job_find(const struct sched *sched, uint64_t id)
{
	size_t at = position(sched, id);

	return at < sched->job_count && sched->jobs[at]->id == id ? sched->jobs[at] : NULL;
}

static struct sched_job *insert(struct sched *sched, struct sched_place *place, uint64_t id, enum job_kind kind)
{
	struct sched_job **jobs = grow(sched->jobs, sched->job_count, &sched->job_size, sizeof(*jobs));
	struct sched_job *job = jobs ? calloc(1, sizeof(*job)) : NULL;
	size_t at;

	/* Before anything looks for a place: what grew may have moved. */
	if (jobs)
		sched->jobs = jobs;
	if (!job)
		return NULL;
	at = position(sched, id);
	job->id = id;
	job->kind = kind;
	job->place = place;
	memmove(jobs + at + 1, jobs + at, (sched->job_count - at) * sizeof(*jobs));
	jobs[at] = job;
	sched->job_count++;
	sched_queue_enter(job);
	return job;
}

void sched_job_free(struct sched_job *job)
{
	free(job->result);
	free(job->dark);
	free(job);
}

void sched_job_remove(struct sched *sched, struct sched_job *job)
{
	size_t at = position(sched, job->id);

	sched_queue_leave(job);
	sched->job_count--;
	memmove(sched->jobs + at, sched->jobs + at + 1, (sched->job_count - at) * sizeof(*sched->jobs));
	sched_job_free(job);
}

static int load_one(void *arg, const struct record_job *record)
{
	struct sched *sched = arg;
	struct sched_place *place = sched_place_of(sched, record->cluster);
	struct sched_job *job;

	if (!place)
		return ERR_NOMEM;
	if (!sched_job_find(sched, record->id)) {
		job = insert(sched, place, record->id, record->kind);
		if (!job)
			return ERR_NOMEM;
		job->backup = record->backup;
		job->begun = record->started_ms != 0 || record->attempts != 0;
		memcpy(job->clone, record->clone, sizeof(job->clone));
	}
	sched->last_id = record->id;
	return 0;
}

int sched_job_load(struct sched *sched)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(sched->front->store, &txn);

	return r < 0 ? r : store_job_each_open(txn, sched->last_id + 1, load_one, sched);
}

struct sched_job *sched_job_add_stray(struct sched *sched, const struct msg_running *running)
{
	struct sched_place *place = sched_place_of(sched, running->cluster);
	struct sched_job *job = place ? insert(sched, place, running->job, (enum job_kind)running->kind) : NULL;

	if (job) {
		job->recordless = true;
		job->backup = running->job;
	}
	return job;
}

void sched_job_add_clean(struct sched *sched, struct sched_place *place, const struct recover_note *note)
{
	struct sched_job *job;

	if (sched_job_find(sched, note->job))
		return;
	job = insert(sched, place, note->job, note->kind);
	if (!job)
		return; /* the next probe finds it again */
	job->recordless = true;
	job->backup = note->backup;
	job->nonce = note->nonce;
	memcpy(job->clone, note->clone, sizeof(job->clone));
}

/* ---- starting one ---- */

static int fill_from_backup(struct store_txn *txn, const struct record_job *record, struct msg_job *order)
{
	struct record_backup backup;
	int r = store_backup_get(txn, record->cluster, record->backup, &backup);

	if (r < 0)
		return r;
	if (record->kind == JOB_KIND_CLONE) {
		order->source = backup.nonce;
		return 0;
	}
	order->nonce = backup.nonce;
	if (record->kind == JOB_KIND_VERIFY) {
		order->source = backup.nonce;
		memcpy(order->clone, record->clone, sizeof(order->clone));
		return 0;
	}
	order->expires_ms = backup.expires_ms;
	order->mode = (uint8_t)backup.mode;
	return 0;
}

static int fill_from_clone(struct store_txn *txn, const struct record_job *record, struct msg_job *order)
{
	struct record_clone clone;
	int r = store_clone_get(txn, record->clone, &clone);

	if (r < 0)
		return r;
	memcpy(order->clone, clone.name, sizeof(order->clone));
	order->nonce = clone.nonce;
	order->expires_ms = clone.expires_ms;
	if (record->kind == JOB_KIND_DELETE_CLONE)
		order->backup = 0;
	return 0;
}

/*
 * That another attempt begins is written down only where one has ended before: see take_cutoff() in recover. Of a job
 * that must settle also that the first does.
 */
static int mark_begun(struct store_txn *txn, struct record_job *record)
{
	if ((record->attempts == 0 && !job_must_settle(record->kind)) || record->started_ms != 0)
		return 0;
	record->started_ms = clock_wall_ms();
	return store_job_update(txn, record);
}

static int fill_from_job(const struct record_job *record, struct msg_job *order)
{
	memcpy(order->clone, record->clone, sizeof(order->clone));
	order->nonce = record->nonce;
	order->item = record->item;
	return 0;
}

static int fill_restore(struct store_txn *txn, const struct record_job *record, struct msg_job *order)
{
	struct record_backup backup;
	int r = store_backup_get(txn, record->cluster, record->backup, &backup);

	if (r < 0)
		return r;
	order->nonce = record->nonce;
	order->source = backup.nonce;
	order->settle = record->failures >= JOB_FAILURES_MAX;
	/* One that was begun and whose end nobody has told may have done anything. */
	order->attempt += record->started_ms != 0;
	return 0;
}

static int fill_subject(struct store_txn *txn, const struct record_job *record, struct msg_job *order)
{
	int r;

	switch (record->kind) {
	case JOB_KIND_DELETE_QUARANTINED:
		return fill_from_job(record, order);
	case JOB_KIND_RESTORE:
		return fill_restore(txn, record, order);
	case JOB_KIND_DELETE_CLONE:
		return fill_from_clone(txn, record, order);
	case JOB_KIND_CLONE:
		r = fill_from_backup(txn, record, order);
		return r < 0 ? r : fill_from_clone(txn, record, order);
	default:
		return fill_from_backup(txn, record, order);
	}
}

static int fill_order(struct store_txn *txn, struct record_job *record, struct msg_job *order)
{
	int r;

	order->backup = record->backup;
	order->attempt = record->attempts + 1;
	order->accepted_ms = record->accepted_ms;
	memcpy(order->principal, record->origin.principal, sizeof(order->principal));
	memcpy(order->request, record->origin.request_id, sizeof(order->request));
	r = fill_subject(txn, record, order);
	return r == 0 ? mark_begun(txn, record) : r;
}

static int read_order(struct sched *sched, const struct sched_job *job, struct msg_job *order)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_job record;
	int r = store_begin(sched->front->store, &txn);

	if (r < 0)
		return r;
	r = store_job_get(txn, job->place->cluster->id, job->id, &record);
	if (r == 0)
		r = fill_order(txn, &record, order);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

static void start(struct sched *sched, struct sched_job *job)
{
	struct msg msg = {.type = MSG_JOB};
	struct msg_job *order = &msg.u.job;

	order->job = job->id;
	order->kind = (uint8_t)job->kind;
	memcpy(order->cluster, job->place->cluster->id, sizeof(order->cluster));
	order->known_size = job->place->cluster->size;
	if (job->recordless) {
		order->backup = job->backup;
		memcpy(order->clone, job->clone, sizeof(order->clone));
		order->nonce = job->nonce;
		order->attempt = job->failures + 1;
	} else if (sched_store_result("reading a job", read_order(sched, job, order)) < 0) {
		sched_queue_pause(job, clock_running_ms() + JOB_PAUSE_SECOND_MS); /* no room to write that it begins */
		return;
	}
	order->settle |= job->cancelled && sched_job_needs_settling(job);
	job->begun = true;
	sched_queue_move(job, SCHED_SENT);
	job->attempt = order->attempt;
	job->view = (struct sched_view){.started_ms = clock_wall_ms()};
	link_send(sched->front->link, &msg);
}

/* ---- which may start ---- */

/* Results that found no room in the store: one at a time, for each may end its job. */
static struct sched_job *next_ending(const struct sched *sched, int64_t now)
{
	struct sched_job *job;

	TAILQ_FOREACH(job, &sched->ending, queued) {
		if (job->due_ms <= now)
			return job;
	}
	return NULL;
}

static struct sched_job *first_of(const struct sched_place *place, enum sched_lane lane)
{
	struct sched_job *job;

	if (sched_queue_is_closed(place, lane))
		return NULL;
	TAILQ_FOREACH(job, &place->waiting[lane], queued) {
		/* What a server runs on is not removed. */
		if (job->kind == JOB_KIND_DELETE_CLONE && sched_serve_has(place->sched, job->clone))
			continue;
		return job;
	}
	return NULL;
}

/* The oldest that may be started now. */
static struct sched_job *next_to_start(const struct sched *sched)
{
	struct sched_job *oldest = NULL;

	for (const struct sched_place *place = sched->places; place; place = place->next) {
		for (int lane = 0; sched_place_usable(place) && lane < SCHED_LANES; lane++) {
			struct sched_job *job = first_of(place, lane);

			if (job && (!oldest || job->id < oldest->id))
				oldest = job;
		}
	}
	return oldest;
}

static void start_some(struct sched *sched)
{
	struct sched_job *job;
	uint32_t flying = 0;

	TAILQ_FOREACH(job, &sched->flying, queued)
		flying++;
	while (flying < sched->front->conf.max_running && (job = next_to_start(sched))) {
		start(sched, job);
		flying += sched_job_in_flight(job);
	}
}

void sched_job_run(struct sched *sched)
{
	int64_t now = clock_running_ms(), due_ms;
	struct sched_job *ending;

	while ((ending = next_ending(sched, now)))
		sched_end_again(sched, ending);
	sched_queue_end_pauses(sched, now);
	if (!sched->stopping)
		start_some(sched);
	due_ms = sched_queue_due(sched);
	if (due_ms != INT64_MAX)
		timer_arm(&sched->timer, due_ms);
	else
		timer_disarm(&sched->timer);
}
