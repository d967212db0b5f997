/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The front is where everything hostile arrives, so it is believed in nothing
 * that could harm: a message carries ids, every path and user comes from here.
 */
#include "daemon/engine/dispatch.h"

#include "common/err.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/hold.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int on_records(struct engine *engine, const struct msg *msg)
{
	struct keeper *keeper = &engine->keeper;

	if (!msg->u.records.cluster[0] || (keeper->hello && msg->u.records.records == 0))
		return ERR_INVALID;
	/* From now on a missing marker means a missing disk. */
	if (keeper->hello)
		return records_set(engine, msg->u.records.cluster, msg->u.records.records);
	/* Each front tells the whole of its store. */
	if (keeper->records == 0)
		records_clear(engine);
	keeper->records++;
	return records_add_last(engine, msg->u.records.cluster, msg->u.records.records);
}

static void tell_running(struct engine *engine, const struct worker *w, uint32_t tag)
{
	struct msg msg = {.type = MSG_RUNNING, .tag = tag};
	struct msg_running *running = &msg.u.running;

	running->job = w->job;
	running->kind = w->kind;
	memcpy(running->cluster, w->cluster, sizeof(running->cluster));
	running->attempt = w->attempt;
	running->phase = w->phase;
	running->percent = w->percent;
	keeper_send(engine, &msg);
}

static int on_hello(struct engine *engine, const struct msg *msg)
{
	struct keeper *keeper = &engine->keeper;
	struct msg end = {.type = MSG_RUNNING_END, .tag = msg->tag};

	if (keeper->hello || msg->u.hello.protocol != MSG_PROTOCOL || nonce_is_zero(&msg->u.hello.install) ||
	    msg->u.hello.clusters != keeper->records)
		return ERR_INVALID;
	if (keeper->records == 0)
		records_clear(engine);
	engine->install = msg->u.hello.install;
	keeper->hello = keeper->greeted = true;
	notes_update(engine);
	for (const struct worker *w = engine->workers; w; w = w->next) {
		if (w->type != MSG_JOB || w->told)
			continue;
		tell_running(engine, w, msg->tag);
		end.u.running_end.jobs++;
	}
	keeper_send(engine, &end);
	if (engine->stopping) {
		struct msg stop = {.type = MSG_STOP};

		keeper_send(engine, &stop);
	}
	return 0;
}

static int on_ready(struct engine *engine, const struct msg *msg)
{
	(void)msg;
	if (engine->keeper.ready)
		return ERR_INVALID;
	engine->keeper.ready = true;
	/* One that comes after another's death has what a reload brought. */
	if (!engine->ready || engine->reload_ping)
		notify_ready();
	engine->ready = true;
	engine->reload_ping = 0;
	for (size_t i = 0; i < engine->listens.count; i++)
		log_info("the front serves at %s", engine->listens.at[i].path);
	return 0;
}

__attribute__((format(printf, 6, 7))) static void refuse_job(struct engine *engine, const struct msg *msg,
							      enum msg_outcome outcome, int code,
							      const char *remedy, const char *format, ...)
{
	struct msg answer = {.type = MSG_RESULT, .tag = msg->tag};
	struct msg_result *result = &answer.u.result;
	va_list args;

	result->job = msg->u.job.job;
	result->attempt = msg->u.job.attempt;
	result->outcome = (uint8_t)outcome;
	result->code = code;
	result->retry = outcome == OUTCOME_BUSY;
	va_start(args, format);
	vsnprintf(result->cause, sizeof(result->cause), format, args);
	va_end(args);
	snprintf(result->remedy, sizeof(result->remedy), "%s", remedy);
	keeper_send(engine, &answer);
}

static bool is_sound(const struct msg_job *job)
{
	bool names_backup = job->backup > 0 && job->backup <= INT64_MAX;
	bool common = job->job > 0 && job->job <= INT64_MAX && job->attempt > 0 && job->cluster[0] &&
		      !nonce_is_zero(&job->nonce);

	switch (job->kind) {
	case JOB_CREATE:
		return common && job->backup == job->job && !job->clone[0];
	case JOB_DELETE:
		return common && names_backup && !job->clone[0];
	case JOB_CLONE:
	case JOB_VERIFY:
		return common && names_backup && job->clone[0] && !nonce_is_zero(&job->source);
	case JOB_DELETE_CLONE:
		return common && job->clone[0];
	case JOB_RESTORE:
		return common && names_backup && !job->clone[0] && !nonce_is_zero(&job->source);
	case JOB_DELETE_QUARANTINED:
		if (job->item == ITEM_CLONE || job->item == ITEM_CLONE_PARTIAL)
			return common && job->clone[0];
		return common && names_backup && !job->clone[0] && job->item <= ITEM_DELETING;
	default:
		return false;
	}
}

