/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Procedures B and C around the cut. Between begin and end the server writes every page
 * whole into the WAL and says where recovery has to start; label and WAL together
 * make an image of what was copied at many moments. All of it is the server's word:
 * it has to fit itself, what was asked, and what lies on the disk.
 */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/pg_label.h"
#include "daemon/engine/place.h"
#include "daemon/engine/snap_walk.h"
#include "daemon/engine/walker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	START_MS = 600000, /* a whole checkpoint, of a server that has much to write */
	STOP_MS = 120000,  /* the rest of the WAL */
	MARGIN_MS = 2000   /* the server's own timeout comes first: then it says why */
};

int pg_backup_begin(struct db_postgresql *pg, struct reason *why)
{
	struct ask_question question = {.type = ASK_START, .job = pg->job->order.job, .backup = pg->job->order.backup,
					.timeout_ms = (uint32_t)job_time_left_ms(pg->job, START_MS)};
	scope_free struct ask_answer *answer = calloc(1, sizeof(*answer));
	struct pg_backup *backup = &pg->backup;
	int error = answer ? pg_ask(pg, &question, START_MS + MARGIN_MS, answer, why) :
			     reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");

	if (error < 0)
		return error;
	*backup = (struct pg_backup){.slot = answer->slot, .wal_fd = -1};
	snprintf(backup->name, sizeof(backup->name), "dbsnap %" PRIu64, pg->job->order.backup);
	snprintf(backup->no_slot, sizeof(backup->no_slot), "%.127s", answer->text);
	backup->wal = (struct pg_wal){
		.major = pg->tree.major, .system_identifier = pg->control.system_identifier,
		.segment_size = pg->control.wal_segment_size, .start = answer->lsn, .slot = answer->slot,
	};
	return 0;
}

static int refuse_label(const char *what, struct reason *why)
{
	return reason_set(why, ERR_DATABASE, "is a PostgreSQL behind database.conninfo?",
			  "the server ended another backup than it began: %s", what);
}

static int check_label(struct db_postgresql *pg, const struct ask_answer *answer, struct reason *why)
{
	struct pg_wal *wal = &pg->backup.wal;
	char segment[PG_SEGMENT_NAME_SIZE];
	struct pg_label label;

	if (pg_label_parse(answer->label, strlen(answer->label), &label) < 0)
		return refuse_label("its label is none", why);
	pg_control_segment(label.timeline, wal->start, wal->segment_size, segment);
	if (label.start != wal->start)
		return refuse_label("its label begins elsewhere", why);
	if (strcmp(label.segment, segment) != 0)
		return refuse_label("its label names another WAL segment", why);
	if (strcmp(label.name, pg->backup.name) != 0)
		return refuse_label("its label has another name", why);
	if (label.from_primary == pg->facts.in_recovery)
		return reason_set_retry(why, ERR_STATE, NULL, "the server became a %s during the backup",
					label.from_primary ? "primary" : "standby");
	if (answer->lsn <= wal->start || label.checkpoint < wal->start || label.checkpoint >= answer->lsn)
		return refuse_label("it ends before its beginning", why);
	wal->timeline = label.timeline;
	wal->stop = answer->lsn;
	return 0;
}

static bool same_spaces(const struct ask_tablespaces *a, const struct ask_tablespaces *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->items[i].oid != b->items[i].oid || strcmp(a->items[i].location, b->items[i].location) != 0)
			return false;
	}
	return true;
}

static const char *location_of(const struct ask_tablespaces *spaces, uint32_t oid)
{
	for (uint32_t i = 0; i < spaces->count; i++) {
		if (spaces->items[i].oid == oid)
			return spaces->items[i].location;
	}
	return NULL;
}

/* The map is the one by which recovery finds them: each that was copied, once, and no other. */
static int check_map(const struct db_postgresql *pg, const struct ask_answer *answer, struct reason *why)
{
	uint32_t seen[ASK_TABLESPACES_MAX], count = 0;
	struct pg_map_entry entry;
	size_t at = 0;
	int more;

	while ((more = pg_map_next(answer->map, strlen(answer->map), &at, &entry)) > 0) {
		const char *location = location_of(&pg->tablespaces, entry.oid);

		if (!location || strcmp(location, entry.path) != 0 || count == pg->tablespaces.count)
			return refuse_label("its map names another tablespace", why);
		for (uint32_t i = 0; i < count; i++) {
			if (seen[i] == entry.oid)
				return refuse_label("its map names a tablespace twice", why);
		}
		seen[count++] = entry.oid;
	}
	return more < 0 || count != pg->tablespaces.count ? refuse_label("its map lacks a tablespace", why) : 0;
}

