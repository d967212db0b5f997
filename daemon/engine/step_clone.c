/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A clone is made under its dot-name and gets its own name when it can be
 * started; its going is the same way back. The paper says which job's it is, so both can be repeated.
 */
#include "daemon/engine/step.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/clones.h"
#include "daemon/engine/db.h"
#include "daemon/engine/remnant.h"
#include "daemon/engine/snap.h"
#include "daemon/engine/space.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct clone {
	struct worker_job *job;
	struct reason *why;
	struct place place;
	struct manifest manifest; /* of the backup */
	struct intent intent;
	struct clone_names names;
	const struct snap_ops *snap;
	int fd; /* of clones/; -1 */
	bool begun;
};

static int refuse_name(struct clone *c)
{
	return reason_set(c->why, ERR_EXISTS, "choose another name, or look at what lies there",
			  "%s/clones/%s is there and is not this job's", c->place.path, c->names.whole);
}

static int write_paper(struct clone *c)
{
	scope_free char *text = intent_encode(&c->intent);

	if (!text)
		return reason_set_retry(c->why, ERR_NOMEM, NULL, "out of memory");
	return place_write_file(c->fd, c->names.paper, text, c->why);
}

/* The half or whole clone under its dot-name, then the paper. */
static int remove_making(struct clone *c, struct reason *why)
{
	int error = c->snap->destroy(c->job, c->fd, c->names.making, why);

	if (error == 0)
		error = remnant_sync(&c->place, why);
	if (error == 0 && unlinkat(c->fd, c->names.paper, 0) < 0 && errno != ENOENT)
		error = reason_set_errno(why, errno, "cannot remove %s", c->names.paper);
	return error == 0 ? place_sync(c->fd, why) : error;
}

static int find_backup(struct clone *c)
{
	const struct msg_job *order = &c->job->order;
	char name[PLACE_ID_SIZE];
	struct place_look look;
	int error;

	place_name(PLACE_WHOLE, order->backup, name);
	error = place_look_at(c->job, &c->place, name, &order->source, &look, &c->manifest, c->why);
	if (error < 0)
		return error;
	if (look.thing != THING_OURS || !look.has_manifest)
		return reason_set(c->why, ERR_NOT_FOUND, NULL, "backup %s is not in %s", name, c->place.path);
	c->snap = snap_find(c->manifest.facts.backend);
	if (!c->snap || !db_find(c->manifest.database))
		return reason_set(c->why, ERR_UNSUPPORTED, "use the release that made it",
				  "this release cannot clone a backup of %s on %s", c->manifest.database,
				  c->manifest.facts.backend);
	return 0;
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
	return remove_making(c, c->why);
}

static void fill_intent(struct clone *c)
{
	const struct msg_job *order = &c->job->order;

	c->intent = (struct intent){
		.install = c->job->install, .backup = order->backup, .nonce = order->nonce, .job = order->job,
		.attempt = order->attempt, .source = order->source,
	};
	memcpy(c->intent.cluster, order->cluster, sizeof(c->intent.cluster));
	memcpy(c->intent.clone, order->clone, sizeof(c->intent.clone));
	snprintf(c->intent.backend, sizeof(c->intent.backend), "%s", c->snap->name);
}

static int copy_image(struct clone *c)
{
	char name[PLACE_ID_SIZE];
	scope_close int backup_fd = -1;
	struct snap_identity identity;
	int error;

	place_name(PLACE_WHOLE, c->job->order.backup, name);
	backup_fd = place_open_dir(c->place.fd, name, c->why);
	if (backup_fd < 0)
		return backup_fd;
	error = c->snap->clone(c->job, backup_fd, c->fd, c->names.making, &identity, c->why);
	if (error == 0)
		memcpy(c->intent.subvolume_uuid, identity.uuid, sizeof(c->intent.subvolume_uuid));
	return error;
}

static int make_startable(struct clone *c)
{
	const struct db_ops *db = db_find(c->manifest.database);
	scope_close int fd = place_open_dir(c->fd, c->names.making, c->why);
	struct db_clone facts = {.port = 0};
	char path[MSG_PATH_SIZE];
	int error;

	if (fd < 0)
		return fd;
	if (fchmod(fd, PLACE_BACKUP_MODE) < 0)
		return reason_set_errno(c->why, errno, "cannot make the clone private");
	snprintf(path, sizeof(path), "%.900s/clones/%s", c->place.path, c->names.whole);
	error = db->make_clone(c->job, &c->manifest, fd, path, &facts, c->why);
	if (error < 0)
		return error;
	memcpy(c->intent.socket_dir, facts.socket_dir, sizeof(c->intent.socket_dir));
	c->intent.port = facts.port;
	return 0;
}

