/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verification of a MariaDB clone: what the worker and the cell say to each other. */
#ifndef DBSNAP_ENGINE_MY_VERIFY_H
#define DBSNAP_ENGINE_MY_VERIFY_H

#include "daemon/engine/db.h"
#include "daemon/engine/job.h"

#include <stdint.h>

struct my_verify {
	char bindir[MSG_PATH_SIZE];         /* the server's; checked */
	char client_dir[MSG_PATH_SIZE];     /* the client's; checked */
	char settings[MANIFEST_LINES_SIZE]; /* the manifest's */
	char position[128];                 /* the manifest's; "" for one that the clone's binary log does not have */
	unsigned major, minor;              /* of the backup's server; 0: not known */
	uint64_t floor;                     /* LSN that recovery has to reach; 0: none is known */
	uint64_t *done;                     /* of the gauge; NULL */
	uint64_t total;
};

/*
 * Runs in a cell, with the clone's folder as fds[0] and at CELL_ROOT; a walker_fn whose arg is a struct my_verify and whose
 * answer is a struct db_verified.
 */
int my_verify_run(const void *arg, const int *fds, void *answer, struct reason *why);

/*
 * Of InnoDB's files, in the folder of a server that was stopped cleanly: adds pages with a wrong checksum to found, as
 * lines. 0 with the number of files whose pages have checksums of the kind that is known; or a code with why.
 */
int my_verify_pages(int root_fd, char *found, size_t size, unsigned *ret_files, struct reason *why);

#endif