static int check_answer(struct db_postgresql *pg, const struct ask_answer *answer, struct reason *why)
{
	int error = check_label(pg, answer, why);

	if (error < 0)
		return error;
	if (!same_spaces(&pg->tablespaces, &answer->tablespaces))
		return reason_set_retry(why, ERR_STATE, NULL, "a tablespace was made, moved or dropped during the backup");
	return check_map(pg, answer, why);
}

static int add(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)answer;
	return pg_wal_add(arg, fds[0], fds[1], why);
}

static int add_apart(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)answer;
	return pg_wal_add_apart(arg, fds[0], fds[1], fds[2], why);
}

static int run_add(struct db_postgresql *pg, int backup_fd, int image_fd, const struct pg_wal *wal, struct reason *why)
{
	int fds[] = {pg->job->data_fd, image_fd, -1};
	char nothing;

	if (!pg->apart)
		return walker_run(pg->job, add, wal, fds, 2, &nothing, 0, why);
	fds[2] = pg->backup.wal_fd = snap_walk_make_image(pg->job, backup_fd, "wal", why);
	return fds[2] < 0 ? fds[2] : walker_run(pg->job, add_apart, wal, fds, 3, &nothing, 0, why);
}

static int add_wal(struct db_postgresql *pg, int backup_fd, const struct ask_answer *answer, struct reason *why)
{
	scope_close int image_fd = place_open_dir(backup_fd, "data", why);
	struct pg_wal wal = pg->backup.wal;

	if (image_fd < 0)
		return image_fd;
	wal.label = answer->label;
	wal.map = answer->map;
	return run_add(pg, backup_fd, image_fd, &wal, why);
}

/* WAL that is gone is told with why nothing held it. */
static void explain(const struct db_postgresql *pg, struct reason *why)
{
	size_t used = strlen(why->cause);

	if (why->code == ERR_STATE && pg->backup.no_slot[0])
		snprintf(why->cause + used, sizeof(why->cause) - used, " (no slot held it: %s)", pg->backup.no_slot);
}

int pg_backup_end(struct db_postgresql *pg, int backup_fd, struct reason *why)
{
	struct ask_question question = {.type = ASK_STOP,
					.timeout_ms = (uint32_t)job_time_left_ms(pg->job, STOP_MS)};
	scope_free struct ask_answer *answer = calloc(1, sizeof(*answer));
	int error = answer ? pg_ask(pg, &question, STOP_MS + MARGIN_MS, answer, why) :
			     reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");

	if (error == 0)
		error = check_answer(pg, answer, why);
	if (error < 0)
		return error;
	error = add_wal(pg, backup_fd, answer, why);
	if (error < 0)
		explain(pg, why);
	else
		pg->floor = pg->backup.wal.stop;
	return error;
}

static int check(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)answer;
	return pg_wal_check(arg, fds[0], why);
}

static int check_apart(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)answer;
	return pg_wal_check_apart(arg, fds[0], why);
}

int pg_backup_check(struct db_postgresql *pg, int image_fd, const struct pg_tree *image,
		    const struct pg_control *control, struct reason *why)
{
	const struct pg_wal *wal = &pg->backup.wal;
	char nothing;

	if (!image->backup_label)
		return reason_set_retry(why, ERR_STATE, NULL, "there is no backup_label in the image");
	if (control->redo < wal->start || control->redo >= wal->stop || control->timeline != wal->timeline)
		return reason_set_retry(why, ERR_STATE, NULL,
					"the image's pg_control names a checkpoint that is not of this backup");
	if (pg->apart)
		return walker_run(pg->job, check_apart, wal, &pg->backup.wal_fd, 1, &nothing, 0, why);
	return walker_run(pg->job, check, wal, &image_fd, 1, &nothing, 0, why);
}