static int make_parts(struct clone *c)
{
	int error = write_paper(c);

	gauge_begin(c->job, PHASE_CUTTING, 30, 60, c->snap->atomic ? 0 : c->manifest.facts.size);
	if (error == 0)
		error = copy_image(c);
	gauge_end(c->job);
	job_progress(c->job, PHASE_CHECKING, 60);
	if (error == 0)
		error = make_startable(c);
	if (error == 0)
		error = remnant_sync(&c->place, c->why);
	if (error == 0)
		error = job_check_cancelled(c->job, c->why);
	c->intent.made_ms = clock_wall_ms();
	if (error == 0)
		error = write_paper(c);
	return error == 0 ? place_rename(c->fd, c->names.making, c->names.whole, c->why) : error;
}

/* A clone is its user's, and is made by him: what was another's he may not read. Nobody is given files behind his back. */
static void explain_denied(struct clone *c)
{
	const struct proc_identity *now = &c->job->identity;
	char cause[MSG_TEXT_SIZE / 2], remedy[256];

	if (!c->job->as_root || now->uid == c->manifest.uid)
		return;
	snprintf(cause, sizeof(cause), "%.*s", (int)sizeof(cause) - 1, c->why->cause);
	snprintf(remedy, sizeof(remedy),
		 "let database.user be uid %u's name while the clone is made, then chown -R it to uid %u; or make a new backup",
		 (unsigned)c->manifest.uid, (unsigned)now->uid);
	reason_set(c->why, ERR_DENIED, remedy, "%s: the backup's files belong to uid %u, not to uid %u, whose the database is now", cause,
		   (unsigned)c->manifest.uid, (unsigned)now->uid);
}

static int make(struct clone *c)
{
	struct space space;
	uint64_t needed = c->snap->measure ? c->manifest.facts.size : 0;
	int error = space_check(c->place.fd, c->place.path, &c->job->cluster->min_free, needed, &space, c->why);

	if (error < 0)
		return error;
	fill_intent(c);
	c->begun = true;
	error = make_parts(c);
	/* Before anything of it is removed again. */
	if (error == ERR_FULL)
		space_explain(c->place.fd, c->place.path, needed, c->why);
	else if (error == ERR_DENIED)
		explain_denied(c);
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
	    !look.has_whole && remove_making(c, &second) == 0)
		return step_outcome(c->why);
	log_about(LOG_LEVEL_WARNING, &about, "what the failed attempt made is not removed yet: %s",
		  second.code ? second.cause : "the clone has its final name");
	return OUTCOME_UNKNOWN;
}

/* A database that is gone can still be cloned from its backup, by the user whom note or manifest names. */
static void settle_identity(struct clone *c)
{
	struct reason source = {0};

	if (c->job->data_fd >= 0 || job_open_source(c->job, &source) == 0)
		return;
	if (!c->job->as_root)
		proc_identity_self(&c->job->identity);
	else if (c->job->retired && c->job->cluster->identity_known)
		c->job->identity = c->job->cluster->identity;
	else
		c->job->identity = (struct proc_identity){.uid = c->manifest.uid, .gid = c->manifest.gid};
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
	error = find_backup(c);
	if (error == 0) {
		settle_identity(c);
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

static struct clone *begin(struct worker_job *job, struct reason *why)
{
	struct clone *c = calloc(1, sizeof(*c));

	if (!c) {
		reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
		return NULL;
	}
	c->job = job;
	c->why = why;
	c->fd = -1;
	c->place = PLACE_NONE;
	clones_name(job->order.clone, &c->names);
	return c;
}

static void end(struct clone *c, struct msg_result *result)
{
	step_report_space(&c->place, result);
	if (c->fd >= 0)
		close(c->fd);
	place_close(&c->place);
	free(c);
}

enum msg_outcome step_clone(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	struct clone *c = begin(job, why);
	enum msg_outcome outcome = OUTCOME_FAILED;

	if (c) {
		outcome = run(c, result);
		end(c, result);
	}
	return outcome;
}

/* Back to its dot-name, away, then the paper. */
static int remove_clone(struct clone *c)
{
	struct clone_look look;
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
	if (look.has_making)
		error = c->snap->destroy(c->job, c->fd, c->names.making, c->why);
	if (error == 0 && look.has_whole)
		error = place_rename(c->fd, c->names.whole, c->names.making, c->why);
	job_progress(c->job, PHASE_CUTTING, 50);
	return error == 0 ? remove_making(c, c->why) : error;
}

enum msg_outcome step_delete_clone(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	struct clone *c = begin(job, why);
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
	end(c, result);
	return outcome;
}
