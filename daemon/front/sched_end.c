/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How an attempt ended, in one commit: the backup or clone, the job, and a few
 * old records forgotten. Memory follows when the store has it.
 */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/outcome.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUSY_PAUSE_MS = 200,
	BUSY_PAUSE_MAX_MS = 5000,
	ROOM_PAUSE_MS = 1000,
	ROOM_PAUSE_MAX_MS = 60000,
	PURGE_LOOKS = 16 /* records a job's end looks at to forget old ones */
};

/* What an attempt's end means for its job. */
struct ending {
	enum job_state state; /* OPEN: it is tried again */
	int64_t pause_ms;
	struct record_failure failure; /* code 0: it was done */
	struct nonce nonce;            /* of what a removal from the quarantine is about */
};

static int64_t growing(uint32_t times, int64_t first, int64_t most)
{
	int64_t pause = first << (times > 16 ? 16 : times > 0 ? times - 1 : 0);

	return pause > most ? most : pause;
}

/* Ended in the dark, and only another attempt can tell what it left: without end, but with pauses. */
static void end_unsettled(struct record_job *record, struct ending *ending)
{
	if (ending->pause_ms < 0)
		ending->pause_ms = growing(record->failures - JOB_FAILURES_MAX + 1, JOB_PAUSE_SECOND_MS, JOB_PAUSE_REMOVAL_MAX_MS);
}

static void end_failed(const struct sched_job *job, const struct msg_result *result, struct record_job *record,
		       struct ending *ending)
{
	bool removal = job_is_removal(record->kind);

	record->failures++;
	record->cutoffs = 0;
	ending->pause_ms = result->retry || !job_may_fail(record->kind) ? job_pause_after_failure(record->kind, record->failures) : -1;
	ending->state = JOB_OPEN;
	if (result->outcome == OUTCOME_UNKNOWN && job_must_settle(record->kind))
		end_unsettled(record, ending);
	else if (job->cancelled && !removal)
		ending->state = JOB_CANCELLED;
	else if (ending->pause_ms < 0)
		ending->state = JOB_FAILED;
}

static void decide(const struct sched_job *job, const struct msg_result *result, struct record_job *record,
		   struct ending *ending)
{
	*ending = (struct ending){.state = JOB_DONE, .nonce = record->nonce};
	if (result->attempt)
		record->attempts++;
	if (result->outcome == OUTCOME_DONE) {
		record->cutoffs = 0;
		return;
	}
	outcome_failure(&ending->failure, result->code < 0 && result->code >= ERR_LAST ? (int)result->code : ERR_UNKNOWN,
			result->cause[0] ? result->cause : err_text((int)result->code), result->remedy);
	if (result->outcome == OUTCOME_CANCELLED && !job_is_removal(record->kind))
		ending->state = JOB_CANCELLED;
	else
		end_failed(job, result, record, ending);
	if (ending->state == JOB_CANCELLED)
		outcome_failure(&ending->failure, ERR_CANCELLED, "it was cancelled", "");
}

static int end_create(struct sched_job *job, const struct msg_result *result, const struct ending *ending,
		      struct store_txn *txn)
{
	struct cluster *cluster = job->place->cluster;
	struct record_backup backup;
	int r = store_backup_get(txn, cluster->id, job->backup, &backup);

	if (r < 0)
		return r;
	if (ending->state == JOB_DONE) {
		outcome_available(&backup, &result->facts, cluster->size);
		if (result->facts.size_known)
			r = sched_facts_put_size(txn, cluster, result->facts.size, result->facts.ended_ms);
		/* A cluster's facts may not use the last of the room, an end may. */
		return r < 0 && r != ERR_FULL ? r : store_backup_update(txn, &backup);
	}
	memcpy(backup.last_error, ending->failure.cause, sizeof(backup.last_error));
	if (ending->state != JOB_OPEN) {
		backup.state = ending->state == JOB_CANCELLED ? BACKUP_CANCELLED : BACKUP_FAILED;
		backup.ended_ms = clock_wall_ms();
		backup.failure = ending->failure;
	}
	return store_backup_update(txn, &backup);
}

