/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The worker's side of a verification: which programs, in which cell, and how
 * much of the answer is believed. What the clone's own configuration says is never used.
 */
#include "daemon/engine/pg_verify.h"

#include "common/err.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/db_postgresql.h"
#include "daemon/engine/manifest.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

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

/* The database user's words: text, and bounded. */
static void clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++) {
		if (*text != '\n' && (*text < 0x20 || *text > 0x7e))
			*text = '?';
	}
}

static void judge(const unsigned char *good, struct db_verified *verified)
{
	verified->good = *good == 1;
	clean(verified->checked, sizeof(verified->checked));
	clean(verified->found, sizeof(verified->found));
	if (!verified->good && !verified->found[0])
		snprintf(verified->found, sizeof(verified->found), "the programs that looked at it found damage");
}

static int run(struct worker_job *job, const struct pg_verify *question, int clone_fd, struct db_verified *ret_verified,
	       struct reason *why)
{
	char socket_dir[MSG_PATH_SIZE];
	struct cell cell = {.root_fd = clone_fd, .hidden = {job->cluster->data_dir}};
	int error = cell_find_path(clone_fd, cell.path, why);

	find_socket_dir(job->cluster->database.conninfo, socket_dir, sizeof(socket_dir));
	if (socket_dir[0] == '/')
		cell.hidden[1] = socket_dir;
	if (error == 0)
		error = walker_run_in_cell(job, &cell, pg_verify_run, question, &clone_fd, 1, ret_verified, sizeof(*ret_verified), why);
	if (error == 0)
		judge((const unsigned char *)&ret_verified->good, ret_verified);
	return error;
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
