/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lists are those of pg_basebackup, whose image is started in the same way. What is
 * left out is made anew by the server, or belongs to the process that runs there.
 */
#include "daemon/engine/pg_walk.h"

#include "common/err.h"
#include "daemon/engine/pg_control.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void pg_walk_init(uint32_t major, uint32_t catalog_version, bool takes_wal, struct pg_walk *ret_walk)
{
	*ret_walk = (struct pg_walk){.takes_wal = takes_wal};
	snprintf(ret_walk->folder, sizeof(ret_walk->folder), "PG_%" PRIu32 "_%" PRIu32, major, catalog_version);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Folders whose contents are of this run of the server only; and links to elsewhere, which are not followed. */
static bool is_emptied(const struct pg_walk *walk, const char *path)
{
	static const char *const names[] = {"pg_replslot",  "pg_dynshmem", "pg_notify",   "pg_serial",
					    "pg_snapshots", "pg_stat_tmp", "pg_subtrans", "pg_tblspc"};

	if (strcmp(path, "pg_wal") == 0)
		return !walk->takes_wal;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(path, names[i]) == 0)
			return true;
	}
	return false;
}

/* At the top of the data directory. */
static bool is_left_out(const char *path)
{
	static const char *const names[] = {"postmaster.pid", "postmaster.opts", "backup_manifest",
					    "postgresql.auto.conf.tmp"};
	static const char *const beginnings[] = {"backup_label", "tablespace_map", "current_logfiles"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(path, names[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		if (begins(path, beginnings[i]) && !strchr(path, '/'))
			return true;
	}
	return false;
}

static bool is_left_out_anywhere(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return begins(name, "pg_internal.init") || begins(name, "pgsql_tmp");
}

/* pg_hba.conf and pg_ident.conf are no data. */
static bool holds_data(const char *path)
{
	size_t top = strcspn(path, "/");

	if (begins(path, "pg_"))
		return memchr(path, '.', top) == NULL;
	return (top == 4 && begins(path, "base")) || (top == 6 && begins(path, "global"));
}

static enum tree_fate refuse_link(const char *path, struct reason *why)
{
	reason_set(why, ERR_LAYOUT, "replace the link by what it leads to", "part of the database is a link out of it: %s",
		   path);
	return TREE_REFUSE;
}

static enum tree_fate judge_data(const struct pg_walk *walk, const char *path, const struct stat *st,
				 struct reason *why)
{
	if (strcmp(path, "pg_wal") == 0 && S_ISLNK(st->st_mode) && !walk->takes_wal)
		return TREE_EMPTY;
	if (S_ISLNK(st->st_mode))
		return holds_data(path) ? refuse_link(path, why) : TREE_TAKE;
	if (is_emptied(walk, path))
		return TREE_EMPTY;
	/* It names the checkpoint that recovery would begin with: older than anything else it must not be. */
	return strcmp(path, "global/pg_control") == 0 && S_ISREG(st->st_mode) ? TREE_LAST : TREE_TAKE;
}

/* Other releases of the server, and other people, may have their own beside it. */
static enum tree_fate judge_tablespace(const struct pg_walk *walk, const char *path, const struct stat *st,
				       struct reason *why)
{
	if (strncmp(path, walk->folder, strlen(walk->folder)) != 0 || !strchr("/", path[strlen(walk->folder)]))
		return TREE_LEAVE_OUT;
	return S_ISLNK(st->st_mode) ? refuse_link(path, why) : TREE_TAKE;
}

enum tree_fate pg_walk_judge(const void *arg, size_t root, const char *path, const struct stat *st,
			     struct reason *why)
{
	const struct pg_walk *walk = arg;

	if (is_left_out_anywhere(path) || (root == 0 && is_left_out(path)))
		return TREE_LEAVE_OUT;
	return root == 0 ? judge_data(walk, path, st, why) : judge_tablespace(walk, path, st, why);
}

bool pg_walk_is_whole(int fd)
{
	char bytes[PG_CONTROL_READ];
	ssize_t got = pread(fd, bytes, sizeof(bytes), 0);
	struct pg_control control;

	return got > 0 && pg_control_parse(bytes, (size_t)got, &control) == 0;
}
