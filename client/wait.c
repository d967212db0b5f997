/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Polls with growing pauses. Signals are blocked and taken in the pause, so
 * that an interrupted wait can put the terminal right and say that the job
 * itself goes on.
 */
#include "client/wait.h"

#include "client/call.h"
#include "client/field.h"
#include "client/progress.h"
#include "client/rpc.h"
#include "client/text.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	/* Grown by an eighth each time, a pause is about an eighth of the time waited so far: what the answer is late by. */
	PAUSE_FIRST_US = 1000,
	PAUSE_LAST_US = 500 * 1000,
	PAUSE_GROWTH = 8,
	CALL_TIMEOUT_MS = 10000,
	PAGE_SIZE = 100,
	AWAY_MS = 30000 /* a new front alone may wait 10 s for the lock of its store */
};

struct watch {
	struct client *client;
	const struct wait_target *target;
	struct progress progress;
	sigset_t signals, signals_before;
	int64_t until_ms;    /* negative: no end */
	int64_t answered_ms; /* the last time that somebody answered */
	int64_t pause_us;
	json_t *job; /* as last seen */
	char *told;  /* the last error that was told, or NULL */
};

static const char *job_id(const struct watch *watch)
{
	return watch->target->job ? watch->target->job : watch->job ? field_str(watch->job, "JobId") : NULL;
}

static bool is_target(const struct wait_target *target, const json_t *job)
{
	return strcmp(field_str(job, "Kind"), target->kind) == 0 &&
	       (!target->backup || strcmp(field_str(job, "BackupId"), target->backup) == 0) &&
	       (!target->clone || strcmp(field_str(job, "CloneName"), target->clone) == 0);
}

/* The job in a list that has the newest first; borrowed. */
static json_t *pick_job(const struct watch *watch, const json_t *answer)
{
	json_t *job;
	size_t i;

	if (job_id(watch))
		return field_item(answer, "Job");
	json_array_foreach(field_items(answer, "Job"), i, job) {
		if (is_target(watch->target, job))
			return job;
	}
	return NULL;
}

static bool has_ended(const json_t *job)
{
	const char *state = field_str(job, "State");

	return strcmp(state, "Done") == 0 || strcmp(state, "Failed") == 0 || strcmp(state, "Cancelled") == 0;
}

/* A poll may take long, but not longer than --timeout. */
static void bound_call(const struct watch *watch)
{
	int64_t left = watch->until_ms - clock_running_ms();

	if (watch->until_ms < 0 || left > CALL_TIMEOUT_MS)
		left = CALL_TIMEOUT_MS;
	rpc_set_timeout(watch->client->rpc, left > 0 ? left : 1);
}

/* The job alone, or a page of its cluster's. */
static int ask(struct watch *watch, int page, struct answer *answer)
{
	scope_free char *size = text_format("%d", PAGE_SIZE), *number = text_format("%d", page);

	bound_call(watch);
	if (job_id(watch))
		return rpc_call(watch->client->rpc, "DescribeJobs", RPC_PARAMS({"JobId", job_id(watch)}),
				RPC_REPEATABLE, answer);
	return rpc_call(watch->client->rpc, "DescribeJobs",
			RPC_PARAMS({"DBClusterId", watch->target->cluster}, {"PageSize", size},
				   {"PageNumber", number}),
			RPC_REPEATABLE, answer);
}

/* 0: look again. 1: ended. Otherwise a negative error of rpc_call, or ERR_NOT_FOUND. */
static int look(struct watch *watch, struct answer *answer)
{
	int r = ask(watch, 1, answer);
	json_t *job = r < 0 ? NULL : pick_job(watch, answer->json);

	/* Of a delete of many, the first page holds the last jobs. */
	for (int page = 2; r == 0 && !job && json_array_size(field_items(answer->json, "Job")) == PAGE_SIZE; page++) {
		answer_clear(answer);
		r = ask(watch, page, answer);
		job = r < 0 ? NULL : pick_job(watch, answer->json);
	}
	if (r < 0)
		return r;
	if (!job)
		return ERR_NOT_FOUND;
	json_incref(job);
	json_decref(watch->job);
	watch->job = job;
	return has_ended(job) ? 1 : 0;
}

/* The job goes on without us: say so, then end as the signal wants it. */
static void end_by_signal(struct watch *watch, int number)
{
	progress_end(&watch->progress);
	if (job_id(watch))
		text_complain(
			"no longer waiting; the job goes on: 'dbsnap job show %s', 'dbsnap job cancel %s'",
			job_id(watch), job_id(watch));
	signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, &watch->signals_before, NULL);
	raise(number);
}

/* False when --timeout passed. */
static bool pause_between(struct watch *watch, int64_t at_least_ms)
{
	int64_t now = clock_running_ms();
	int64_t pause = watch->pause_us > at_least_ms * 1000 ? watch->pause_us : at_least_ms * 1000;
	struct timespec time;
	int number;

	if (watch->until_ms >= 0 && now >= watch->until_ms)
		return false;
	if (watch->until_ms >= 0 && now * 1000 + pause > watch->until_ms * 1000)
		pause = (watch->until_ms - now) * 1000;
	time = (struct timespec){pause / 1000000, pause % 1000000 * 1000};
	number = sigtimedwait(&watch->signals, NULL, &time);
	if (number > 0)
		end_by_signal(watch, number);
	watch->pause_us += watch->pause_us / PAUSE_GROWTH;
	if (watch->pause_us > PAUSE_LAST_US)
		watch->pause_us = PAUSE_LAST_US;
	return true;
}

