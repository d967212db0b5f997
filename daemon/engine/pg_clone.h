/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a clone's own files say. Runs in the walker. */
#ifndef DBSNAP_ENGINE_PG_CLONE_H
#define DBSNAP_ENGINE_PG_CLONE_H

#include "daemon/engine/job.h"
#include "daemon/engine/pg_control.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_clone {
	const char *path; /* as the clone will be known. Borrowed */
	bool recovered;   /* of a backup that was not cut in one moment while its server ran: starts from its label */
	bool apart;       /* its WAL lies beside it, and its tablespaces are subvolumes */
	uint32_t major;   /* release: 13 to 17 */
	struct pg_control control;
};

/* Fills control and major from the tree's own files. 0 or a code with why. */
int pg_clone_read(int root_fd, struct pg_clone *clone, struct reason *why);

/* Would what the server replays on it stay inside it? After pg_clone_join(). 0 or a code with why. */
int pg_clone_check_replay(int root_fd, const struct pg_clone *clone, struct reason *why);

/*
 * Appends what keeps a clone apart from its source to postgresql.auto.conf, which the server reads
 * last; makes postgresql.conf, pg_hba.conf and pg_ident.conf where the source keeps them
 * elsewhere. 0 with the port that the clone will use, or a code with why.
 */
int pg_clone_configure(int root_fd, const struct pg_clone *clone, uint32_t *ret_port, struct reason *why);

/*
 * Of a clone that is apart: its WAL becomes its pg_wal, the links of tablespaces go, and in its own tablespaces nothing
 * stays that leads elsewhere. 0 or a code with why.
 */
int pg_clone_join(int root_fd, struct reason *why);

/*
 * Settles what recovery starts from. Of a recovered clone: backup_label has to be there, and each line of
 * tablespace_map then names the clone's own folder tblspc/<oid>, which has to be there too. Of any other: no label may
 * be there, and a map is removed. 0 or a code with why.
 */
int pg_clone_map(int root_fd, const struct pg_clone *clone, struct reason *why);

#endif
