/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A recovered image starts from its label: without it the server takes the last
 * checkpoint that it finds, starts without a word, and what was copied before that
 * checkpoint stays as it was. By the map the server makes the links of tablespaces, and one that
 * still led to the source's would let the clone write there.
 */
#include "daemon/engine/pg_clone.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/pg_label.h"
#include "daemon/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAP_MAX = 1 << 16, LINES_MAX = 64 };

/* As backup and server know them. */
static const char map_name[] = "tablespace_map", label_name[] = "backup_label";

static bool is_there(int root_fd, const char *name)
{
	struct stat st;

	return fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int settle_without(int root_fd, struct reason *why)
{
	if (is_there(root_fd, label_name))
		return reason_set(why, ERR_CORRUPT, "delete the backup, and make a new one",
				  "there is a %s in an image that was not made with one", label_name);
	if (unlinkat(root_fd, map_name, 0) < 0 && errno != ENOENT)
		return reason_set_errno(why, errno, "cannot remove the clone's %s", map_name);
	return 0;
}

static int check_folder(int root_fd, const struct pg_clone *clone, uint32_t oid, struct reason *why)
{
	scope_close int fd = -1;
	char path[96];

	snprintf(path, sizeof(path), "tblspc/%" PRIu32 "/PG_%" PRIu32 "_%" PRIu32, oid, clone->major,
		 clone->control.catalog_version);
	fd = tree_open(root_fd, path, O_RDONLY | O_DIRECTORY, 0);
	return fd >= 0 ? 0 : reason_set_errno(why, errno, "tablespace %" PRIu32 " is not whole in the backup", oid);
}

/* Fills text, of size bytes, with the clone's own map. */
static int make_map(int root_fd, const struct pg_clone *clone, const char *map, char *text, size_t size,
		    struct reason *why)
{
	struct pg_map_entry entry;
	size_t at = 0, used = 0;
	int more, error = 0;

	text[0] = '\0';
	while (error == 0 && (more = pg_map_next(map, strlen(map), &at, &entry)) > 0) {
		error = check_folder(root_fd, clone, entry.oid, why);
		used += (size_t)snprintf(text + used, size - used, "%" PRIu32 " %s/tblspc/%" PRIu32 "\n", entry.oid,
					 clone->path, entry.oid);
		if (error == 0 && used >= size)
			error = reason_set(why, ERR_TOO_LONG, NULL, "the clone's %s would be too long", map_name);
	}
	if (error == 0 && more < 0)
		error = reason_set(why, ERR_CORRUPT, NULL, "the backup's %s is damaged", map_name);
	return error;
}

static int replace(int root_fd, const char *text, struct reason *why)
{
	scope_close int fd = tree_open(root_fd, map_name, O_WRONLY | O_TRUNC, 0);
	ssize_t done = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (done == (ssize_t)strlen(text))
		return 0;
	return reason_set_errno(why, done < 0 ? errno : ENOSPC, "cannot write the clone's %s", map_name);
}

int pg_clone_map(int root_fd, const struct pg_clone *clone, struct reason *why)
{
	scope_free char *map = malloc(MAP_MAX), *text = malloc(LINES_MAX * PG_MAP_PATH_SIZE);
	int size, error;

	if (!map || !text)
		return reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
	if (!clone->recovered)
		return settle_without(root_fd, why);
	if (!is_there(root_fd, label_name))
		return reason_set(why, ERR_CORRUPT, "delete the backup, and make a new one",
				  "the backup has lost its %s: started without it, it would be silently wrong", label_name);
	size = tree_read(root_fd, map_name, map, MAP_MAX);
	if (size == ERR_NOT_FOUND)
		return 0;
	if (size < 0)
		return reason_set(why, size, NULL, "the backup's %s cannot be read: %s", map_name, err_text(size));
	/* The server reads a path up to its own limit, and a backslash in it by its release. */
	if (strlen(clone->path) + sizeof("/tblspc/4294967295") > PG_MAP_PATH_SIZE || strchr(clone->path, '\\'))
		return reason_set(why, ERR_INVALID, "set snapshot_dir to a shorter path without backslashes",
				  "the clone's path is none for a tablespace: %.400s", clone->path);
	error = make_map(root_fd, clone, map, text, LINES_MAX * PG_MAP_PATH_SIZE, why);
	return error < 0 ? error : replace(root_fd, text, why);
}
