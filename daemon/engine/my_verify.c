/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's side of a verification: which programs. What the clone's own configuration says is never used. */
#include "daemon/engine/my_verify.h"

#include "common/err.h"
#include "common/pairs.h"
#include "daemon/engine/db_mariadb.h"
#include "daemon/engine/examine.h"
#include "daemon/engine/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The folder of the server's socket, if conninfo names one: the source is no business of the clone's. */
static void find_socket_dir(const char *conninfo, char path[static PAIRS_VALUE_SIZE])
{
	struct pair pair = {.key = ""};
	char *slash;

	path[0] = '\0';
	do {
		conninfo = pairs_next(conninfo, &pair);
		if (conninfo && strcmp(pair.key, "socket") == 0)
			memcpy(path, pair.value, sizeof(pair.value));
	} while (conninfo && *conninfo);
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
}

static void fill(const struct manifest *manifest, struct my_verify *question)
{
	memcpy(question->settings, manifest->settings, sizeof(question->settings));
	/* mariadb-backup notes where the source's binary log was, and leaves it out. */
	if (strcmp(manifest->facts.procedure, "F") != 0)
		snprintf(question->position, sizeof(question->position), "%s", manifest->facts.position);
	sscanf(manifest->facts.server, "MariaDB %u.%u", &question->major, &question->minor);
	sscanf(manifest->floor, "%" SCNu64, &question->floor);
	question->total = manifest->facts.size ? manifest->facts.size : 100;
}

int my_verify(struct worker_job *job, const struct manifest *manifest, int clone_fd, struct db_verified *ret_verified,
	      struct reason *why)
{
	struct my_verify question = {.floor = 0};
	char socket_dir[PAIRS_VALUE_SIZE];
	int error = my_find_server(job, manifest->bindir, question.bindir, why);

	if (error == 0)
		error = my_find_client(job, question.bindir, question.client_dir, why);
	if (error < 0)
		return error;
	fill(manifest, &question);
	find_socket_dir(conf_conninfo(&job->cluster->database, CONF_DATABASE_MARIADB), socket_dir);
	gauge_begin(job, PHASE_CHECKING, 40, 95, question.total);
	question.done = job->gauge.done;
	error = examine_in_cell(job, clone_fd, socket_dir, my_verify_run, &question, ret_verified, why);
	gauge_end(job);
	return error;
}
