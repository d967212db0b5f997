/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CHECK for operations. A question about a cluster that is not ONLINE waits for
 * a probe first, so that whoever asks finds it ONLINE as soon as it is.
 */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/grow.h"
#include "daemon/front/outcome.h"

#include <stdlib.h>
#include <string.h>

enum { QUESTIONS_MAX = 64, LAYOUTS_MAX = 16 /* at a start and a reload */, PARTS_MAX = 4096 };

static void send_check(struct sched_question *question)
{
	struct msg msg = {.type = MSG_CHECK};

	question->tag = sched_next_tag(question->place->sched);
	msg.tag = question->tag;
	memcpy(msg.u.check.cluster, question->place->cluster->id, sizeof(msg.u.check.cluster));
	msg.u.check.depth = (uint8_t)question->depth;
	msg.u.check.survey = question->survey;
	if (strcmp(question->place->cluster->backend, "copy") == 0)
		msg.u.check.needed = question->place->cluster->size;
	msg.u.check.backup = question->backup;
	msg.u.check.nonce = question->nonce;
	link_send(question->place->sched->front->link, &msg);
}

/* Out of the list first: whoever is answered may ask anew. */
static void answer(struct sched *sched, struct sched_question *question, const struct sched_answer *what)
{
	struct sched_question **at = &sched->questions;

	while (*at != question)
		at = &(*at)->next;
	*at = question->next;
	while (question->waiters) {
		struct sched_waiter *waiter = question->waiters;

		question->waiters = waiter->next;
		waiter->fn(waiter->arg, what);
		free(waiter);
	}
	free(question->parts);
	free(question);
}

static void arm(struct sched *sched)
{
	int64_t earliest = INT64_MAX;

	for (const struct sched_question *q = sched->questions; q; q = q->next) {
		for (const struct sched_waiter *w = q->waiters; w; w = w->next) {
			if (w->due_ms < earliest)
				earliest = w->due_ms;
		}
	}
	if (earliest == INT64_MAX)
		timer_disarm(&sched->question_timer);
	else
		timer_arm(&sched->question_timer, earliest);
}

/* What is asked. */
struct ask {
	enum msg_depth depth;
	bool survey;
	uint64_t backup;
	struct nonce nonce;
	bool own;
};

/* One of the same kind whose answer is still to be found out. A layout must not be older than who asks. */
static struct sched_question *share(const struct sched *sched, const struct sched_place *place, const struct ask *what,
				    size_t *ret_count)
{
	struct sched_question *found = NULL;

	*ret_count = 0;
	for (struct sched_question *q = sched->questions; q; q = q->next) {
		*ret_count += !q->own;
		if (q->place == place && q->depth == what->depth && q->survey == what->survey && q->backup == what->backup &&
		    (what->depth == DEPTH_SPACE || !q->tag))
			found = q;
	}
	return found;
}

static struct sched_question *ask(struct sched *sched, struct sched_place *place, const struct ask *what)
{
	size_t count;
	struct sched_question *question = share(sched, place, what, &count);

	if (question || (!what->own && count >= QUESTIONS_MAX))
		return question;
	question = calloc(1, sizeof(*question));
	if (!question)
		return NULL;
	question->place = place;
	question->depth = what->depth;
	question->survey = what->survey;
	question->backup = what->backup;
	question->nonce = what->nonce;
	question->own = what->own;
	question->next = sched->questions;
	sched->questions = question;
	if (place->cluster->probed && place->cluster->place == PLACE_ONLINE)
		send_check(question);
	else
		sched_place_look(place);
	return question;
}

bool sched_question_layout(struct sched_place *place)
{
	unsigned count = 0;

	for (const struct sched_question *q = place->sched->questions; q; q = q->next)
		count += q->own;
	return count < LAYOUTS_MAX && ask(place->sched, place, &(struct ask){.depth = DEPTH_LAYOUT, .own = true});
}

static void refuse_later(struct sched *sched, struct sched_waiter *waiter, int code)
{
	waiter->code = code;
	waiter->next = sched->refused;
	sched->refused = waiter;
	sched_kick(sched);
}

static void ask_for(struct sched *sched, const char *cluster, const struct ask *what, int64_t timeout_ms, sched_answer_fn *fn,
		    void *arg)
{
	struct sched_place *place = cluster_find(sched->front->clusters, cluster) ? sched_place_of(sched, cluster) : NULL;
	struct sched_question *question = place ? ask(sched, place, what) : NULL;
	struct sched_waiter *waiter;

	waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		front_die("asking about a cluster", ERR_NOMEM);
	waiter->fn = fn;
	waiter->arg = arg;
	waiter->due_ms = timeout_ms == INT64_MAX ? INT64_MAX : clock_running_ms() + timeout_ms;
	if (!question) {
		refuse_later(sched, waiter, place ? ERR_BUSY : ERR_NOT_FOUND);
		return;
	}
	waiter->next = question->waiters;
	question->waiters = waiter;
	arm(sched);
}

void sched_check(struct sched *sched, const char *cluster, enum msg_depth depth, int64_t timeout_ms,
		 sched_answer_fn *fn, void *arg)
{
	ask_for(sched, cluster, &(struct ask){.depth = depth}, timeout_ms, fn, arg);
}

