/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is the caller allowed what the request asks? Finds the cluster that it is about, for BackupId, JobId and CloneName
 * may stand for theirs, and keeps from everybody what he may not know:
 *
 * An id that is not there counts as one of a cluster that nobody knows, or of the named one, without a mode. Who
 * would not be allowed to do it to that gets Forbidden.RAM unless he may do it to the real one. Who would be
 * allowed, and may not do it to the real one, is answered as if that were not there. So nobody can tell an id that
 * he may not use from one that is missing.
 *
 * A list of backups is judged for each mode, and shows those for which it is allowed.
 */
#ifndef DBSNAP_FRONT_RIGHT_H
#define DBSNAP_FRONT_RIGHT_H

#include "daemon/front/call.h"

#include <stdbool.h>

/*
 * After the form was checked. False: answered. True: call->hidden says whether an id is missing (for this caller); if
 * not, and all ids are of one cluster, that is call->cluster. call->mode says what a list of backups may show.
 */
bool right_check(struct call *call);
/* Before a call waits: its connection may be gone, and with it its peer, when its turn comes. */
void right_keep(struct call *call);
/* The check once more for a call about a cluster alone that has waited, if there was a reload. False: answered. */
bool right_check_again(struct call *call);

#endif
