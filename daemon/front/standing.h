/* SPDX-License-Identifier: GPL-3.0-or-later */
/* May an operation that starts work use this cluster now? Each says so, or has answered the call with the reason. */
#ifndef DBSNAP_FRONT_STANDING_H
#define DBSNAP_FRONT_STANDING_H

#include "daemon/front/call.h"
#include "daemon/front/cluster.h"

#include <stdbool.h>

/* Registered, and its snapshots can be looked at. */
bool standing_check(struct call *call, const struct cluster *cluster);
/* Its snapshots can be looked at: of a retired cluster too. */
bool standing_check_place(struct call *call, const struct cluster *cluster);
/* Its layout as last checked, as far as it is known. */
bool standing_check_layout(struct call *call, const struct cluster *cluster);

/* "Online", "Offline", "Refused", "Retired"; why and remedy, borrowed from the cluster, "" if there is none. */
const char *standing_state(const struct cluster *cluster, const char **ret_reason, const char **ret_remedy);

#endif
