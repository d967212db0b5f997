/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MariaDB's backup lock, which ends with the session at the latest. Each fills answer, or refuses. */
#ifndef DBSNAP_HELPER_MARIADB_LOCK_H
#define DBSNAP_HELPER_MARIADB_LOCK_H

#include "daemon/helper/answer.h"

#include <mysql.h>
#include <stdbool.h>

/*
 * Holds writes to tables without transactions, DDL and commits, for at most question->timeout_ms from when anybody may
 * have to wait; the server itself lets go a second later if we do not. binlog: does the server have a binary log?
 */
void maria_lock(MYSQL *mysql, const struct ask_question *question, bool binlog, struct ask_answer *answer);
/* Lets go. ASK_DONE only if it was held until now. */
void maria_unlock(MYSQL *mysql, struct ask_answer *answer);

#endif
