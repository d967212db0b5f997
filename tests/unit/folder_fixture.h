/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A temporary folder for tests that need files. */
#ifndef DBSNAP_TESTS_FOLDER_FIXTURE_H
#define DBSNAP_TESTS_FOLDER_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
	char path[64];
	int fd;
};

static inline int folder_make(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	if (!folder)
		return -1;
	snprintf(folder->path, sizeof(folder->path), "%s", "/var/tmp/dbsnap-unit.XXXXXX");
	if (!mkdtemp(folder->path))
		return -1;
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = folder;
	return folder->fd < 0;
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

static inline int folder_remove(void **state)
{
	struct folder *folder = *state;

	close(folder->fd);
	nftw(folder->path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(folder);
	return 0;
}

static inline void folder_write(const struct folder *folder, const char *name, const char *text)
{
	int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

#endif
