/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's side of a worker. Whatever a worker says is checked against
 * what it was asked, because it works on hostile trees: a worker that talks about
 * anything else is killed, and its job's outcome is unknown.
 */
#include "daemon/engine/worker.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/proc.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/hold.h"
#include "daemon/engine/worker_child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUESTION_TIMEOUT_MS = 120000 };

static bool is_job(const struct worker *w)
{
	return w->type == MSG_JOB;
}

static struct log_about about_of(const struct worker *w)
{
	return (struct log_about){.cluster = w->cluster, .backup = w->backup, .job = w->job,
				  .clone = w->clone[0] ? w->clone : NULL};
}

/* Which cluster, and what of it. */
static void fill(struct worker *w, const struct msg *question)
{
	switch (question->type) {
	case MSG_JOB:
		memcpy(w->cluster, question->u.job.cluster, sizeof(w->cluster));
		w->kind = question->u.job.kind;
		w->job = question->u.job.job;
		w->backup = question->u.job.backup;
		w->attempt = question->u.job.attempt;
		break;
	case MSG_SERVE:
		memcpy(w->cluster, question->u.serve.cluster, sizeof(w->cluster));
		memcpy(w->clone, question->u.serve.clone, sizeof(w->clone));
		w->backup = question->u.serve.backup;
		w->nonce = question->u.serve.nonce;
		break;
	case MSG_PROBE:
		memcpy(w->cluster, question->u.probe.cluster, sizeof(w->cluster));
		break;
	case MSG_CHECK:
		memcpy(w->cluster, question->u.check.cluster, sizeof(w->cluster));
		w->depth = question->u.check.depth;
		break;
	default:
		memcpy(w->cluster, question->u.measure.cluster, sizeof(w->cluster));
		w->backup = question->u.measure.backup;
	}
}

static struct worker *new_worker(struct engine *engine, const struct msg *question)
{
	struct worker *w = calloc(1, sizeof(*w));
	int64_t time = engine->conf->jobs_timeout_ms;

	if (!w)
		return NULL;
	w->link = -1;
	w->type = question->type;
	w->tag = question->tag;
	w->front = engine->keeper.life;
	fill(w, question);
	if (question->type == MSG_PROBE || question->type == MSG_CHECK)
		time = time < QUESTION_TIMEOUT_MS ? time : QUESTION_TIMEOUT_MS;
	/* How long a server runs is its worker's business. */
	w->deadline_ms = question->type == MSG_SERVE ? INT64_MAX : clock_running_ms() + time;
	return w;
}

static unsigned count_all(const struct engine *engine)
{
	unsigned count = 0;

	for (const struct worker *w = engine->workers; w; w = w->next)
		count++;
	return count;
}

/* Those of a cluster that were killed and cannot be reaped: its disk does not answer. */
static unsigned count_stuck(const struct engine *engine, const char *cluster)
{
	unsigned count = 0;

	for (const struct worker *w = engine->workers; w; w = w->next)
		count += w->killed && strcmp(w->cluster, cluster) == 0;
	return count;
}

int worker_start(struct engine *engine, const struct msg *question)
{
	struct worker *w;
	pid_t parent = getpid();
	int fds[2];

	if (count_all(engine) >= WORKERS_MAX)
		return ERR_BUSY;
	w = new_worker(engine, question);
	/* More of the same kind would end in every cluster's being refused. */
	if (w && count_stuck(engine, w->cluster) >= WORKERS_STUCK_MAX) {
		free(w);
		return ERR_BUSY;
	}
	if (!w || proc_socketpair(fds) < 0) {
		free(w);
		return ERR_IO;
	}
	w->pid = proc_fork(&fds[1], 1);
	if (w->pid == 0)
		worker_child_run(engine, question, fds[1], parent, w->deadline_ms);
	close(fds[1]);
	if (w->pid < 0) {
		close(fds[0]);
		free(w);
		return ERR_IO;
	}
	w->link = fds[0];
	w->next = engine->workers;
	engine->workers = w;
	return 0;
}

