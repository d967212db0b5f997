/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A create, in the order that lets the disk tell how far it got: intent, then
 * the cut, then the manifest, then the name. Whoever finds the folder later can
 * finish or undo it; only this file and recovery's probe know how.
 */
#include "daemon/engine/step.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/db.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/names.h"
#include "daemon/engine/remnant.h"
#include "daemon/engine/snap.h"
#include "daemon/engine/snap_walk.h"
#include "daemon/engine/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct create {
	struct worker_job *job;
	struct reason *why;
	struct place place;
	struct layout layout;
	struct db *db;
	struct db_position position;
	struct snap_made made;
	uint64_t needed; /* bytes that the image takes, of a backend that copies */
	struct manifest manifest;
	int fd; /* the folder in the making; -1 */
	char making[PLACE_ID_SIZE], whole[PLACE_ID_SIZE];
	bool begun; /* something of this attempt may be on disk */
};

static int refuse_quarantine(struct create *c, const char *name)
{
	return reason_set(c->why, ERR_EXISTS,
			  "look at it; dbsnap never removes what it cannot prove to be its own",
			  "%s/%s is there and is not this job's: in quarantine", c->place.path, name);
}

/* It was whole but for its name. That its manifest can be read does not say that it is on disk. */
static int keep_making(struct create *c)
{
	scope_close int fd = place_open_dir(c->place.fd, c->making, c->why);
	int error = fd < 0 ? fd : place_sync(fd, c->why);

	return error < 0 ? error : place_rename(c->place.fd, c->making, c->whole, c->why);
}

/* What an earlier attempt left: 1 it was whole; 0 nothing is left now; or a code. */
static int settle_making(struct create *c)
{
	struct place_look look;
	int error = place_look_at(c->job, &c->place, c->making, &c->job->order.nonce, &look, &c->manifest,
				  c->why);

	if (error < 0 || look.thing == THING_NONE)
		return error;
	if (look.thing == THING_OURS && look.has_manifest) {
		error = keep_making(c);
		return error < 0 ? error : 1;
	}
	if (look.thing != THING_OURS && look.thing != THING_EMPTY)
		return refuse_quarantine(c, c->making);
	return remnant_remove(c->job, &c->place, c->making, c->why);
}

static int settle_earlier(struct create *c)
{
	struct place_look look;
	int error =
		place_look_at(c->job, &c->place, c->whole, &c->job->order.nonce, &look, &c->manifest, c->why);

	if (error < 0)
		return error;
	if (look.thing == THING_NONE)
		return settle_making(c);
	if (look.thing == THING_OURS && look.has_manifest) {
		error = place_sync(c->place.fd, c->why);
		return error < 0 ? error : 1;
	}
	return refuse_quarantine(c, c->whole);
}

/*
 * A snapshot lies on its source's file system, which is written out before it: then the intent is too, and needs no
 * syncs of its own. Its name is on disk no later than the snapshot, which commits what was done before it.
 */
static bool is_flushed_with_source(const struct create *c)
{
	return c->layout.snap->atomic;
}

static int write_intent(struct create *c)
{
	const struct msg_job *order = &c->job->order;
	struct intent intent = {
		.install = c->job->install, .backup = order->backup, .nonce = order->nonce,
		.job = order->job, .attempt = order->attempt,
	};
	scope_free char *text = NULL;

	snprintf(intent.cluster, sizeof(intent.cluster), "%s", order->cluster);
	snprintf(intent.backend, sizeof(intent.backend), "%s", c->layout.snap->name);
	text = intent_encode(&intent);
	if (!text)
		return reason_set_retry(c->why, ERR_NOMEM, NULL, "out of memory");
	if (is_flushed_with_source(c))
		return place_write_aside(c->fd, "intent", text, c->why);
	return place_write_file(c->fd, "intent", text, c->why);
}

/* From here on the disk says that this job has begun; a snapshot's, from flush() on. */
static int begin(struct create *c)
{
	int error;

	c->begun = true;
	c->fd = place_make_dir(c->place.fd, c->making, PLACE_BACKUP_MODE, c->why);
	if (c->fd < 0)
		return c->fd;
	error = write_intent(c);
	return error == 0 && !is_flushed_with_source(c) ? place_sync(c->place.fd, c->why) : error;
}

static int check_space(struct create *c)
{
	struct space space;

	return space_check(c->place.fd, c->place.path, &c->job->cluster->min_free, c->needed, &space, c->why);
}

