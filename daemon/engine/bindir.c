/* SPDX-License-Identifier: GPL-3.0-or-later */
/* By path, because that is how programs are started; what only root can change stays as it was looked at. */
#include "daemon/engine/bindir.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char remedy[] = "set database.bindir to the folder of the server's programs: root's, and no other's to write, as each "
			     "folder above it";

static bool is_trusted(const struct worker_job *job, const struct stat *st)
{
	if (st->st_uid != 0 && (job->as_root || st->st_uid != geteuid()))
		return false;
	return !(st->st_mode & S_IWOTH) && !(st->st_mode & S_IWGRP && st->st_gid != 0);
}

static int refuse(const char *path, bool seen, struct reason *why)
{
	if (!seen)
		return reason_set(why, ERR_NOT_FOUND, remedy, "%.800s cannot be looked at", path);
	return reason_set(why, ERR_UNTRUSTED, remedy, "%.800s is not root's, or others may write it: what is in it is not run", path);
}

/* path and each folder above it, which is what is left of path afterwards. */
static int check_chain(const struct worker_job *job, char *path, struct reason *why)
{
	struct stat st;
	char *slash;

	do {
		bool seen = lstat(path[0] ? path : "/", &st) == 0;

		if (!seen || !is_trusted(job, &st))
			return refuse(path[0] ? path : "/", seen, why);
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return 0;
}

static int check_outside(const struct worker_job *job, const char *real, struct reason *why)
{
	scope_close int fd = open(real, O_PATH | O_CLOEXEC);

	if (fd >= 0 && !(job->data_fd >= 0 && place_is_inside(job->data_fd, fd)))
		return 0;
	return reason_set(why, ERR_UNTRUSTED, remedy, "%.800s lies in the data directory: what is in it is not run", real);
}

/* The real path of one thing, and nobody else's hand in it. */
static int check(const struct worker_job *job, const char *path, char *ret_real, struct reason *why)
{
	char real[PATH_MAX], chain[PATH_MAX];
	int error;

	if (!realpath(path, real))
		return reason_set(why, ERR_NOT_FOUND, remedy, "%.800s cannot be found: %s", path, strerror(errno));
	memcpy(chain, real, strlen(real) + 1);
	error = check_chain(job, chain, why);
	if (error == 0)
		error = check_outside(job, real, why);
	if (error == 0 && strlen(real) >= MSG_PATH_SIZE)
		error = reason_set(why, ERR_TOO_LONG, remedy, "the path of the server's programs is too long");
	if (error == 0)
		memcpy(ret_real, real, strlen(real) + 1);
	return error;
}

static int check_program(const struct worker_job *job, const char *folder, const char *name, struct reason *why)
{
	char path[MSG_PATH_SIZE + 64], real[MSG_PATH_SIZE];
	struct stat st;
	int error;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	error = check(job, path, real, why);
	if (error == 0 && (stat(real, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR)))
		error = reason_set(why, ERR_NOT_FOUND, remedy, "%.800s is no program", real);
	return error;
}

int bindir_check(const struct worker_job *job, const char *path, const char *const programs[],
		 char ret_real[static MSG_PATH_SIZE], struct reason *why)
{
	char real[MSG_PATH_SIZE];
	int error = check(job, path, real, why);

	for (size_t i = 0; error == 0 && programs[i]; i++)
		error = check_program(job, real, programs[i], why);
	if (error == 0)
		memcpy(ret_real, real, sizeof(real));
	return error;
}
