/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A copy of a backup under its dot-name, with the paper that says whose it is. */
#include "daemon/engine/clone_make.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/db.h"
#include "daemon/engine/remnant.h"
#include "daemon/engine/snap.h"
#include "daemon/engine/space.h"
#include "daemon/engine/step.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int clone_write_paper(struct clone *c)
{
	scope_free char *text = intent_encode(&c->intent);

	if (!text)
		return reason_set_retry(c->why, ERR_NOMEM, NULL, "out of memory");
	return place_write_file(c->fd, c->names.paper, text, c->why);
}

int clone_remove_making(struct clone *c, struct reason *why)
{
	int error = c->snap->destroy(c->job, c->fd, c->names.making, why);

	if (error == 0)
		error = remnant_sync(&c->place, why);
	if (error == 0 && unlinkat(c->fd, c->names.paper, 0) < 0 && errno != ENOENT)
		error = reason_set_errno(why, errno, "cannot remove %s", c->names.paper);
	return error == 0 ? place_sync(c->fd, why) : error;
}

int clone_find_backup(struct clone *c)
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
	memcpy(c->intent.database, c->manifest.database, sizeof(c->intent.database));
	memcpy(c->intent.bindir, c->manifest.bindir, sizeof(c->intent.bindir));
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

int clone_make_startable(struct clone *c, const char *path)
{
	const struct db_ops *db = db_find(c->manifest.database);
	scope_close int fd = place_open_dir(c->fd, c->names.making, c->why);
	struct db_clone facts = {.port = 0};
	int error;

	if (fd < 0)
		return fd;
	if (fchmod(fd, PLACE_BACKUP_MODE) < 0)
		return reason_set_errno(c->why, errno, "cannot make the clone private");
	error = db->make_clone(c->job, &c->manifest, fd, path, &facts, c->why);
	if (error < 0)
		return error;
	memcpy(c->intent.socket_dir, facts.socket_dir, sizeof(c->intent.socket_dir));
	c->intent.port = facts.port;
	return 0;
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

static int make_image(struct clone *c)
{
	int error = clone_write_paper(c);

	gauge_begin(c->job, PHASE_CUTTING, 30, 60, c->snap->atomic ? 0 : c->manifest.facts.size);
	if (error == 0)
		error = copy_image(c);
	gauge_end(c->job);
	return error;
}

/* Bytes that the copy takes beside its source. */
static uint64_t bytes_needed(const struct clone *c)
{
	return c->snap->measure ? c->manifest.facts.size : 0;
}

int clone_make_image(struct clone *c)
{
	struct space space;
	int error = space_check(c->place.fd, c->place.path, &c->job->cluster->min_free, bytes_needed(c), &space, c->why);

	if (error < 0)
		return error;
	fill_intent(c);
	c->begun = true;
	return make_image(c);
}

void clone_explain(struct clone *c)
{
	/* Before anything of it is removed again. */
	if (c->begun && c->why->code == ERR_FULL)
		space_explain(c->place.fd, c->place.path, bytes_needed(c), c->why);
	else if (c->begun && c->why->code == ERR_DENIED)
		explain_denied(c);
}

/* A database that is gone can still be cloned from its backup, by the user whom note or manifest names. */
void clone_settle_identity(struct clone *c)
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

struct clone *clone_begin(struct worker_job *job, struct reason *why)
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

void clone_end(struct clone *c, struct msg_result *result)
{
	step_report_space(&c->place, result);
	if (c->fd >= 0)
		close(c->fd);
	place_close(&c->place);
	free(c);
}
