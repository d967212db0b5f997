/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's side of a verification: which programs. What the clone's own configuration says is never used. */
#include "daemon/engine/pg_verify.h"

#include "common/err.h"
#include "daemon/engine/db_postgresql.h"
#include "daemon/engine/examine.h"
#include "daemon/engine/manifest.h"
#include "daemon/engine/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const programs[] = {"postgres", "psql", "pg_amcheck", "pg_checksums", NULL};

/* "0/3000148"; 0: none. */
static uint64_t parse_lsn(const char *text)
{
	unsigned high, low;

	return sscanf(text, "%X/%X", &high, &low) == 2 ? (uint64_t)high << 32 | low : 0;
}

/* The folder of the server's socket, if conninfo names one: the source is no business of the clone's. */
static void find_socket_dir(const char *conninfo, char *path, size_t size)
{
	const char *host = strstr(conninfo, "host=");

	path[0] = '\0';
	if (host)
		snprintf(path, size, "%.*s", (int)strcspn(host + 5, " '"), host + 5);
}

static int run(struct worker_job *job, const struct pg_verify *question, int clone_fd, struct db_verified *ret_verified,
	       struct reason *why)
{
	char socket_dir[MSG_PATH_SIZE];

	find_socket_dir(job->cluster->database.conninfo, socket_dir, sizeof(socket_dir));
	return examine_in_cell(job, clone_fd, socket_dir, pg_verify_run, question, ret_verified, why);
}

int pg_verify(struct worker_job *job, const struct manifest *manifest, int clone_fd, struct db_verified *ret_verified,
	      struct reason *why)
{
	struct pg_verify question = {.floor = parse_lsn(manifest->floor)};
	uint32_t major = 0;
	int error = pg_read_major(job, clone_fd, &major, why);

	/* "PostgreSQL 15.18" is the better witness; "" of a server that did not run. */
	sscanf(manifest->facts.server, "PostgreSQL %" SCNu32, &major);
	if (error == 0)
		error = pg_find_programs(job, manifest->bindir, major, programs, question.bindir, why);
	if (error < 0)
		return error;
	question.total = manifest->facts.size ? manifest->facts.size : 100;
	gauge_begin(job, PHASE_CHECKING, 40, 95, question.total);
	question.done = job->gauge.done;
	error = run(job, &question, clone_fd, ret_verified, why);
	gauge_end(job);
	return error;
}
