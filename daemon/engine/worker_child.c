/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One job or question, in a process of its own. */
#include "daemon/engine/worker_child.h"

#include "common/err.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/sandbox.h"
#include "daemon/engine/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Lines go the same way as answers, so their order is kept. */
static void send_line(void *arg, enum log_level level, const struct log_about *about, const char *text)
{
	const struct worker_job *job = arg;
	struct msg msg = {.type = MSG_LOG};
	struct msg_log *log = &msg.u.log;

	log->level = (uint8_t)level;
	snprintf(log->cluster, sizeof(log->cluster), "%s", job->order.cluster);
	log->backup = job->order.backup;
	log->job = job->order.job;
	snprintf(log->request, sizeof(log->request), "%s", job->order.request);
	snprintf(log->clone, sizeof(log->clone), "%s", about && about->clone ? about->clone : job->order.clone);
	snprintf(log->text, sizeof(log->text), "%s", text);
	step_send(job, &msg);
}

static void fill_order(struct msg_job *order, const struct msg *question)
{
	switch (question->type) {
	case MSG_JOB:
		*order = question->u.job;
		break;
	case MSG_PROBE:
		memcpy(order->cluster, question->u.probe.cluster, sizeof(order->cluster));
		break;
	case MSG_CHECK:
		memcpy(order->cluster, question->u.check.cluster, sizeof(order->cluster));
		order->known_size = question->u.check.needed;
		order->backup = question->u.check.backup;
		order->source = question->u.check.nonce;
		break;
	case MSG_SERVE:
		memcpy(order->cluster, question->u.serve.cluster, sizeof(order->cluster));
		memcpy(order->clone, question->u.serve.clone, sizeof(order->clone));
		order->backup = question->u.serve.backup;
		order->nonce = question->u.serve.nonce;
		break;
	default:
		memcpy(order->cluster, question->u.measure.cluster, sizeof(order->cluster));
		order->backup = question->u.measure.backup;
		order->nonce = question->u.measure.nonce;
	}
}

static void run_job(struct worker_job *job)
{
	static step_fn *const steps[JOB_KIND_MAX + 1] = {
		[JOB_CREATE] = step_create,
		[JOB_DELETE] = step_delete,
		[JOB_CLONE] = step_clone,
		[JOB_DELETE_CLONE] = step_delete_clone,
		[JOB_RESTORE] = step_restore,
		[JOB_DELETE_QUARANTINED] = step_delete_quarantined,
		[JOB_VERIFY] = step_verify,
	};
	struct msg msg = {.type = MSG_RESULT};
	struct msg_result *result = &msg.u.result;
	struct reason why = {0};

	result->job = job->order.job;
	result->attempt = job->order.attempt;
	result->outcome = (uint8_t)steps[job->order.kind](job, result, &why);
	if (result->outcome != OUTCOME_DONE) {
		result->code = why.code;
		result->retry = why.retry;
		memcpy(result->cause, why.cause, sizeof(result->cause));
		memcpy(result->remedy, why.remedy, sizeof(result->remedy));
	}
	step_send(job, &msg);
}

static void run(struct worker_job *job, const struct msg *question)
{
	switch (question->type) {
	case MSG_JOB:
		run_job(job);
		break;
	case MSG_PROBE:
		step_probe(job, question->u.probe.exclusive);
		break;
	case MSG_CHECK:
		if (question->u.check.depth == DEPTH_RESTORE)
			step_plan(job);
		else
			step_check(job, (enum msg_depth)question->u.check.depth, question->u.check.survey);
		break;
	case MSG_SERVE:
		step_serve(job, question->u.serve.ttl_ms);
		break;
	default:
		step_measure(job);
	}
}

_Noreturn void worker_child_run(const struct engine *engine, const struct msg *question, int link, pid_t parent,
				int64_t deadline_ms)
{
	struct worker_job *job = calloc(1, sizeof(*job));
	enum msg_job_kind kind = question->type == MSG_JOB ? (enum msg_job_kind)question->u.job.kind : 0;

	/* Whoever looks into what it will be, or starts, finds no secret of clients. */
	conf_forget_keys(engine->conf);
	/* A session of its own: the terminal's ^C is for the engine, which lets jobs finish, and no server gets to type there. */
	if (!job || chdir("/") < 0 || setsid() < 0)
		_exit(1);
	job->link = link;
	job->pid = getpid();
	job->data_fd = job->lock_fd = -1;
	fill_order(&job->order, question);
	log_set_sink(send_line, job);
	if (sandbox_worker(question->type, kind) < 0)
		_exit(1);
	/* After the last change of identity, which would clear it. */
	proc_die_with(parent);
	job->cluster = engine_find_cluster(engine, job->order.cluster);
	job->retired = !conf_find_cluster(engine->conf, job->order.cluster);
	job->libexec_dir = engine->libexec_dir;
	job->state_dir = engine->conf->state_dir;
	job->copies_dir = engine->conf->copies_dir;
	job->install = engine->install;
	job->records = records_of(engine, job->order.cluster);
	job->as_root = engine->as_root;
	job->deadline_ms = deadline_ms == INT64_MAX ? 0 : deadline_ms;
	run(job, question);
	_exit(0);
}
