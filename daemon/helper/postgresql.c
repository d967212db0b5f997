/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One session with a PostgreSQL server. Everything that it says is taken for
 * hostile: read into bounded fields, numbers parsed to the end, anything odd is
 * NONSENSE. Names are qualified and search_path is ours, so that nobody's
 * function in some database runs with this role's rights.
 */
#include "common/ask.h"
#include "common/err.h"
#include "daemon/helper/connect.h"
#include "daemon/helper/helper.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct helper_session {
	PGconn *conn;
	bool in_recovery; /* from FACTS */
};

struct helper_session *helper_session_new(void)
{
	return calloc(1, sizeof(struct helper_session));
}

struct helper_session *helper_session_end(struct helper_session *session)
{
	if (session) {
		PQfinish(session->conn);
		free(session);
	}
	return NULL;
}

static void refuse_result(struct helper_session *session, const PGresult *result, struct ask_answer *answer)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (PQstatus(session->conn) != CONNECTION_OK) {
		answer_refuse(answer, ASK_LOST, primary ? primary : PQerrorMessage(session->conn));
	} else if (sqlstate && sqlstate_is_valid(sqlstate) && strlen(sqlstate) == 5) {
		memcpy(answer->sqlstate, sqlstate, 6);
		answer_refuse(answer, sqlstate_outcome(sqlstate), primary);
	} else {
		answer_refuse(answer, ASK_NONSENSE, PQerrorMessage(session->conn));
	}
}

/* Runs one statement that must give rows of so many columns; NULL: answer says why not. */
static PGresult *query(struct helper_session *session, const char *sql, int columns, struct ask_answer *answer)
{
	PGresult *result = PQexecParams(session->conn, sql, 0, NULL, NULL, NULL, NULL, 0);

	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		refuse_result(session, result, answer);
	} else if (PQnfields(result) != columns) {
		answer_refuse(answer, ASK_NONSENSE, "the server answered with other columns than asked for");
	} else {
		return result;
	}
	PQclear(result);
	return NULL;
}

/* The value as text; NULL when null or with a NUL byte inside. */
static const char *cell(const PGresult *result, int row, int column)
{
	const char *value = PQgetvalue(result, row, column);

	if (row >= PQntuples(result) || PQgetisnull(result, row, column))
		return NULL;
	return strlen(value) == (size_t)PQgetlength(result, row, column) ? value : NULL;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!text || !*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || number > (UINT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (uint64_t)(*text - '0');
	}
	*ret_number = number;
	return number <= max;
}

/* One value of a statement without parameters, copied; false: answer says why not. */
static bool query_text(struct helper_session *session, const char *sql, char *text, size_t size,
		       struct ask_answer *answer)
{
	PGresult *result = query(session, sql, 1, answer);
	const char *value = result ? cell(result, 0, 0) : NULL;
	bool fits = value && strlen(value) < size;

	if (fits)
		memcpy(text, value, strlen(value) + 1);
	else if (result)
		answer_refuse(answer, ASK_NONSENSE, "the server answered with no value, or one too long");
	PQclear(result);
	return fits;
}

enum kind { KIND_BOOL, KIND_NUMBER, KIND_TEXT, KIND_VERSION, KIND_WAL_LEVEL };

struct setting {
	const char *name;
	enum kind kind;
	size_t offset, size;
};

#define SETTING(name, kind, field) \
	{name, kind, offsetof(struct ask_facts, field), sizeof(((struct ask_facts *)0)->field)}

