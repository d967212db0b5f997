/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A clone of what was cut part by part is put together: a link that was in the data directory leads to
 * the source's own WAL or tablespace, and a server that followed it would write there.
 */
#include "daemon/engine/pg_clone.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/snap.h"
#include "daemon/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int replace_wal(int root_fd, struct reason *why)
{
	struct stat st;
	int error = 0;

	if (fstatat(root_fd, SNAP_WAL, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return reason_set(why, ERR_CORRUPT, "delete the backup, and make a new one", "the backup has lost its wal");
	if (fstatat(root_fd, "pg_wal", &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(st.st_mode))
			error = tree_empty(root_fd, "pg_wal", why);
		if (error < 0)
			return error;
		if (unlinkat(root_fd, "pg_wal", S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
			return reason_set_errno(why, errno, "cannot remove the clone's pg_wal");
	}
	if (renameat(root_fd, SNAP_WAL, root_fd, "pg_wal") < 0)
		return reason_set_errno(why, errno, "cannot put the clone's pg_wal in its place");
	return 0;
}

/* The server makes them anew, by the map. */
static int remove_links(int root_fd, struct reason *why)
{
	scope_close int fd = tree_open(root_fd, "pg_tblspc", O_RDONLY | O_DIRECTORY, 0);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	const char *name;
	int more = -1;

	while (dir && (more = names_next(dir, &name)) > 0) {
		if (unlinkat(fd, name, 0) < 0)
			return reason_set_errno(why, errno, "cannot remove the clone's pg_tblspc/%.64s", name);
	}
	return more < 0 ? reason_set_errno(why, errno, "cannot list the clone's pg_tblspc") : 0;
}

static int clean_entry(void *arg, const struct tree_entry *entry, struct reason *why)
{
	(void)arg;
	if (S_ISREG(entry->st.st_mode) || S_ISDIR(entry->st.st_mode))
		return 0;
	if (S_ISLNK(entry->st.st_mode))
		return reason_set(why, ERR_LAYOUT, "make a new backup after replacing the link in the source",
				  "the backup has a symbolic link in a tablespace: %s", entry->path);
	if (unlinkat(entry->dir_fd, entry->name, 0) < 0 && errno != ENOENT)
		return reason_set_errno(why, errno, "cannot remove %s from the clone", entry->path);
	return 0;
}

/* Each is a subvolume, which a walk of the clone does not enter. */
static int clean_tablespaces(int root_fd, struct reason *why)
{
	scope_close int fd = tree_open(root_fd, "tblspc", O_RDONLY | O_DIRECTORY, 0);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	const char *name;
	int error = 0, more = -1;

	if (fd < 0 && errno == ENOENT)
		return 0;
	while (error == 0 && dir && (more = names_next(dir, &name)) > 0) {
		scope_close int space = tree_open(fd, name, O_RDONLY | O_DIRECTORY, 0);

		error = space < 0 ? reason_set_errno(why, errno, "cannot open the clone's tblspc/%.64s", name) :
				    tree_walk(space, clean_entry, NULL, why);
	}
	return error == 0 && more < 0 ? reason_set_errno(why, errno, "cannot list the clone's tblspc") : error;
}

int pg_clone_join(int root_fd, struct reason *why)
{
	int error = replace_wal(root_fd, why);

	if (error == 0)
		error = remove_links(root_fd, why);
	return error == 0 ? clean_tablespaces(root_fd, why) : error;
}
