/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A copy of a data directory that is to be its source again: everything stays as the source had it, slots, links and
 * configuration too. But what lay outside it is a copy now as well: WAL becomes a folder of its own, and a link left to a
 * tablespace would let the server write into the one that the old directory needs. It has to recover to what the
 * backup promises. Runs in the walker.
 */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/pg_clone.h"
#include "daemon/engine/pg_label.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAP_MAX = 1 << 16 };

static const char again[] = "restore another backup", map_name[] = "tablespace_map";

struct original {
	struct pg_clone clone; /* what it has in common with one */
	const char *spaces;
};

/* A walked tree without its label recovers from the wrong place, and says nothing; an atomic one has none. */
static int check_label(int root_fd, bool recovered, struct reason *why)
{
	bool has = faccessat(root_fd, "backup_label", F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	if (has == recovered)
		return 0;
	return reason_set(why, ERR_CORRUPT, again, recovered ? "the backup's backup_label is missing" :
							       "the backup holds a backup_label that is not its own");
}

static bool has_space(const char *spaces, uint32_t oid)
{
	struct pg_map_entry entry;
	size_t at = 0;

	while (pg_map_next(spaces, strlen(spaces), &at, &entry) > 0) {
		if (entry.oid == oid)
			return true;
	}
	return false;
}

/* Each that the source had comes along, or the server would look for it where it was. */
static int check_map(int root_fd, const char *spaces, struct reason *why)
{
	scope_free char *map = malloc(MAP_MAX);
	int size = map ? tree_read(root_fd, map_name, map, MAP_MAX) : ERR_NOMEM, more = 0;
	struct pg_map_entry entry;
	size_t at = 0;

	if (size == ERR_NOT_FOUND && !spaces[0])
		return 0;
	if (size < 0)
		return reason_set(why, size, again, "the backup's %s cannot be read: %s", map_name, err_text(size));
	while ((more = pg_map_next(map, (size_t)size, &at, &entry)) > 0) {
		if (!has_space(spaces, entry.oid))
			return reason_set(why, ERR_CORRUPT, again, "the backup has lost its tablespace %" PRIu32, entry.oid);
	}
	return more < 0 ? reason_set(why, ERR_CORRUPT, again, "the backup's %s is damaged", map_name) : 0;
}

/* The server makes the links by it when it recovers. */
static int write_map(int root_fd, const char *spaces, struct reason *why)
{
	scope_close int fd = tree_open(root_fd, map_name, O_WRONLY | O_TRUNC, 0);
	ssize_t done = fd < 0 ? -1 : write(fd, spaces, strlen(spaces));

	return done == (ssize_t)strlen(spaces) ? 0 :
	       reason_set_errno(why, done < 0 ? errno : ENOSPC, "cannot write the copy's %s", map_name);
}

static int move_spaces(int root_fd, const char *spaces, struct reason *why)
{
	int error = check_map(root_fd, spaces, why);

	if (error < 0 || !spaces[0])
		return error;
	error = tree_empty(root_fd, "pg_tblspc", why);
	return error < 0 ? error : write_map(root_fd, spaces, why);
}

/* A slot of the cut wants WAL from before it, which is not in the backup: it would only hold back more. */
static int join(int root_fd, struct reason *why)
{
	int error = pg_clone_join(root_fd, why);

	return error < 0 ? error : tree_empty(root_fd, "pg_replslot", why);
}

static int make(const void *arg, const int *fds, void *answer, struct reason *why)
{
	struct original original = *(const struct original *)arg;
	int root = fds[0], error = check_label(root, original.clone.recovered, why);

	(void)answer;
	if (error == 0)
		error = pg_clone_read(root, &original.clone, why);
	if (error == 0 && original.clone.apart)
		error = join(root, why);
	if (error == 0)
		error = pg_clone_check_replay(root, &original.clone, why);
	if (error == 0 && original.clone.recovered)
		error = move_spaces(root, original.spaces, why);
	/* Of a process that is no more: whoever has its number now would keep the server from starting. */
	if (error == 0 && unlinkat(root, "postmaster.pid", 0) < 0 && errno != ENOENT)
		error = reason_set_errno(why, errno, "cannot remove postmaster.pid from the copy");
	return error;
}

int pg_make_original(struct worker_job *job, const struct manifest *manifest, const char *spaces, int copy_fd, struct reason *why)
{
	bool apart = strcmp(manifest->facts.procedure, "C") == 0;
	struct original original = {
		.clone = {.recovered = apart || strcmp(manifest->facts.procedure, "B") == 0, .apart = apart}, .spaces = spaces,
	};
	char nothing;

	return walker_run(job, make, &original, &copy_fd, 1, &nothing, 0, why);
}
