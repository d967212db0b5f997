/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs statements and takes their results apart. All of them block as long as the server likes. */
#ifndef DBSNAP_HELPER_QUERY_H
#define DBSNAP_HELPER_QUERY_H

#include "common/ask.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs one statement that must give rows of so many columns. The caller's to PQclear; NULL: answer says why not. */
PGresult *query_rows(PGconn *conn, const char *sql, int columns, struct ask_answer *answer);
/* Runs one statement that gives none; false: answer says why not. */
bool query_run(PGconn *conn, const char *sql, struct ask_answer *answer);
/* The one value of a statement, copied; false: answer says why not. */
bool query_text(PGconn *conn, const char *sql, char *text, size_t size, struct ask_answer *answer);

/* The value as text, borrowed from result; NULL when there is none, it is null, or has a NUL byte inside. */
const char *query_cell(const PGresult *result, int row, int column);

#endif
