/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * MariaDB around a cut. Atomic, running: InnoDB recovers the image as after a
 * crash; tables without transactions cannot, so while there are such their writers
 * are held for the cut. Walked, running: the whole server is stopped for it. Copied, running: mariadb-backup does it. Stopped: cut, and
 * prove that nobody began to write. What
 * is unsafe is refused here and in my_admit.
 */
#include "daemon/engine/db_mariadb.h"

#include "common/err.h"
#include "daemon/engine/cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct db_mariadb *own(struct db *db)
{
	return (struct db_mariadb *)db;
}

static void close_mariadb(struct db *db)
{
	struct db_mariadb *my = own(db);

	if (!my)
		return;
	session_end(my->session);
	server_let_go(&my->server);
	free(my);
}

static int refuse_conninfo(struct db_mariadb *my, struct reason *why)
{
	const char *expected = conf_check_conninfo_mariadb(my->conninfo);

	/* Of type auto nobody knew which it would be. */
	return expected ? reason_set(why, ERR_INVALID, "set database.type: mariadb, and database.conninfo",
				     "database.conninfo: expected %s", expected) : 0;
}

static int look_at_source(struct db_mariadb *my, struct reason *why)
{
	int error = my_inspect(my->job, my->job->data_fd, &my->where, &my->tree, why);

	if (error == 0 && !my->tree.data)
		error = reason_set(why, ERR_LAYOUT, "correct data_dir, or set database.type",
				   "%s holds no MariaDB (no ibdata1)", my->job->cluster->data_dir);
	return error;
}

/* What the server says is where a second look has to go. */
static int look_where_it_says(struct db_mariadb *my, struct layout *layout, struct reason *why)
{
	const struct my_part *redo = &my->parts[MY_REDO], *index = &my->parts[MY_INDEX];
	int error = my_look_at_parts(my, layout, why);

	if (error < 0)
		return error;
	memcpy(my->where.redo, redo->rest, sizeof(my->where.redo));
	memcpy(my->where.binlog, my->parts[MY_BINLOG].rest, sizeof(my->where.binlog));
	if (my->facts.log_bin && index->inside &&
	    snprintf(my->where.index, sizeof(my->where.index), "%s%s%s", index->rest, index->rest[0] ? "/" : "",
		     my_base(my->facts.binlog_index)) >= (int)sizeof(my->where.index))
		return reason_set(why, ERR_LAYOUT, NULL, "the path of the binary log is too long");
	return look_at_source(my, why);
}

static int open_mode(struct db_mariadb *my, struct layout *layout, struct reason *why)
{
	int running;

	my->mode = MY_MODE_UNASKED;
	if (my->job->cluster->database.quiesce == CONF_QUIESCE_NONE)
		return 0;
	running = my_connect(my, layout, why);
	if (running < 0)
		return running;
	my->mode = running ? MY_MODE_RUNNING : MY_MODE_STOPPED;
	if (running) {
		int error = look_where_it_says(my, layout, why);

		my_list_config(my, layout);
		return error;
	}
	layout_add_line(layout->warnings, sizeof(layout->warnings), "no server runs on the data directory");
	if (!my->tree.index[0])
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"there is no binary log in it: if the server keeps one elsewhere and has crashed, a clone "
				"does not start");
	return 0;
}

static int open_mariadb(struct worker_job *job, struct layout *layout, struct db **ret_db, struct reason *why)
{
	struct db_mariadb *my = calloc(1, sizeof(*my));
	int error;

	if (!my)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	my->base.ops = &db_mariadb;
	my->job = job;
	my->conninfo = conf_conninfo(&job->cluster->database, CONF_DATABASE_MARIADB);
	my->server = SERVER_NONE;
	error = refuse_conninfo(my, why);
	if (error == 0)
		error = look_at_source(my, why);
	if (error == 0)
		error = open_mode(my, layout, why);
	if (error < 0)
		close_mariadb(&my->base);
	else
		*ret_db = &my->base;
	return error;
}

