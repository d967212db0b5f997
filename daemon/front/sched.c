/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Life of the scheduler, its messages, and what operations ask of it. */
#include "daemon/front/sched.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/front/sched_internal.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { READY_WAIT_MS = 5000 };

uint32_t sched_next_tag(struct sched *sched)
{
	if (++sched->last_tag == 0)
		sched->last_tag = 1;
	return sched->last_tag;
}

int sched_store_result(const char *what, int r)
{
	if (r < 0 && r != ERR_FULL && r != ERR_NOMEM)
		front_die(what, r);
	return r;
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct sched *sched = arg;

	(void)fd;
	(void)what;
	sched->due = false;
	sched_question_refuse(sched);
	sched_adopt_expire(sched);
	if (!sched->started)
		return;
	sched_auto_run(sched);
	sched_serve_run(sched);
	sched_store_result("reading the new jobs", sched_job_load(sched));
	sched_verify_run(sched);
	sched_job_run(sched);
	sched_measure_run(sched);
}

void sched_kick(struct sched *sched)
{
	if (sched->due)
		return;
	sched->due = true;
	event_active(sched->kick, EV_TIMEOUT, 0);
}

static void on_pause_over(void *arg)
{
	sched_kick(arg);
}

static void tell_ready(struct sched *sched)
{
	if (sched->told)
		return;
	sched->told = true;
	timer_disarm(&sched->ready_timer);
	sched->ready(sched->arg);
	sched_auto_changed(sched);
	sched_verify_changed(sched);
}

static void on_ready_late(void *arg)
{
	struct sched *sched = arg;

	for (struct sched_place *p = sched->places; p; p = p->next) {
		if (!p->cluster->probed)
			log_about(LOG_LEVEL_WARNING, &(struct log_about){.cluster = p->cluster->id},
				  "its snapshots could not be looked at in time: OFFLINE until they can");
	}
	tell_ready(sched);
}

static void check_ready(struct sched *sched)
{
	if (sched->told || !sched->started)
		return;
	for (struct sched_place *p = sched->places; p; p = p->next) {
		if (!p->cluster->probed)
			return;
	}
	tell_ready(sched);
}

struct sched *sched_new(struct front *front, sched_ready_fn *ready, void *arg)
{
	struct sched *sched = calloc(1, sizeof(*sched));

	if (!sched)
		return NULL;
	sched_queue_init(sched);
	sched->front = front;
	sched->ready = ready;
	sched->arg = arg;
	timer_init(&sched->timer, front->timers, on_pause_over, sched);
	timer_init(&sched->ready_timer, front->timers, on_ready_late, sched);
	timer_init(&sched->question_timer, front->timers, sched_question_expire, sched);
	timer_init(&sched->auto_timer, front->timers, sched_auto_timer, sched);
	timer_init(&sched->serve_timer, front->timers, sched_serve_timer, sched);
	timer_init(&sched->adopt_timer, front->timers, sched_adopt_expire, sched);
	timer_init(&sched->verify_timer, front->timers, sched_verify_timer, sched);
	sched->kick = event_new(front->base, -1, 0, on_kick, sched);
	if (!sched->kick || sched_facts_load(sched) < 0 || sched_job_load(sched) < 0 || sched_auto_load(sched) < 0)
		return sched_free(sched);
	return sched;
}

struct sched *sched_free(struct sched *sched)
{
	if (!sched)
		return NULL;
	sched_question_close(sched);
	sched_adopt_close(sched);
	timer_disarm(&sched->timer);
	timer_disarm(&sched->ready_timer);
	timer_disarm(&sched->question_timer);
	timer_disarm(&sched->auto_timer);
	timer_disarm(&sched->serve_timer);
	timer_disarm(&sched->adopt_timer);
	timer_disarm(&sched->verify_timer);
	if (sched->kick)
		event_free(sched->kick);
	for (size_t i = 0; i < sched->job_count; i++)
		sched_job_free(sched->jobs[i]);
	free(sched->jobs);
	free(sched->sizes);
	sched_auto_free_all(sched);
	sched_serve_free_all(sched);
	sched_place_free_all(sched);
	free(sched);
	return NULL;
}

/* ---- messages ---- */

static int take_running(struct sched *sched, const struct msg_running *running)
{
	struct sched_job *job = sched_job_find(sched, running->job);

	if (!job && sched->started)
		return 0; /* cancelled or settled meanwhile */
	if (!job)
		job = sched_job_add_stray(sched, running);
	if (!job)
		return ERR_NOMEM;
	if (sched->started && job->state != SCHED_SENT)
		return 0;
	sched_queue_move(job, SCHED_RUNNING);
	job->attempt = running->attempt;
	job->view.running = true;
	job->view.phase = running->phase;
	job->view.percent = running->percent;
	if (!job->view.started_ms)
		job->view.started_ms = clock_wall_ms();
	return 0;
}

