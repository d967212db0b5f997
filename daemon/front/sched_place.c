/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looking at clusters. A probe's items are collected until PROBED comes, then
 * recovery runs over them. While a probe is under way nothing is started on its
 * cluster; what was running already is kept out of recovery (touched).
 */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/grow.h"
#include "daemon/front/outcome.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUSY_PAUSE_MS = 200,
	BUSY_PAUSE_MAX_MS = 5000,
	OFFLINE_PAUSE_MS = 1000,
	OFFLINE_PAUSE_MAX_MS = 60000,
	/* Each is a process, for which TasksMax has room; enough that a few hanging disks hold up no other. */
	PROBES_MAX = 32,
	ITEMS_MAX = 1 << 20
};

static void on_due(void *arg)
{
	sched_place_look(arg);
}

struct sched_place *sched_place_of(struct sched *sched, const char *id)
{
	struct cluster *cluster = cluster_ensure(sched->front->clusters, id);
	struct sched_place *place;

	if (!cluster)
		return NULL;
	for (place = sched->places; place; place = place->next) {
		if (place->cluster == cluster)
			return place;
	}
	place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	place->sched = sched;
	place->cluster = cluster;
	place->layout_due = true;
	sched_queue_init_place(place);
	timer_init(&place->timer, sched->front->timers, on_due, place);
	place->next = sched->places;
	sched->places = place;
	return place;
}

static void drop_items(struct sched_place *place)
{
	recover_items_free(place->items, place->item_count);
	place->items = NULL;
	place->item_count = place->item_size = 0;
	free(place->touched);
	place->touched = NULL;
	place->touched_count = place->touched_size = 0;
}

void sched_place_free_all(struct sched *sched)
{
	while (sched->places) {
		struct sched_place *place = sched->places;

		sched->places = place->next;
		timer_disarm(&place->timer);
		drop_items(place);
		free(place);
	}
}

static bool has_in_flight(const struct sched_place *place)
{
	const struct sched_job *job;

	TAILQ_FOREACH(job, &place->sched->flying, queued) {
		if (job->place == place)
			return true;
	}
	return false;
}

static void send_probe(struct sched_place *place)
{
	struct msg msg = {.type = MSG_PROBE};

	place->turn = 0;
	drop_items(place);
	place->again = false;
	place->tag = sched_next_tag(place->sched);
	place->exclusive = place->settle || (!place->opened && !has_in_flight(place));
	sched_adopt_asked(place);
	msg.tag = place->tag;
	memcpy(msg.u.probe.cluster, place->cluster->id, sizeof(msg.u.probe.cluster));
	msg.u.probe.exclusive = place->exclusive;
	link_send(place->sched->front->link, &msg);
}

static struct sched_place *next_turn(const struct sched *sched)
{
	struct sched_place *next = NULL;
	unsigned under_way = 0;

	for (struct sched_place *place = sched->places; place; place = place->next) {
		under_way += place->tag != 0;
		if (place->turn && (!next || place->turn < next->turn))
			next = place;
	}
	return under_way < PROBES_MAX ? next : NULL;
}

void sched_place_look(struct sched_place *place)
{
	if (place->tag || place->turn)
		return;
	timer_disarm(&place->timer);
	place->turn = ++place->sched->last_turn;
	sched_place_go_on(place->sched);
}

static void look_at_layout(struct sched_place *place)
{
	const struct cluster *cluster = place->cluster;

	if (place->layout_due && cluster->registered && cluster->probed && cluster->place == PLACE_ONLINE &&
	    !place->tag && !place->turn && sched_question_layout(place))
		place->layout_due = false;
}

void sched_place_go_on(struct sched *sched)
{
	struct sched_place *place;

	while ((place = next_turn(sched)))
		send_probe(place);
	for (place = sched->places; place; place = place->next)
		look_at_layout(place);
}

void sched_place_begin(struct sched *sched)
{
	struct cluster_table *clusters = sched->front->clusters;

	for (size_t i = 0; i < cluster_count(clusters); i++) {
		struct sched_place *place = sched_place_of(sched, cluster_at(clusters, i)->id);

		if (place)
			sched_place_look(place);
	}
}

bool sched_place_usable(const struct sched_place *place)
{
	return place->cluster->probed && place->cluster->place == PLACE_ONLINE && !place->tag && !place->settle;
}

void sched_place_touch(struct sched_place *place, uint64_t backup, const char *clone)
{
	struct sched_touch *touched;

	if (!place->tag)
		return;
	touched = grow(place->touched, place->touched_count, &place->touched_size, sizeof(*touched));
	if (!touched)
		front_die("remembering what a probe may not judge", ERR_NOMEM);
	place->touched = touched;
	touched += place->touched_count++;
	*touched = (struct sched_touch){.backup = backup};
	memcpy(touched->clone, clone, sizeof(touched->clone));
}

