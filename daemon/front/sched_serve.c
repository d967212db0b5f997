/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Clones whose servers are to run, and clones whose time is over. That a clone is to run is in its record;
 * that it runs is brought about anew by every engine, and asked for anew by every front.
 */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_PAUSE_MS = 1000 };

/* One that the engine was asked to run and has not said the last word about. */
struct sched_server {
	struct sched_server *next;
	struct sched_place *place;
	char clone[IDENT_CLONE_SIZE];
	struct nonce nonce;
	uint32_t tag;
	int64_t due_ms; /* tag 0: running time at which it is asked for again */
	bool serving;
	bool ending;    /* the engine was told to end it */
};

static struct sched_server *find(const struct sched *sched, const char *clone)
{
	for (struct sched_server *s = sched->servers; s; s = s->next) {
		if (strcmp(s->clone, clone) == 0)
			return s;
	}
	return NULL;
}

static void forget(struct sched *sched, struct sched_server *server)
{
	struct sched_server **at = &sched->servers;

	while (*at != server)
		at = &(*at)->next;
	*at = server->next;
	free(server);
}

bool sched_serve_answers(const struct sched *sched, const char *clone)
{
	const struct sched_server *s = find(sched, clone);

	return s && s->serving;
}

bool sched_serve_has(const struct sched *sched, const char *clone)
{
	const struct sched_server *s = find(sched, clone);

	return s && s->tag;
}

void sched_serve_changed(struct sched *sched)
{
	sched->serve_due = true;
	sched_kick(sched);
}

void sched_serve_timer(void *arg)
{
	sched_serve_changed(arg);
}

void sched_serve_free_all(struct sched *sched)
{
	while (sched->servers)
		forget(sched, sched->servers);
}

/* ---- what is to be done ---- */

struct round {
	struct sched *sched;
	struct store_now now;
	int64_t next_ms; /* running time of the next look */
	char over[IDENT_CLONE_SIZE]; /* a clone whose time is over; "" none */
};

static void look_at(struct round *r, int64_t ms)
{
	r->next_ms = ms < r->next_ms ? ms : r->next_ms;
}

static void ask(struct round *r, struct sched_server *server, const struct record_clone *clone)
{
	struct msg msg = {.type = MSG_SERVE, .tag = sched_next_tag(r->sched)};
	struct msg_serve *serve = &msg.u.serve;

	server->tag = msg.tag;
	server->nonce = clone->nonce;
	server->serving = server->ending = false;
	memcpy(serve->cluster, clone->cluster, sizeof(serve->cluster));
	memcpy(serve->clone, clone->name, sizeof(serve->clone));
	serve->backup = clone->backup;
	serve->nonce = clone->nonce;
	serve->ttl_ms = clone->expires_ms ? clone->expires_ms - r->now.wall_ms : 0;
	link_send(r->sched->front->link, &msg);
}

static int start(struct round *r, const struct record_clone *clone)
{
	struct sched_server *server = find(r->sched, clone->name);
	struct sched_place *place = sched_place_of(r->sched, clone->cluster);

	if (!place)
		return ERR_NOMEM;
	if (!sched_place_usable(place) || r->sched->stopping || (server && server->tag))
		return 0;
	if (server && server->due_ms > r->now.running_ms) {
		look_at(r, server->due_ms);
		return 0;
	}
	if (!server) {
		server = calloc(1, sizeof(*server));
		if (!server)
			return ERR_NOMEM;
		server->place = place;
		memcpy(server->clone, clone->name, sizeof(server->clone));
		server->next = r->sched->servers;
		r->sched->servers = server;
	}
	ask(r, server, clone);
	return 0;
}

static void end(struct round *r, const struct record_clone *clone)
{
	struct sched_server *server = find(r->sched, clone->name);
	struct msg msg = {.type = MSG_UNSERVE};
	struct msg_serving *serving = &msg.u.serving;

	if (!server)
		return;
	if (!server->tag) {
		forget(r->sched, server);
		return;
	}
	if (server->ending)
		return;
	server->ending = true;
	memcpy(serving->cluster, clone->cluster, sizeof(serving->cluster));
	memcpy(serving->clone, clone->name, sizeof(serving->clone));
	serving->nonce = server->nonce;
	link_send(r->sched->front->link, &msg);
}