void sched_survey(struct sched *sched, const char *cluster, int64_t timeout_ms, sched_answer_fn *fn, void *arg)
{
	ask_for(sched, cluster, &(struct ask){.depth = DEPTH_LAYOUT, .survey = true}, timeout_ms, fn, arg);
}

void sched_plan(struct sched *sched, const struct sched_plan *what, sched_answer_fn *fn, void *arg)
{
	ask_for(sched, what->cluster, &(struct ask){.depth = DEPTH_RESTORE, .backup = what->backup, .nonce = what->nonce},
		what->timeout_ms, fn, arg);
}

void sched_question_refuse(struct sched *sched)
{
	while (sched->refused) {
		struct sched_waiter *waiter = sched->refused;
		struct sched_answer what = {.code = waiter->code};

		sched->refused = waiter->next;
		waiter->fn(waiter->arg, &what);
		free(waiter);
	}
}

/* Takes the late ones out first: their functions may ask anew. */
void sched_question_expire(void *arg)
{
	struct sched *sched = arg;
	int64_t now = clock_running_ms();

	for (struct sched_question *q = sched->questions; q; q = q->next) {
		struct sched_waiter **at = &q->waiters;

		while (*at) {
			struct sched_waiter *waiter = *at;

			if (waiter->due_ms > now) {
				at = &waiter->next;
				continue;
			}
			*at = waiter->next;
			refuse_later(sched, waiter, ERR_TIMEOUT);
		}
	}
	arm(sched);
}

void sched_question_close(struct sched *sched)
{
	struct sched_answer what = {.code = ERR_CLOSED};

	while (sched->questions)
		answer(sched, sched->questions, &what);
	for (struct sched_waiter *w = sched->refused; w; w = w->next)
		w->code = ERR_CLOSED;
	sched_question_refuse(sched);
}

void sched_question_probed(struct sched_place *place)
{
	for (struct sched_question *q = place->sched->questions; q; q = q->next) {
		if (q->place == place && !q->tag)
			send_check(q); /* also when it is not ONLINE: the answer says why */
	}
}

static struct sched_question *by_tag(const struct sched *sched, uint32_t tag, const char *cluster)
{
	for (struct sched_question *q = sched->questions; q; q = q->next) {
		if (tag && q->tag == tag && strcmp(q->place->cluster->id, cluster) == 0)
			return q;
	}
	return NULL;
}

int sched_question_part(struct sched *sched, const struct msg *msg)
{
	struct sched_question *question = by_tag(sched, msg->tag, msg->u.checked_part.cluster);
	struct msg_checked_part *parts;

	if (!question)
		return 0;
	if (question->part_count == PARTS_MAX)
		return ERR_INVALID;
	parts = grow(question->parts, question->part_count, &question->part_size, sizeof(*parts));
	if (!parts)
		return ERR_NOMEM;
	question->parts = parts;
	parts[question->part_count++] = msg->u.checked_part;
	return 0;
}

static void learn_layout(struct cluster *cluster, const struct msg_checked *checked)
{
	cluster->layout_known = true;
	/* A server that is starting, stopping or hung says nothing about the layout: the next create tries again. */
	cluster->layout_ok = checked->ok || (checked->retry && checked->code != ERR_OFFLINE);
	outcome_copy(cluster->layout_refusal, sizeof(cluster->layout_refusal), checked->refusal);
	outcome_copy(cluster->layout_remedy, sizeof(cluster->layout_remedy), checked->remedy);
	outcome_copy(cluster->backend, sizeof(cluster->backend), checked->backend);
	outcome_copy(cluster->database, sizeof(cluster->database), checked->database);
	/* A server that is down now has not lost its version. */
	if (checked->server[0])
		outcome_copy(cluster->server, sizeof(cluster->server), checked->server);
}

static void learn(struct sched *sched, struct sched_place *place, const struct msg_checked *checked)
{
	struct cluster *cluster = place->cluster;

	/* A plan says nothing about backups to be made. */
	if (checked->depth == DEPTH_RESTORE)
		return;
	if (checked->place != PLACE_ONLINE) {
		/* BUSY is what one of our own probes makes it. */
		if (checked->place != PLACE_BUSY && cluster->probed)
			sched_place_offline(place, checked->place, checked->refusal, checked->remedy);
		return;
	}
	sched_facts_space(cluster, checked->free_bytes, checked->total_bytes);
	cluster->space_low = checked->space_low;
	outcome_copy(cluster->space, sizeof(cluster->space), checked->space);
	cluster->space_running_ms = clock_running_ms();
	if (checked->depth == DEPTH_LAYOUT) {
		learn_layout(cluster, checked);
		sched_facts_save(sched, cluster, checked);
	}
}

int sched_question_checked(struct sched *sched, const struct msg *msg)
{
	const struct msg_checked *checked = &msg->u.checked;
	struct sched_question *question = by_tag(sched, msg->tag, checked->cluster);
	struct sched_answer what = {.checked = checked};

	if (!question)
		return 0;
	if (checked->depth != question->depth)
		return ERR_INVALID;
	learn(sched, question->place, checked);
	what.parts = question->parts;
	what.part_count = question->part_count;
	answer(sched, question, &what);
	arm(sched);
	sched_place_go_on(sched);
	return 0;
}
