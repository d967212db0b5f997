/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verification of a PostgreSQL clone: what the worker and the cell say to each other. */
#ifndef DBSNAP_ENGINE_PG_VERIFY_H
#define DBSNAP_ENGINE_PG_VERIFY_H

#include "daemon/engine/db.h"
#include "daemon/engine/job.h"

#include <stdint.h>

struct pg_verify {
	char bindir[MSG_PATH_SIZE]; /* checked */
	uint64_t floor;             /* LSN that recovery has to reach; 0: none is known */
	uint64_t *done;             /* of the gauge; NULL */
	uint64_t total;
};

/*
 * Runs in a cell, with the clone's folder as fds[0] and at CELL_ROOT; a walker_fn whose arg is a struct pg_verify and whose
 * answer is a struct db_verified.
 */
int pg_verify_run(const void *arg, const int *fds, void *answer, struct reason *why);

/* The only sizes that pg_verify_files() knows: of a page, and how many a file has at most. */
enum { PG_VERIFY_PAGE = 8192, PG_VERIFY_SEGMENT_PAGES = 131072 };

/* Of the files of a server that was stopped cleanly: adds lines to found. 0 or a code with why. */
int pg_verify_files(int root_fd, char *found, size_t size, struct reason *why);

#endif