/* Before the folder in the making is there, its descriptor is -1. */
static void fill_order(struct create *c, struct snap_order *ret_order)
{
	struct db_walk walk;

	c->layout.db->walk(c->db, &walk);
	*ret_order = (struct snap_order){
		.job = c->job, .to_fd = c->fd, .plan = walk.plan, .held = walk.held, .tablespaces = walk.tablespaces,
		.tablespace_count = walk.tablespace_count, .adds = walk.adds,
	};
}

/* Bytes want room: how many there are is looked at first, not found out on the way. */
static int check_room(struct create *c)
{
	struct snap_order order;
	int error;

	if (!c->layout.snap->measure)
		return 0;
	fill_order(c, &order);
	error = c->layout.snap->measure(&order, &c->needed, c->why);
	return error < 0 ? error : check_space(c);
}

static int prepare(struct create *c)
{
	int error = check_space(c);

	if (error == 0)
		error = layout_examine(c->job, c->place.fd, c->place.path, &c->layout, &c->db, c->why);
	if (error == 0)
		error = check_room(c);
	if (error == 0)
		error = job_check_cancelled(c->job, c->why);
	return error;
}

/* A snapshot is a moment; a walk is nearly all the time that its backup takes. In percent of the job. */
static const struct stages {
	unsigned flush, cut, check, name;
} of_snapshot = {30, 50, 70, 90}, of_walk = {8, 10, 90, 95};

static const struct stages *stages(const struct create *c)
{
	return c->layout.snap->atomic ? &of_snapshot : &of_walk;
}

/* What need not be done while writers are held. */
static int prepare_image(struct create *c)
{
	struct snap_order order;

	fill_order(c, &order);
	return order.held ? c->layout.snap->prepare(&order, &c->made, c->why) : 0;
}

/* Last things before the cut: the longer they take, the shorter it is. */
static int flush(struct create *c)
{
	int error = c->layout.db->before(c->db, &c->position, c->why);

	job_progress(c->job, PHASE_PREPARING, stages(c)->flush);
	if (error == 0)
		error = prepare_image(c);
	if (error == 0)
		error = c->layout.snap->flush(c->job->data_fd, c->why);
	if (error == 0 && is_flushed_with_source(c))
		error = place_give_name(c->fd, "intent", c->why);
	return error == 0 ? job_check_cancelled(c->job, c->why) : error;
}

/* Whatever the cut became: that writers wait for it ends first. */
static int let_go(struct create *c, int error)
{
	struct reason second = {0};
	int released = c->layout.db->release(c->db, &c->manifest.facts.freeze_us, error < 0 ? &second : c->why);

	return error < 0 ? error : released;
}

/* By the database itself, or by the backend. */
static int make_image(struct create *c)
{
	scope_close int image_fd = -1;
	struct snap_order order;
	struct db_walk walk;

	c->layout.db->walk(c->db, &walk);
	if (!walk.makes) {
		fill_order(c, &order);
		return c->layout.snap->cut(&order, &c->made, c->why);
	}
	image_fd = snap_walk_make_image(c->job, c->fd, "data", c->why);
	if (image_fd < 0)
		return image_fd;
	return c->layout.db->make_image(c->db, image_fd, &c->position, &c->made.report, c->why);
}

static int cut(struct create *c)
{
	struct msg_facts *facts = &c->manifest.facts;
	int64_t before;
	int error;

	error = c->layout.db->hold ? c->layout.db->hold(c->db, &c->position, c->why) : 0;
	if (error < 0)
		return error;
	gauge_begin(c->job, PHASE_CUTTING, stages(c)->cut, stages(c)->check,
		    c->layout.snap->atomic ? 0 : c->needed ? c->needed : c->job->order.known_size);
	before = clock_measure_us();
	error = make_image(c);
	facts->cut_us = (uint64_t)(clock_measure_us() - before);
	if (c->layout.db->release)
		error = let_go(c, error);
	gauge_end(c->job);
	return error;
}

static int check_image(struct create *c)
{
	scope_close int image_fd = place_open_dir(c->fd, "data", c->why);

	if (image_fd < 0)
		return image_fd;
	return c->layout.db->check_image(c->db, image_fd, &c->position, c->why);
}

static int list_config(struct create *c, int config_fd)
{
	scope_closedir DIR *dir = names_open(config_fd);
	struct manifest *m = &c->manifest;
	const char *name;
	int more = -1;

	m->config[0] = '\0';
	while (dir && (more = names_next(dir, &name)) > 0)
		layout_add_line(m->config, sizeof(m->config), "%s", name);
	return more < 0 ? reason_set_errno(c->why, errno, "cannot read config") : 0;
}

