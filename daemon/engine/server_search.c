/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who works in a data directory that nobody answers for: by its working directory, or by a file that it may write to. */
#include "daemon/engine/server.h"

#include "common/scope.h"
#include "daemon/engine/holder.h"
#include "daemon/engine/names.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(int proc_fd, const char *program)
{
	char path[MSG_PATH_SIZE];
	ssize_t length = readlinkat(proc_fd, "exe", path, sizeof(path) - 1);
	const char *base;

	if (length <= 0)
		return false;
	path[length] = '\0';
	base = strrchr(path, '/');
	/* An upgrade while it runs: "postgres (deleted)". */
	return base && strncmp(base + 1, program, strlen(program)) == 0 && strchr(" ", base[1 + strlen(program)]);
}

/* pid is a name in /proc. */
static bool works_in(const struct stat *folder, const char *pid, const char *program)
{
	char path[64];
	scope_close int proc_fd = -1;
	struct stat cwd;

	snprintf(path, sizeof(path), "/proc/%.20s", pid);
	proc_fd = isdigit((unsigned char)pid[0]) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return proc_fd >= 0 && server_stat(proc_fd, "cwd", &cwd) == 0 && cwd.st_dev == folder->st_dev &&
	       cwd.st_ino == folder->st_ino && is_program(proc_fd, program);
}

/* 1: *ret_pid; 0: nobody. */
static int search_program(const struct worker_job *job, const char *program, pid_t *ret_pid, struct reason *why)
{
	scope_closedir DIR *proc = opendir("/proc");
	struct stat source;
	const char *pid;
	int more = -1;

	if (!proc || fstat(job->data_fd, &source) < 0)
		return reason_set_errno(why, errno, "cannot look through the running processes");
	while ((more = names_next(proc, &pid)) > 0) {
		if (!works_in(&source, pid, program))
			continue;
		*ret_pid = (pid_t)strtol(pid, NULL, 10);
		return 1;
	}
	return more < 0 ? reason_set_errno(why, errno, "cannot look through the running processes") : 0;
}

int server_search(struct worker_job *job, const char *program, char *text, size_t size, struct reason *why)
{
	pid_t pid = 0;
	int found = search_program(job, program, &pid, why);

	if (found == 0)
		found = holder_find_writer(job, 0, &pid, why);
	if (found > 0)
		server_describe_pid(pid, text, size);
	return found;
}

int server_search_writer(struct worker_job *job, pid_t server, char *text, size_t size, struct reason *why)
{
	pid_t pid = 0;
	int found = holder_find_writer(job, server, &pid, why);

	if (found > 0)
		server_describe_pid(pid, text, size);
	return found;
}
