/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DescribeBackupPolicy, and the policy as an answer shows it. */
#include "daemon/front/op_policy.h"

#include "common/clock.h"
#include "common/scope.h"
#include "daemon/front/op.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched_auto.h"
#include "daemon/front/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAN_SHOWN = 1000, REASON_SIZE = 160 };

const char *const op_policy_days[7] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

const struct param_word op_policy_frequencies[] = {
	{"Normal", SCHEDULE_DAILY}, {"2/24H", 2}, {"3/24H", 3}, {"4/24H", 4}, {NULL, 0}};

const struct param_word op_policy_removals[] = {
	{"ALL", SCHEDULE_REMOVAL_ALL}, {"LATEST", SCHEDULE_REMOVAL_LATEST}, {"NONE", SCHEDULE_REMOVAL_NONE}, {NULL, 0}};

static const char *word_of(const struct param_word *words, unsigned value)
{
	while (words->word && words->value != value)
		words++;
	return words->word;
}

/* ---- the policy itself ---- */

static void put_days(json_t *answer, const char *name, uint8_t days)
{
	char text[80] = "";
	size_t used = 0;

	for (int i = 0; i < 7; i++) {
		if (days >> i & 1)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "", op_policy_days[i]);
	}
	reply_put(answer, name, text);
}

static void put_policy(json_t *answer, const struct schedule *policy)
{
	const char *frequency = word_of(op_policy_frequencies, policy->every_hours);
	char hour[32], level2[16];

	snprintf(hour, sizeof(hour), "%02u:00Z-%02u:00Z", policy->hour, (policy->hour + 1u) % 24);
	snprintf(level2, sizeof(level2), "%d", policy->level2_days);
	reply_put(answer, "PreferredBackupTime", hour);
	put_days(answer, "PreferredBackupPeriod", policy->days);
	reply_put_new(answer, "BackupRetentionPeriod", json_integer(policy->level1_days));
	reply_put_number(answer, "DataLevel1BackupRetentionPeriod", policy->level1_days);
	reply_put(answer, "DataLevel2BackupRetentionPeriod", level2);
	reply_put(answer, "BackupFrequency", frequency);
	reply_put(answer, "BackupRetentionPolicyOnClusterDeletion", word_of(op_policy_removals, policy->on_removal));
	reply_put(answer, "DataLevel1BackupTime", hour);
	put_days(answer, "DataLevel1BackupPeriod", policy->days);
	reply_put(answer, "DataLevel1BackupFrequency", frequency);
	reply_put(answer, "BackupPolicyLevel", "Normal");
	reply_put(answer, "AdvancedPolicyOption", "notSupport");
}

static void put_minute(json_t *object, const char *name, int64_t wall_ms)
{
	char text[18];

	if (wall_ms == 0)
		return;
	clock_format_minute(wall_ms, text);
	reply_put(object, name, text);
}

/* ---- what became of the last one ---- */

static const char *result_of(const struct record_job *job)
{
	switch (job->state) {
	case JOB_OPEN:
		return "Running";
	case JOB_DONE:
		return "Success";
	case JOB_FAILED:
		return "Failed";
	default:
		return "Cancelled";
	}
}

static void put_last(const struct call *call, json_t *extra, const struct sched_auto_view *view)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_job job;

	if (view->create)
		reply_put_number(extra, "LastBackup", view->create);
	if (view->cause) {
		reply_put(extra, "LastResult", "Refused");
		reply_put(extra, "Cause", view->cause);
		reply_put(extra, "Remedy", view->remedy);
		return;
	}
	if (!view->create || store_read(call->front->store, &txn) < 0 ||
	    store_job_get(txn, call->cluster, view->create, &job) < 0)
		return; /* its history has been forgotten */
	reply_put(extra, "LastResult", result_of(&job));
	if (job.state == JOB_DONE)
		return;
	reply_put(extra, "Cause", job.failure.cause);
	reply_put(extra, "Remedy", job.failure.remedy);
}

static void put_pause(json_t *extra, const struct sched_auto_view *view)
{
	char text[REASON_SIZE];

	if (!view->paused_ms)
		return;
	snprintf(text, sizeof(text),
		 "The clock has gone ahead by %lld hours: nothing is removed by age for another %lld minutes, or until it is back.",
		 (long long)(view->ahead_ms / SCHEDULE_HOUR_MS),
		 (long long)((view->paused_ms + SCHEDULE_MINUTE_MS - 1) / SCHEDULE_MINUTE_MS));
	reply_put(extra, "ExpiryPaused", text);
}