/* A failed attempt that is repeated: who waits for it wants to know why it takes so long. */
static void tell_retry(struct watch *watch)
{
	const char *cause = field_str(watch->job, "Cause");

	if (has_ended(watch->job) || !cause[0] || (watch->told && strcmp(watch->told, cause) == 0))
		return;
	free(watch->told);
	watch->told = text_format("%s", cause);
	progress_end(&watch->progress);
	text_complain("job %s is tried again after an error: %s", field_str(watch->job, "JobId"), cause);
}

static int explain_gave_up(struct watch *watch)
{
	int64_t ms = watch->client->options.timeout_ms;
	scope_free char *spent =
		ms < CLOCK_MS_PER_S ? text_format("%d ms", (int)ms) : text_span(ms / CLOCK_MS_PER_S);

	progress_end(&watch->progress);
	text_complain("gave up waiting after %s: job %s is %s%s%s; it goes on", spent,
		      job_id(watch) ? job_id(watch) : "(not seen)",
		      watch->job ? field_str(watch->job, "State") : "unknown",
		      field_str(watch->job, "Cause")[0] ? ", last error: " : "",
		      field_str(watch->job, "Cause"));
	if (job_id(watch))
		text_advise("'dbsnap job show %s' shows it, 'dbsnap job cancel %s' ends it", job_id(watch),
			    job_id(watch));
	return STATUS_GAVE_UP;
}

static int explain_lost(struct watch *watch)
{
	progress_end(&watch->progress);
	if (job_id(watch))
		text_complain("dbsnapd knows no job %s", job_id(watch));
	else
		text_complain("accepted, but dbsnapd lists no such job of %s", watch->target->cluster);
	text_advise("'dbsnap job list' shows the jobs");
	return STATUS_REFUSED;
}

/* Whether the failure of one look is worth another. */
static bool is_passing(struct watch *watch, int error, const struct answer *answer)
{
	int64_t now = clock_running_ms();

	if (error == ERR_DENIED) {
		watch->answered_ms = answer_is_passing(answer) ? watch->answered_ms : now;
		return answer_is_passing(answer) && now - watch->answered_ms < AWAY_MS;
	}
	if (error != ERR_OFFLINE && error != ERR_CLOSED && error != ERR_TIMEOUT)
		return false;
	progress_show_away(&watch->progress);
	return now - watch->answered_ms < AWAY_MS;
}

static int follow(struct watch *watch)
{
	for (;;) {
		struct answer answer = {0};
		int r = look(watch, &answer);
		int64_t retry_after = answer.retry_after_ms;
		bool again = r == 0 || (r < 0 && is_passing(watch, r, &answer));

		if (r >= 0) {
			watch->answered_ms = clock_running_ms();
			tell_retry(watch);
			progress_show(&watch->progress, watch->job);
		}
		if (!again) {
			int status = 0;

			progress_end(&watch->progress);
			if (r == ERR_DENIED)
				status = call_explain_refusal(watch->client, &answer, RPC_NO_PARAMS);
			else if (r == ERR_NOT_FOUND)
				status = explain_lost(watch);
			else if (r < 0)
				status = call_explain_silence(watch->client, r);
			answer_clear(&answer);
			return status;
		}
		answer_clear(&answer);
		if (!pause_between(watch, retry_after))
			return explain_gave_up(watch);
	}
}

int wait_job(struct client *client, const struct wait_target *target, json_t **ret_job)
{
	int64_t now = clock_running_ms();
	struct watch watch = {
		.client = client, .target = target, .answered_ms = now, .pause_us = PAUSE_FIRST_US};
	int r;

	watch.until_ms = client->options.timeout_ms < 0 ? -1 : now + client->options.timeout_ms;
	sigemptyset(&watch.signals);
	sigaddset(&watch.signals, SIGINT);
	sigaddset(&watch.signals, SIGTERM);
	sigaddset(&watch.signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &watch.signals, &watch.signals_before);
	progress_begin(&watch.progress);
	r = follow(&watch);
	sigprocmask(SIG_SETMASK, &watch.signals_before, NULL);
	rpc_set_timeout(client->rpc, RPC_TIMEOUT_MS);
	free(watch.told);
	*ret_job = watch.job;
	return r;
}

bool wait_job_succeeded(const json_t *job)
{
	return strcmp(field_str(job, "State"), "Done") == 0;
}

int wait_explain_failure(const json_t *job, const char *what)
{
	const char *cause = field_str(job, "Cause"), *remedy = field_str(job, "Remedy");

	if (strcmp(field_str(job, "State"), "Cancelled") == 0)
		text_complain("%s was cancelled%s%s", what, cause[0] ? ": " : "", cause);
	else
		text_complain("%s failed: %s", what, cause[0] ? cause : "dbsnapd gives no cause");
	if (remedy[0])
		text_advise("%s", remedy);
	return STATUS_REFUSED;
}