static int look_at_clone(void *arg, const struct record_clone *clone)
{
	struct round *r = arg;
	bool settled = clone->state == CLONE_AVAILABLE || clone->state == CLONE_FAILED;

	if (settled && clone->expires_ms && clone->expires_ms <= r->now.wall_ms)
		memcpy(r->over, clone->name, sizeof(r->over));
	else if (settled && clone->expires_ms)
		look_at(r, r->now.running_ms + clone->expires_ms - r->now.wall_ms);
	if (clone->state == CLONE_AVAILABLE && clone->start && !clone->failure.code && !r->over[0])
		return start(r, clone);
	if (clone->state == CLONE_DELETING)
		end(r, clone);
	return 0;
}

static int look(struct round *r)
{
	static const struct store_page everything = {.count = UINT32_MAX};
	scope_store_abort struct store_txn *txn = NULL;
	int e = store_read(r->sched->front->store, &txn);

	return e < 0 ? e : store_clone_list(txn, NULL, 0, &everything, look_at_clone, r, NULL);
}

static int accept_removal(struct round *r)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_job job = {.accepted_ms = r->now.wall_ms};
	int e = store_begin(r->sched->front->store, &txn);

	memcpy(job.clone, r->over, sizeof(job.clone));
	outcome_copy(job.origin.principal, sizeof(job.origin.principal), "ttl");
	uuid_make(job.origin.request_id);
	if (e == 0)
		e = store_clone_accept_delete(txn, &job);
	if (e == 0)
		e = store_commit(scope_take_ptr(txn));
	if (e == 0)
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.cluster = job.cluster, .clone = job.clone, .job = job.id},
			  "the clone's time is over: it is removed");
	return e;
}

void sched_serve_run(struct sched *sched)
{
	struct round r = {.sched = sched};
	int e;

	if (!sched->serve_due)
		return;
	sched->serve_due = false;
	do {
		r.now = (struct store_now){.wall_ms = clock_wall_ms(), .running_ms = clock_running_ms()};
		r.next_ms = INT64_MAX;
		r.over[0] = '\0';
		e = sched_store_result("looking at the clones", look(&r));
		/* Without room what ends makes some; it is tried again all the same. */
		if (e == 0 && r.over[0])
			e = sched_store_result("accepting the removal of a clone", accept_removal(&r));
	} while (e == 0 && r.over[0]);
	if (e < 0)
		look_at(&r, r.now.running_ms + BUSY_PAUSE_MS);
	if (r.next_ms == INT64_MAX)
		timer_disarm(&sched->serve_timer);
	else
		timer_arm(&sched->serve_timer, r.next_ms);
}

/* ---- what the engine says ---- */

static struct sched_server *find_by_tag(struct sched *sched, uint32_t tag, const char *clone, const struct nonce *nonce)
{
	struct sched_server *s = find(sched, clone);

	return s && s->tag == tag && tag && nonce_equal(&s->nonce, nonce) ? s : NULL;
}

void sched_serve_serving(struct sched *sched, const struct msg *msg)
{
	struct sched_server *s = find_by_tag(sched, msg->tag, msg->u.serving.clone, &msg->u.serving.nonce);

	if (s)
		s->serving = true;
}

/* It is not started again: whoever wants it asks for another clone. */
static int note_end(struct sched *sched, const struct sched_server *server, const struct msg_served *served)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_clone clone;
	int r = store_begin(sched->front->store, &txn);

	if (r == 0)
		r = store_clone_get(txn, server->clone, &clone);
	if (r == ERR_NOT_FOUND || (r == 0 && clone.state != CLONE_AVAILABLE))
		return 0;
	if (r < 0)
		return r;
	clone.start = false;
	outcome_copy(clone.last_error, sizeof(clone.last_error), served->cause[0] ? served->cause : err_text((int)served->code));
	r = store_clone_update(txn, &clone);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

void sched_serve_served(struct sched *sched, const struct msg *msg)
{
	const struct msg_served *served = &msg->u.served;
	struct sched_server *s = find_by_tag(sched, msg->tag, served->clone, &served->nonce);
	struct log_about about = {.cluster = served->cluster, .clone = served->clone};
	bool wanted;

	if (!s)
		return;
	wanted = served->code && !s->ending && !sched->stopping;
	s->tag = 0;
	s->serving = s->ending = false;
	s->due_ms = clock_running_ms() + BUSY_PAUSE_MS;
	if (wanted && served->code != ERR_BUSY && served->code != ERR_OFFLINE) {
		log_about(LOG_LEVEL_WARNING, &about, "the clone's server does not run any more: %s", served->cause);
		if (sched_store_result("noting a server's end", note_end(sched, s, served)) == 0)
			forget(sched, s);
	} else if (!wanted) {
		forget(sched, s);
	}
	sched_serve_changed(sched);
}
