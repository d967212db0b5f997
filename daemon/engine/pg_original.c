/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A copy of a data directory that is to be its source again: everything stays as the source had it, slots, links and
 * configuration too. It has to be one that recovers to what the backup promises. Runs in the walker.
 */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char again[] = "restore another backup";

static int check_control(int root_fd, struct reason *why)
{
	/* The file has 8192 bytes. */
	char bytes[16384];
	struct pg_control control;
	int size = tree_read(root_fd, "global/pg_control", bytes, sizeof(bytes));

	if (size < 0 || pg_control_parse(bytes, (size_t)size, &control) < 0)
		return reason_set(why, ERR_CORRUPT, again, "the backup's global/pg_control is missing or damaged");
	return 0;
}

/* A walked tree without its label recovers from the wrong place, and says nothing; an atomic one has none. */
static int check_label(int root_fd, bool recovered, struct reason *why)
{
	bool has = faccessat(root_fd, "backup_label", F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	if (has == recovered)
		return 0;
	return reason_set(why, ERR_CORRUPT, again, recovered ? "the backup's backup_label is missing" :
							       "the backup holds a backup_label that is not its own");
}

static int make(const void *arg, const int *fds, void *answer, struct reason *why)
{
	int error = check_control(fds[0], why);

	(void)answer;
	if (error == 0)
		error = check_label(fds[0], *(const bool *)arg, why);
	/* Of a process that is no more: whoever has its number now would keep the server from starting. */
	if (error == 0 && unlinkat(fds[0], "postmaster.pid", 0) < 0 && errno != ENOENT)
		error = reason_set_errno(why, errno, "cannot remove postmaster.pid from the copy");
	return error;
}

int pg_make_original(struct worker_job *job, const struct manifest *manifest, int copy_fd, struct reason *why)
{
	bool recovered = strcmp(manifest->facts.procedure, "B") == 0;
	char nothing;

	return walker_run(job, make, &recovered, &copy_fd, 1, &nothing, 0, why);
}
