/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which programs a clone's server is made of. */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "daemon/engine/bindir.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <inttypes.h>
#include <stdio.h>

static int read_major(const void *arg, const int *fds, void *answer, struct reason *why)
{
	uint32_t *major = answer;
	char text[32];
	unsigned number = 0;

	(void)arg;
	(void)why;
	if (tree_read(fds[0], "PG_VERSION", text, sizeof(text)) > 0 && sscanf(text, "%u", &number) == 1)
		*major = number;
	return 0;
}

int pg_read_major(struct worker_job *job, int root_fd, uint32_t *ret_major, struct reason *why)
{
	return walker_run(job, read_major, NULL, &root_fd, 1, ret_major, sizeof(*ret_major), why);
}

int pg_find_programs(const struct worker_job *job, const char *recorded, uint32_t major, const char *const programs[],
		     char ret_path[static MSG_PATH_SIZE], struct reason *why)
{
	char usual[64];
	int error;

	if (job->cluster->database.bindir[0])
		return bindir_check(job, job->cluster->database.bindir, programs, ret_path, why);
	error = recorded[0] ? bindir_check(job, recorded, programs, ret_path, why) : ERR_NOT_FOUND;
	if (error != ERR_NOT_FOUND)
		return error;
	snprintf(usual, sizeof(usual), "/usr/lib/postgresql/%" PRIu32 "/bin", major);
	return bindir_check(job, usual, programs, ret_path, why);
}