static int end_delete(const struct sched_job *job, const struct ending *ending, struct store_txn *txn)
{
	const char *cluster = job->place->cluster->id;
	struct record_backup backup;
	int r;

	if (ending->state == JOB_DONE)
		return store_backup_deleted(txn, cluster, job->backup, clock_wall_ms());
	r = store_backup_get(txn, cluster, job->backup, &backup);
	if (r < 0)
		return r;
	memcpy(backup.last_error, ending->failure.cause, sizeof(backup.last_error));
	return store_backup_update(txn, &backup);
}

static int end_clone(const struct sched_job *job, const struct msg_result *result, const struct ending *ending,
		     struct store_txn *txn)
{
	struct record_clone clone;
	int r = store_clone_get(txn, job->clone, &clone);

	if (r < 0)
		return r;
	memcpy(clone.last_error, ending->failure.cause, sizeof(clone.last_error));
	if (ending->state != JOB_OPEN) {
		clone.state = ending->state == JOB_DONE ? CLONE_AVAILABLE : CLONE_FAILED;
		clone.ended_ms = clock_wall_ms();
		clone.failure = ending->failure;
	}
	if (ending->state == JOB_DONE) {
		outcome_copy(clone.socket_dir, sizeof(clone.socket_dir), result->socket_dir);
		clone.port = (uint16_t)result->port;
	}
	return store_clone_update(txn, &clone);
}

static int end_delete_clone(const struct sched_job *job, const struct ending *ending, struct store_txn *txn)
{
	struct record_clone clone;
	int r;

	if (ending->state == JOB_DONE)
		return store_clone_deleted(txn, job->clone);
	r = store_clone_get(txn, job->clone, &clone);
	if (r < 0)
		return r;
	memcpy(clone.last_error, ending->failure.cause, sizeof(clone.last_error));
	return store_clone_update(txn, &clone);
}

/* Only one that was carried out says anything about the backup; and what became LOST meanwhile keeps what is known of it. */
static int end_verify(const struct sched_job *job, const struct msg_result *result, const struct ending *ending,
		      const struct record_job *record, struct store_txn *txn)
{
	struct record_verified *verified;
	struct record_backup backup;
	int r;

	if (ending->state != JOB_DONE)
		return 0;
	r = store_backup_get(txn, job->place->cluster->id, job->backup, &backup);
	if (r < 0)
		return r;
	verified = &backup.verified;
	verified->at_ms = clock_wall_ms();
	memcpy(verified->by, record->origin.principal, sizeof(verified->by));
	verified->result = result->verdict == VERDICT_GOOD ? RECORD_VERIFIED_GOOD : RECORD_VERIFIED_BAD;
	outcome_copy(verified->checked, sizeof(verified->checked), result->checked);
	outcome_copy(verified->found, sizeof(verified->found), result->found);
	return store_backup_update(txn, &backup);
}

static int end_subject(struct sched_job *job, const struct msg_result *result, const struct ending *ending,
		       const struct record_job *record, struct store_txn *txn)
{
	switch (job->kind) {
	case JOB_KIND_CREATE:
		return end_create(job, result, ending, txn);
	case JOB_KIND_DELETE:
		return end_delete(job, ending, txn);
	case JOB_KIND_CLONE:
		return end_clone(job, result, ending, txn);
	case JOB_KIND_DELETE_CLONE:
		return end_delete_clone(job, ending, txn);
	case JOB_KIND_VERIFY:
		return end_verify(job, result, ending, record, txn);
	default:
		return 0;
	}
}

/* started_ms is 0 while no attempt is known to have begun. */
static int end_job(const struct sched_job *job, const struct ending *ending, const char *kept, const struct store_now *now,
		   struct record_job *record, struct store_txn *txn)
{
	record->failure = ending->failure;
	record->started_ms = ending->state == JOB_OPEN ? 0 : job->view.started_ms;
	if (ending->state == JOB_OPEN)
		return store_job_update(txn, record);
	record->state = ending->state;
	record->percent = ending->state == JOB_DONE ? 100 : job->view.percent;
	if (job->kind == JOB_KIND_RESTORE && ending->state == JOB_DONE)
		outcome_copy(record->kept, sizeof(record->kept), kept);
	record->bytes = job->view.bytes_done;
	return store_job_finish(txn, record, now);
}

