/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be done with a thing in the quarantine, and how it is shown. */
#ifndef DBSNAP_FRONT_QUARANTINE_H
#define DBSNAP_FRONT_QUARANTINE_H

#include "daemon/front/cluster.h"
#include "daemon/front/store.h"

#include <jansson.h>

/* NULL where it can be done; else why not, static. */
struct quarantine_view {
	const char *no_adopt;
	const char *no_delete;
	const char *remedy; /* for what can be done by hand alone; NULL: none needed */
	uint64_t job;       /* that removes it; 0: none */
};

/* What the catalogue says to it. 0 or a code of the store. */
int quarantine_look(struct store_txn *txn, const struct cluster_stranger *stranger, struct quarantine_view *ret_view);

json_t *quarantine_present(const struct cluster *cluster, const struct cluster_stranger *stranger,
			   const struct quarantine_view *view);

#endif
