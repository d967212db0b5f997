/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gets a connection to a PostgreSQL server that may be hostile, hung or of
 * another kind, and tells the ways in which that fails apart.
 */
#include "daemon/helper/connect.h"

#include "common/ask.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void be_silent(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

bool sqlstate_is_valid(const char *text)
{
	return strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") >= 5;
}

enum ask_outcome sqlstate_outcome(const char *sqlstate)
{
	if (strncmp(sqlstate, "28", 2) == 0 || strcmp(sqlstate, "3D000") == 0)
		return ASK_REJECTED;
	if (strcmp(sqlstate, "42501") == 0)
		return ASK_FORBIDDEN;
	if (strcmp(sqlstate, "53300") == 0)
		return ASK_CROWDED;
	if (strcmp(sqlstate, "57P03") == 0)
		return ASK_NOT_READY;
	if (strncmp(sqlstate, "57P", 3) == 0 || strncmp(sqlstate, "08", 2) == 0)
		return ASK_LOST;
	return ASK_FAILED;
}

/* A server that ends while it takes a connection says nothing. In libpq's own words: the helper has no language set. */
static bool is_hang_up(const char *text)
{
	return strstr(text, "server closed the connection unexpectedly") || strstr(text, strerror(ECONNRESET)) ||
	       strstr(text, strerror(EPIPE));
}

/*
 * libpq gives a failed connection's SQLSTATE only inside its text, in verbose form:
 * "...: FATAL:  28000: role ..." (two blanks after the severity, whatever the language). What follows it, or NULL.
 */
static const char *find_sqlstate(const char *text, char sqlstate[static 6])
{
	const char *at = text;

	while ((at = strstr(at, ":  ")) != NULL) {
		at += 3;
		if (sqlstate_is_valid(at) && at[5] == ':') {
			memcpy(sqlstate, at, 5);
			sqlstate[5] = '\0';
			return at + 6 + strspn(at + 6, " ");
		}
	}
	return NULL;
}

static void refuse_connection(struct ask_answer *answer, PGconn *conn)
{
	const char *text = PQerrorMessage(conn);
	const char *said = find_sqlstate(text, answer->sqlstate);
	char brief[ASK_TEXT_SIZE];

	/* The server's own sentence is its first line; the place in its source code follows. */
	if (said)
		snprintf(brief, sizeof(brief), "%.*s", (int)strcspn(said, "\n"), said);
	if (said)
		answer_refuse(answer, sqlstate_outcome(answer->sqlstate), brief);
	else if (strstr(text, strerror(ENOENT)) || strstr(text, strerror(ECONNREFUSED)))
		answer_refuse(answer, ASK_NO_SERVER, text);
	else if (is_hang_up(text))
		answer_refuse(answer, ASK_NOT_READY, text);
	else
		answer_refuse(answer, ASK_FAILED, text);
}

struct option {
	const char *key;
	const char *value;
};

enum { OPTIONS_MAX = 64 };

static void set_option(struct option options[static OPTIONS_MAX], const char *key, const char *value)
{
	size_t i = 0;

	while (i < OPTIONS_MAX - 1 && options[i].key && strcmp(options[i].key, key) != 0)
		i++;
	if (i < OPTIONS_MAX - 1)
		options[i] = (struct option){key, value};
}

static const char *option_value(const struct option options[static OPTIONS_MAX], const char *key)
{
	for (size_t i = 0; options[i].key; i++) {
		if (strcmp(options[i].key, key) == 0)
			return options[i].value;
	}
	return "";
}

/* What the user wrote, then what we insist on. server_options: room for the user's "options" and ours. */
static void collect_options(PQconninfoOption *parsed, uint32_t timeout_ms, struct option options[static OPTIONS_MAX],
			    char *server_options, size_t size)
{
	const struct passwd *own = getpwuid(geteuid());

	for (PQconninfoOption *p = parsed; p->keyword; p++) {
		if (p->val)
			set_option(options, p->keyword, p->val);
	}
	snprintf(server_options, size,
		 "%s -c statement_timeout=%" PRIu32 " -c lock_timeout=0 -c search_path=pg_catalog "
		 "-c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off "
		 "-c default_transaction_deferrable=off",
		 option_value(options, "options"), timeout_ms);
	set_option(options, "options", server_options);
	set_option(options, "application_name", "dbsnap");
	set_option(options, "client_encoding", "UTF8");
	/* The server is this very user's: nobody who has taken the socket's name gets to ask for a password. */
	if (own)
		set_option(options, "requirepeer", own->pw_name);
	set_option(options, "sslmode", "disable");
	set_option(options, "gssencmode", "disable");
}