static int purge(struct sched *sched, const struct store_now *now, struct store_txn *txn)
{
	const struct msg_config *conf = &sched->front->conf;
	int r;

	if (store_room(sched->front->store) == STORE_ROOM_END)
		return 0;
	r = store_token_purge(txn, conf->token_ttl_ms, now, PURGE_LOOKS, NULL);
	return r < 0 ? r : store_history_purge(txn, conf->history_ms, now->wall_ms, PURGE_LOOKS, NULL);
}

static int commit_end(struct sched *sched, struct sched_job *job, const struct msg_result *result,
		      struct ending *ending)
{
	struct store_now now = {.wall_ms = clock_wall_ms(), .running_ms = clock_running_ms()};
	scope_store_abort struct store_txn *txn = NULL;
	struct record_job record;
	int r = store_begin(sched->front->store, &txn);

	if (r < 0)
		return r;
	r = store_job_get(txn, job->place->cluster->id, job->id, &record);
	if (r < 0)
		return r;
	decide(job, result, &record, ending);
	r = end_subject(job, result, ending, &record, txn);
	if (r == 0)
		r = end_job(job, ending, result->kept, &now, &record, txn);
	if (r == 0)
		r = purge(sched, &now, txn);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

/* ---- memory after the commit ---- */

static void say(const struct sched_job *job, const struct msg_result *result, const struct ending *ending)
{
	struct log_about about = sched_job_about(job);

	if (ending->state == JOB_DONE && job->kind == JOB_KIND_VERIFY && result->verdict != VERDICT_GOOD)
		log_about(LOG_LEVEL_ERROR, &about, "BAD: the backup is damaged, do not rely on it: %s", result->found);
	else if (ending->state == JOB_DONE)
		log_about(LOG_LEVEL_INFO, &about, "%s done", job_kind_name(job->kind));
	else if (ending->state == JOB_OPEN)
		log_about(LOG_LEVEL_WARNING, &about, "%s: attempt %u failed, again in %lld ms: %s",
			  job_kind_name(job->kind), job->attempt, (long long)ending->pause_ms, ending->failure.cause);
	else
		log_about(LOG_LEVEL_WARNING, &about, "%s %s: %s", job_kind_name(job->kind),
			  job_state_name(ending->state), ending->failure.cause);
}

/* What a create says about its cluster. */
static void learn(struct sched *sched, struct sched_job *job, const struct msg_result *result)
{
	struct cluster *cluster = job->place->cluster;

	if (result->outcome == OUTCOME_DONE) {
		cluster->layout_known = cluster->layout_ok = true;
		if (result->facts.server[0])
			outcome_copy(cluster->server, sizeof(cluster->server), result->facts.server);
		if (result->facts.size_known)
			cluster->size = result->facts.size;
		else
			sched_measure_add(sched, job->place, job->backup);
	} else if (result->code == ERR_LAYOUT || result->code == ERR_UNSUPPORTED) {
		cluster->layout_known = true;
		cluster->layout_ok = false;
		memcpy(cluster->layout_refusal, result->cause, sizeof(cluster->layout_refusal));
		memcpy(cluster->layout_remedy, result->remedy, sizeof(cluster->layout_remedy));
	}
}

static void clean_after(struct sched *sched, struct sched_job *job, const struct nonce *nonce)
{
	struct sched_place *place = job->place;
	struct recover_note note = {.what = RECOVER_CLEAN, .job = job->id};
	bool clone = job->kind == JOB_KIND_CLONE || job->kind == JOB_KIND_VERIFY;

	note.kind = clone ? JOB_KIND_DELETE_CLONE : JOB_KIND_DELETE;
	note.backup = clone ? 0 : job->backup;
	note.nonce = *nonce;
	memcpy(note.clone, job->clone, sizeof(note.clone));
	sched_job_remove(sched, job);
	sched_job_add_clean(sched, place, &note);
}

/* What its attempt left on disk has to go, now that no further one will. */
static bool needs_cleaning(struct sched *sched, const struct sched_job *job, struct nonce *ret_nonce)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_backup backup;
	struct record_clone clone;

