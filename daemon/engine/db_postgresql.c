/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PostgreSQL around a cut. Atomic, running: flush the WAL, cut, recover the
 * image as after a crash (no backup API: an atomic image needs none). Walked, or cut part by part, running: the
 * server's own backup around it (pg_backup). Stopped: cut, and prove that nobody began to
 * write. What is unsafe is refused here and in pg_admit.
 */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/pg_replay.h"
#include "daemon/engine/walker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct db_postgresql *own(struct db *db)
{
	return (struct db_postgresql *)db;
}

static void close_postgresql(struct db *db)
{
	struct db_postgresql *pg = own(db);

	if (!pg)
		return;
	session_end(pg->session);
	server_let_go(&pg->server);
	for (size_t i = 0; i < ASK_TABLESPACES_MAX; i++) {
		if (pg->parts[i].fd >= 0)
			close(pg->parts[i].fd);
	}
	if (pg->backup.wal_fd >= 0)
		close(pg->backup.wal_fd);
	free(pg);
}

static struct db_postgresql *make_postgresql(struct worker_job *job)
{
	struct db_postgresql *pg = calloc(1, sizeof(*pg));

	if (!pg)
		return NULL;
	pg->base.ops = &db_postgresql;
	pg->job = job;
	pg->server = SERVER_NONE;
	pg->backup.wal_fd = -1;
	for (size_t i = 0; i < ASK_TABLESPACES_MAX; i++)
		pg->parts[i].fd = -1;
	return pg;
}

static int refuse_control(const struct pg_tree *tree, const char *where, struct pg_control *control,
			  struct reason *why)
{
	int error = pg_control_parse(tree->control, tree->control_size, control);

	if (tree->control_size == 0 || tree->major == 0)
		return reason_set(why, ERR_LAYOUT, "correct data_dir, or set database.type",
				  "%s holds no PostgreSQL database (no PG_VERSION with global/pg_control)", where);
	if (error == ERR_VERSION || tree->major < 13 || tree->major > 17)
		return reason_set(why, ERR_UNSUPPORTED, NULL,
				  "%s is of PostgreSQL %u: this release knows 13 to 17", where, tree->major);
	if (error < 0)
		return reason_set(why, ERR_CORRUPT, "look at it with pg_controldata",
				  "%s/global/pg_control is damaged", where);
	return 0;
}

static int look_at_source(struct db_postgresql *pg, struct reason *why)
{
	struct worker_job *job = pg->job;
	int error = pg_inspect(job, job->data_fd, 0, &pg->tree, why);

	if (error == 0)
		error = refuse_control(&pg->tree, job->cluster->data_dir, &pg->control, why);
	if (error == 0)
		pg_walk_init(pg->tree.major, pg->control.catalog_version, false, &pg->walk);
	return error;
}

static void add_wal_part(const struct worker_job *job, const struct pg_tree *tree, struct layout *layout)
{
	char path[MSG_PATH_SIZE + 8];

	/* Where a link leads is told as it says; only the walker goes there. */
	snprintf(path, sizeof(path), "%s/pg_wal", job->cluster->data_dir);
	if (tree->wal == PG_THING_LINK)
		layout_add_part(layout, "wal", tree->wal_target);
	else
		layout_add_inside(layout, "wal", path, "pg_wal/"); /* pg_admit() and the backend see to that */
}

/* quiesce: none. The image is that of a power cut; what the server had not flushed is not in it. */
static int open_unasked(struct db_postgresql *pg, struct layout *layout)
{
	pg->mode = PG_MODE_UNASKED;
	layout_add_line(layout->weakened, sizeof(layout->weakened),
			"quiesce is none: commits that the server had not yet written out may be missing");
	return 0;
}

static int open_mode(struct db_postgresql *pg, struct layout *layout, struct reason *why)
{
	int running;

	if (pg->job->cluster->database.quiesce == CONF_QUIESCE_NONE)
		return open_unasked(pg, layout);
	running = pg_connect(pg, layout, why);
	if (running < 0)
		return running;
	pg->mode = running ? PG_MODE_RUNNING : PG_MODE_STOPPED;
	if (running) {
		int error = pg_look_at_places(pg, layout, why);

		pg_list_config(pg, layout);
		return error;
	}
	layout_add_line(layout->warnings, sizeof(layout->warnings), "no server runs on the data directory (%s)",
			pg_control_state_name(pg->control.state));
	return 0;
}

static int open_postgresql(struct worker_job *job, struct layout *layout, struct db **ret_db, struct reason *why)
{
	struct db_postgresql *pg = make_postgresql(job);
	int error;

	if (!pg)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	error = look_at_source(pg, why);
	if (error == 0) {
		add_wal_part(job, &pg->tree, layout);
		error = open_mode(pg, layout, why);
	}
	/* It passes: the layout is no worse for it. */
	if (error == 0 && pg->tree.backup_label)
		error = reason_set_retry(why, ERR_STATE,
					 "let the restore finish (start the server once), or end the backup that made it",
					 "%s holds a backup_label: a restore that has not finished, or an exclusive backup",
					 job->cluster->data_dir);
	if (error < 0)
		close_postgresql(&pg->base);
	else
		*ret_db = &pg->base;
	return error;
}

static int before(struct db *db, struct db_position *ret_position, struct reason *why)
{
	struct db_postgresql *pg = own(db);
	struct db_position position = {0};
	int error = 0;

	if (pg_is_recovered(pg))
		error = pg_backup_begin(pg, why);
	else if (pg->mode == PG_MODE_RUNNING)
		error = pg_flush(pg, why);
	if (error < 0)
		return error;
	if (pg->floor)
		ask_format_lsn(pg->floor, position.floor);
	snprintf(position.system_identifier, sizeof(position.system_identifier), "%" PRIu64,
		 pg->control.system_identifier);
	*ret_position = position;
	return 0;
}

