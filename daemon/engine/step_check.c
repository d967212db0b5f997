/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Questions that change nothing: can this cluster be backed up as it lies, is
 * there room, how large is this backup. The layout is examined by the very code of a create.
 */
#include "daemon/engine/step.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/account.h"
#include "daemon/engine/db.h"
#include "daemon/engine/expect.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/names.h"
#include "daemon/engine/space.h"
#include "daemon/engine/survey.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a check gathers, too large for the stack. */
struct check {
	struct layout layout;
	struct survey survey;
	struct db_walk walk; /* all zero unless the layout is admitted; borrows from its database */
};

/* Of all that it is asked to do, which has to be answered within 30 s. */
enum { SURVEY_MS = 10000 };

/* "" what does not come into a backup. */
static const char *taken_by(const struct layout *layout, const struct layout_part *part)
{
	bool recovered = strcmp(layout->procedure, "B") == 0 || strcmp(layout->procedure, "C") == 0;
	bool by_program = strcmp(layout->procedure, "F") == 0;

	if (!layout->snap || strcmp(part->role, "snapshots") == 0)
		return "";
	if (strcmp(part->role, "configuration") == 0)
		return "config";
	if (recovered && strcmp(part->role, "wal") == 0)
		return "log";
	if ((!part->inside && part->oid == 0) || (by_program && strcmp(part->role, "binary log") == 0))
		return "";
	if (by_program)
		return "program";
	return layout->snap->atomic ? "snapshot" : "walk";
}

static void tell_part(const struct worker_job *job, const struct check *check, size_t number)
{
	const struct layout_part *part = &check->layout.parts[number];
	const struct survey_size *size = &check->survey.parts[number];
	struct msg msg = {.type = MSG_CHECKED_PART};
	struct msg_checked_part *told = &msg.u.checked_part;

	memcpy(told->cluster, job->order.cluster, sizeof(told->cluster));
	memcpy(told->role, part->role, sizeof(told->role));
	memcpy(told->path, part->path, sizeof(told->path));
	memcpy(told->device, part->device, sizeof(told->device));
	memcpy(told->file_system, part->file_system, sizeof(told->file_system));
	memcpy(told->subvolume, part->subvolume, sizeof(told->subvolume));
	told->inside = part->inside;
	snprintf(told->taken, sizeof(told->taken), "%s", taken_by(&check->layout, part));
	told->measured = size->measured;
	told->bytes = size->bytes;
	told->files = size->files;
	memcpy(told->largest, size->largest, sizeof(told->largest));
	told->extents = size->extents;
	told->more_extents = size->more_extents;
	step_send(job, &msg);
}

static void fill_layout(struct msg_checked *told, const struct layout *layout)
{
	if (layout->snap)
		snprintf(told->backend, sizeof(told->backend), "%s", layout->snap->name);
	if (layout->db)
		snprintf(told->database, sizeof(told->database), "%s", layout->db->name);
	memcpy(told->procedure, layout->procedure, sizeof(told->procedure));
	memcpy(told->promise, layout->promise, sizeof(told->promise));
	memcpy(told->server, layout->server, sizeof(told->server));
	memcpy(told->warnings, layout->warnings, sizeof(told->warnings));
	memcpy(told->why_not, layout->why_not, sizeof(told->why_not));
	memcpy(told->weakened, layout->weakened, sizeof(told->weakened));
	told->cut_us = layout->expected.cut_us;
	told->freeze_us = layout->expected.freeze_us;
	memcpy(told->expected, layout->expected.why, sizeof(told->expected));
}

static void describe_account(const struct worker_job *job, const struct layout *layout, struct msg_checked *told)
{
	const struct conf_database_settings *database = &job->cluster->database;
	enum conf_database type = layout->db == &db_postgresql ? CONF_DATABASE_POSTGRESQL :
				  layout->db == &db_mariadb    ? CONF_DATABASE_MARIADB : CONF_DATABASE_NONE;
	unsigned major = 0;

	if (database->quiesce == CONF_QUIESCE_NONE)
		return;
	sscanf(layout->server, "PostgreSQL %u", &major);
	account_describe(database, type, major, layout->procedure, told->account, sizeof(told->account));
}

static void add_size(const struct check *check, struct expect_size *sum)
{
	*sum = (struct expect_size){.known = check->survey.parts[0].measured == PART_MEASURED};
	for (size_t i = 0; i < check->layout.part_count; i++) {
		const char *by = taken_by(&check->layout, &check->layout.parts[i]);

		if (!by[0] || strcmp(by, "config") == 0 || strcmp(by, "log") == 0)
			continue;
		sum->bytes += check->survey.parts[i].bytes;
		sum->files += check->survey.parts[i].files;
		sum->extents += check->survey.parts[i].extents;
	}
}

/* A layout that was refused is measured as well, but not judged. */
static int take_survey(struct worker_job *job, struct check *check, bool admitted, struct reason *why)
{
	struct reason failure = {0};

	if (survey_take(job, &check->layout, &check->walk, job_time_left_ms(job, SURVEY_MS), &check->survey, &failure) < 0) {
		layout_add_line(check->layout.warnings, sizeof(check->layout.warnings), "its size was not measured: %.500s",
				failure.cause);
		return 0;
	}
	return admitted ? survey_judge(&check->survey, &check->layout, why) : 0;
}

static void examine(struct worker_job *job, const struct place *place, bool surveys, struct check *check, struct reason *why)
{
	struct layout *layout = &check->layout;
	struct expect_size size;
	struct db *db = NULL;
	int error = layout_examine(job, place->state == PLACE_ONLINE ? place->fd : -1, place->path, layout, &db, why);

	if (error == 0)
		db->ops->walk(db, &check->walk);
	if (surveys && take_survey(job, check, error == 0, why) < 0)
		layout->snap = NULL;
	add_size(check, &size);
	if (layout->snap)
		expect_cut(layout, &size);
	if (db)
		db->ops->close(db);
}

