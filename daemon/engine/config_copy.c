/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paths come from a server, and bytes from its user: nothing of them makes a backup fail but a full disk. */
#include "daemon/engine/config_copy.h"

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

enum { BYTES_MAX = 1 << 20 };

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

static bool is_outside(const struct worker_job *job, const char *path)
{
	const char *dir = job->cluster->data_dir;
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

int config_copy(struct worker_job *job, int config_fd, const char *path, struct reason *why)
{
	struct log_about about = job_about(job);
	scope_free struct copy *copy = malloc(sizeof(*copy));
	char name[NAME_MAX + 1];
	struct reason unread = {0};

	if (!copy)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	if (!is_outside(job, path))
		return 0;
	if (strlen(path) > sizeof(name)) {
		log_about(LOG_LEVEL_WARNING, &about, "configuration file %s is not copied: its path has more than %d bytes", path, NAME_MAX + 1);
		return 0;
	}
	if (walker_run(job, read_outside, path, NULL, 0, copy, sizeof(*copy), &unread) < 0 ||
	    copy->size > BYTES_MAX) {
		log_about(LOG_LEVEL_WARNING, &about, "configuration file %s is not copied: %s", path, unread.cause);
		return 0;
	}
	name_copy(path, name, sizeof(name));
	return write_copy(config_fd, name, copy, why);
}