/* Why a sound job is not begun now, or never; true when it was answered. */
static bool refuse_for_now(struct engine *engine, const struct msg *msg)
{
	const struct msg_job *job = &msg->u.job;

	if (engine->stopping) {
		refuse_job(engine, msg, OUTCOME_BUSY, ERR_BUSY, "", "dbsnapd is stopping");
	} else if (worker_find_job(engine, job->job)) {
		refuse_job(engine, msg, OUTCOME_BUSY, ERR_BUSY, "", "job %" PRIu64 " is running already",
			   job->job);
	} else if (job->kind == JOB_DELETE_CLONE && worker_find_server(engine, job->cluster, job->clone)) {
		worker_end_server(worker_find_server(engine, job->cluster, job->clone));
		refuse_job(engine, msg, OUTCOME_BUSY, ERR_BUSY, "", "the clone's server is being ended first");
	} else if (worker_count_jobs(engine) >= (unsigned)engine->conf->jobs_max_running) {
		refuse_job(engine, msg, OUTCOME_BUSY, ERR_BUSY, "",
			   "jobs.max_running jobs are running already");
	} else if ((job->kind == JOB_CREATE || job->kind == JOB_RESTORE) && worker_touches_source(engine, job->cluster)) {
		refuse_job(engine, msg, OUTCOME_BUSY, ERR_BUSY, "",
			   "another create or restore of cluster %s has not ended yet", job->cluster);
	} else {
		return false;
	}
	return true;
}

static bool refuse_for_good(struct engine *engine, const struct msg *msg)
{
	const struct msg_job *job = &msg->u.job;
	const struct conf_cluster *cluster = engine_find_cluster(engine, job->cluster);

	if ((job->kind == JOB_CREATE || job->kind == JOB_RESTORE) && notes_find_retired(engine, job->cluster)) {
		refuse_job(engine, msg, OUTCOME_FAILED, ERR_STATE, "register it again and reload",
			   "cluster %s is retired: no file in clusters_dir registers it", job->cluster);
		return true;
	}
	if (!cluster) {
		refuse_job(engine, msg, OUTCOME_FAILED, ERR_NOT_FOUND,
			   "register it again (a file in clusters_dir with its old data_dir and "
			   "snapshot_dir) and reload",
			   "cluster %s is not in the configuration, so dbsnapd does not know where its "
			   "backups are",
			   job->cluster);
		return true;
	}
	/* What exists can be deleted whatever has become of the database's user. */
	if (cluster->refusal[0] && (job->kind == JOB_CREATE || job->kind == JOB_CLONE || job->kind == JOB_VERIFY ||
				    job->kind == JOB_RESTORE)) {
		refuse_job(engine, msg, OUTCOME_FAILED, ERR_STATE, "", "%s", cluster->refusal);
		return true;
	}
	return false;
}

static int on_job(struct engine *engine, const struct msg *msg)
{
	const struct msg_job *job = &msg->u.job;

	if (!is_sound(job))
		return ERR_INVALID;
	if (refuse_for_now(engine, msg) || refuse_for_good(engine, msg))
		return 0;
	/* From now on a missing marker means a missing disk. */
	if (job->kind == JOB_CREATE && records_of(engine, job->cluster) == 0 &&
	    records_set(engine, job->cluster, 1) < 0) {
		refuse_job(engine, msg, OUTCOME_BUSY, ERR_NOMEM, "", "out of memory");
		return 0;
	}
	if (worker_start(engine, msg) < 0)
		refuse_job(engine, msg, OUTCOME_BUSY, ERR_BUSY, "", "no worker could be started");
	else
		tell_running(engine, worker_find_job(engine, job->job), msg->tag);
	return 0;
}

