/* SPDX-License-Identifier: GPL-3.0-or-later */
/* May this caller do this? The policy that holds while no policy file exists. */
#ifndef DBSNAP_FRONT_AUTHZ_H
#define DBSNAP_FRONT_AUTHZ_H

#include "common/msg.h"
#include "daemon/front/peer.h"

#include <stdbool.h>

/*
 * root and the daemon's own user: everything. Members of the socket's group:
 * what group_may says of the operation. Nobody else, and no AccessKey (key_id, "": unsigned;
 * whoever signs is its key alone): anything. The answer does not depend
 * on the resource, so it cannot tell whether one exists.
 */
bool authz_allows(const struct msg_config *conf, const struct peer *peer, const char *key_id, bool group_may);

#endif
