/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verifications without a request (verify.every of a cluster's file): of the newest backup that was never verified, once
 * the last verification is old enough. The jobs in the catalogue say when that was, so nothing else is kept. One at a
 * time on this host, whoever asked for it: each may read a whole database.
 */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include <string.h>

enum { RETRY_MS = 3600000 /* after one that could not be carried out */ };

static int take_job(void *arg, const struct record_job *job)
{
	*(struct record_job *)arg = *job;
	return 1;
}

static int take_unverified(void *arg, const struct record_backup *backup)
{
	if (backup->verified.result != RECORD_UNVERIFIED)
		return 0;
	*(uint64_t *)arg = backup->id;
	return 1;
}

/* 0 when none. */
static int find_unverified(struct store_txn *txn, const char *cluster, uint64_t *ret_backup)
{
	struct store_backup_filter filter = {.cluster = cluster, .groups = BACKUP_GROUP_SUCCESS};
	struct store_page all = {.count = UINT32_MAX};
	int r = store_backup_list(txn, &filter, &all, take_unverified, ret_backup, NULL);

	return r < 0 ? r : 0;
}

/* When the next is due after that one. A clock that was wrong by more than the time between two is not waited for. */
static int64_t due_of(const struct record_job *last, int64_t every_ms, int64_t wall_ms)
{
	int64_t pause = last->state == JOB_FAILED && every_ms > RETRY_MS ? RETRY_MS : every_ms;

	return last->ended_ms - wall_ms > pause ? wall_ms : last->ended_ms + pause;
}

/* What a cluster wants. backup 0: nothing. */
struct want {
	const char *cluster;
	uint64_t backup;
	int64_t due_ms; /* wall time */
};

static int look_at(struct store_txn *txn, const struct cluster *cluster, int64_t wall_ms, struct want *ret_want)
{
	struct store_job_filter filter = {.cluster = cluster->id, .kinds = 1 << JOB_KIND_VERIFY};
	struct store_page first = {.count = 1};
	struct record_job last = {.id = 0};
	struct want want = {.cluster = cluster->id};
	int r = find_unverified(txn, cluster->id, &want.backup);

	if (r == 0)
		r = store_job_list(txn, &filter, &first, take_job, &last, NULL);
	if (r < 0)
		return r;
	if (last.id)
		want.due_ms = due_of(&last, cluster->conf.verify_every_ms, wall_ms);
	*ret_want = want;
	return 0;
}

static bool is_verifying(const struct sched *sched)
{
	for (size_t i = 0; i < sched->job_count; i++) {
		if (sched->jobs[i]->kind == JOB_KIND_VERIFY)
			return true;
	}
	return false;
}

/* The one that has waited longest. */
static int find_next(struct sched *sched, struct store_txn *txn, int64_t wall_ms, struct want *ret_want)
{
	const struct cluster_table *clusters = sched->front->clusters;
	int r = 0;

	for (size_t i = 0; i < cluster_count(clusters) && r == 0; i++) {
		const struct cluster *cluster = cluster_at(clusters, i);
		struct want want = {0};

		if (cluster->registered && cluster->conf.verify_every_ms > 0 && cluster->probed && cluster->place == PLACE_ONLINE)
			r = look_at(txn, cluster, wall_ms, &want);
		if (want.backup && (!ret_want->backup || want.due_ms < ret_want->due_ms))
			*ret_want = want;
	}
	return r;
}

static int read_next(struct sched *sched, int64_t wall_ms, struct want *ret_want)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_read(sched->front->store, &txn);

	return r < 0 ? r : find_next(sched, txn, wall_ms, ret_want);
}

static int accept(struct sched *sched, const struct want *want, struct record_job *job)
{
	scope_store_abort struct store_txn *txn = NULL;
	int r = store_begin(sched->front->store, &txn);

	if (r < 0)
		return r;
	*job = (struct record_job){.backup = want->backup, .accepted_ms = clock_wall_ms()};
	memcpy(job->cluster, want->cluster, strlen(want->cluster) + 1);
	memcpy(job->origin.principal, "schedule", sizeof("schedule"));
	uuid_make(job->origin.request_id);
	r = store_verify_accept(txn, job);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

static void begin(struct sched *sched, const struct want *want)
{
	struct log_about about = {.cluster = want->cluster, .backup = want->backup};
	struct record_job job;

	if (sched_store_result("accepting a verification", accept(sched, want, &job)) < 0) {
		timer_arm(&sched->verify_timer, clock_running_ms() + RETRY_MS);
		return;
	}
	about.job = job.id;
	log_about(LOG_LEVEL_INFO, &about, "verification by schedule");
	sched_kick(sched);
}

void sched_verify_changed(struct sched *sched)
{
	sched->verify_due = true;
	sched_kick(sched);
}

void sched_verify_run(struct sched *sched)
{
	int64_t wall_ms = clock_wall_ms();
	struct want want = {0};

	if (!sched->verify_due || !sched->told || sched->stopping)
		return;
	sched->verify_due = false;
	timer_disarm(&sched->verify_timer);
	/* Its end is a reason to look again. */
	if (is_verifying(sched) || sched_store_result("looking for what to verify", read_next(sched, wall_ms, &want)) < 0 ||
	    !want.backup)
		return;
	if (want.due_ms <= wall_ms)
		begin(sched, &want);
	else
		timer_arm(&sched->verify_timer, clock_running_ms() + want.due_ms - wall_ms);
}

void sched_verify_timer(void *arg)
{
	sched_verify_changed(arg);
}