static int save_config(struct create *c)
{
	scope_close int config_fd = -1;
	int error;

	if (!c->layout.db->save_config)
		return 0;
	config_fd = place_make_dir(c->fd, "config", PLACE_BACKUP_MODE, c->why);
	if (config_fd < 0)
		return config_fd;
	error = c->layout.db->save_config(c->db, config_fd, c->why);
	if (error == 0)
		error = list_config(c, config_fd);
	/* A folder that nothing went into says nothing. */
	if (error == 0 && unlinkat(c->fd, "config", AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != EEXIST)
		return reason_set_errno(c->why, errno, "cannot remove config");
	return error == 0 ? place_sync(config_fd, c->why) : error;
}

static int check(struct create *c)
{
	int error = c->layout.db->after(c->db, c->fd, &c->position, c->why);

	/* After the cut and what completes it, so that the moment it shows lies before this one. */
	c->manifest.facts.consistent_ms = clock_wall_ms();
	job_progress(c->job, PHASE_CHECKING, stages(c)->check);
	if (error == 0 && c->position.added && c->layout.snap->seal)
		error = c->layout.snap->seal(c->fd, c->why);
	if (error == 0)
		error = layout_check_again(c->job, &c->layout, c->why);
	if (error == 0)
		error = check_image(c);
	if (error == 0)
		error = save_config(c);
	/* A snapshot is on disk when it is made; what is put beside it is not. */
	if (error == 0 && (!c->layout.snap->atomic || c->position.added))
		error = c->layout.snap->sync(c->fd, c->why);
	return error == 0 ? job_check_cancelled(c->job, c->why) : error;
}

/* The subvolume that part is in; "" for none, as of WAL that lies beside the images. */
static void name_image(const struct create *c, const struct layout_part *part, char uuid[static IDENT_UUID_SIZE])
{
	struct db_walk walk;

	c->layout.db->walk(c->db, &walk);
	if (!walk.adds || strcmp(part->role, "data") == 0)
		memcpy(uuid, c->made.image.uuid, IDENT_UUID_SIZE);
	for (size_t i = 0; walk.adds && i < walk.tablespace_count; i++) {
		if (part->oid == walk.tablespaces[i].oid)
			memcpy(uuid, c->made.spaces[i], IDENT_UUID_SIZE);
	}
}

static void list_parts(struct create *c)
{
	struct manifest *m = &c->manifest;

	for (size_t i = 0; i < c->layout.part_count && m->part_count < MANIFEST_PARTS_MAX; i++) {
		const struct layout_part *from = &c->layout.parts[i];
		struct manifest_part *to;

		/* Where the snapshots lie, or what configures the server, is no part of the database. */
		if (strcmp(from->role, "snapshots") == 0 || strcmp(from->role, "configuration") == 0)
			continue;
		to = &m->parts[m->part_count++];
		memcpy(to->role, from->role, sizeof(to->role));
		to->oid = from->oid;
		memcpy(to->path, from->path, sizeof(to->path));
		memcpy(to->fs_uuid, from->fs_uuid, sizeof(to->fs_uuid));
		memcpy(to->source_uuid, from->subvolume_uuid, sizeof(to->source_uuid));
		name_image(c, from, to->subvolume_uuid);
	}
}

static void fill_facts(struct create *c)
{
	const struct msg_job *order = &c->job->order;
	struct msg_facts *facts = &c->manifest.facts;

	facts->nonce = order->nonce;
	facts->accepted_ms = order->accepted_ms;
	facts->ended_ms = clock_wall_ms();
	facts->size = c->layout.snap->atomic ? order->known_size : c->made.report.bytes + c->position.added;
	facts->size_known = !c->layout.snap->atomic;
	facts->mode = order->mode;
	facts->expires_ms = order->expires_ms;
	memcpy(facts->principal, order->principal, sizeof(facts->principal));
	memcpy(facts->request, order->request, sizeof(facts->request));
	snprintf(facts->backend, sizeof(facts->backend), "%s", c->layout.snap->name);
	memcpy(facts->procedure, c->layout.procedure, sizeof(facts->procedure));
	memcpy(facts->promise, c->layout.promise, sizeof(facts->promise));
	memcpy(facts->weakened, c->layout.weakened, sizeof(facts->weakened));
	memcpy(facts->server, c->layout.server, sizeof(facts->server));
	memcpy(facts->position, c->position.position, sizeof(facts->position));
	snprintf(facts->path, sizeof(facts->path), "%.990s/%s", c->place.path, c->whole);
}

static void fill_manifest(struct create *c)
{
	struct manifest *m = &c->manifest;
	const struct worker_job *job = c->job;

	m->install = job->install;
	memcpy(m->cluster, job->order.cluster, sizeof(m->cluster));
	m->backup = job->order.backup;
	m->job = job->order.job;
	m->attempt = job->order.attempt;
	snprintf(m->database, sizeof(m->database), "%s", c->layout.db->name);
	snprintf(m->data_dir, sizeof(m->data_dir), "%s", job->cluster->data_dir);
	m->uid = job->identity.uid;
	m->gid = job->identity.gid;
	memcpy(m->bindir, c->layout.bindir, sizeof(m->bindir));
	memcpy(m->floor, c->position.floor, sizeof(m->floor));
	memcpy(m->system_identifier, c->position.system_identifier, sizeof(m->system_identifier));
	memcpy(m->settings, c->position.settings, sizeof(m->settings));
	m->files = c->made.report.files;
	memcpy(m->skipped, c->made.report.lines, sizeof(m->skipped));
	fill_facts(c);
	list_parts(c);
}

/* The manifest makes it a backup, the name makes it AVAILABLE. */
static int finish(struct create *c)
{
	scope_free char *text = NULL;
	int error;

	fill_manifest(c);
	text = manifest_encode(&c->manifest);
	if (!text)
		return reason_set_retry(c->why, ERR_NOMEM, NULL, "out of memory");
	error = place_write_file(c->fd, "manifest.json", text, c->why);
	job_progress(c->job, PHASE_CHECKING, stages(c)->name);
	if (error == 0)
		error = job_check_cancelled(c->job, c->why);
	return error == 0 ? place_rename(c->place.fd, c->making, c->whole, c->why) : error;
}

static int make(struct create *c)
{
	int error;

	c->manifest.facts.started_ms = clock_wall_ms();
	job_progress(c->job, PHASE_PREPARING, 5);
	error = prepare(c);
	if (error == 0)
		error = begin(c);
	if (error == 0)
		error = flush(c);
	if (error == 0)
		error = cut(c);
	if (error == 0)
		error = check(c);
	if (error == 0)
		error = finish(c);
	/* Before anything of it is removed again. */
	if (error == ERR_FULL && c->begun)
		space_explain(c->place.fd, c->place.path, c->needed, c->why);
	return error;
}

static void close_db(struct create *c)
{
	if (c->db)
		c->db->ops->close(c->db);
	c->db = NULL;
}

/* The attempt failed for why: nothing of it may stay. */
static enum msg_outcome undo(struct create *c)
{
	struct reason second = {0};
	struct place_look look;

	/* To remove much takes long, and until its session ends the server keeps WAL for us. */
	close_db(c);
	if (!c->begun)
		return step_outcome(c->why);
	/* A rename whose sync failed has happened, or not: only a probe can tell. */
	if (place_look_at(c->job, &c->place, c->whole, &c->job->order.nonce, &look, NULL, &second) < 0 ||
	    look.thing != THING_NONE || remnant_remove(c->job, &c->place, c->making, &second) < 0) {
		struct log_about about = job_about(c->job);

		log_about(LOG_LEVEL_WARNING, &about, "what the failed attempt made is not removed yet: %s",
			  second.code ? second.cause : "its folder has its final name");
		return OUTCOME_UNKNOWN;
	}
	return step_outcome(c->why);
}

static enum msg_outcome run(struct create *c, struct msg_result *result)
{
	struct reason source = {0};
	bool has_source = job_open_source(c->job, &source) == 0;
	int error = place_open(c->job, PLACE_SHARED, false, &c->place, c->why);

	if (error < 0 && !has_source)
		*c->why = source;
	if (error < 0)
		return step_place_outcome(&c->place);
	error = settle_earlier(c);
	if (error < 0)
		return step_outcome(c->why);
	if (error == 0 && !has_source) {
		*c->why = source;
		return OUTCOME_FAILED;
	}
	if (error == 0 && make(c) < 0)
		return undo(c);
	/* An adopted manifest may name the folder by an older mount point. */
	snprintf(c->manifest.facts.path, sizeof(c->manifest.facts.path), "%.990s/%s", c->place.path, c->whole);
	result->facts = c->manifest.facts;
	return OUTCOME_DONE;
}

enum msg_outcome step_create(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	struct create *c = calloc(1, sizeof(*c));
	enum msg_outcome outcome;

	if (!c) {
		reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
		return OUTCOME_FAILED;
	}
	c->job = job;
	c->why = why;
	c->fd = -1;
	c->place = PLACE_NONE;
	place_name(PLACE_MAKING, job->order.backup, c->making);
	place_name(PLACE_WHOLE, job->order.backup, c->whole);
	outcome = run(c, result);
	close_db(c);
	step_report_space(&c->place, result);
	if (c->fd >= 0)
		close(c->fd);
	place_close(&c->place);
	free(c);
	return outcome;
}
