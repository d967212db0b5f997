/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verification: on a throw-away clone, never on the backup. Its paper says from before it begins until after it is
 * gone whose it is, so that whoever finds it later removes it. What could not be carried out is FAILED and says nothing about
 * the backup; a clone that cannot be made startable because of what is in it says that the backup is bad.
 */
#include "daemon/engine/step.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/clone_make.h"
#include "daemon/engine/db.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is left of the job's time for removing the clone. */
enum { CLEANING_MS_MAX = 30000, CLEANING_SHARE = 5 };

/* An earlier attempt's is removed. */
static int settle_earlier(struct clone *c)
{
	struct clone_look look;
	int error = clones_look(c->job, c->fd, c->job->order.clone, &c->job->order.nonce, &look, c->why);

	if (error < 0)
		return error;
	if (look.has_whole || (look.paper == PAPER_NONE && look.has_making) || look.paper == PAPER_OTHER)
		return reason_set(c->why, ERR_EXISTS, "look at what lies there", "%s/clones/%s is there and is not this job's",
				  c->place.path, look.has_whole ? c->names.whole : c->names.making);
	return look.paper == PAPER_OURS ? clone_remove_making(c, c->why) : 0;
}

/* Of a clone that could not be made startable: does it say that the backup is damaged? */
static bool is_damage(int code)
{
	switch (code) {
	case ERR_CORRUPT:
	case ERR_NOT_FOUND:
	case ERR_STATE:
	case ERR_MISMATCH:
	case ERR_VERSION:
	case ERR_TOO_LONG:
	case ERR_LAYOUT:
		return true;
	default:
		return false;
	}
}

static void find_bad(const struct reason *why, struct db_verified *verified)
{
	snprintf(verified->checked, sizeof(verified->checked), "a clone was made of it");
	snprintf(verified->found, sizeof(verified->found), "the clone cannot be made startable: %.900s", why->cause);
}

static int look(struct clone *c, struct db_verified *verified)
{
	const struct db_ops *db = db_find(c->manifest.database);
	int fd, error = clone_make_startable(c, db->verify_path);

	if (is_damage(error)) {
		find_bad(c->why, verified);
		return 0;
	}
	if (error == 0)
		error = job_check_cancelled(c->job, c->why);
	if (error < 0)
		return error;
	fd = place_open_dir(c->fd, c->names.making, c->why);
	if (fd < 0)
		return fd;
	error = db->verify(c->job, &c->manifest, fd, verified, c->why);
	close(fd);
	return error;
}

static int make_and_look(struct clone *c, struct db_verified *verified)
{
	int64_t deadline_ms = c->job->deadline_ms;
	int cleaning_ms = job_time_left_ms(c->job, CLEANING_MS_MAX * CLEANING_SHARE) / CLEANING_SHARE;
	int error;

	c->job->deadline_ms = deadline_ms ? deadline_ms - cleaning_ms : 0;
	error = clone_make_image(c);
	if (error == 0)
		error = look(c, verified);
	c->job->deadline_ms = deadline_ms;
	if (error == ERR_TIMEOUT)
		return reason_set(c->why, ERR_TIMEOUT, "raise jobs.timeout, or look in the server's place at why it takes so long",
				  "the verification took longer than jobs.timeout allows, and was ended");
	if (error < 0)
		clone_explain(c);
	return error;
}

static void report(const struct db_verified *verified, struct msg_result *result)
{
	result->verdict = verified->good ? VERDICT_GOOD : VERDICT_BAD;
	memcpy(result->checked, verified->checked, sizeof(result->checked));
	memcpy(result->found, verified->found, sizeof(result->found));
}

static enum msg_outcome verify(struct clone *c, struct msg_result *result)
{
	struct log_about about = job_about(c->job);
	struct db_verified verified = {.good = false};
	struct reason second = {0};
	int error = make_and_look(c, &verified);

	job_progress(c->job, PHASE_CHECKING, 95);
	if (c->begun && clone_remove_making(c, &second) < 0) {
		log_about(LOG_LEVEL_WARNING, &about, "the clone that was looked at is not removed yet: %s", second.cause);
		return OUTCOME_UNKNOWN;
	}
	if (error < 0)
		return step_outcome(c->why);
	report(&verified, result);
	return OUTCOME_DONE;
}

static enum msg_outcome run(struct clone *c, struct msg_result *result)
{
	struct reason source = {0};
	int error;

	job_open_source(c->job, &source);
	error = place_open(c->job, PLACE_SHARED, false, &c->place, c->why);
	if (error < 0)
		return step_place_outcome(&c->place);
	job_progress(c->job, PHASE_PREPARING, 5);
	error = clone_find_backup(c);
	if (error == 0 && !db_find(c->manifest.database)->verify)
		error = reason_set(c->why, ERR_UNSUPPORTED, "make a clone, and look at it", "this release cannot verify a backup of %s",
				   c->manifest.database);
	if (error == 0) {
		clone_settle_identity(c);
		c->fd = clones_open(&c->place, true, c->why);
		error = c->fd < 0 ? c->fd : settle_earlier(c);
	}
	return error < 0 ? step_outcome(c->why) : verify(c, result);
}

enum msg_outcome step_verify(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	struct clone *c = clone_begin(job, why);
	enum msg_outcome outcome = OUTCOME_FAILED;

	if (c) {
		outcome = run(c, result);
		clone_end(c, result);
	}
	return outcome;
}
