/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A look at every name of a database, for a person who asks how it lies: how large its parts are, and what a
 * backup would stumble over or leave out. Done by a walker, in a bounded time; changes nothing.
 */
#ifndef DBSNAP_ENGINE_SURVEY_H
#define DBSNAP_ENGINE_SURVEY_H

#include "daemon/engine/db.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SURVEY_TEXT_SIZE = 256, SURVEY_EXTENTS_MAX = 100000 };

/* Of one of the layout's parts, without what is another's. */
struct survey_size {
	uint8_t measured; /* enum msg_measured_part */
	bool no_cow;      /* the largest file, or else the folder, is nodatacow: btrfs keeps no checksums of it */
	bool more_extents;
	uint64_t bytes; /* allocated, each inode once */
	uint64_t files; /* regular ones, each name */
	uint64_t largest_bytes;
	uint64_t extents; /* of the largest file; 0: not known */
	char largest[SURVEY_TEXT_SIZE]; /* its path, escaped; "" */
};

/* What a name can be that a backup does not simply take. */
enum survey_kind {
	SURVEY_FOREIGN,    /* on another device: a mount, a nested subvolume */
	SURVEY_UNREADABLE, /* not to be read by the database's user */
	SURVEY_DEEP,       /* a folder too deep down, or its path too long, to be walked */
	SURVEY_REFUSED,    /* refused by the database's judge */
	SURVEY_LINK,       /* a symbolic link that is none of the database's */
	SURVEY_SPECIAL,    /* a socket, FIFO or device */
	SURVEY_KINDS
};

struct survey_found {
	uint32_t count;
	char first[SURVEY_TEXT_SIZE]; /* escaped; of REFUSED: the judge's sentence */
};

/* Fixed size, no pointers: it goes back through a pipe. */
struct survey {
	struct survey_size parts[LAYOUT_PARTS_MAX]; /* as layout's */
	struct survey_found found[SURVEY_KINDS];
	char ended[SURVEY_TEXT_SIZE]; /* why it ended before everything was seen; "" */
};

/* A folder that is walked. */
struct survey_root {
	size_t part;   /* of the layout, whose folder it is */
	size_t number; /* for the judge */
	bool taken;    /* by a backup, as it lies: what stands in the way there is found */
};

/* Read in the walker's fork. */
struct survey_question {
	const struct layout *layout;
	tree_judge_fn *judge; /* NULL: everything is taken */
	const void *arg;      /* for judge */
	struct survey_root roots[LAYOUT_PARTS_MAX];
	size_t count;
	int64_t deadline_ms; /* running time */
};

/* What the walker does, without one: fds are the roots, open. Never fails: what it could not do the answer says. */
void survey_walk(const struct survey_question *question, const int *fds, struct survey *ret_survey);

/* The number of the part that a path from the data directory belongs to; 0: the data itself. */
size_t survey_part_of(const struct layout *layout, const char *path);

/*
 * Walks all parts of job's open source, for limit_ms at most. walk: how the database would be walked, all zero if it is not known. 0; or
 * a code with why: nothing is known then. What is found is the database user's word.
 */
int survey_take(struct worker_job *job, const struct layout *layout, const struct db_walk *walk, int limit_ms,
		struct survey *ret_survey, struct reason *why);

/*
 * What it means for a backup of that layout, which is not refused: adds to its warnings. 0; or ERR_LAYOUT with why where a walk would fail.
 */
int survey_judge(const struct survey *survey, struct layout *layout, struct reason *why);

#endif