	if (!job->partial || job_is_removal(job->kind) || store_read(sched->front->store, &txn) < 0)
		return false;
	if (job->kind == JOB_KIND_CLONE) {
		if (store_clone_get(txn, job->clone, &clone) < 0)
			return false;
		*ret_nonce = clone.nonce;
		return true;
	}
	if (store_backup_get(txn, job->place->cluster->id, job->backup, &backup) < 0)
		return false;
	*ret_nonce = backup.nonce;
	return true;
}

static void remember(struct sched *sched, struct sched_job *job, const struct ending *ending)
{
	struct sched_place *place = job->place;
	struct nonce nonce;

	sched_place_touch(place, job->backup, job->clone);
	if (ending->state == JOB_OPEN) {
		sched_queue_pause(job, clock_running_ms() + ending->pause_ms);
		job->view = (struct sched_view){0};
		return;
	}
	sched_auto_changed(sched);
	sched_verify_changed(sched);
	if (job->kind == JOB_KIND_CLONE)
		sched_serve_changed(sched);
	if (needs_cleaning(sched, job, &nonce))
		clean_after(sched, job, &nonce);
	else
		sched_job_remove(sched, job);
	if (!place->cluster->registered)
		sched_facts_forget(sched, place->cluster);
}

/* No room for it in the store: kept, and tried again. */
static void hold(struct sched_job *job, const struct msg_result *result)
{
	struct log_about about = sched_job_about(job);

	job->result = malloc(sizeof(*job->result));
	if (!job->result)
		front_die("keeping a result", ERR_NOMEM);
	*job->result = *result;
	if (job->state != SCHED_ENDING) {
		sched_queue_move(job, SCHED_ENDING);
		job->refusals = 0;
		log_about(LOG_LEVEL_ERROR, &about, "its end cannot be written, the store has no room: trying again");
	}
	job->refusals++;
	job->due_ms = clock_running_ms() + growing(job->refusals, ROOM_PAUSE_MS, ROOM_PAUSE_MAX_MS);
}

/*
 * Gone for sure, so the list of what lies there need not wait for the next look. Near its end a folder
 * has no papers any more: a look in that moment knew it by its name alone.
 */
static void drop_stranger(const struct sched_job *job, const struct nonce *nonce)
{
	char name[sizeof(".del-") + IDENT_ID_SIZE] = ".del-";

	ident_format_id(job->backup, name + strlen(name));
	cluster_drop_stranger(job->place->cluster, job->kind == JOB_KIND_DELETE_QUARANTINED ? nonce : NULL,
			      job->backup ? name : NULL);
}

static void end_with(struct sched *sched, struct sched_job *job, const struct msg_result *result)
{
	struct ending ending;
	int r = sched_store_result("writing a job's end", commit_end(sched, job, result, &ending));

	if (r < 0) {
		hold(job, result);
		return;
	}
	if (job->kind == JOB_KIND_CREATE)
		learn(sched, job, result);
	/* What lies in data_dir now is another tree. */
	if (job->kind == JOB_KIND_RESTORE && ending.state != JOB_OPEN) {
		job->place->layout_due = true;
		sched_place_look(job->place);
	}
	say(job, result, &ending);
	if (ending.state == JOB_DONE && job_is_removal(job->kind))
		drop_stranger(job, &ending.nonce);
	remember(sched, job, &ending);
}

void sched_end_again(struct sched *sched, struct sched_job *job)
{
	scope_free struct msg_result *result = scope_take_ptr(job->result);

	end_with(sched, job, result);
}

/* A removal without a record: nothing to write. */
static void end_recordless(struct sched *sched, struct sched_job *job, const struct msg_result *result)
{
	struct log_about about = sched_job_about(job);

	sched_place_touch(job->place, job->backup, job->clone);
	if (result->outcome == OUTCOME_DONE || nonce_is_zero(&job->nonce)) { /* no nonce: another front's, it looks again */
		sched_job_remove(sched, job);
		return;
	}
	job->failures++;
	sched_queue_pause(job, clock_running_ms() + job_pause_after_failure(job->kind, job->failures));
	log_about(LOG_LEVEL_WARNING, &about, "a leftover could not be removed yet: %s", result->cause);
}