/* Everything as it lies. */
static void walk(struct db *db, struct db_walk *ret_walk)
{
	struct db_mariadb *my = own(db);

	*ret_walk = (struct db_walk){.held = my->freezes, .makes = my->backs_up, .plan = {.judge = my_walk_judge}};
	if (my->backs_up) {
		ret_walk->plan.judge = my_judge_backup;
		ret_walk->plan.arg = my;
	}
}

static int before(struct db *db, struct db_position *ret_position, struct reason *why)
{
	struct db_mariadb *my = own(db);
	struct db_position position = {0};
	int error = my_settings(my, position.settings, why);

	if (error < 0)
		return error;
	if (my->mode == MY_MODE_RUNNING)
		snprintf(position.position, sizeof(position.position), "see the clone after recovery");
	if (my->mode == MY_MODE_RUNNING && my->facts.lsn)
		snprintf(position.floor, sizeof(position.floor), "%" PRIu64, my->facts.lsn);
	*ret_position = position;
	return 0;
}

/* Nobody serves it: has somebody begun to? */
static int check_still_stopped(struct db_mariadb *my, struct reason *why)
{
	struct my_tree now;
	int error = my_refuse_served(my, why);

	if (error == 0)
		error = my_inspect(my->job, my->job->data_fd, &my->where, &now, why);
	for (int i = 0; error == 0 && i < MY_STAMPS; i++) {
		if (!stamp_equal(&my->tree.stamps[i], &now.stamps[i]))
			error = reason_set(why, ERR_STATE, NULL, "the database was written to during the backup");
	}
	if (error < 0)
		why->retry = true;
	return error;
}

static int after(struct db *db, int backup_fd, struct db_position *position, struct reason *why)
{
	struct db_mariadb *my = own(db);

	(void)backup_fd;
	(void)position;
	if (my->mode == MY_MODE_STOPPED)
		return check_still_stopped(my, why);
	if (my->mode == MY_MODE_RUNNING && !server_is_alive(&my->server))
		return reason_set_retry(why, ERR_STATE, NULL, "the server was restarted during the backup");
	my->session = session_end(my->session);
	return 0;
}

static int check_image(struct db *db, int image_fd, struct db_position *position, struct reason *why)
{
	struct db_mariadb *my = own(db);
	struct my_tree image;
	int error = my_inspect(my->job, image_fd, &my->where, &image, why);

	(void)position;
	if (error == 0)
		error = my_refuse_links(&image, why);
	if (error < 0)
		return error;
	if (!image.data || !image.redo)
		return reason_set_retry(why, ERR_STATE, NULL, "there is no %s in the snapshot",
					image.data ? "redo log" : "ibdata1");
	/* It has no binary log, and no table that was written while it was copied. */
	if (my->backs_up)
		return 0;
	if (my->where.index[0] && !image.last_binlog)
		return reason_set_retry(why, ERR_STATE, NULL, "the binary log is not in the snapshot");
	if (my->mode == MY_MODE_RUNNING && !my->locks && image.plain[0])
		return reason_set_retry(why, ERR_STATE, NULL,
					"a table without transactions was made during the backup: %s", image.plain);
	return 0;
}

static int save_config(struct db *db, int config_fd, struct reason *why)
{
	return my_save_config(own(db), config_fd, why);
}

const struct db_ops db_mariadb = {
	.name = "mariadb",
	.open = open_mariadb,
	.admit = my_admit,
	.walk = walk,
	.before = before,
	.hold = my_hold,
	.release = my_release,
	.make_image = my_make_image,
	.after = after,
	.check_image = check_image,
	.save_config = save_config,
	.close = close_mariadb,
	.make_clone = my_make_clone,
	.prove_stopped = my_prove_stopped,
	.make_original = my_make_original,
	.server = my_server,
	.answers = my_answers,
	.verify_path = CELL_ROOT,
	.verify = my_verify,
};