static struct sched_place *by_tag(const struct sched *sched, uint32_t tag, const char *cluster)
{
	for (struct sched_place *place = sched->places; place; place = place->next) {
		if (tag && place->tag == tag && strcmp(place->cluster->id, cluster) == 0)
			return place;
	}
	return NULL;
}

/* Only a BACKUP's facts are ever needed, and only while its create is open or somebody wants to adopt it. */
static bool wants_facts(const struct sched_place *place, const struct msg_probed_item *item)
{
	const struct sched_job *job;

	if (item->item != ITEM_BACKUP)
		return false;
	job = sched_job_find(place->sched, item->backup);
	return (job && job->kind == JOB_KIND_CREATE) || sched_adopt_wants(place, item);
}

static void keep_item(const struct sched_place *place, const struct msg_probed_item *from, struct recover_item *to)
{
	*to = (struct recover_item){
		.item = from->item, .owner = from->owner, .backup = from->backup, .nonce = from->facts.nonce,
		.mode = from->facts.mode, .accepted_ms = from->facts.accepted_ms, .consistent_ms = from->facts.consistent_ms,
		.size = from->facts.size_known ? from->facts.size : 0,
	};
	if (from->item != ITEM_BACKUP)
		to->name = strdup(from->name);
	if (wants_facts(place, from)) {
		to->facts = malloc(sizeof(*to->facts));
		if (to->facts)
			*to->facts = from->facts;
	}
}

int sched_place_item(struct sched *sched, const struct msg *msg)
{
	const struct msg_probed_item *item = &msg->u.probed_item;
	struct sched_place *place = by_tag(sched, msg->tag, item->cluster);
	struct recover_item *items;

	if (!place)
		return 0; /* asked for by a front before this one */
	if (place->item_count == ITEMS_MAX || (item->item <= ITEM_DELETING && item->backup == 0))
		return ERR_INVALID;
	items = grow(place->items, place->item_count, &place->item_size, sizeof(*items));
	if (!items)
		return ERR_NOMEM;
	place->items = items;
	keep_item(place, item, &items[place->item_count++]);
	return 0;
}

/* ---- recovery's calls ---- */

static enum recover_standing standing(void *arg, uint64_t id)
{
	const struct sched_place *place = arg;
	const struct sched_job *job = sched_job_find(place->sched, id);

	if (!job || job->state == SCHED_WAITING)
		return RECOVER_IDLE;
	return job->state == SCHED_UNKNOWN ? RECOVER_SETTLING : RECOVER_MOVING;
}

static bool touched(void *arg, uint64_t backup, const char *clone)
{
	const struct sched_place *place = arg;

	for (size_t i = 0; i < place->touched_count; i++) {
		if (backup ? place->touched[i].backup == backup : strcmp(place->touched[i].clone, clone) == 0)
			return true;
	}
	return false;
}

static void on_note(void *arg, const struct recover_note *note)
{
	struct sched_place *place = arg;
	struct sched_job *job = sched_job_find(place->sched, note->job);

	if (note->what == RECOVER_CLEAN) {
		sched_job_add_clean(place->sched, place, note);
		return;
	}
	if (note->what == RECOVER_FOUND) {
		sched_measure_add(place->sched, place, note->backup);
		return;
	}
	if (!job)
		return;
	if (note->what == RECOVER_JOB_ENDED) {
		if (job->kind == JOB_KIND_CREATE)
			sched_measure_add(place->sched, place, job->backup);
		sched_job_remove(place->sched, job);
		sched_auto_changed(place->sched);
		sched_verify_changed(place->sched);
		return;
	}
	if (note->what == RECOVER_JOB_WHOLE) {
		sched_end_finishable(job);
		return;
	}
	job->partial = true;
	if (note->pause_ms > 0 && job->state == SCHED_WAITING)
		sched_queue_pause(job, clock_running_ms() + note->pause_ms);
}

static struct sched_job *next_unknown(const struct sched_place *place)
{
	struct sched_job *job;

	TAILQ_FOREACH(job, &place->sched->unknown, queued) {
		if (job->place == place)
			return job;
	}
	return NULL;
}

/* ---- what a probe found ---- */

static int64_t grow_pause(struct sched_place *place, int64_t first, int64_t most)
{
	int64_t pause = place->pause_ms < first ? first : place->pause_ms * 2;

	place->pause_ms = pause > most ? most : pause;
	return place->pause_ms;
}

