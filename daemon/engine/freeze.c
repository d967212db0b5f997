/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Undoes what an engine that died may have left: processes stopped by it. */
#include "daemon/engine/freeze.h"

#include "common/err.h"
#include "common/log.h"
#include "common/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int read_small(int dir_fd, const char *name, char *text, size_t size)
{
	scope_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	if (got < 0)
		return err_from_errno(errno);
	text[got] = '\0';
	return 0;
}

/* Field 22; the name in field 2 may hold blanks and parentheses. */
static unsigned long long start_time_of(pid_t pid)
{
	char path[64], text[1024];
	unsigned long long start = 0;
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0 || !(at = strrchr(text, ')')))
		return 0;
	if (sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &start) != 1)
		return 0;
	return start;
}

/* The pidfd is taken first: what it stands for cannot change while the start time is compared. */
static int thaw(int dir_fd, const char *name)
{
	char text[128];
	unsigned long long start;
	scope_close int pidfd = -1;
	int pid;

	if (read_small(dir_fd, name, text, sizeof(text)) < 0)
		return ERR_IO;
	if (sscanf(text, "%d %llu", &pid, &start) != 2 || pid <= 1)
		return ERR_CORRUPT;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : err_from_errno(errno);
	if (start_time_of(pid) != start)
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0) < 0 && errno != ESRCH)
		return err_from_errno(errno);
	log_notice("process %d of cluster %s, held still by a dbsnapd that ended, runs again", pid, name);
	return 0;
}

static int thaw_note(int dir_fd, const char *name)
{
	int error = thaw(dir_fd, name);

	if (error == 0 && unlinkat(dir_fd, name, 0) < 0)
		error = err_from_errno(errno);
	if (error < 0)
		log_error("the note frozen/%s cannot be undone: %s", name, err_text(error));
	return error;
}

int freeze_thaw_all(const char *socket_path)
{
	const char *slash = strrchr(socket_path, '/');
	char path[256];
	const struct dirent *entry;
	int count = 0, failed = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%.*s/frozen", slash ? (int)(slash - socket_path) : 0, socket_path);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : err_from_errno(errno);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (thaw_note(dirfd(dir), entry->d_name) < 0)
			failed = ERR_STATE;
	}
	closedir(dir);
	return failed < 0 ? failed : count;
}