/* ---- the plan ---- */

static void write_create(const struct schedule_event *event, const struct schedule *policy, char reason[static REASON_SIZE])
{
	char slot[18], every[32] = "daily";

	clock_format_minute(event->slot_ms, slot);
	if (policy->every_hours != SCHEDULE_DAILY)
		snprintf(every, sizeof(every), "every %u hours", policy->every_hours);
	else if (policy->days != SCHEDULE_ALL_DAYS)
		snprintf(every, sizeof(every), "on its days");
	if (event->late)
		snprintf(reason, REASON_SIZE, "the backup of %s is owed: it was missed, refused or failed", slot);
	else
		snprintf(reason, REASON_SIZE, "%s: a minute of the hour from %s", every, slot);
}

static void write_removal(const struct schedule_event *event, const struct schedule *policy, const struct sched_auto_view *view,
			  int64_t now_ms, char reason[static REASON_SIZE])
{
	int64_t old_ms = schedule_expires(policy, true, event->made_ms);
	const char *more = "";
	char made[18];

	clock_format_minute(event->made_ms, made);
	if (view->paused_ms && event->at_ms == now_ms + view->paused_ms)
		more = "; not before the clock is trusted again";
	else if (event->at_ms > now_ms && event->at_ms > old_ms)
		more = "; the newest good one stays until there is a newer one";
	else if (event->read)
		more = "; not before the job that reads it has ended";
	snprintf(reason, REASON_SIZE, "of %s, kept for %d days (%s)%s", made, schedule_kept_days(policy),
		 policy->level2_days ? "level 2" : "level 1", more);
}

static json_t *present_event(const struct sched_auto_event *event, const struct schedule *policy,
			     const struct sched_auto_view *view, int64_t now_ms)
{
	const struct schedule_event *e = &event->event;
	json_t *object = json_object();
	char reason[REASON_SIZE];

	put_minute(object, "Time", e->at_ms);
	reply_put(object, "Action", e->create ? "Create" : "Remove");
	if (e->backup)
		reply_put_number(object, "BackupId", e->backup);
	if (e->create)
		write_create(e, policy, reason);
	else
		write_removal(e, policy, view, now_ms, reason);
	reply_put(object, "Reason", reason);
	if (event->sooner)
		reply_put_bool(object, "Sooner", true);
	return object;
}

static int put_plan(const struct call *call, json_t *extra, const struct schedule *policy, const struct sched_auto_view *view)
{
	scope_free struct sched_auto_event *events = NULL;
	json_t *plan = json_array();
	size_t count = 0, sooner = 0;
	int64_t now_ms = clock_wall_ms();
	int r = sched_auto_plan(call->front->sched, call->cluster, policy, &events, &count);

	for (size_t i = 0; i < count; i++) {
		sooner += events[i].sooner;
		if (i < PLAN_SHOWN)
			json_array_append_new(plan, present_event(&events[i], policy, view, now_ms));
	}
	reply_put_new(extra, "Plan", plan);
	reply_put_number(extra, "PlanTotal", count);
	reply_put_number(extra, "SoonerTotal", sooner);
	return r;
}

void op_policy_reply(struct call *call, const struct schedule *policy, bool dry_run)
{
	json_t *answer = reply_begin(call), *extra = json_object();
	struct sched_auto_view view;
	int r = 0;

	sched_auto_view(call->front->sched, call->cluster, &view);
	put_policy(answer, policy);
	reply_put_bool(extra, "Enabled", policy->enabled);
	if (dry_run)
		reply_put_bool(extra, "DryRun", true);
	put_last(call, extra, &view);
	if (policy->enabled)
		r = put_plan(call, extra, policy, &view);
	if (!dry_run) {
		put_minute(answer, "PreferredNextBackupTime",
			   view.retry_ms && view.retry_ms < view.next_ms ? view.retry_ms : view.next_ms);
		reply_put_time(extra, "NextRetry", view.retry_ms);
	}
	if (policy->enabled)
		put_pause(extra, &view);
	reply_put_new(answer, "Dbsnap", extra);
	if (r == 0) {
		reply_send(call, answer);
		return;
	}
	json_decref(answer);
	reply_store_error(call, r);
}

void op_describe_backup_policy(struct call *call)
{
	struct schedule policy = sched_auto_policy(call->front->sched, call->cluster);

	op_policy_reply(call, &policy, false);
}
