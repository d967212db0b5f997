/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/account.h"

#include "common/msg.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

static const char *describe(enum conf_database type, const char *user, const char *conninfo, unsigned major, const char *procedure)
{
	static char lines[MSG_TEXT_SIZE];
	struct conf_database_settings database = {.type = type};

	snprintf(database.user, sizeof(database.user), "%s", user);
	snprintf(database.conninfo, sizeof(database.conninfo), "%s", conninfo);
	memset(lines, 'x', sizeof(lines) - 1);
	account_describe(&database, type, major, procedure, lines, sizeof(lines));
	return lines;
}

static void test_postgresql(void **state)
{
	static const char conninfo[] = "host=/run/postgresql user=backup dbname=postgres";

	(void)state;
	assert_string_equal(describe(CONF_DATABASE_POSTGRESQL, "postgres", conninfo, 15, "A"),
			    "CREATE ROLE backup LOGIN;\nGRANT pg_read_all_settings TO backup;");
	assert_string_equal(describe(CONF_DATABASE_POSTGRESQL, "postgres", conninfo, 16, "B"),
			    "CREATE ROLE backup LOGIN REPLICATION;\nGRANT pg_read_all_settings TO backup;\n"
			    "GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean) TO backup;");
	assert_string_equal(describe(CONF_DATABASE_POSTGRESQL, "postgres", conninfo, 14, "C"),
			    "CREATE ROLE backup LOGIN REPLICATION;\nGRANT pg_read_all_settings TO backup;\n"
			    "GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean), "
			    "pg_stop_backup(boolean, boolean) TO backup;");
}

/* Where nothing names a role, or it is the server's own user, which may do everything. */
static void test_postgresql_proposes_a_role(void **state)
{
	static const char *const same[] = {"host=/run/postgresql", "host=/run/postgresql user=pgsql"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *lines = describe(CONF_DATABASE_POSTGRESQL, "pgsql", same[i], 0, "");

		assert_non_null(strstr(lines, "CREATE ROLE dbsnap LOGIN REPLICATION;"));
		assert_non_null(strstr(lines, "pg_backup_start(text, boolean)"));
		assert_non_null(strstr(lines, "pg_ident.conf (dbsnap pgsql dbsnap)"));
	}
}

static void test_mariadb(void **state)
{
	static const char conninfo[] = "socket=/run/mysqld/mysqld.sock user=backup";

	(void)state;
	assert_string_equal(describe(CONF_DATABASE_MARIADB, "mysql", conninfo, 0, "D"),
			    "CREATE USER IF NOT EXISTS 'backup'@'localhost' IDENTIFIED VIA unix_socket;\n"
			    "GRANT RELOAD, BINLOG MONITOR ON *.* TO 'backup'@'localhost';");
	assert_non_null(strstr(describe(CONF_DATABASE_MARIADB, "mysql", conninfo, 0, "F"),
			       "GRANT RELOAD, BINLOG MONITOR, PROCESS ON *.*"));
	assert_non_null(strstr(describe(CONF_DATABASE_MARIADB, "mysql", "socket=/s", 0, "E"), "'mysql'@'localhost'"));
}

static void test_names_are_quoted(void **state)
{
	(void)state;
	assert_non_null(strstr(describe(CONF_DATABASE_POSTGRESQL, "postgres", "user='My \"x\"; DROP'", 15, "A"),
			       "CREATE ROLE \"My \"\"x\"\"; DROP\" LOGIN;"));
	assert_non_null(strstr(describe(CONF_DATABASE_POSTGRESQL, "postgres", "user=1a", 15, "A"), "ROLE \"1a\""));
	assert_non_null(strstr(describe(CONF_DATABASE_MARIADB, "mysql", "socket=/s user=o\\'n\\\\x", 0, "D"),
			       "'o''n\\\\x'@'localhost'"));
}

static void test_nobody_is_asked(void **state)
{
	static const char *const procedures[] = {"G", "crash", "none", "AB"};

	(void)state;
	for (size_t i = 0; i < sizeof(procedures) / sizeof(procedures[0]); i++)
		assert_string_equal(describe(CONF_DATABASE_POSTGRESQL, "postgres", "", 15, procedures[i]), "");
	assert_string_equal(describe(CONF_DATABASE_NONE, "root", "", 0, ""), "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_postgresql),
		cmocka_unit_test(test_postgresql_proposes_a_role),
		cmocka_unit_test(test_mariadb),
		cmocka_unit_test(test_names_are_quoted),
		cmocka_unit_test(test_nobody_is_asked),
	};

	return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
