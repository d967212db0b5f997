/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * May this caller do this to that cluster? By the policies in force, or while there is no policy file by the
 * default one. Looks at nothing but the call, the configuration and the clock, so no answer can tell what exists.
 */
#ifndef DBSNAP_FRONT_AUTHZ_H
#define DBSNAP_FRONT_AUTHZ_H

#include "daemon/front/api.h"

#include <stdbool.h>

struct policy_decision;

/*
 * cluster: "": one that nobody knows. mode: of the backup in question ("Manual", "Automated"), NULL: none.
 * The default policy: root and the daemon's own user everything; members of the socket's group what
 * operation_is_for_group() says; nobody else, and no AccessKey, anything. *ret_decision: whose statement it was;
 * always SILENT by the default policy.
 */
bool authz_allows(const struct call *call, const char *cluster, const char *mode, struct policy_decision *ret_decision);
/* Might it be allowed for some cluster? The same whatever clusters there are. */
bool authz_allows_some(const struct call *call, const char *mode);
/* Notes in the call what decided, for the audit record. The decision must be of the policies in force. */
void authz_note(struct call *call, const struct policy_decision *decision);

#endif
