/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies of the configuration that lies outside the data directory (on Debian
 * all of it), for a person who restores on another machine; no job reads them.
 * The server named the paths and the database's user reads them: what
 * that user cannot read is left out, and nothing here makes a backup fail but a full disk.
 */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "common/log.h"
#include "common/scope.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20, FILES_MAX = 32 };

struct copy {
	uint32_t size;
	char bytes[BYTES_MAX];
};

/* In the walker. */
static int read_outside(const void *arg, const int *fds, void *answer, struct reason *why)
{
	scope_close int fd = open(arg, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct copy *copy = answer;
	struct stat st;
	ssize_t got;

	(void)fds;
	if (fd < 0 || fstat(fd, &st) < 0)
		return reason_set_errno(why, errno, "cannot open it");
	if (!S_ISREG(st.st_mode) || st.st_size > BYTES_MAX)
		return reason_set(why, ERR_INVALID, NULL, "no regular file of at most 1 MiB");
	got = read(fd, copy->bytes, sizeof(copy->bytes));
	if (got < 0)
		return reason_set_errno(why, errno, "cannot read it");
	copy->size = (uint32_t)got;
	return 0;
}

static bool is_outside(const struct db_postgresql *pg, const char *path)
{
	const char *dir = pg->job->cluster->data_dir;
	size_t length = strlen(dir);

	return path[0] == '/' && !(strncmp(path, dir, length) == 0 && path[length] == '/');
}

/* "/etc/postgresql/15/main/pg_hba.conf" as "etc%postgresql%15%main%pg_hba.conf": no two files meet. */
static void name_copy(const char *path, char *name, size_t size)
{
	snprintf(name, size, "%s", path + 1);
	for (char *c = name; *c; c++) {
		if (*c == '/')
			*c = '%';
	}
}

static int write_copy(int config_fd, const char *name, const struct copy *copy, struct reason *why)
{
	scope_close int fd = openat(config_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t done;

	if (fd < 0)
		return errno == EEXIST ? 0 : reason_set_errno(why, errno, "cannot make config/%s", name);
	done = write(fd, copy->bytes, copy->size);
	if (done != (ssize_t)copy->size)
		return reason_set_errno(why, done < 0 ? errno : ENOSPC, "cannot write config/%s", name);
	return fsync(fd) < 0 ? reason_set_errno(why, errno, "cannot sync config/%s", name) : 0;
}

static int save_one(struct db_postgresql *pg, int config_fd, const char *path, struct copy *copy, struct reason *why)
{
	struct log_about about = job_about(pg->job);
	char name[256];
	struct reason unread = {0};

	if (!is_outside(pg, path) || strlen(path) >= sizeof(name))
		return 0;
	if (walker_run(pg->job, read_outside, path, NULL, 0, copy, sizeof(*copy), &unread) < 0 ||
	    copy->size > BYTES_MAX) {
		log_about(LOG_LEVEL_WARNING, &about, "configuration file %s is not copied: %s", path, unread.cause);
		return 0;
	}
	name_copy(path, name, sizeof(name));
	return write_copy(config_fd, name, copy, why);
}

int pg_save_config(struct db_postgresql *pg, int config_fd, struct reason *why)
{
	const char *const named[] = {pg->facts.config_file, pg->facts.hba_file, pg->facts.ident_file};
	scope_free struct copy *copy = malloc(sizeof(*copy));
	char lines[ASK_LINES_SIZE], *state = NULL;
	int error = 0, count = 0;

	if (!copy)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	if (pg->mode != PG_MODE_RUNNING)
		return 0;
	for (size_t i = 0; error == 0 && i < sizeof(named) / sizeof(named[0]); i++)
		error = save_one(pg, config_fd, named[i], copy, why);
	snprintf(lines, sizeof(lines), "%s", pg->facts.sources);
	for (char *path = strtok_r(lines, "\n", &state); path && error == 0 && count < FILES_MAX;
	     path = strtok_r(NULL, "\n", &state), count++)
		error = save_one(pg, config_fd, path, copy, why);
	return error;
}
