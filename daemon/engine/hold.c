/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may hold which server and for how long; the holding itself is freeze's. */
#include "daemon/engine/hold.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/engine/engine.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum {
	STOP_MS_MAX = 1000, /* from SIGSTOP until the last thread stands still */
	LOOK_MS = 1
};

static void tell_end(const struct worker *w, int code, uint64_t held_us)
{
	struct msg msg = {.type = MSG_RELEASE};

	msg.u.release.job = w->job;
	msg.u.release.code = code;
	msg.u.release.held_us = held_us;
	if (w->link >= 0)
		msg_send(w->link, &msg);
}

static bool is_held(const struct engine *engine, const char *cluster)
{
	for (const struct worker *w = engine->workers; w; w = w->next) {
		if (w->freeze.state != FREEZE_NONE && strcmp(w->cluster, cluster) == 0)
			return true;
	}
	return false;
}

bool hold_is_any(const struct engine *engine)
{
	for (const struct worker *w = engine->workers; w; w = w->next) {
		if (w->freeze.state != FREEZE_NONE)
			return true;
	}
	return false;
}

/* A worker works on hostile trees: whose server it is, and how long it may be held, is looked up here. */
static int fill_order(const struct engine *engine, const struct worker *w, const struct msg_hold *wanted,
		      struct freeze_order *ret_order)
{
	const struct conf_cluster *cluster = conf_find_cluster(engine->conf, w->cluster);
	int64_t most = cluster ? cluster->database.max_freeze_ms : 0;

	if (!cluster || (engine->as_root && !cluster->identity_known))
		return ERR_NOT_FOUND;
	if (wanted->pid <= 1 || wanted->pid > INT32_MAX || (pid_t)wanted->pid == getpid() || wanted->max_ms == 0)
		return ERR_INVALID;
	*ret_order = (struct freeze_order){
		.cluster = w->cluster, .pid = (pid_t)wanted->pid, .start = wanted->pid_start,
		.uid = engine->as_root ? cluster->identity.uid : geteuid(),
		.max_ms = wanted->max_ms < most ? wanted->max_ms : most,
	};
	return is_held(engine, w->cluster) ? ERR_EXISTS : 0;
}

void hold_begin(struct engine *engine, struct worker *w, const struct msg_hold *wanted)
{
	struct freeze_order order;
	int error = fill_order(engine, w, wanted, &order);

	if (error == 0)
		error = freeze_begin(&w->freeze, engine->listens.at[0].path, &order);
	if (error < 0)
		tell_end(w, error, 0);
}

static void let_go(struct worker *w, int code)
{
	struct log_about about = {.cluster = w->cluster, .backup = w->backup, .job = w->job};
	pid_t pid = w->freeze.pid;
	uint64_t held_us = 0;
	int error = freeze_end(&w->freeze, &held_us);

	if (error < 0)
		log_about(LOG_LEVEL_ERROR, &about, "process %d, which was held still, cannot be let go: %s", (int)pid,
			  err_text(error));
	else if (code < 0)
		log_about(LOG_LEVEL_WARNING, &about, "process %d was held still for %" PRIu64 " ms and let go early: %s",
			  (int)pid, held_us / 1000, err_text(code));
	tell_end(w, error < 0 ? error : code, held_us);
}

void hold_end(struct worker *w, int code)
{
	if (w->freeze.state != FREEZE_NONE)
		let_go(w, code);
}

/* 0 only if it stood still until now. */
void hold_release(struct worker *w)
{
	int still;

	if (w->freeze.state == FREEZE_NONE)
		return;
	still = w->freeze.state == FREEZE_STILL ? freeze_look(&w->freeze) : ERR_STATE;
	/* Also if its guard has let it go meanwhile. */
	if (clock_measure_us() >= w->freeze.until_us)
		still = ERR_TIMEOUT;
	let_go(w, still < 0 ? still : 0);
}

static void grant(struct worker *w)
{
	struct msg msg = {.type = MSG_HOLD};

	msg.u.hold.job = w->job;
	msg.u.hold.pid = (uint32_t)w->freeze.pid;
	if (w->link < 0 || msg_send(w->link, &msg) < 0)
		hold_end(w, ERR_CLOSED);
}

static int64_t end_of(const struct freeze *freeze)
{
	int64_t stopped_us = freeze->since_us + STOP_MS_MAX * 1000;

	return freeze->state == FREEZE_STOPPING && stopped_us < freeze->until_us ? stopped_us : freeze->until_us;
}

static void check(struct worker *w, int64_t now_us)
{
	struct freeze *freeze = &w->freeze;
	int still = freeze->state == FREEZE_STOPPING ? freeze_look(freeze) : 0;

	if (still < 0)
		hold_end(w, still);
	else if (still > 0)
		grant(w);
	else if (now_us >= end_of(freeze))
		hold_end(w, freeze->until_us <= now_us ? ERR_TIMEOUT : ERR_BUSY);
}

void hold_check_time(struct engine *engine)
{
	for (struct worker *w = engine->workers; w; w = w->next) {
		if (w->freeze.state != FREEZE_NONE)
			check(w, clock_measure_us());
	}
}

int64_t hold_next_ms(const struct engine *engine)
{
	int64_t next = INT64_MAX, left;

	for (const struct worker *w = engine->workers; w; w = w->next) {
		if (w->freeze.state == FREEZE_NONE)
			continue;
		left = (end_of(&w->freeze) - clock_measure_us() + 999) / 1000;
		if (w->freeze.state == FREEZE_STOPPING && left > LOOK_MS)
			left = LOOK_MS;
		next = left < next ? left : next;
	}
	return next < 0 ? 0 : next;
}
