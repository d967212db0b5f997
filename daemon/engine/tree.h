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

/* What becomes of an entry. */
enum tree_fate {
	TREE_TAKE,
	TREE_LEAVE_OUT, /* as if it were not there: not listed either */
	TREE_EMPTY,     /* a folder without what is in it; of anything else: left out */
	TREE_LAST,      /* a file: after everything else of all roots */
	TREE_REFUSE     /* it makes the tree one that cannot be copied: why is filled */
};

/*
 * Decides by an entry's path from the root (number in the list of roots) and its kind. Called before a link is read or
 * a folder entered.
 */
typedef enum tree_fate tree_judge_fn(const void *arg, size_t root, const char *path, const struct stat *st,
				     struct reason *why);

struct tree_entry {
	int dir_fd;       /* the folder that it is in */
	const char *name; /* in that folder */
	const char *path; /* from the root of the walk */
	struct stat st;   /* of the thing itself, links not followed */
};

/* Of a visit: a folder is not entered. */
enum { TREE_PASS_BY = 1 };

/* 0 to go on; TREE_PASS_BY; a negative code ends the walk with it. May remove the entry that it is given, if no folder. */
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

/* Bytes allocated below root_fd, root in judge's numbers, each inode once, without what judge (or NULL) leaves out. */
int tree_measure(int root_fd, size_t root, tree_judge_fn *judge, const void *arg, uint64_t *ret_bytes,
		 struct reason *why);

#endif