static void check_layout(struct worker_job *job, const struct place *place, bool surveys, struct msg_checked *told,
			 struct reason *why)
{
	struct check *check = calloc(1, sizeof(*check));
	struct reason reason = {0};

	if (!check) {
		reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
		return;
	}
	examine(job, place, surveys, check, &reason);
	for (size_t i = 0; i < check->layout.part_count; i++)
		tell_part(job, check, i);
	fill_layout(told, &check->layout);
	describe_account(job, &check->layout, told);
	/* What is wrong with the place was found first and stays the answer. */
	if (reason.code && !why->code)
		*why = reason;
	free(check);
}

static void check_space(const struct worker_job *job, const struct place *place, struct msg_checked *told)
{
	struct space space = {0};
	struct reason reason = {0};

	if (place->fd < 0)
		return;
	if (space_check(place->fd, place->path, &job->cluster->min_free, job->order.known_size, &space, &reason) == ERR_FULL) {
		told->space_low = true;
		memcpy(told->space, reason.cause, sizeof(told->space));
	}
	told->free_bytes = space.free_bytes;
	told->total_bytes = space.total_bytes;
}

void step_check(struct worker_job *job, enum msg_depth depth, bool survey)
{
	struct msg msg = {.type = MSG_CHECKED};
	struct msg_checked *told = &msg.u.checked;
	struct reason why = {0}, source = {0};
	struct place place;

	memcpy(told->cluster, job->order.cluster, sizeof(told->cluster));
	told->depth = (uint8_t)depth;
	job_open_source(job, &source);
	place_open(job, PLACE_SHARED, false, &place, &why);
	if (job->data_fd < 0) {
		why = source;
		if (place.state == PLACE_OFFLINE && !source.retry)
			place.state = PLACE_REFUSED;
	} else if (depth == DEPTH_LAYOUT) {
		check_layout(job, &place, survey, told, &why);
	}
	check_space(job, &place, told);
	told->place = (uint8_t)place.state;
	told->ok = why.code == 0;
	told->code = why.code;
	told->retry = why.retry;
	memcpy(told->refusal, why.cause, sizeof(told->refusal));
	memcpy(told->remedy, why.remedy, sizeof(told->remedy));
	memcpy(told->snapshot_dir, place.path, sizeof(told->snapshot_dir));
	step_send(job, &msg);
	place_close(&place);
}

static int add_folder(struct worker_job *job, int dir_fd, const char *name, uint64_t *sum, struct reason *why)
{
	scope_close int fd = place_open_dir(dir_fd, name, why);
	uint64_t bytes;
	int error = fd < 0 ? fd : walker_measure(job, fd, &bytes, why);

	if (error == 0)
		*sum += bytes;
	return error;
}

static int add_tablespaces(struct worker_job *job, int backup_fd, uint64_t *sum, struct reason *why)
{
	scope_close int fd = place_open_dir(backup_fd, "tblspc", why);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	const char *name;
	int error = 0, more = -1;

	if (fd < 0)
		return fd == ERR_NOT_FOUND ? 0 : fd;
	while (error == 0 && dir && (more = names_next(dir, &name)) > 0)
		error = add_folder(job, fd, name, sum, why);
	return error == 0 && more < 0 ? reason_set_errno(why, errno, "cannot read tblspc") : error;
}

/* Everything that the database's user has in it. */
static int measure_images(struct worker_job *job, int backup_fd, uint64_t *ret_bytes, struct reason *why)
{
	uint64_t sum = 0;
	int error = add_folder(job, backup_fd, "data", &sum, why);

	if (error == 0)
		error = add_tablespaces(job, backup_fd, &sum, why);
	if (error < 0)
		return error;
	error = add_folder(job, backup_fd, "wal", &sum, why);
	if (error < 0 && error != ERR_NOT_FOUND)
		return error;
	*ret_bytes = sum;
	return 0;
}

static int measure(struct worker_job *job, const struct place *place, uint64_t *ret_bytes, struct reason *why)
{
	scope_free struct manifest *manifest = calloc(1, sizeof(*manifest));
	scope_close int backup_fd = -1;
	char name[PLACE_ID_SIZE];
	struct place_look look;
	int error;

	if (!manifest)
		return ERR_NOMEM;
	place_name(PLACE_WHOLE, job->order.backup, name);
	error = place_look_at(job, place, name, &job->order.nonce, &look, manifest, why);
	if (error < 0)
		return error;
	if (look.thing != THING_OURS || !look.has_manifest)
		return ERR_NOT_FOUND;
	if (job->data_fd < 0 && !job->as_root)
		proc_identity_self(&job->identity);
	else if (job->data_fd < 0)
		job->identity = (struct proc_identity){.uid = manifest->uid, .gid = manifest->gid};
	backup_fd = place_open_dir(place->fd, name, why);
	return backup_fd < 0 ? backup_fd : measure_images(job, backup_fd, ret_bytes, why);
}

void step_measure(struct worker_job *job)
{
	struct msg msg = {.type = MSG_MEASURED};
	struct msg_measured *told = &msg.u.measured;
	struct reason why = {0}, source = {0};
	struct place place;
	int error;

	memcpy(told->cluster, job->order.cluster, sizeof(told->cluster));
	told->backup = job->order.backup;
	job_open_source(job, &source);
	error = place_open(job, PLACE_SHARED, false, &place, &why);
	if (error == 0)
		error = measure(job, &place, &told->size, &why);
	told->code = error;
	told->measured_ms = clock_wall_ms();
	step_send(job, &msg);
	place_close(&place);
}
