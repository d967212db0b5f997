/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The settings of a clone. Runs in the walker. */
#ifndef DBSNAP_ENGINE_PG_CLONE_H
#define DBSNAP_ENGINE_PG_CLONE_H

#include "daemon/engine/job.h"
#include "daemon/engine/pg_control.h"

#include <stdint.h>

struct pg_clone {
	const char *path; /* as the clone will be known. Borrowed */
	uint32_t major;   /* release: 13 to 17 */
	struct pg_control control;
};

/*
 * Appends what keeps a clone apart from its source to postgresql.auto.conf, which the server reads
 * last; makes postgresql.conf, pg_hba.conf and pg_ident.conf where the source keeps them
 * elsewhere. 0 with the port that the clone will use, or a code with why.
 */
int pg_clone_configure(int root_fd, const struct pg_clone *clone, uint32_t *ret_port, struct reason *why);

#endif