static const struct setting settings[] = {
	SETTING("server_version_num", KIND_NUMBER, version),
	SETTING("server_version", KIND_VERSION, version_text),
	SETTING("fsync", KIND_BOOL, fsync),
	SETTING("full_page_writes", KIND_BOOL, full_page_writes),
	SETTING("data_checksums", KIND_BOOL, data_checksums),
	SETTING("wal_level", KIND_WAL_LEVEL, wal_level),
	SETTING("wal_segment_size", KIND_NUMBER, wal_segment_size),
	SETTING("port", KIND_NUMBER, port),
	SETTING("max_replication_slots", KIND_NUMBER, max_replication_slots),
	SETTING("data_directory", KIND_TEXT, data_directory),
	SETTING("config_file", KIND_TEXT, config_file),
	SETTING("hba_file", KIND_TEXT, hba_file),
	SETTING("ident_file", KIND_TEXT, ident_file),
	SETTING("shared_preload_libraries", KIND_TEXT, preload),
};

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static bool take_wal_level(const char *value, uint8_t *ret_level)
{
	static const char *const names[] = {"minimal", "replica", "logical"};

	for (uint8_t i = 0; i <= ASK_WAL_LEVEL_MAX; i++) {
		if (strcmp(value, names[i]) == 0) {
			*ret_level = i;
			return true;
		}
	}
	return false;
}

static bool take_text(const char *value, size_t length, char *text, size_t size)
{
	if (length >= size)
		return false;
	memcpy(text, value, length);
	text[length] = '\0';
	return true;
}

static bool take_setting(const struct setting *setting, const char *value, struct ask_facts *facts)
{
	char *place = (char *)facts + setting->offset;
	uint64_t number;

	switch (setting->kind) {
	case KIND_BOOL:
		*(bool *)place = strcmp(value, "on") == 0;
		return *(bool *)place || strcmp(value, "off") == 0;
	case KIND_NUMBER:
		if (!parse_number(value, UINT32_MAX, &number))
			return false;
		*(uint32_t *)place = (uint32_t)number;
		return true;
	case KIND_VERSION: /* "15.18 (Debian 15.18-0+deb12u1)" */
		return take_text(value, strcspn(value, " "), place, setting->size);
	case KIND_TEXT:
		return take_text(value, strlen(value), place, setting->size);
	case KIND_WAL_LEVEL:
		return take_wal_level(value, (uint8_t *)place);
	}
	return false;
}

static const char *find_setting(const PGresult *result, const char *name)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const char *found = cell(result, row, 0);

		if (found && strcmp(found, name) == 0)
			return cell(result, row, 1);
	}
	return NULL;
}

/* A setting that a role may not see is a row that is not there. */
static bool take_settings(const PGresult *result, struct ask_answer *answer)
{
	char text[128];

	for (size_t i = 0; i < SETTINGS; i++) {
		const char *value = find_setting(result, settings[i].name);

		if (!value) {
			snprintf(text, sizeof(text), "the setting %s is not shown to this role", settings[i].name);
			answer_refuse(answer, ASK_FORBIDDEN, text);
			return false;
		}
		if (!take_setting(&settings[i], value, &answer->facts)) {
			snprintf(text, sizeof(text), "the setting %s has an impossible value", settings[i].name);
			answer_refuse(answer, ASK_NONSENSE, text);
			return false;
		}
	}
	return true;
}

static bool ask_settings(struct helper_session *session, struct ask_answer *answer)
{
	PGresult *result = query(session, "SELECT name, setting FROM pg_catalog.pg_settings", 2, answer);
	bool good = result && take_settings(result, answer);

	PQclear(result);
	return good;
}

static bool ask_identity(struct helper_session *session, struct ask_answer *answer)
{
	char text[32];

	if (!query_text(session, "SELECT system_identifier FROM pg_catalog.pg_control_system()", text, sizeof(text),
			answer))
		return false;
	/* A signed number to SQL; every system identifier so far is positive. */
	if (!parse_number(text, INT64_MAX, &answer->facts.system_identifier)) {
		answer_refuse(answer, ASK_NONSENSE, "the system identifier is no number");
		return false;
	}
	if (!query_text(session, "SELECT pg_catalog.pg_is_in_recovery()", text, sizeof(text), answer))
		return false;
	session->in_recovery = strcmp(text, "t") == 0;
	answer->facts.in_recovery = session->in_recovery;
	if (!session->in_recovery && strcmp(text, "f") != 0) {
		answer_refuse(answer, ASK_NONSENSE, "pg_is_in_recovery() is neither true nor false");
		return false;
	}
	return true;
}

