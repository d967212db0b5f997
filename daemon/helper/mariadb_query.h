/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs statements on a MariaDB and takes their results apart. All of them block as long as the server likes. */
#ifndef DBSNAP_HELPER_MARIADB_QUERY_H
#define DBSNAP_HELPER_MARIADB_QUERY_H

#include "daemon/helper/answer.h"

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>

/* Runs one statement that must give rows of so many columns. The caller's to mysql_free_result; NULL: answer says why not. */
MYSQL_RES *maria_rows(MYSQL *mysql, const char *sql, unsigned columns, struct ask_answer *answer);
/* Runs one statement that gives none; false: answer says why not. */
bool maria_run(MYSQL *mysql, const char *sql, struct ask_answer *answer);

/* Goes to the next row; false: that was the last. */
bool maria_next(MYSQL_RES *result, MYSQL_ROW *ret_row);
/* Copies a value of the row that result is at; false: there is none, it has a NUL byte inside, or it is too long. */
bool maria_copy(MYSQL_RES *result, MYSQL_ROW row, unsigned column, char *text, size_t size);

#endif
