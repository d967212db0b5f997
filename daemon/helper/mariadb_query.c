/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A MariaDB's statements and results, none of which is believed. */
#include "daemon/helper/mariadb_query.h"

#include "daemon/helper/mariadb_connect.h"

#include <string.h>

MYSQL_RES *maria_rows(MYSQL *mysql, const char *sql, unsigned columns, struct ask_answer *answer)
{
	MYSQL_RES *result = mysql_real_query(mysql, sql, strlen(sql)) == 0 ? mysql_store_result(mysql) : NULL;

	if (!result && mysql_errno(mysql)) {
		maria_refuse(mysql, answer);
	} else if (!result || mysql_num_fields(result) != columns) {
		answer_refuse(answer, ASK_NONSENSE, "the server answered with other columns than asked for");
		mysql_free_result(result);
		result = NULL;
	}
	return result;
}

bool maria_run(MYSQL *mysql, const char *sql, struct ask_answer *answer)
{
	if (mysql_real_query(mysql, sql, strlen(sql)) != 0) {
		maria_refuse(mysql, answer);
		return false;
	}
	if (mysql_field_count(mysql) == 0)
		return true;
	mysql_free_result(mysql_store_result(mysql));
	answer_refuse(answer, ASK_NONSENSE, "the server answered with rows where there are none");
	return false;
}

bool maria_next(MYSQL_RES *result, MYSQL_ROW *ret_row)
{
	*ret_row = mysql_fetch_row(result);
	return *ret_row != NULL;
}

bool maria_copy(MYSQL_RES *result, MYSQL_ROW row, unsigned column, char *text, size_t size)
{
	unsigned long length = row[column] ? mysql_fetch_lengths(result)[column] : 0;

	if (!row[column] || length >= size || memchr(row[column], '\0', length))
		return false;
	memcpy(text, row[column], length);
	text[length] = '\0';
	return true;
}
