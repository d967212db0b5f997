/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verification of a MariaDB clone: what the worker and the cell say to each other. */
#ifndef DBSNAP_ENGINE_MY_VERIFY_H
#define DBSNAP_ENGINE_MY_VERIFY_H

#include "daemon/engine/db.h"
#include "daemon/engine/examine.h"
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
 * Looks, in the cell, at the checksums of all pages of InnoDB's files in the clone's folder, whose server was stopped cleanly;
 * says what is wrong by examine. 0 with the number of those files; or a code with why.
 */
int my_verify_pages(const struct my_verify *question, struct examine *examine, int root_fd, unsigned *ret_files);

#endif