static int take_running_end(struct sched *sched, const struct msg_running_end *end)
{
	uint32_t running = 0;

	for (size_t i = 0; i < sched->job_count; i++)
		running += sched->jobs[i]->state == SCHED_RUNNING;
	if (sched->started || end->jobs != running)
		return ERR_INVALID;
	sched->started = true;
	sched_measure_load(sched);
	sched_serve_changed(sched);
	timer_arm(&sched->ready_timer, clock_running_ms() + READY_WAIT_MS);
	sched_place_begin(sched);
	return 0;
}

static void take_progress(struct sched *sched, const struct msg_progress *progress)
{
	struct sched_job *job = sched_job_find(sched, progress->job);

	if (!job || !sched_job_in_flight(job))
		return;
	job->view.phase = progress->phase;
	job->view.percent = progress->percent;
	job->view.bytes_done = progress->bytes_done;
	job->view.bytes_total = progress->bytes_total;
}

static int take(struct sched *sched, const struct msg *msg)
{
	switch (msg->type) {
	case MSG_PROGRESS:
		take_progress(sched, &msg->u.progress);
		return 0;
	case MSG_RESULT:
		sched_end_take(sched, &msg->u.result);
		return 0;
	case MSG_PROBED_ITEM:
		return sched_place_item(sched, msg);
	case MSG_PROBED:
		return sched_place_probed(sched, msg);
	case MSG_CHECKED_PART:
		return sched_question_part(sched, msg);
	case MSG_CHECKED:
		return sched_question_checked(sched, msg);
	case MSG_SERVING:
		sched_serve_serving(sched, msg);
		return 0;
	case MSG_SERVED:
		sched_serve_served(sched, msg);
		return 0;
	case MSG_MEASURED:
		sched_measure_take(sched, msg);
		return 0;
	default:
		return ERR_INVALID;
	}
}

int sched_take(struct sched *sched, const struct msg *msg)
{
	int r;

	if (msg->type == MSG_RUNNING)
		r = take_running(sched, &msg->u.running);
	else if (msg->type == MSG_RUNNING_END)
		r = take_running_end(sched, &msg->u.running_end);
	else
		/* Progress of a running job may be ahead of RUNNING_END, and so may its result. */
		r = take(sched, msg);
	check_ready(sched);
	return r;
}

void sched_reconfigured(struct sched *sched)
{
	struct cluster_table *clusters = sched->front->clusters;

	for (size_t i = cluster_count(clusters); i-- > 0;) {
		struct cluster *cluster = cluster_at(clusters, i);
		struct sched_place *place = sched_place_of(sched, cluster->id);

		if (!cluster->registered)
			sched_facts_forget(sched, cluster);
		if (!place)
			continue;
		place->layout_due = cluster->registered;
		place->pause_ms = 0;
		place->again = place->tag != 0;
		if (sched->started)
			sched_place_look(place);
	}
	sched_auto_changed(sched);
	sched_verify_changed(sched);
	sched_kick(sched);
}

void sched_stop(struct sched *sched)
{
	sched->stopping = true;
}

void sched_close(struct sched *sched)
{
	sched_question_close(sched);
	sched_adopt_close(sched);
}

/* ---- what operations ask ---- */

void sched_view_job(const struct sched *sched, uint64_t job, struct sched_view *ret_view)
{
	const struct sched_job *found = sched_job_find(sched, job);

	*ret_view = (struct sched_view){0};
	if (found && !found->recordless && found->state == SCHED_RUNNING)
		*ret_view = found->view;
}

void sched_count(const struct sched *sched, const char *cluster, uint32_t *pending, uint32_t *running)
{
	for (size_t i = 0; i < sched->job_count; i++) {
		const struct sched_job *job = sched->jobs[i];

		if (strcmp(job->place->cluster->id, cluster) == 0)
			++*(job->state == SCHED_RUNNING ? running : pending);
	}
}

/* Why it is not among the open ones: it has ended, or never was. */
static int missing(struct sched *sched, uint64_t id)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_job record;
	int r = store_read(sched->front->store, &txn);

	if (r == 0)
		r = store_job_find(txn, id, &record);
	return r < 0 ? r : ERR_STATE;
}

int sched_cancel(struct sched *sched, uint64_t id, enum sched_cancel *ret_how)
{
	struct msg msg = {.type = MSG_CANCEL};
	struct sched_job *job;
	int r = sched_job_load(sched);

	if (r < 0)
		return r;
	job = sched_job_find(sched, id);
	if (!job || job->recordless)
		return missing(sched, id);
	if (job_is_removal(job->kind))
		return ERR_STATE;
	if (job->state == SCHED_WAITING && !job->whole && !sched_job_needs_settling(job)) {
		r = sched_end_cancel(sched, job);
		if (r == 0)
			*ret_how = SCHED_CANCEL_DONE;
		return r;
	}
	if (!job->cancelled && sched_job_in_flight(job)) {
		msg.u.cancel.job = id;
		link_send(sched->front->link, &msg);
	}
	job->cancelled = true;
	*ret_how = SCHED_CANCEL_ASKED;
	return 0;
}

bool sched_stopping(const struct sched *sched)
{
	return sched->stopping;
}