/* Waits for what libpq waits for. False: not in time. */
static bool wait_for(PGconn *conn, PostgresPollingStatusType status, const struct timespec *end)
{
	struct pollfd item = {.fd = PQsocket(conn), .events = status == PGRES_POLLING_WRITING ? POLLOUT : POLLIN};
	struct timespec now;
	int64_t left_ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left_ms = (end->tv_sec - now.tv_sec) * INT64_C(1000) + (end->tv_nsec - now.tv_nsec) / 1000000;
	if (left_ms <= 0)
		return false;
	return poll(&item, 1, (int)left_ms) != 0;
}

/* Drives a started connection to its end; every new socket is shown before the server speaks. */
static bool finish_connecting(PGconn *conn, uint32_t timeout_ms, void (*new_socket)(int fd))
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	struct timespec end;
	int shown = -1;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms / 1000;
	end.tv_nsec += timeout_ms % 1000 * INT64_C(1000000);
	while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
		if (PQsocket(conn) >= 0 && PQsocket(conn) != shown) {
			shown = PQsocket(conn);
			new_socket(shown);
		}
		if (!wait_for(conn, status, &end))
			return false;
		status = PQconnectPoll(conn);
	}
	/* libpq may have given up one socket and opened another of the same number. */
	if (status == PGRES_POLLING_OK)
		new_socket(PQsocket(conn));
	return true;
}

static PGconn *start_connecting(const struct option options[static OPTIONS_MAX])
{
	const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];
	PGconn *conn;
	size_t i = 0;

	for (; options[i].key; i++) {
		keys[i] = options[i].key;
		values[i] = options[i].value;
	}
	keys[i] = NULL;
	values[i] = NULL;
	conn = PQconnectStartParams(keys, values, 0);
	if (conn) {
		PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
		PQsetNoticeReceiver(conn, be_silent, NULL);
	}
	return conn;
}

static void connect_by(PQconninfoOption *parsed, uint32_t timeout_ms, void (*new_socket)(int fd),
		       struct ask_answer *answer, PGconn **ret_conn)
{
	struct option options[OPTIONS_MAX] = {0};
	char server_options[ASK_CONNINFO_SIZE + 512];
	const char *host;
	PGconn *conn;

	collect_options(parsed, timeout_ms, options, server_options, sizeof(server_options));
	host = option_value(options, "host");
	if ((*host && *host != '/') || strchr(host, ',')) {
		answer_refuse(answer, ASK_FAILED, "conninfo: host must be the folder of a Unix socket");
		return;
	}
	conn = start_connecting(options);
	*ret_conn = conn;
	if (!conn)
		answer_refuse(answer, ASK_FAILED, "out of memory");
	else if (PQstatus(conn) == CONNECTION_BAD)
		refuse_connection(answer, conn);
	else if (!finish_connecting(conn, timeout_ms, new_socket))
		answer_refuse(answer, ASK_LOST, "the server did not answer in time");
	else if (PQstatus(conn) != CONNECTION_OK)
		refuse_connection(answer, conn);
}

PGconn *connect_open(const struct ask_question *question, void (*new_socket)(int fd), struct ask_answer *answer)
{
	char *error = NULL;
	PQconninfoOption *parsed = PQconninfoParse(question->conninfo, &error);
	PGconn *conn = NULL;

	if (parsed)
		connect_by(parsed, question->timeout_ms, new_socket, answer, &conn);
	else
		answer_refuse(answer, ASK_FAILED, error ? error : "conninfo cannot be parsed");
	PQfreemem(error);
	PQconninfoFree(parsed);
	return conn;
}
