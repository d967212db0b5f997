/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies a hostile tree that lives on meanwhile into an empty folder, by
 * descriptor. Runs in the walker. Nothing is followed, no mount is entered, nothing
 * blocks; what vanishes is left out, what changes its kind is looked at again.
 */
#ifndef DBSNAP_ENGINE_TREE_COPY_H
#define DBSNAP_ENGINE_TREE_COPY_H

#include "daemon/engine/file_copy.h"
#include "daemon/engine/job.h"
#include "daemon/engine/manifest.h"
#include "daemon/engine/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { TREE_ROOTS_MAX = 65, TREE_ROOT_NAME_SIZE = 32 };

/* What one walk does of it. Where a server is held for the copying, as little as possible is left to do then. */
enum tree_stage {
	TREE_AT_ONCE,
	TREE_PREPARE, /* folders, links and empty files, with all their belongings */
	/*
	 * The bytes, into what a TREE_PREPARE made; what has come since then is made, what has gone is removed. Nobody may
	 * change the source meanwhile. Not with TREE_LAST.
	 */
	TREE_FILL
};

/* How to copy; plain data but for functions: read in the walker's fork. */
struct tree_plan {
	enum file_way way;
	enum tree_stage stage;
	bool ranges;           /* files need not be of one moment each: see file_copy_bytes() */
	bool lives;            /* names go and come back: one that is listed twice is copied once, and listed */
	uint64_t *done;        /* grows by the bytes as they are copied; shared memory, or NULL */
	tree_judge_fn *judge;  /* NULL: take everything */
	const void *arg;       /* for judge */
	/*
	 * Is this copy of a TREE_LAST file whole? If not it is copied again, a few times, as a server may have been
	 * writing it. NULL: yes.
	 */
	bool (*is_whole)(int fd);
};

/* Fixed size, no pointers: it goes back through a pipe. */
struct tree_report {
	uint64_t files;   /* regular ones, each name */
	uint64_t bytes;   /* allocated, each inode once */
	uint32_t skipped; /* entries listed below, and those that did not fit */
	/*
	 * "run/ctl: socket, left out", one an entry, names escaped (names.h), with their root's name before
	 * them; the last tells how many more.
	 */
	char lines[MANIFEST_LINES_SIZE];
};

struct tree_root {
	char name[TREE_ROOT_NAME_SIZE]; /* what people look for it by, "pg_tblspc/16400"; "" where a path says enough */
	int from; /* the folder whose contents are copied */
	int to;   /* an empty folder; gets from's belongings as well, but for its owner when it may not */
};

/*
 * Copies each root, or does plan's stage of it. Regular files (hard links among them kept), folders, symbolic links (as links); sockets, FIFOs and
 * devices are left out, and listed, as is everything whose belongings could not be kept. 0; or a code with why:
 * something the user cannot read, a folder on another device (a nested subvolume, a mount), folders nested too deeply,
 * no space. On failure what was copied stays. Not durable: the caller syncs.
 */
int tree_copy(const struct tree_root *roots, size_t count, const struct tree_plan *plan, struct tree_report *ret_report,
	      struct reason *why);

#endif
