/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /proc/PID/fd says which sockets a process has, /proc/PID/net/unix which of its namespace's listen, and where. The
 * last column is the path as it was bound, with everything that may be in one.
 */
#include "client/listening.h"

#include "common/err.h"
#include "common/scope.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPTS = 0x10000, LINE_SIZE = 512 }; /* __SO_ACCEPTCON */

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Does the process have the socket of that inode? */
static bool has_socket(pid_t pid, unsigned long inode)
{
	char path[64], link[64], wanted[64];
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	const struct dirent *entry;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		length = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		link[length < 0 ? 0 : length] = '\0';
		if (strcmp(link, wanted) == 0)
			return true;
	}
	return false;
}

/* "ffff...: 00000002 00000000 00010000 0001 01 21495 /run/mysqld/mysqld.sock": the path of one that listens, or NULL. */
static char *parse(char *line, unsigned long *ret_inode)
{
	unsigned long flags;
	int at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%*s %*s %*s %lx %*s %*s %lu %n", &flags, ret_inode, &at) != 2 || at == 0)
		return NULL;
	return (flags & ACCEPTS) && line[at] && line[at] != '@' ? line + at : NULL;
}

int listening_path(pid_t pid, char *ret_path, size_t size)
{
	char name[64], line[LINE_SIZE];
	scope_fclose FILE *list = NULL;
	unsigned long inode;
	const char *path;

	snprintf(name, sizeof(name), "/proc/%d/net/unix", (int)pid);
	list = fopen(name, "re");
	while (list && fgets(line, sizeof(line), list)) {
		path = parse(line, &inode);
		if (path && strlen(path) < size && has_socket(pid, inode)) {
			snprintf(ret_path, size, "%s", path);
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}