/* A front gets what it asked for itself, and the life of every job. */
static void pass_on(struct engine *engine, const struct worker *w, struct msg *msg)
{
	bool asked_by_it = w->front == engine->keeper.life;

	if (!engine->keeper.hello || (!is_job(w) && !asked_by_it))
		return;
	msg->tag = asked_by_it ? w->tag : 0;
	keeper_send(engine, msg);
}

static void make_up_result(const struct worker *w, int code, const char *cause, struct msg *msg)
{
	struct msg_result *result = &msg->u.result;

	msg->type = MSG_RESULT;
	result->job = w->job;
	result->attempt = w->attempt;
	result->outcome = OUTCOME_UNKNOWN;
	result->code = code;
	snprintf(result->cause, sizeof(result->cause), "%s", cause);
}

static void make_up_answer(const struct worker *w, int code, const char *cause, struct msg *msg)
{
	memset(msg, 0, sizeof(*msg));
	switch (w->type) {
	case MSG_JOB:
		make_up_result(w, code, cause, msg);
		break;
	case MSG_SERVE:
		msg->type = MSG_SERVED;
		memcpy(msg->u.served.cluster, w->cluster, sizeof(w->cluster));
		memcpy(msg->u.served.clone, w->clone, sizeof(w->clone));
		msg->u.served.nonce = w->nonce;
		msg->u.served.code = code;
		snprintf(msg->u.served.cause, sizeof(msg->u.served.cause), "%s", cause);
		break;
	case MSG_PROBE:
		msg->type = MSG_PROBED;
		memcpy(msg->u.probed.cluster, w->cluster, sizeof(w->cluster));
		msg->u.probed.place = PLACE_OFFLINE;
		msg->u.probed.code = code;
		snprintf(msg->u.probed.cause, sizeof(msg->u.probed.cause), "%s", cause);
		break;
	case MSG_CHECK:
		msg->type = MSG_CHECKED;
		memcpy(msg->u.checked.cluster, w->cluster, sizeof(w->cluster));
		msg->u.checked.depth = w->depth;
		msg->u.checked.place = PLACE_OFFLINE;
		msg->u.checked.code = code;
		snprintf(msg->u.checked.refusal, sizeof(msg->u.checked.refusal), "%s", cause);
		break;
	default:
		msg->type = MSG_MEASURED;
		memcpy(msg->u.measured.cluster, w->cluster, sizeof(w->cluster));
		msg->u.measured.backup = w->backup;
		msg->u.measured.code = code;
	}
}

/* The last answer, once: the worker's own, or "unknown" in its name. */
static void tell(struct engine *engine, struct worker *w, int code, const char *cause)
{
	struct log_about about = about_of(w);
	struct msg made_up;

	if (w->told)
		return;
	w->told = true;
	if (w->answer) {
		if (w->type == MSG_PROBE)
			notes_take_probed(engine, &w->answer->u.probed);
		pass_on(engine, w, w->answer);
		return;
	}
	log_about(LOG_LEVEL_ERROR, &about, "%s", cause);
	make_up_answer(w, code, cause, &made_up);
	pass_on(engine, w, &made_up);
}

static void kill_worker(struct worker *w)
{
	if (w->killed)
		return;
	w->killed = true;
	kill(w->pid, SIGKILL);
	/* It may be a while until it can die. */
	hold_end(w, ERR_CANCELLED);
}

static bool is_cluster(const struct worker *w, const char *cluster)
{
	return strcmp(w->cluster, cluster) == 0;
}

static bool is_clone(const struct worker *w, const char *cluster, const char *clone)
{
	return is_cluster(w, cluster) && strcmp(w->clone, clone) == 0;
}

