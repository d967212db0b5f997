/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where each open job stands: in one queue, which follows from its state. So what is done at
 * every turn costs as much as there is to do, however many wait behind it.
 */
#include "daemon/front/sched_internal.h"

static enum sched_lane lane_of(enum job_kind kind)
{
	if (kind == JOB_KIND_CREATE || kind == JOB_KIND_RESTORE)
		return LANE_SOURCE;
	return job_is_removal(kind) ? LANE_REMOVAL : LANE_BESIDE;
}

static struct sched_queue *queue_of(const struct sched_job *job)
{
	struct sched *sched = job->place->sched;

	switch (job->state) {
	case SCHED_WAITING:
		return job->paused ? &sched->paused : &job->place->waiting[lane_of(job->kind)];
	case SCHED_SENT:
	case SCHED_RUNNING:
		return &sched->flying;
	case SCHED_UNKNOWN:
		return &sched->unknown;
	default:
		return &sched->ending;
	}
}

void sched_queue_enter(struct sched_job *job)
{
	struct sched_queue *queue = queue_of(job);
	struct sched_job *before = TAILQ_LAST(queue, sched_queue);

	/* A new one has the highest id. */
	while (before && before->id > job->id)
		before = TAILQ_PREV(before, sched_queue, queued);
	if (before)
		TAILQ_INSERT_AFTER(queue, before, job, queued);
	else
		TAILQ_INSERT_HEAD(queue, job, queued);
}

void sched_queue_leave(struct sched_job *job)
{
	TAILQ_REMOVE(queue_of(job), job, queued);
}

static void move(struct sched_job *job, enum sched_state state, bool paused)
{
	sched_queue_leave(job);
	job->state = state;
	job->paused = paused;
	sched_queue_enter(job);
}

void sched_queue_move(struct sched_job *job, enum sched_state state)
{
	move(job, state, false);
}

void sched_queue_pause(struct sched_job *job, int64_t until_ms)
{
	job->due_ms = until_ms;
	move(job, SCHED_WAITING, true);
}

void sched_queue_end_pauses(struct sched *sched, int64_t now)
{
	struct sched_job *job, *next;

	for (job = TAILQ_FIRST(&sched->paused); job; job = next) {
		next = TAILQ_NEXT(job, queued);
		if (job->due_ms <= now)
			move(job, SCHED_WAITING, false);
	}
}

static int64_t earliest(const struct sched_queue *queue)
{
	const struct sched_job *job;
	int64_t due_ms = INT64_MAX;

	TAILQ_FOREACH(job, queue, queued)
		due_ms = job->due_ms < due_ms ? job->due_ms : due_ms;
	return due_ms;
}

int64_t sched_queue_due(const struct sched *sched)
{
	int64_t paused_ms = earliest(&sched->paused), ending_ms = earliest(&sched->ending);

	return paused_ms < ending_ms ? paused_ms : ending_ms;
}

static bool same_disk(const struct sched_place *a, const struct sched_place *b)
{
	return a == b || (a->cluster->file_system && a->cluster->file_system == b->cluster->file_system);
}

bool sched_queue_is_closed(const struct sched_place *place, enum sched_lane lane)
{
	const struct sched_job *flying;

	TAILQ_FOREACH(flying, &place->sched->flying, queued) {
		if (lane == LANE_BESIDE || lane_of(flying->kind) != lane)
			continue;
		if (lane == LANE_SOURCE ? flying->place == place : same_disk(flying->place, place))
			return true;
	}
	return false;
}

void sched_queue_init(struct sched *sched)
{
	TAILQ_INIT(&sched->paused);
	TAILQ_INIT(&sched->flying);
	TAILQ_INIT(&sched->unknown);
	TAILQ_INIT(&sched->ending);
}

void sched_queue_init_place(struct sched_place *place)
{
	for (int lane = 0; lane < SCHED_LANES; lane++)
		TAILQ_INIT(&place->waiting[lane]);
}
