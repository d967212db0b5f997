/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The functions have other names before 15; what they do and return is the same from 13 on. */
#include "daemon/helper/backup.h"

#include "daemon/helper/connect.h"
#include "daemon/helper/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_renamed(PGconn *conn)
{
	return PQserverVersion(conn) >= 150000;
}

static bool take_tablespaces(const PGresult *result, struct ask_tablespaces *tablespaces)
{
	uint64_t oid, last = 0;

	tablespaces->count = (uint32_t)PQntuples(result);
	for (int row = 0; row < PQntuples(result) && row < ASK_TABLESPACES_MAX; row++) {
		struct ask_tablespace *item = &tablespaces->items[row];
		const char *location = query_cell(result, row, 1);

		if (!answer_number(query_cell(result, row, 0), UINT32_MAX, &oid) || oid <= last)
			return false;
		if (!location || !*location || strlen(location) >= sizeof(item->location) ||
		    !ask_is_clean(location, false))
			return false;
		item->oid = (uint32_t)oid;
		memcpy(item->location, location, strlen(location) + 1);
		last = oid;
	}
	return true;
}

bool backup_tablespaces(PGconn *conn, struct ask_answer *answer)
{
	PGresult *result = query_rows(conn,
				      "SELECT oid, pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace "
				      "WHERE pg_catalog.pg_tablespace_location(oid) <> '' ORDER BY oid",
				      2, answer);
	bool good = result && take_tablespaces(result, &answer->tablespaces);

	if (result && !good)
		answer_refuse(answer, ASK_NONSENSE, "the list of tablespaces has an impossible number or path in it");
	PQclear(result);
	return good;
}

static bool take_right(const PGresult *result, int column, bool *ret_right)
{
	const char *value = query_cell(result, 0, column);

	*ret_right = value && strcmp(value, "t") == 0;
	return *ret_right || (value && strcmp(value, "f") == 0);
}

bool backup_rights(PGconn *conn, struct ask_answer *answer)
{
	struct ask_facts *facts = &answer->facts;
	char sql[512];
	PGresult *result;
	bool good;

	snprintf(sql, sizeof(sql),
		 "SELECT pg_catalog.has_function_privilege('pg_catalog.%s', 'EXECUTE'), "
		 "pg_catalog.has_function_privilege('pg_catalog.%s', 'EXECUTE'), "
		 "rolsuper OR rolreplication FROM pg_catalog.pg_roles WHERE rolname = current_user",
		 is_renamed(conn) ? "pg_backup_start(text,boolean)" : "pg_start_backup(text,boolean,boolean)",
		 is_renamed(conn) ? "pg_backup_stop(boolean)" : "pg_stop_backup(boolean,boolean)");
	result = query_rows(conn, sql, 3, answer);
	good = result && take_right(result, 0, &facts->may_start) && take_right(result, 1, &facts->may_stop) &&
	       take_right(result, 2, &facts->may_slot);
	if (result && !good)
		answer_refuse(answer, ASK_NONSENSE, "what this role may do is neither true nor false");
	PQclear(result);
	return good;
}

/* A checkpoint may take as long as a disk likes, and the walk in between longer than any idle session may last. */
static bool set_timeouts(PGconn *conn, uint32_t timeout_ms, struct ask_answer *answer)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SET statement_timeout = %" PRIu32, timeout_ms);
	if (!query_run(conn, sql, answer))
		return false;
	return PQserverVersion(conn) < 140000 || query_run(conn, "SET idle_session_timeout = 0", answer);
}

/* No slot is free, there are to be none, or one of that name stands: WAL may be kept long enough without. */
static bool can_do_without(const char *sqlstate)
{
	return strcmp(sqlstate, "53400") == 0 || strcmp(sqlstate, "55000") == 0 || strcmp(sqlstate, "42710") == 0;
}

/* False: refused for good. Without one answer's text says why. */
static bool take_slot(PGconn *conn, uint64_t job, struct ask_answer *answer)
{
	char sql[160];
	PGresult *result;

	snprintf(sql, sizeof(sql),
		 "SELECT slot_name FROM pg_catalog.pg_create_physical_replication_slot('dbsnap_%" PRIu64 "', true, true)",
		 job);
	result = query_rows(conn, sql, 1, answer);
	answer->slot = result != NULL;
	PQclear(result);
	if (answer->slot || !can_do_without(answer->sqlstate))
		return answer->slot;
	answer->outcome = ASK_DONE;
	answer->sqlstate[0] = '\0';
	return true;
}

static bool take_lsn(const char *text, struct ask_answer *answer)
{
	if (text && ask_parse_lsn(text, &answer->lsn) == 0)
		return true;
	answer_refuse(answer, ASK_NONSENSE, "the server's position is no LSN");
	return false;
}

void backup_start(PGconn *conn, const struct ask_question *question, struct ask_answer *answer)
{
	char sql[160], lsn[32];

	snprintf(sql, sizeof(sql), "SELECT pg_catalog.%s('dbsnap %" PRIu64 "', true%s)",
		 is_renamed(conn) ? "pg_backup_start" : "pg_start_backup", question->backup,
		 is_renamed(conn) ? "" : ", false");
	if (set_timeouts(conn, question->timeout_ms, answer) && take_slot(conn, question->job, answer) &&
	    query_text(conn, sql, lsn, sizeof(lsn), answer))
		take_lsn(lsn, answer);
}

static bool take_blob(const char *value, char *blob, size_t size)
{
	if (!value || strlen(value) >= size || !ask_is_clean(value, true))
		return false;
	memcpy(blob, value, strlen(value) + 1);
	return true;
}

static bool take_stop(const PGresult *result, struct ask_answer *answer)
{
	if (PQntuples(result) != 1 || !take_blob(query_cell(result, 0, 1), answer->label, sizeof(answer->label)) ||
	    !take_blob(query_cell(result, 0, 2), answer->map, sizeof(answer->map))) {
		answer_refuse(answer, ASK_NONSENSE,
			      "the end of the backup has no label and map of plain text, of at most 64 KiB each");
		return false;
	}
	return take_lsn(query_cell(result, 0, 0), answer);
}

/*
 * A standby's backup ends at the least position at which its files are consistent, which lags what it has
 * shown to its readers: that far the WAL has to go.
 */
static bool take_replayed(PGconn *conn, struct ask_answer *answer)
{
	uint64_t end = answer->lsn;
	char lsn[32];

	if (!query_text(conn, "SELECT pg_catalog.pg_last_wal_replay_lsn()", lsn, sizeof(lsn), answer) ||
	    !take_lsn(lsn, answer))
		return false;
	if (answer->lsn < end)
		answer->lsn = end;
	return true;
}

void backup_stop(PGconn *conn, const struct ask_question *question, bool in_recovery, struct ask_answer *answer)
{
	char sql[160];
	PGresult *result;
	bool good;

	if (!set_timeouts(conn, question->timeout_ms, answer))
		return;
	/* Not to wait for the archive: a broken archiver would never let it end. */
	snprintf(sql, sizeof(sql), "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.%s",
		 is_renamed(conn) ? "pg_backup_stop(false)" : "pg_stop_backup(false, false)");
	result = query_rows(conn, sql, 3, answer);
	good = result && take_stop(result, answer);
	PQclear(result);
	if (good && in_recovery)
		good = take_replayed(conn, answer);
	/* One made or dropped meanwhile is seen now. */
	if (good)
		backup_tablespaces(conn, answer);
}