/* Is this message one that the worker may send, about what it was asked? */
static bool is_expected(const struct worker *w, const struct msg *msg)
{
	if (msg->type == MSG_LOG)
		return true;
	if (w->answer)
		return false; /* the last answer is the last */
	switch (msg->type) {
	case MSG_PROGRESS:
		return is_job(w) && msg->u.progress.job == w->job;
	case MSG_RESULT:
		return is_job(w) && msg->u.result.job == w->job && msg->u.result.attempt == w->attempt;
	case MSG_HOLD:
		return is_job(w) && w->kind == JOB_CREATE && msg->u.hold.job == w->job &&
		       w->freeze.state == FREEZE_NONE;
	case MSG_RELEASE:
		return w->asked && msg->u.release.job == w->job;
	case MSG_PROBED_ITEM:
		return w->type == MSG_PROBE && is_cluster(w, msg->u.probed_item.cluster);
	case MSG_PROBED:
		return w->type == MSG_PROBE && is_cluster(w, msg->u.probed.cluster);
	case MSG_CHECKED_PART:
		return w->type == MSG_CHECK && is_cluster(w, msg->u.checked_part.cluster);
	case MSG_CHECKED:
		return w->type == MSG_CHECK && is_cluster(w, msg->u.checked.cluster);
	case MSG_SERVING:
		return w->type == MSG_SERVE && is_clone(w, msg->u.serving.cluster, msg->u.serving.clone);
	case MSG_SERVED:
		return w->type == MSG_SERVE && is_clone(w, msg->u.served.cluster, msg->u.served.clone);
	case MSG_MEASURED:
		return w->type == MSG_MEASURE && is_cluster(w, msg->u.measured.cluster) &&
		       msg->u.measured.backup == w->backup;
	default:
		return false;
	}
}

static bool is_last(enum msg_type type)
{
	return type == MSG_RESULT || type == MSG_PROBED || type == MSG_CHECKED || type == MSG_MEASURED ||
	       type == MSG_SERVED;
}

static void write_log(const struct worker *w, const struct msg_log *log)
{
	struct log_about about = about_of(w);

	about.clone = log->clone;
	about.request = log->request;
	log_about((enum log_level)log->level, &about, "%s", log->text);
}

static void keep_answer(struct worker *w, const struct msg *msg)
{
	w->answer = malloc(sizeof(*msg));
	if (w->answer)
		*w->answer = *msg;
	else
		kill_worker(w); /* its outcome is unknown then */
}

static void take(struct engine *engine, struct worker *w, struct msg *msg)
{
	if (msg->type == MSG_LOG) {
		write_log(w, &msg->u.log);
	} else if (msg->type == MSG_HOLD) {
		w->asked = true;
		hold_begin(engine, w, &msg->u.hold);
	} else if (msg->type == MSG_RELEASE) {
		hold_release(w);
	} else if (is_last(msg->type)) {
		keep_answer(w, msg);
	} else {
		if (msg->type == MSG_PROGRESS) {
			w->phase = msg->u.progress.phase;
			w->percent = msg->u.progress.percent;
		}
		w->serving |= msg->type == MSG_SERVING;
		if (!w->told)
			pass_on(engine, w, msg);
	}
}

static void close_link(struct worker *w)
{
	hold_end(w, ERR_CLOSED);
	if (w->link >= 0)
		close(w->link);
	w->link = -1;
}

bool worker_is_heard(const struct engine *engine, const struct worker *w)
{
	return w->freeze.state != FREEZE_NONE || !keeper_is_congested(engine);
}

void worker_receive(struct engine *engine, struct worker *w)
{
	struct log_about about = about_of(w);
	struct msg msg;
	int error = 0;

	while (error == 0 && w->link >= 0 && worker_is_heard(engine, w)) {
		error = msg_receive(w->link, MSG_DONTWAIT, &msg);
		if (error == 0 && !is_expected(w, &msg))
			error = ERR_INVALID;
		if (error == 0)
			take(engine, w, &msg);
	}
	if (error == 0 || error == ERR_BUSY)
		return;
	close_link(w);
	if (error == ERR_CLOSED)
		return;
	log_about(LOG_LEVEL_ERROR, &about, "its worker (%d) sent what nobody asked for: killed", (int)w->pid);
	free(w->answer);
	w->answer = NULL;
	kill_worker(w);
}