/* Nothing to be gained from looking again by itself: what is wrong lies in the configuration. */
static bool is_hopeless(const struct sched_place *place)
{
	const struct cluster *cluster = place->cluster;

	return cluster->registered && cluster->conf.refusal[0];
}

static void look_later(struct sched_place *place)
{
	int64_t pause;

	if (place->cluster->place == PLACE_BUSY || place->settle)
		pause = grow_pause(place, BUSY_PAUSE_MS, BUSY_PAUSE_MAX_MS);
	else if (is_hopeless(place))
		return;
	else
		pause = grow_pause(place, OFFLINE_PAUSE_MS, OFFLINE_PAUSE_MAX_MS);
	timer_arm(&place->timer, clock_running_ms() + pause);
}

static void say_place(const struct sched_place *place, uint8_t state, const char *cause)
{
	static const char *const sentences[] = {
		[PLACE_ONLINE] = "its snapshots can be reached",
		[PLACE_OFFLINE] = "its snapshots cannot be reached: jobs wait",
		[PLACE_BUSY] = "a worker of an engine that has ended still holds its snapshots: jobs wait",
		[PLACE_REFUSED] = "refused: nothing is done with it",
	};
	struct log_about about = {.cluster = place->cluster->id};
	enum log_level level = state == PLACE_ONLINE ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING;

	if (place->cluster->probed && place->cluster->place == state)
		return;
	log_about(level, &about, "%s%s%s", sentences[state], cause[0] ? ": " : "", cause);
}

static void put_place(struct sched_place *place, uint8_t state, const char *cause, const char *remedy)
{
	struct cluster *cluster = place->cluster;

	say_place(place, state, cause);
	cluster->probed = true;
	cluster->place = state;
	outcome_copy(cluster->cause, sizeof(cluster->cause), cause);
	outcome_copy(cluster->remedy, sizeof(cluster->remedy), remedy);
}

void sched_place_offline(struct sched_place *place, uint8_t state, const char *cause, const char *remedy)
{
	put_place(place, state, cause, remedy);
	if (!place->tag && !place->turn && !place->timer.armed)
		look_later(place);
}

static void settle(struct sched_place *place)
{
	struct sched_job *job;

	place->settle = false;
	while ((job = next_unknown(place)))
		sched_end_unknown(place->sched, job);
}

static void open_place(struct sched_place *place, const struct msg_probed *probed)
{
	struct recover_calls calls = {.standing = standing, .touched = touched, .note = on_note, .arg = place};
	struct cluster *cluster = place->cluster;
	int r;

	outcome_copy(cluster->snapshot_dir, sizeof(cluster->snapshot_dir), probed->snapshot_dir);
	cluster->file_system = probed->file_system;
	sched_facts_space(cluster, probed->free_bytes, probed->total_bytes);
	r = sched_store_result("recovering a cluster",
			       recover_cluster(place->sched->front, cluster, place->items, place->item_count, &calls));
	if (r < 0) {
		put_place(place, PLACE_OFFLINE, "its records cannot be brought up to date: the store has no room",
			  "make room on the file system of state_dir");
		look_later(place);
		return;
	}
	place->opened = true;
	place->pause_ms = 0;
	put_place(place, PLACE_ONLINE, "", "");
	sched_auto_changed(place->sched);
	sched_verify_changed(place->sched);
	if (place->exclusive)
		settle(place);
	sched_serve_changed(place->sched);
}

static void take_probed(struct sched_place *place, const struct msg_probed *probed)
{
	uint32_t tag = place->tag;

	place->tag = 0;
	if (probed->place == PLACE_ONLINE) {
		open_place(place, probed);
	} else if (probed->place == PLACE_BUSY && place->cluster->probed &&
		   place->cluster->place == PLACE_ONLINE && has_in_flight(place)) {
		look_later(place); /* held by our own jobs: it settles when they are over */
	} else {
		put_place(place, probed->place, probed->cause, probed->remedy);
		look_later(place);
	}
	sched_adopt_probed(place, tag, probed->place);
	drop_items(place);
}

int sched_place_probed(struct sched *sched, const struct msg *msg)
{
	const struct msg_probed *probed = &msg->u.probed;
	struct sched_place *place = by_tag(sched, msg->tag, probed->cluster);

	if (!place)
		return 0;
	if (probed->items != place->item_count)
		return ERR_INVALID;
	take_probed(place, probed);
	sched_question_probed(place);
	/* A reload came, or an outcome became unknown, meanwhile. */
	if (place->again || (place->settle && !place->exclusive && !place->timer.armed))
		sched_place_look(place);
	sched_place_go_on(sched);
	sched_kick(sched);
	return 0;
}