/* Nobody serves it: has somebody begun to? */
static int check_still_stopped(struct db_postgresql *pg, struct reason *why)
{
	struct pg_tree now;
	int error = pg_refuse_served(pg->job, why);

	if (error == 0)
		error = pg_inspect(pg->job, pg->job->data_fd, 0, &now, why);
	if (error == 0 && !stamp_equal(&pg->tree.stamp, &now.stamp))
		error = reason_set(why, ERR_STATE, NULL, "the database was written to during the backup");
	if (error < 0)
		why->retry = true;
	return error;
}

static int after(struct db *db, int backup_fd, struct db_position *position, struct reason *why)
{
	struct db_postgresql *pg = own(db);
	int error = 0;

	if (pg->mode == PG_MODE_STOPPED)
		return check_still_stopped(pg, why);
	if (pg_is_recovered(pg) && server_is_alive(&pg->server)) {
		error = pg_backup_end(pg, backup_fd, why);
		if (error == 0) {
			ask_format_lsn(pg->floor, position->floor);
			position->added = pg_wal_bytes(&pg->backup.wal);
		}
	}
	if (pg->mode == PG_MODE_RUNNING && !server_is_alive(&pg->server))
		return reason_set_retry(why, ERR_STATE, NULL, "the server was restarted during the backup");
	/* What follows looks at the image alone: the server need not wait for it, nor keep WAL. */
	if (error == 0)
		pg->session = session_end(pg->session);
	return error;
}

static int refuse_image(const struct db_postgresql *pg, const struct pg_tree *image,
			const struct pg_control *control, struct reason *why)
{
	if (control->system_identifier != pg->control.system_identifier)
		return reason_set_retry(why, ERR_MISMATCH, NULL,
					"the snapshot is of another database: its system identifier is %" PRIu64
					", not %" PRIu64,
					control->system_identifier, pg->control.system_identifier);
	if (image->backup_label && !pg_is_recovered(pg))
		return reason_set_retry(why, ERR_STATE, "let the restore or the exclusive backup finish",
					"there is a backup_label in the snapshot");
	/* The WAL is not in it, and pg_backup_check() looks at that; the links stay in the image, a clone is made without. */
	if (pg->apart)
		return pg_refuse_data_link(image, why);
	if (!image->redo_segment)
		return reason_set_retry(why, ERR_STATE,
					"a server that restores WAL from an archive keeps too little of it: let it stream",
					"the WAL that recovery would begin with is not in the snapshot");
	/* Behind a later checkpoint's beginning the server may have used it again: its pages are in the files. */
	if (pg->mode == PG_MODE_RUNNING && !pg->facts.in_recovery && !image->floor_segment && control->redo < pg->floor)
		return reason_set_retry(why, ERR_STATE, NULL, "the WAL flushed before the cut is not in the snapshot");
	return pg_refuse_links(pg->job, image, why);
}

static int replay(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)answer;
	return pg_replay_check(arg, fds[0], why);
}

static int replay_apart(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)answer;
	return pg_replay_check_wal(arg, fds[0], why);
}

/* Would what a clone replays stay inside it? */
static int check_replay(struct db_postgresql *pg, int image_fd, const struct pg_control *control, struct reason *why)
{
	struct pg_replay question;
	char nothing;

	pg_replay_of(control, pg->tree.major, pg_is_recovered(pg) ? pg->backup.wal.start : 0, &question);
	if ((!pg->facts.in_recovery || pg_is_recovered(pg)) && pg->floor > question.reach)
		question.reach = pg->floor;
	return pg->apart ? walker_run(pg->job, replay_apart, &question, &pg->backup.wal_fd, 1, &nothing, 0, why) :
			   walker_run(pg->job, replay, &question, &image_fd, 1, &nothing, 0, why);
}

static int check_image(struct db *db, int image_fd, struct db_position *position, struct reason *why)
{
	struct db_postgresql *pg = own(db);
	struct pg_tree image;
	struct pg_control control;
	char lsn[ASK_LSN_SIZE];
	int error = pg_inspect(pg->job, image_fd, pg->floor, &image, why);

	if (error == 0)
		error = refuse_control(&image, "the snapshot", &control, why);
	if (error == 0)
		error = refuse_image(pg, &image, &control, why);
	if (error == 0 && pg_is_recovered(pg))
		error = pg_backup_check(pg, image_fd, &image, &control, why);
	if (error == 0 && (pg_is_recovered(pg) || !pg_replay_is_settled(image.spaces_s, control.checkpoint_s)))
		error = check_replay(pg, image_fd, &control, why);
	if (error < 0)
		return error;
	ask_format_lsn(pg->floor ? pg->floor : control.checkpoint, lsn);
	snprintf(position->position, sizeof(position->position), "LSN %s, timeline %" PRIu32, lsn, control.timeline);
	return 0;
}

static int save_config(struct db *db, int config_fd, struct reason *why)
{
	return pg_save_config(own(db), config_fd, why);
}

const struct db_ops db_postgresql = {
	.name = "postgresql",
	.open = open_postgresql,
	.admit = pg_admit,
	.walk = pg_describe_walk,
	.before = before,
	.after = after,
	.check_image = check_image,
	.save_config = save_config,
	.close = close_postgresql,
	.make_clone = pg_make_clone,
	.verify_path = CELL_ROOT,
	.verify = pg_verify,
	.prove_stopped = pg_prove_stopped,
	.make_original = pg_make_original,
	.server = pg_server,
	.answers = pg_answers,
};
