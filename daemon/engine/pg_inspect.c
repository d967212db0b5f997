/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs in the walker: a handful of lookups, and the listing of three small folders. */
#include "daemon/engine/pg_inspect.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct question {
	uint64_t floor;
};

static enum pg_thing thing_at(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return PG_THING_NONE;
	if (S_ISREG(st.st_mode))
		return PG_THING_FILE;
	if (S_ISDIR(st.st_mode))
		return PG_THING_FOLDER;
	return S_ISLNK(st.st_mode) ? PG_THING_LINK : PG_THING_OTHER;
}

static void target_of(int dir_fd, const char *name, char *target, size_t size)
{
	ssize_t length = readlinkat(dir_fd, name, target, size - 1);

	target[length < 0 ? 0 : length] = '\0';
}

static void read_version(int root_fd, struct pg_tree *tree)
{
	char text[32];
	unsigned long major;

	if (tree_read(root_fd, "PG_VERSION", text, sizeof(text)) <= 0)
		return;
	major = strtoul(text, NULL, 10);
	tree->major = major < 1000 ? (uint32_t)major : 0;
}

static void read_control_once(int root_fd, struct pg_tree *tree)
{
	scope_close int fd = tree_open(root_fd, "global/pg_control", O_RDONLY, 0);
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	got = pread(fd, tree->control, sizeof(tree->control), 0);
	tree->control_size = got > 0 ? (uint32_t)got : 0;
	stamp_of(&st, &tree->stamp);
}

/* A running server may be writing it: a second look a moment later settles a torn one. */
static bool read_control(int root_fd, struct pg_tree *tree, struct pg_control *control)
{
	for (int i = 0; i < 5; i++) {
		read_control_once(root_fd, tree);
		if (pg_control_parse(tree->control, tree->control_size, control) != ERR_CORRUPT)
			break;
	}
	return pg_control_parse(tree->control, tree->control_size, control) == 0;
}

static bool has_segment(int wal_fd, uint32_t timeline, uint64_t lsn, uint32_t segment_size)
{
	char name[PG_SEGMENT_NAME_SIZE];
	struct stat st;

	pg_control_segment(timeline, lsn, segment_size, name);
	return fstatat(wal_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size == (off_t)segment_size;
}

static void look_at_wal(int root_fd, const struct pg_control *control, uint64_t floor, struct pg_tree *tree)
{
	scope_close int wal_fd = tree_open(root_fd, "pg_wal", O_RDONLY | O_DIRECTORY, 0);
	uint32_t size = control->wal_segment_size;

	if (wal_fd < 0)
		return;
	tree->redo_segment = has_segment(wal_fd, control->timeline, control->redo, size);
	/*
	 * The floor is the end of what was flushed: the byte before it is in a segment for sure. Just after a
	 * promotion that one is on a timeline newer than the last checkpoint's, which stands where recovery ended.
	 */
	tree->floor_segment = floor == 0 || has_segment(wal_fd, control->timeline, floor - 1, size) ||
			      has_segment(wal_fd, control->min_recovery_timeline, floor - 1, size);
}

typedef bool found_fn(int dir_fd, const char *path, const char *name, void *arg);

/* Calls found for each name in the folder until it returns true. */
static void list(int root_fd, const char *path, found_fn *found, void *arg)
{
	scope_close int fd = tree_open(root_fd, path, O_RDONLY | O_DIRECTORY, 0);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	const char *name;

	while (dir && names_next(dir, &name) > 0) {
		if (found(dirfd(dir), path, name, arg))
			return;
	}
}

static bool note_tablespace(int dir_fd, const char *path, const char *name, void *arg)
{
	struct pg_tree *tree = arg;
	char target[160];

	(void)path;
	target_of(dir_fd, name, target, sizeof(target));
	snprintf(tree->tablespace, sizeof(tree->tablespace), "%.64s%s%s", name, target[0] ? " -> " : "", target);
	return true;
}

static bool note_link(int dir_fd, const char *path, const char *name, void *arg)
{
	struct pg_tree *tree = arg;
	char target[120];

	if (thing_at(dir_fd, name) != PG_THING_LINK)
		return false;
	target_of(dir_fd, name, target, sizeof(target));
	snprintf(tree->link, sizeof(tree->link), "%s%s%.100s -> %s", strcmp(path, ".") ? path : "",
		 strcmp(path, ".") ? "/" : "", name, target);
	return true;
}

/* At the top only the folders that hold data matter: server.crt may well be a link. */
static bool note_data_link(int dir_fd, const char *path, const char *name, void *arg)
{
	if (strcmp(name, "pg_wal") == 0)
		return false;
	if (strcmp(name, "base") != 0 && strcmp(name, "global") != 0 && strncmp(name, "pg_", 3) != 0)
		return false;
	if (strchr(name, '.')) /* pg_hba.conf, pg_ident.conf */
		return false;
	return note_link(dir_fd, path, name, arg);
}

static void look_for_links(int root_fd, struct pg_tree *tree)
{
	list(root_fd, "pg_tblspc", note_tablespace, tree);
	list(root_fd, ".", note_data_link, tree);
	if (!tree->link[0])
		list(root_fd, "base", note_link, tree);
}

/* Not there, or not to be looked at: just now. */
static int64_t spaces_changed(int root_fd)
{
	struct stat st;

	return fstatat(root_fd, "pg_tblspc", &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ctim.tv_sec : INT64_MAX;
}

static int inspect(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct question *question = arg;
	struct pg_tree *tree = answer;
	struct pg_control control;
	int root = fds[0];

	(void)why;
	*tree = (struct pg_tree){0};
	read_version(root, tree);
	tree->mariadb = thing_at(root, "ibdata1") == PG_THING_FILE;
	tree->wal = (uint8_t)thing_at(root, "pg_wal");
	if (tree->wal == PG_THING_LINK)
		target_of(root, "pg_wal", tree->wal_target, sizeof(tree->wal_target));
	if (read_control(root, tree, &control))
		look_at_wal(root, &control, question->floor, tree);
	tree->backup_label = thing_at(root, "backup_label") != PG_THING_NONE;
	tree->standby = thing_at(root, "standby.signal") != PG_THING_NONE ||
			thing_at(root, "recovery.signal") != PG_THING_NONE;
	tree->tblspc = thing_at(root, "tblspc") != PG_THING_NONE;
	tree->spaces_s = spaces_changed(root);
	look_for_links(root, tree);
	return 0;
}

/* Strings end, the control file's size is one that fits: the rest may say what it likes. */
static void tidy(struct pg_tree *tree)
{
	tree->wal_target[sizeof(tree->wal_target) - 1] = '\0';
	tree->tablespace[sizeof(tree->tablespace) - 1] = '\0';
	tree->link[sizeof(tree->link) - 1] = '\0';
	if (tree->control_size > sizeof(tree->control))
		tree->control_size = 0;
}

int pg_inspect(struct worker_job *job, int root_fd, uint64_t floor, struct pg_tree *ret_tree, struct reason *why)
{
	struct question question = {.floor = floor};
	int error = walker_run(job, inspect, &question, &root_fd, 1, ret_tree, sizeof(*ret_tree), why);

	if (error == 0)
		tidy(ret_tree);
	return error;
}
