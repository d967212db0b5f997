/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One session with a PostgreSQL server. Everything that it says is taken for
 * hostile: read into bounded fields, numbers parsed to the end, anything odd is
 * NONSENSE. Names are qualified and search_path is ours, so that nobody's
 * function in some database runs with this role's rights.
 */
#include "common/ask.h"
#include "common/err.h"
#include "daemon/helper/backup.h"
#include "daemon/helper/connect.h"
#include "daemon/helper/helper.h"
#include "daemon/helper/query.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char helper_name[] = "dbsnapd-helper-postgresql";

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
		if (!answer_number(value, UINT32_MAX, &number))
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
		const char *found = query_cell(result, row, 0);

		if (found && strcmp(found, name) == 0)
			return query_cell(result, row, 1);
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
	PGresult *result = query_rows(session->conn, "SELECT name, setting FROM pg_catalog.pg_settings", 2, answer);
	bool good = result && take_settings(result, answer);

	PQclear(result);
	return good;
}

static bool ask_identity(struct helper_session *session, struct ask_answer *answer)
{
	char text[32];

	if (!query_text(session->conn, "SELECT system_identifier FROM pg_catalog.pg_control_system()", text, sizeof(text),
			answer))
		return false;
	/* A signed number to SQL; every system identifier so far is positive. */
	if (!answer_number(text, INT64_MAX, &answer->facts.system_identifier)) {
		answer_refuse(answer, ASK_NONSENSE, "the system identifier is no number");
		return false;
	}
	if (!query_text(session->conn, "SELECT pg_catalog.pg_is_in_recovery()", text, sizeof(text), answer))
		return false;
	session->in_recovery = strcmp(text, "t") == 0;
	answer->facts.in_recovery = session->in_recovery;
	if (!session->in_recovery && strcmp(text, "f") != 0) {
		answer_refuse(answer, ASK_NONSENSE, "pg_is_in_recovery() is neither true nor false");
		return false;
	}
	return true;
}

/* Where settings came from; what does not fit is left out (it is for people). */
static bool ask_sources(struct helper_session *session, struct ask_answer *answer)
{
	PGresult *result = query_rows(session->conn,
				      "SELECT DISTINCT sourcefile FROM pg_catalog.pg_settings WHERE sourcefile <> ''", 1,
				      answer);
	char *lines = answer->facts.sources;
	size_t used = 0;

	for (int row = 0; result && row < PQntuples(result); row++) {
		const char *path = query_cell(result, row, 0);

		if (path && !strchr(path, '\n') && used + strlen(path) + 2 <= sizeof(answer->facts.sources))
			used += (size_t)snprintf(lines + used, sizeof(answer->facts.sources) - used, "%s\n", path);
	}
	PQclear(result);
	return result != NULL;
}

static void do_facts(struct helper_session *session, struct ask_answer *answer)
{
	if (ask_settings(session, answer) && ask_identity(session, answer) &&
	    backup_tablespaces(session->conn, answer) && backup_rights(session->conn, answer))
		ask_sources(session, answer);
}

/*
 * A commit that wrote WAL flushes all WAL before it; the message is the cheapest
 * that does. "local": it is this disk that the cut takes, so no standby is waited for.
 */
static bool flush_primary(PGconn *conn, uint64_t backup, struct ask_answer *answer)
{
	char sql[128], lsn[32];

	snprintf(sql, sizeof(sql), "SELECT pg_catalog.pg_logical_emit_message(true, 'dbsnap', '%" PRIu64 "')", backup);
	return query_run(conn, "BEGIN", answer) && query_run(conn, "SET LOCAL synchronous_commit = local", answer) &&
	       query_text(conn, sql, lsn, sizeof(lsn), answer) && query_run(conn, "COMMIT", answer);
}

static void do_flush(struct helper_session *session, uint64_t backup, struct ask_answer *answer)
{
	const char *where = session->in_recovery ? "SELECT pg_catalog.pg_last_wal_replay_lsn()" :
						   "SELECT pg_catalog.pg_current_wal_flush_lsn()";
	char lsn[32];

	if (!session->in_recovery && !flush_primary(session->conn, backup, answer))
		return;
	if (query_text(session->conn, where, lsn, sizeof(lsn), answer) && ask_parse_lsn(lsn, &answer->lsn) < 0)
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
	} else if (question->type == ASK_START) {
		backup_start(session->conn, question, ret_answer);
	} else if (question->type == ASK_STOP) {
		backup_stop(session->conn, question, session->in_recovery, ret_answer);
	} else if (question->type == ASK_FLUSH) {
		do_flush(session, question->backup, ret_answer);
	} else {
		answer_refuse(ret_answer, ASK_FAILED, "this helper knows no such question");
	}
}
