/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file appears under its name only when all of it is on disk. */
#include "client/install.h"

#include "client/text.h"
#include "common/err.h"
#include "common/scope.h"
#include "common/xdg.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int complain_file(const char *file)
{
	int error = errno;

	text_complain("cannot write %s: %s", file, strerror(error));
	if (error == EACCES || error == EPERM)
		text_advise("repeat as root");
	return err_from_errno(error);
}

/* 0, or -1 with errno. */
static int write_whole(int fd, const char *text)
{
	size_t length = strlen(text);

	while (length > 0) {
		ssize_t written = write(fd, text, length);

		if (written < 0)
			return -1;
		text += written;
		length -= (size_t)written;
	}
	/* The mode is the file's own: a root with a strict umask still gets a file that people can read. */
	return fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -1 : 0;
}

static int write_aside(int dir, const char *aside, const char *text)
{
	scope_close int fd = openat(dir, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : write_whole(fd, text);
}

char *install_clusters_dir(void)
{
	char own[PATH_MAX];

	if (geteuid() == 0)
		return text_format("%s", DBSNAP_SYSCONFDIR "/dbsnap/clusters.d");
	return xdg_path(XDG_CONFIG("clusters.d"), own, sizeof(own)) == 0 ? text_format("%s", own) : NULL;
}

/* What cannot be made is told by whoever opens it next. */
static void make_folders(const char *dir)
{
	scope_free char *part = text_format("%s", dir);

	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(part, 0755);
		*slash = '/';
	}
	mkdir(part, 0755);
}

int install_write_file(const char *dir, const char *file, const char *text)
{
	const char *name = strrchr(file, '/') + 1;
	scope_free char *aside = text_format(".%s.%d", name, (int)getpid());
	scope_close int folder = -1;

	make_folders(dir);
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return complain_file(file);
	if (write_aside(folder, aside, text) < 0 ||
	    renameat2(folder, aside, folder, name, RENAME_NOREPLACE) < 0) {
		int r = complain_file(file);

		unlinkat(folder, aside, 0);
		return r;
	}
	return fsync(folder) < 0 ? complain_file(file) : 0;
}

static int run(const char *program, const char *config, int *ret_status)
{
	char *argv[] = {"dbsnapd", "-t", config ? "-c" : NULL, (char *)config, NULL};
	pid_t pid;
	int r = posix_spawnp(&pid, program, NULL, NULL, argv, environ);

	if (r != 0)
		return err_from_errno(r);
	while (waitpid(pid, ret_status, 0) < 0) {
		if (errno != EINTR)
			return err_from_errno(errno);
	}
	return 0;
}

enum install_check install_check_config(const char *config)
{
	int status;

	fflush(NULL);
	/* An ordinary user's PATH has no sbin. */
	if (run("dbsnapd", config, &status) < 0 && run(DBSNAP_SBINDIR "/dbsnapd", config, &status) < 0)
		return INSTALL_UNCHECKED;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? INSTALL_GOOD : INSTALL_REFUSED;
}
