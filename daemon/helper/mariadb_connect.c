/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gets a connection to a MariaDB that may be hostile, hung or of another kind.
 * The library loads no plugin, sends no file and no password: the server is asked
 * for nothing but to look who is at the other end of its socket.
 */
#include "daemon/helper/mariadb_connect.h"

#include "common/conf.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static enum ask_outcome outcome_of(unsigned error)
{
	switch (error) {
	case ER_ACCESS_DENIED_ERROR:
	case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
	case ER_DBACCESS_DENIED_ERROR:
	case ER_HOST_NOT_PRIVILEGED:
	case ER_PLUGIN_IS_NOT_LOADED:
	case ER_MUST_CHANGE_PASSWORD:
	case CR_AUTH_PLUGIN_CANNOT_LOAD:
		return ASK_REJECTED;
	case ER_CON_COUNT_ERROR:
	case ER_TOO_MANY_USER_CONNECTIONS:
	case ER_USER_LIMIT_REACHED:
		return ASK_CROWDED;
	case ER_SPECIFIC_ACCESS_DENIED_ERROR:
	case ER_TABLEACCESS_DENIED_ERROR:
		return ASK_FORBIDDEN;
	case ER_LOCK_WAIT_TIMEOUT:
	case ER_STATEMENT_TIMEOUT:
		return ASK_IN_THE_WAY;
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	case CR_SERVER_GONE_ERROR:
	case CR_SERVER_LOST:
	case CR_SERVER_LOST_EXTENDED:
		return ASK_LOST;
	default:
		return ASK_FAILED;
	}
}

void maria_refuse(MYSQL *mysql, struct ask_answer *answer)
{
	const char *sqlstate = mysql_sqlstate(mysql);

	if (strspn(sqlstate, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && strlen(sqlstate) == 5)
		memcpy(answer->sqlstate, sqlstate, 6);
	answer_refuse(answer, outcome_of(mysql_errno(mysql)), mysql_error(mysql));
}

/* The library tells the errno of a failed connect only in its text: "... through socket '/x' (2)". */
static bool nobody_listens(MYSQL *mysql)
{
	const char *end = strrchr(mysql_error(mysql), '(');

	return mysql_errno(mysql) == CR_CONNECTION_ERROR && end &&
	       (strncmp(end, "(2)", 3) == 0 || strncmp(end, "(2 ", 3) == 0 || strncmp(end, "(111", 4) == 0);
}

static void refuse_connection(MYSQL *mysql, struct ask_answer *answer)
{
	maria_refuse(mysql, answer);
	if (nobody_listens(mysql))
		answer->outcome = ASK_NO_SERVER;
	else if (answer->outcome == ASK_LOST)
		answer->outcome = ASK_NOT_READY; /* it hung up before it let us in */
	if (answer->outcome == ASK_NO_SERVER || answer->outcome == ASK_NOT_READY)
		answer->sqlstate[0] = '\0';
}

static bool set_options(MYSQL *mysql)
{
	const unsigned protocol = MYSQL_PROTOCOL_SOCKET, no_files = 0;
	const my_bool no = 0;

	return mysql_options(mysql, MYSQL_OPT_NONBLOCK, 0) == 0 &&
	       mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol) == 0 &&
	       mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &no_files) == 0 &&
	       mysql_options(mysql, MYSQL_OPT_RECONNECT, &no) == 0 &&
	       mysql_options(mysql, MYSQL_PLUGIN_DIR, "/nonexistent") == 0 &&
	       mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") == 0 &&
	       mysql_optionsv(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "dbsnap") == 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Waits for what the library waits for. What came, in its words; 0: nothing in time. */
static int wait_for(MYSQL *mysql, int status, int64_t end_ms)
{
	struct pollfd item = {.fd = mysql_get_socket(mysql)};
	int64_t left_ms = end_ms - now_ms();
	int came = 0;

	item.events = (short)((status & MYSQL_WAIT_READ ? POLLIN : 0) | (status & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
			      (status & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
	if (left_ms <= 0 || poll(&item, 1, (int)left_ms) <= 0)
		return 0;
	if (item.revents & (POLLIN | POLLHUP | POLLERR))
		came |= status & MYSQL_WAIT_READ;
	if (item.revents & (POLLOUT | POLLHUP | POLLERR))
		came |= status & MYSQL_WAIT_WRITE;
	if (item.revents & POLLPRI)
		came |= MYSQL_WAIT_EXCEPT;
	return came;
}

static void connect_to(MYSQL *mysql, const struct conf_target_mariadb *target, uint32_t timeout_ms, void (*new_socket)(int fd),
		       struct ask_answer *answer)
{
	int64_t end_ms = now_ms() + timeout_ms;
	MYSQL *done = NULL;
	int shown = -1;
	int status = mysql_real_connect_start(&done, mysql, "localhost", target->user, NULL, NULL, 0, target->socket, 0);

	while (status) {
		if (mysql_get_socket(mysql) != shown) {
			shown = mysql_get_socket(mysql);
			new_socket(shown);
		}
		status = wait_for(mysql, status, end_ms);
		if (!status) {
			answer_refuse(answer, ASK_LOST, "the server did not answer in time");
			return;
		}
		status = mysql_real_connect_cont(&done, mysql, status);
	}
	if (!done)
		refuse_connection(mysql, answer);
	else
		new_socket(mysql_get_socket(mysql));
}

MYSQL *maria_open(const struct ask_question *question, void (*new_socket)(int fd), struct ask_answer *answer)
{
	struct conf_target_mariadb target;
	MYSQL *mysql;

	if (!conf_read_conninfo_mariadb(question->conninfo, &target)) {
		answer_refuse(answer, ASK_FAILED, "conninfo: expected socket=PATH and user=NAME");
		return NULL;
	}
	mysql = mysql_init(NULL);
	if (!mysql || !set_options(mysql))
		answer_refuse(answer, ASK_FAILED, "out of memory");
	else
		connect_to(mysql, &target, question->timeout_ms, new_socket, answer);
	return mysql;
}
