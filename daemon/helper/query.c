/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Statements and their results, none of which is believed: every row and every number is looked at. */
#include "daemon/helper/query.h"

#include "daemon/helper/connect.h"

#include <string.h>

static void refuse_result(PGconn *conn, const PGresult *result, struct ask_answer *answer)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (PQstatus(conn) != CONNECTION_OK) {
		answer_refuse(answer, ASK_LOST, primary ? primary : PQerrorMessage(conn));
	} else if (sqlstate && sqlstate_is_valid(sqlstate) && strlen(sqlstate) == 5) {
		memcpy(answer->sqlstate, sqlstate, 6);
		answer_refuse(answer, sqlstate_outcome(sqlstate), primary);
	} else {
		answer_refuse(answer, ASK_NONSENSE, PQerrorMessage(conn));
	}
}

PGresult *query_rows(PGconn *conn, const char *sql, int columns, struct ask_answer *answer)
{
	PGresult *result = PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0);

	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		refuse_result(conn, result, answer);
	} else if (PQnfields(result) != columns) {
		answer_refuse(answer, ASK_NONSENSE, "the server answered with other columns than asked for");
	} else {
		return result;
	}
	PQclear(result);
	return NULL;
}

const char *query_cell(const PGresult *result, int row, int column)
{
	const char *value = PQgetvalue(result, row, column);

	if (row >= PQntuples(result) || PQgetisnull(result, row, column))
		return NULL;
	return strlen(value) == (size_t)PQgetlength(result, row, column) ? value : NULL;
}

bool query_text(PGconn *conn, const char *sql, char *text, size_t size, struct ask_answer *answer)
{
	PGresult *result = query_rows(conn, sql, 1, answer);
	const char *value = result ? query_cell(result, 0, 0) : NULL;
	bool fits = value && strlen(value) < size;

	if (fits)
		memcpy(text, value, strlen(value) + 1);
	else if (result)
		answer_refuse(answer, ASK_NONSENSE, "the server answered with no value, or one too long");
	PQclear(result);
	return fits;
}

bool query_run(PGconn *conn, const char *sql, struct ask_answer *answer)
{
	PGresult *result = PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;

	if (!good)
		refuse_result(conn, result, answer);
	PQclear(result);
	return good;
}