static int on_cancel(struct engine *engine, const struct msg *msg)
{
	struct worker *w = worker_find_job(engine, msg->u.cancel.job);

	/* None: its RESULT is on the way, or has been read. */
	if (!w || w->link < 0)
		return 0;
	hold_end(w, ERR_CANCELLED);
	msg_send(w->link, msg);
	return 0;
}

static void refuse_probe(struct engine *engine, const struct msg *msg, enum msg_place place, int code,
			 const char *cause)
{
	struct msg answer = {.type = MSG_PROBED, .tag = msg->tag};
	struct msg_probed *probed = &answer.u.probed;

	memcpy(probed->cluster, msg->u.probe.cluster, sizeof(probed->cluster));
	probed->place = (uint8_t)place;
	probed->code = code;
	snprintf(probed->cause, sizeof(probed->cause), "%s", cause);
	keeper_send(engine, &answer);
}

static int on_probe(struct engine *engine, const struct msg *msg)
{
	const char *id = msg->u.probe.cluster;

	if (!id[0])
		return ERR_INVALID;
	if (!engine_find_cluster(engine, id))
		refuse_probe(engine, msg, PLACE_OFFLINE, ERR_NOT_FOUND,
			     "the cluster is not in the configuration, so dbsnapd does not know where its "
			     "backups are");
	else if (engine->stopping || worker_start(engine, msg) < 0)
		refuse_probe(engine, msg, PLACE_BUSY, ERR_BUSY, "no worker could be started");
	return 0;
}

static void refuse_check(struct engine *engine, const struct msg *msg, int code, const char *cause)
{
	struct msg answer = {.type = MSG_CHECKED, .tag = msg->tag};
	struct msg_checked *checked = &answer.u.checked;

	memcpy(checked->cluster, msg->u.check.cluster, sizeof(checked->cluster));
	checked->depth = msg->u.check.depth;
	checked->place = PLACE_OFFLINE;
	checked->code = code;
	snprintf(checked->refusal, sizeof(checked->refusal), "%s", cause);
	keeper_send(engine, &answer);
}

static int on_check(struct engine *engine, const struct msg *msg)
{
	const char *id = msg->u.check.cluster;
	const struct conf_cluster *cluster = conf_find_cluster(engine->conf, id);

	if (!id[0] || (msg->u.check.depth == DEPTH_RESTORE && (msg->u.check.backup == 0 || nonce_is_zero(&msg->u.check.nonce))))
		return ERR_INVALID;
	if (!cluster)
		refuse_check(engine, msg, ERR_NOT_FOUND, "the cluster is not in the configuration");
	else if (cluster->refusal[0])
		refuse_check(engine, msg, ERR_STATE, cluster->refusal);
	else if (engine->stopping || worker_start(engine, msg) < 0)
		refuse_check(engine, msg, ERR_BUSY, "no worker could be started");
	return 0;
}

static int on_measure(struct engine *engine, const struct msg *msg)
{
	const struct msg_measure *measure = &msg->u.measure;
	struct msg answer = {.type = MSG_MEASURED, .tag = msg->tag};
	int error = 0;

	if (!measure->cluster[0] || measure->backup == 0 || nonce_is_zero(&measure->nonce))
		return ERR_INVALID;
	if (!engine_find_cluster(engine, measure->cluster))
		error = ERR_NOT_FOUND;
	else if (engine->stopping)
		error = ERR_BUSY;
	else
		error = worker_start(engine, msg);
	if (error == 0)
		return 0;
	memcpy(answer.u.measured.cluster, measure->cluster, sizeof(measure->cluster));
	answer.u.measured.backup = measure->backup;
	answer.u.measured.code = error;
	keeper_send(engine, &answer);
	return 0;
}

static void refuse_serve(struct engine *engine, const struct msg *msg, int code, const char *cause)
{
	struct msg answer = {.type = MSG_SERVED, .tag = msg->tag};
	struct msg_served *served = &answer.u.served;

	memcpy(served->cluster, msg->u.serve.cluster, sizeof(served->cluster));
	memcpy(served->clone, msg->u.serve.clone, sizeof(served->clone));
	served->nonce = msg->u.serve.nonce;
	served->code = code;
	snprintf(served->cause, sizeof(served->cause), "%s", cause);
	keeper_send(engine, &answer);
}

