/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walks and changes a hostile tree by descriptor. Runs in the walker. No link is
 * ever followed, no mount crossed, nothing blocks on a FIFO or a device.
 */
#ifndef DBSNAP_ENGINE_TREE_H
#define DBSNAP_ENGINE_TREE_H

#include "daemon/engine/job.h"

#include <stddef.h>
#include <sys/stat.h>

/* How deep folders may be nested below a root that is walked: some descriptors are open for each. */
enum { TREE_DEPTH_MAX = 256 };

struct tree_entry {
	int dir_fd;       /* the folder that it is in */
	const char *name; /* in that folder */
	const char *path; /* from the root of the walk */
	struct stat st;   /* of the thing itself, links not followed */
};

/* 0 to go on; a negative code ends the walk with it. May remove the entry that it is given, if no folder. */
typedef int tree_visit_fn(void *arg, const struct tree_entry *entry, struct reason *why);

/*
 * Calls visit for everything below root_fd, a folder before what is in it. What disappears
 * meanwhile is left out; folders on another device (nested subvolumes, mounts) are visited, not entered.
 */
int tree_walk(int root_fd, tree_visit_fn *visit, void *arg, struct reason *why);

/* Opens path (several components are fine) below dir_fd. The descriptor, or -1 with errno. */
int tree_open(int dir_fd, const char *path, int flags, mode_t mode);

/*
 * Reads a regular file of at most size - 1 bytes and ends it with NUL. The number of bytes;
 * or ERR_NOT_FOUND, ERR_TOO_LONG, ERR_INVALID (no regular file, or a link on the way), or a code from errno.
 */
int tree_read(int dir_fd, const char *path, char *bytes, size_t size);

/*
 * Removes everything below root_fd, however deep, the folder itself stays: also what its owner has made unreadable to
 * himself, read-only, or a subvolume of btrfs. Mounts are not entered and make it fail (ERR_BUSY). 0, or a code with
 * why, which names what is in the way; then some of it is gone, and folders may have been moved up to be reached.
 */
int tree_clear(int root_fd, struct reason *why);

/* The same for the folder path below dir_fd. Not there: 0. */
int tree_empty(int dir_fd, const char *path, struct reason *why);

/* Bytes allocated below root_fd, each inode once. */
int tree_measure(int root_fd, uint64_t *ret_bytes, struct reason *why);

#endif
