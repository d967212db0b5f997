/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which mount a path lies in, read from /proc/self/mountinfo. */
#ifndef DBSNAP_CLIENT_MOUNTS_H
#define DBSNAP_CLIENT_MOUNTS_H

#include <limits.h>
#include <stdbool.h>

struct mount {
	unsigned long long id;
	char device[32]; /* "0:45", the same for every mount of one file system */
	char root[PATH_MAX];
	char point[PATH_MAX];
	char type[32];
	char source[PATH_MAX];
	bool read_only;
};

/* The mount of path. 0, ERR_NOT_FOUND, ERR_IO. */
int mounts_find(const char *path, struct mount *ret_mount);
/* Another writable mount of the same file system that shows neither the same folder nor one in it. 0,
 * ERR_NOT_FOUND, ERR_IO. */
int mounts_find_other(const struct mount *mount, struct mount *ret_other);
/* Whether path is folder or lies in it: by name, both absolute. */
bool mounts_is_below(const char *path, const char *folder);

#endif