/* A new front asks for what runs already: from now on it gets the answers. */
static void hand_over(struct engine *engine, const struct msg *msg, struct worker *w)
{
	struct msg answer = {.type = MSG_SERVING, .tag = msg->tag};
	struct msg_serving *serving = &answer.u.serving;

	w->tag = msg->tag;
	w->front = engine->keeper.life;
	if (!w->serving)
		return;
	memcpy(serving->cluster, w->cluster, sizeof(serving->cluster));
	memcpy(serving->clone, w->clone, sizeof(serving->clone));
	serving->nonce = w->nonce;
	keeper_send(engine, &answer);
}

static int on_serve(struct engine *engine, const struct msg *msg)
{
	const struct msg_serve *serve = &msg->u.serve;
	const struct conf_cluster *cluster = engine_find_cluster(engine, serve->cluster);
	struct worker *w = worker_find_server(engine, serve->cluster, serve->clone);

	if (!serve->cluster[0] || !serve->clone[0] || nonce_is_zero(&serve->nonce) || serve->ttl_ms < 0)
		return ERR_INVALID;
	if (w && !w->answer && !w->told && nonce_equal(&w->nonce, &serve->nonce))
		hand_over(engine, msg, w);
	else if (w || engine->stopping)
		refuse_serve(engine, msg, ERR_BUSY, w ? "its last server is still ending" : "dbsnapd is stopping");
	else if (!cluster)
		refuse_serve(engine, msg, ERR_NOT_FOUND, "the cluster is not in the configuration");
	else if (cluster->refusal[0])
		refuse_serve(engine, msg, ERR_STATE, cluster->refusal);
	else if (worker_count_servers(engine) >= MSG_SERVERS_MAX || worker_start(engine, msg) < 0)
		refuse_serve(engine, msg, ERR_BUSY, "no more clones can be run now");
	return 0;
}

static int on_unserve(struct engine *engine, const struct msg *msg)
{
	struct worker *w = worker_find_server(engine, msg->u.serving.cluster, msg->u.serving.clone);

	/* None: its SERVED is on the way, or has been read. */
	if (w && nonce_equal(&w->nonce, &msg->u.serving.nonce))
		worker_end_server(w);
	return 0;
}

static int on_pong(struct engine *engine, const struct msg *msg)
{
	struct keeper *keeper = &engine->keeper;

	if (msg->u.ping.number <= keeper->ponged || msg->u.ping.number > keeper->pinged)
		return ERR_INVALID;
	keeper->ponged = msg->u.ping.number;
	if (engine->reload_ping && keeper->ponged >= engine->reload_ping) {
		engine->reload_ping = 0;
		if (!engine->stopping)
			notify_ready();
	}
	return 0;
}

static int on_log(struct engine *engine, const struct msg *msg)
{
	const struct msg_log *log = &msg->u.log;
	struct log_about about = {
		.cluster = log->cluster, .backup = log->backup, .job = log->job, .request = log->request,
		.clone = log->clone,
	};

	(void)engine;
	log_about((enum log_level)log->level, &about, "%s", log->text);
	return 0;
}

static const struct {
	int (*run)(struct engine *engine, const struct msg *msg);
	bool before_hello;
} handlers[] = {
	[MSG_RECORDS] = {on_records, true},
	[MSG_HELLO] = {on_hello, true},
	[MSG_READY] = {on_ready, false},
	[MSG_JOB] = {on_job, false},
	[MSG_CANCEL] = {on_cancel, false},
	[MSG_PROBE] = {on_probe, false},
	[MSG_CHECK] = {on_check, false},
	[MSG_MEASURE] = {on_measure, false},
	[MSG_SERVE] = {on_serve, false},
	[MSG_UNSERVE] = {on_unserve, false},
	[MSG_PONG] = {on_pong, true},
	[MSG_LOG] = {on_log, true},
};

int dispatch_message(struct engine *engine, const struct msg *msg)
{
	if ((size_t)msg->type >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[msg->type].run)
		return ERR_INVALID;
	if (!engine->keeper.hello && !handlers[msg->type].before_hello)
		return ERR_INVALID;
	return handlers[msg->type].run(engine, msg);
}
