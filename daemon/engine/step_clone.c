/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A clone is made under its dot-name and gets its own name when it can be
 * started; its going is the same way back. The paper says which job's it is, so both can be repeated.
 */
#include "daemon/engine/step.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/clone_make.h"
#include "daemon/engine/remnant.h"
#include "daemon/engine/snap.h"

#include <stdio.h>
#include <string.h>

static int refuse_name(struct clone *c)
{
	return reason_set(c->why, ERR_EXISTS, "choose another name, or look at what lies there",
			  "%s/clones/%s is there and is not this job's", c->place.path, c->names.whole);
}

/* 1: an earlier attempt made it; 0: nothing is in the way; or a code. */
static int settle_earlier(struct clone *c)
{
	struct clone_look look;
	int error = clones_look(c->job, c->fd, c->job->order.clone, &c->job->order.nonce, &look, c->why);

	if (error < 0)
		return error;
	if (look.paper != PAPER_OURS)
		return look.paper == PAPER_OTHER || look.has_whole || look.has_making ? refuse_name(c) : 0;
	c->intent = look.intent;
	if (look.has_whole && !look.intent.made_ms)
		return refuse_name(c);
	if (look.has_whole) {
		/* Its name may be younger than the last commit of the file system. */
		error = place_sync(c->fd, c->why);
		return error < 0 ? error : 1;
	}
	if (look.intent.made_ms && look.has_making) {
		error = place_rename(c->fd, c->names.making, c->names.whole, c->why);
		return error < 0 ? error : 1;
	}
	return clone_remove_making(c, c->why);
}

static int finish(struct clone *c)
{
	char path[MSG_PATH_SIZE];
	int error;

	snprintf(path, sizeof(path), "%.900s/clones/%s", c->place.path, c->names.whole);
	error = clone_make_startable(c, path);
	if (error == 0)
		error = remnant_sync(&c->place, c->why);
	if (error == 0)
		error = job_check_cancelled(c->job, c->why);
	c->intent.made_ms = clock_wall_ms();
	if (error == 0)
		error = clone_write_paper(c);
	return error == 0 ? place_rename(c->fd, c->names.making, c->names.whole, c->why) : error;
}

static int make(struct clone *c)
{
	int error = clone_make_image(c);

	job_progress(c->job, PHASE_CHECKING, 60);
	if (error == 0)
		error = finish(c);
	if (error < 0)
		clone_explain(c);
	return error;
}

static enum msg_outcome undo(struct clone *c)
{
	struct log_about about = job_about(c->job);
	struct reason second = {0};
	struct clone_look look;

	if (!c->begun)
		return step_outcome(c->why);
	if (clones_look(c->job, c->fd, c->job->order.clone, &c->job->order.nonce, &look, &second) == 0 &&
	    !look.has_whole && clone_remove_making(c, &second) == 0)
		return step_outcome(c->why);
	log_about(LOG_LEVEL_WARNING, &about, "what the failed attempt made is not removed yet: %s",
		  second.code ? second.cause : "the clone has its final name");
	return OUTCOME_UNKNOWN;
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
	if (error == 0) {
		clone_settle_identity(c);
		c->fd = clones_open(&c->place, true, c->why);
		error = c->fd < 0 ? c->fd : settle_earlier(c);
	}
	if (error < 0)
		return step_outcome(c->why);
	if (error == 0 && make(c) < 0)
		return undo(c);
	memcpy(result->socket_dir, c->intent.socket_dir, sizeof(result->socket_dir));
	result->port = c->intent.port;
	return OUTCOME_DONE;
}

enum msg_outcome step_clone(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	struct clone *c = clone_begin(job, why);
	enum msg_outcome outcome = OUTCOME_FAILED;

	if (c) {
		outcome = run(c, result);
		clone_end(c, result);
	}
	return outcome;
}

/* Back to its dot-name, away, then the paper. */
static int remove_clone(struct clone *c)
{
	struct clone_look look;
	scope_close int lock = -1;
	int error;

	c->fd = clones_open(&c->place, false, c->why);
	if (c->fd < 0)
		return c->fd == ERR_NOT_FOUND ? 0 : c->fd;
	error = clones_look(c->job, c->fd, c->job->order.clone, &c->job->order.nonce, &look, c->why);
	if (error < 0)
		return error;
	if (look.paper != PAPER_OURS)
		return look.paper == PAPER_OTHER || look.has_whole || look.has_making ? refuse_name(c) : 0;
	/* Its own name is given to a clone that is whole: what has it before that is somebody else's. */
	if (look.has_whole && !look.intent.made_ms)
		return refuse_name(c);
	c->snap = look.intent.backend[0] ? snap_find(look.intent.backend) : &snap_btrfs;
	if (!c->snap)
		return reason_set(c->why, ERR_UNSUPPORTED, "use the release that made it",
				  "this release cannot delete a clone on %s", look.intent.backend);
	lock = clones_lock(c->fd, c->job->order.clone, c->why);
	if (lock < 0)
		return lock;
	if (look.has_making)
		error = c->snap->destroy(c->job, c->fd, c->names.making, c->why);
	if (error == 0 && look.has_whole)
		error = place_rename(c->fd, c->names.whole, c->names.making, c->why);
	job_progress(c->job, PHASE_CUTTING, 50);
	return error == 0 ? clone_remove_making(c, c->why) : error;
}

enum msg_outcome step_delete_clone(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	struct clone *c = clone_begin(job, why);
	enum msg_outcome outcome = OUTCOME_FAILED;
	struct reason source = {0};
	int error;

	if (!c)
		return outcome;
	job_open_source(job, &source);
	error = place_open(job, PLACE_SHARED, false, &c->place, why);
	if (error < 0) {
		outcome = step_place_outcome(&c->place);
	} else {
		error = remove_clone(c);
		if (error == 0)
			error = remnant_sync(&c->place, why);
		outcome = error == 0 ? OUTCOME_DONE : step_outcome(why);
	}
	clone_end(c, result);
	return outcome;
}