static bool ask_tablespaces(struct helper_session *session, struct ask_answer *answer)
{
	PGresult *result = query(session,
				 "SELECT pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace "
				 "WHERE pg_catalog.pg_tablespace_location(oid) <> '' ORDER BY oid",
				 1, answer);
	const char *first;

	if (!result)
		return false;
	answer->facts.tablespaces = (uint32_t)PQntuples(result);
	first = cell(result, 0, 0);
	if (first)
		snprintf(answer->facts.tablespace, sizeof(answer->facts.tablespace), "%s", first);
	PQclear(result);
	return true;
}

/* Where settings came from; what does not fit is left out (it is for people). */
static bool ask_sources(struct helper_session *session, struct ask_answer *answer)
{
	PGresult *result = query(session,
				 "SELECT DISTINCT sourcefile FROM pg_catalog.pg_settings WHERE sourcefile <> ''", 1,
				 answer);
	char *lines = answer->facts.sources;
	size_t used = 0;

	for (int row = 0; result && row < PQntuples(result); row++) {
		const char *path = cell(result, row, 0);

		if (path && !strchr(path, '\n') && used + strlen(path) + 2 <= sizeof(answer->facts.sources))
			used += (size_t)snprintf(lines + used, sizeof(answer->facts.sources) - used, "%s\n", path);
	}
	PQclear(result);
	return result != NULL;
}

static void do_facts(struct helper_session *session, struct ask_answer *answer)
{
	if (ask_settings(session, answer) && ask_identity(session, answer) && ask_tablespaces(session, answer))
		ask_sources(session, answer);
}

static bool run(struct helper_session *session, const char *sql, struct ask_answer *answer)
{
	PGresult *result = PQexecParams(session->conn, sql, 0, NULL, NULL, NULL, NULL, 0);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;

	if (!good)
		refuse_result(session, result, answer);
	PQclear(result);
	return good;
}

/*
 * A commit that wrote WAL flushes all WAL before it; the message is the cheapest
 * that does. "local": it is this disk that the cut takes, so no standby is waited for.
 */
static bool flush_primary(struct helper_session *session, uint64_t backup, struct ask_answer *answer)
{
	char sql[128], lsn[32];

	snprintf(sql, sizeof(sql), "SELECT pg_catalog.pg_logical_emit_message(true, 'dbsnap', '%" PRIu64 "')", backup);
	return run(session, "BEGIN", answer) && run(session, "SET LOCAL synchronous_commit = local", answer) &&
	       query_text(session, sql, lsn, sizeof(lsn), answer) && run(session, "COMMIT", answer);
}

static void do_flush(struct helper_session *session, uint64_t backup, struct ask_answer *answer)
{
	const char *where = session->in_recovery ? "SELECT pg_catalog.pg_last_wal_replay_lsn()" :
						   "SELECT pg_catalog.pg_current_wal_flush_lsn()";
	char lsn[32];

	if (!session->in_recovery && !flush_primary(session, backup, answer))
		return;
	if (query_text(session, where, lsn, sizeof(lsn), answer) && ask_parse_lsn(lsn, &answer->lsn) < 0)
		answer_refuse(answer, ASK_NONSENSE, "the server's position is no LSN");
}

void helper_session_answer(struct helper_session *session, const struct ask_question *question,
			   void (*new_socket)(int fd), struct ask_answer *ret_answer)
{
	if (question->type == ASK_CONNECT) {
		PQfinish(session->conn);
		session->conn = connect_open(question, new_socket, ret_answer);
	} else if (PQstatus(session->conn) != CONNECTION_OK) {
		answer_refuse(ret_answer, ASK_LOST, "no connection");
	} else if (question->type == ASK_FACTS) {
		do_facts(session, ret_answer);
	} else {
		do_flush(session, question->backup, ret_answer);
	}
}
