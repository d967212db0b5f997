/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PostgreSQL's own backup: what it needs, its beginning and its end. It ends with
 * the session at the latest, and its slot too: nothing of it has to be undone. Each
 * fills answer, or refuses.
 */
#ifndef DBSNAP_HELPER_BACKUP_H
#define DBSNAP_HELPER_BACKUP_H

#include "common/ask.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* Where the server has tables. */
bool backup_tablespaces(PGconn *conn, struct ask_answer *answer);
/* May this role do what backup_start() and backup_stop() do? */
bool backup_rights(PGconn *conn, struct ask_answer *answer);
void backup_start(PGconn *conn, const struct ask_question *question, struct ask_answer *answer);
/* in_recovery: of a standby, whose backup ends where it has replayed to. */
void backup_stop(PGconn *conn, const struct ask_question *question, bool in_recovery, struct ask_answer *answer);

#endif