static void end_busy(struct sched_job *job)
{
	job->refusals++;
	sched_queue_pause(job, clock_running_ms() + growing(job->refusals, BUSY_PAUSE_MS, BUSY_PAUSE_MAX_MS));
	job->view = (struct sched_view){0};
}

static void begin_unknown(struct sched_job *job, int code, const char *cause, const char *remedy)
{
	struct log_about about = sched_job_about(job);

	sched_queue_move(job, SCHED_UNKNOWN);
	job->code = code == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_UNKNOWN;
	free(job->dark);
	/* What the engine says in the place of a worker that has ended holds only until the disk was looked at. */
	job->dark = code == job->code ? NULL : malloc(sizeof(*job->dark));
	if (job->dark)
		outcome_failure(job->dark, job->code, cause, remedy);
	job->view = (struct sched_view){0};
	job->place->settle = true;
	log_about(LOG_LEVEL_WARNING, &about, "its outcome is unknown, looking at the disk first: %s",
		  cause[0] ? cause : err_text(job->code));
	sched_place_look(job->place);
}

/* Does DONE speak of the backup that was asked for? */
static bool is_ours(struct sched *sched, const struct sched_job *job, const struct msg_result *result)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_backup backup;

	if (job->kind != JOB_KIND_CREATE || result->outcome != OUTCOME_DONE)
		return true;
	return store_read(sched->front->store, &txn) == 0 &&
	       store_backup_get(txn, job->place->cluster->id, job->backup, &backup) == 0 &&
	       nonce_equal(&backup.nonce, &result->facts.nonce);
}

void sched_end_take(struct sched *sched, const struct msg_result *result)
{
	struct sched_job *job = sched_job_find(sched, result->job);

	if (!job || !sched_job_in_flight(job) || job->attempt != result->attempt)
		return; /* of a life before this front's, and recovered since */
	sched_facts_space(job->place->cluster, result->free_bytes, result->total_bytes);
	/* A copy takes as much room as its source: what was seen before it says nothing about the next one. */
	if (strcmp(job->place->cluster->backend, "copy") == 0)
		job->place->cluster->space_running_ms = INT64_MIN;
	sched_kick(sched);
	if (result->outcome == OUTCOME_BUSY) {
		end_busy(job);
		if (job->cancelled && !job->whole && !sched_job_needs_settling(job))
			sched_end_cancel(sched, job); /* without room for it in the store, the next attempt's end says so */
		return;
	}
	if (result->outcome == OUTCOME_UNKNOWN) {
		begin_unknown(job, (int)result->code, result->cause, result->remedy);
		return;
	}
	if (!is_ours(sched, job, result)) {
		begin_unknown(job, ERR_MISMATCH, "the engine finished something else", "");
		return;
	}
	job->partial = job->whole = false;
	job->refusals = 0;
	if (job->recordless)
		end_recordless(sched, job, result);
	else
		end_with(sched, job, result);
}

void sched_end_finishable(struct sched_job *job)
{
	job->whole = true;
	if (job->state == SCHED_UNKNOWN)
		end_busy(job);
}

void sched_end_unknown(struct sched *sched, struct sched_job *job)
{
	struct msg_result result = {.job = job->id, .attempt = job->attempt, .outcome = OUTCOME_UNKNOWN, .retry = true,
				    .code = job->code};
	scope_free struct record_failure *dark = scope_take_ptr(job->dark);

	outcome_copy(result.cause, sizeof(result.cause),
		     dark		      ? dark->cause :
		     job->code == ERR_TIMEOUT ? "the attempt took too long and was ended" :
						"the attempt's worker ended without a result");
	if (dark)
		outcome_copy(result.remedy, sizeof(result.remedy), dark->remedy);
	if (job->recordless)
		end_recordless(sched, job, &result);
	else
		end_with(sched, job, &result);
}

int sched_end_cancel(struct sched *sched, struct sched_job *job)
{
	struct msg_result result = {.job = job->id, .outcome = OUTCOME_CANCELLED, .code = ERR_CANCELLED};
	struct ending ending;
	int r = sched_store_result("writing a cancel", commit_end(sched, job, &result, &ending));

	if (r < 0)
		return r;
	say(job, &result, &ending);
	remember(sched, job, &ending);
	sched_kick(sched);
	return 0;
}