static void describe_end(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size,
			 "its worker was killed by signal %d; whether it had an effect is not known",
			 WTERMSIG(status));
	else
		snprintf(text, size,
			 "its worker ended with status %d and no answer; whether it had an effect is not "
			 "known",
			 WEXITSTATUS(status));
}

static void finish(struct engine *engine, struct worker *w, int status)
{
	char cause[128];

	/* What it said before it ended is still in the socket; nothing of it may wait for the front now. */
	while (w->link >= 0) {
		struct msg msg;

		if (msg_receive(w->link, MSG_DONTWAIT, &msg) < 0 || !is_expected(w, &msg))
			close_link(w);
		else
			take(engine, w, &msg);
	}
	describe_end(status, cause, sizeof(cause));
	tell(engine, w, ERR_UNKNOWN, cause);
	free(w->answer);
	free(w);
}

void worker_reap_all(struct engine *engine)
{
	struct worker **at = &engine->workers;

	while (*at) {
		struct worker *w = *at;
		int status;

		if (waitpid(w->pid, &status, WNOHANG) != w->pid) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		finish(engine, w, status);
	}
}

void worker_check_deadlines(struct engine *engine, int64_t now_ms)
{
	for (struct worker *w = engine->workers; w; w = w->next) {
		if (w->killed || w->deadline_ms > now_ms)
			continue;
		kill_worker(w);
		tell(engine, w, ERR_TIMEOUT,
		     "it took longer than allowed (jobs.timeout) and was ended; whether it had an "
		     "effect is not known");
	}
}

int64_t worker_next_deadline(const struct engine *engine)
{
	int64_t next = INT64_MAX;

	for (const struct worker *w = engine->workers; w; w = w->next) {
		if (!w->killed && w->deadline_ms < next)
			next = w->deadline_ms;
	}
	return next;
}

void worker_kill_all(struct engine *engine)
{
	for (struct worker *w = engine->workers; w; w = w->next)
		kill_worker(w);
}

struct worker *worker_find_job(struct engine *engine, uint64_t job)
{
	for (struct worker *w = engine->workers; w; w = w->next) {
		if (is_job(w) && w->job == job)
			return w;
	}
	return NULL;
}

struct worker *worker_find_server(struct engine *engine, const char *cluster, const char *clone)
{
	for (struct worker *w = engine->workers; w; w = w->next) {
		if (w->type == MSG_SERVE && is_clone(w, cluster, clone))
			return w;
	}
	return NULL;
}

unsigned worker_count_servers(const struct engine *engine)
{
	unsigned count = 0;

	for (const struct worker *w = engine->workers; w; w = w->next)
		count += w->type == MSG_SERVE;
	return count;
}

void worker_end_server(struct worker *w)
{
	struct msg msg = {.type = MSG_CANCEL};

	if (w->link >= 0)
		msg_send(w->link, &msg);
}

void worker_end_servers(struct engine *engine)
{
	for (struct worker *w = engine->workers; w; w = w->next) {
		if (w->type == MSG_SERVE)
			worker_end_server(w);
	}
}

unsigned worker_count_living(const struct engine *engine)
{
	unsigned count = 0;

	for (const struct worker *w = engine->workers; w; w = w->next)
		count += !w->killed;
	return count;
}

unsigned worker_count_jobs(const struct engine *engine)
{
	unsigned count = 0;

	for (const struct worker *w = engine->workers; w; w = w->next)
		count += is_job(w) && !w->told;
	return count;
}

bool worker_touches_source(const struct engine *engine, const char *cluster)
{
	for (const struct worker *w = engine->workers; w; w = w->next) {
		if (is_job(w) && (w->kind == JOB_CREATE || w->kind == JOB_RESTORE) && is_cluster(w, cluster))
			return true;
	}
	return false;
}

bool worker_has_job(const struct engine *engine, const char *cluster)
{
	for (const struct worker *w = engine->workers; w; w = w->next) {
		if (is_job(w) && is_cluster(w, cluster))
			return true;
	}
	return false;
}
