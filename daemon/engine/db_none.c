/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * No database: a tree of which nothing is known. What an atomic cut gives is
 * what a power cut would have left.
 */
#include "daemon/engine/db.h"

#include "common/err.h"

#include <stdio.h>

static int open_none(struct worker_job *job, struct layout *layout, struct db **ret_db, struct reason *why)
{
	static struct db only = {.ops = &db_none}; /* nothing in it ever changes */

	(void)job;
	(void)layout;
	(void)why;
	*ret_db = &only;
	return 0;
}

static int admit(struct db *db, const struct snap_ops *snap, struct layout *layout, struct reason *why)
{
	(void)db;
	(void)why;
	snprintf(layout->procedure, sizeof(layout->procedure), "none");
	snprintf(layout->promise, sizeof(layout->promise), "%s", snap->atomic ? "crash" : "per-file");
	return 0;
}

/* Everything as it lies, each file as of one moment: that is the promise. */
static void walk(struct db *db, struct db_walk *ret_walk)
{
	(void)db;
	*ret_walk = (struct db_walk){0};
}

static int before(struct db *db, struct db_position *ret_position, struct reason *why)
{
	(void)db;
	(void)why;
	*ret_position = (struct db_position){0};
	return 0;
}

static int after(struct db *db, int backup_fd, struct db_position *position, struct reason *why)
{
	(void)db;
	(void)backup_fd;
	(void)position;
	(void)why;
	return 0;
}

static int check_image(struct db *db, int image_fd, struct db_position *position, struct reason *why)
{
	(void)db;
	(void)image_fd;
	(void)position;
	(void)why;
	return 0;
}

static void close_none(struct db *db)
{
	(void)db;
}

static int make_clone(struct worker_job *job, const struct manifest *manifest, int clone_fd, const char *path,
		      struct db_clone *ret_clone, struct reason *why)
{
	(void)job;
	(void)manifest;
	(void)clone_fd;
	(void)path;
	(void)why;
	*ret_clone = (struct db_clone){0};
	return 0;
}

const struct db_ops db_none = {
	.name = "none",
	.open = open_none,
	.admit = admit,
	.walk = walk,
	.before = before,
	.after = after,
	.check_image = check_image,
	.close = close_none,
	.make_clone = make_clone,
};
