/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cluster file of a running server would be, or why it cannot be backed up as it lies. */
#ifndef DBSNAP_CLIENT_PROPOSE_H
#define DBSNAP_CLIENT_PROPOSE_H

#include "client/discover.h"
#include "common/ident.h"

struct proposal {
	const struct server *server; /* borrowed */
	char id[IDENT_CLUSTER_SIZE];
	char snapshot_dir[PATH_MAX]; /* "" when the default place works */
	char file[PATH_MAX];	     /* where it is to be written */
};

/*
 * wanted_id may be NULL: made from the data directory's name. 0, or a status to
 * exit with, reason and remedy told on standard error.
 */
int propose_cluster(const struct server *server, const char *wanted_id, const char *clusters_dir,
		    struct proposal *ret_proposal);
/* The file's text; the caller's. */
char *propose_text(const struct proposal *proposal);

#endif
