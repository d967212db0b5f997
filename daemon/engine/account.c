/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names are those of database.conninfo. A PostgreSQL whose conninfo names none is asked as the role of its own
 * user's name, which is a superuser: the one proposed instead is called dbsnap.
 */
#include "daemon/engine/account.h"

#include "common/pairs.h"
#include "daemon/engine/layout.h"

#include <stdio.h>
#include <string.h>

enum { QUOTED_SIZE = 2 * PAIRS_VALUE_SIZE + 3, FIRST_OF_NEW_NAMES = 15 };

static void find_value(const char *conninfo, const char *key, char value[static PAIRS_VALUE_SIZE])
{
	struct pair pair;

	value[0] = '\0';
	while (conninfo && *conninfo) {
		conninfo = pairs_next(conninfo, &pair);
		if (conninfo && strcmp(pair.key, key) == 0)
			memcpy(value, pair.value, PAIRS_VALUE_SIZE);
	}
}

/* Doubled inside: the quote, and what escapes it. */
static void quote(const char *text, char mark, const char *doubled, char quoted[static QUOTED_SIZE])
{
	size_t used = 0;

	quoted[used++] = mark;
	for (; *text && used + 3 < QUOTED_SIZE; text++) {
		if (strchr(doubled, *text))
			quoted[used++] = *text;
		quoted[used++] = *text;
	}
	quoted[used++] = mark;
	quoted[used] = '\0';
}

/* A name that needs no quotes is easier to read without. */
static void quote_role(const char *name, char quoted[static QUOTED_SIZE])
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz_0123456789";

	if (name[0] >= 'a' && name[0] <= 'z' && strspn(name, plain) == strlen(name))
		snprintf(quoted, QUOTED_SIZE, "%s", name);
	else
		quote(name, '"', "\"", quoted);
}

/* Nobody is asked for the image of a server that stands still, or is not to be asked. */
static bool asks(const char *procedure)
{
	return procedure[0] == '\0' || (procedure[1] == '\0' && strchr("ABCDEF", procedure[0]));
}

static void describe_postgresql(const struct conf_database_settings *database, unsigned major, bool backs_up, char *lines,
				size_t size)
{
	const char *conninfo = conf_conninfo(database, CONF_DATABASE_POSTGRESQL);
	bool renamed = major == 0 || major >= FIRST_OF_NEW_NAMES;
	char user[PAIRS_VALUE_SIZE], role[QUOTED_SIZE];
	bool proposed;

	find_value(conninfo, "user", user);
	proposed = !user[0] || strcmp(user, database->user) == 0;
	quote_role(proposed ? "dbsnap" : user, role);
	layout_add_line(lines, size, "CREATE ROLE %s LOGIN%s;", role, backs_up ? " REPLICATION" : "");
	layout_add_line(lines, size, "GRANT pg_read_all_settings TO %s;", role);
	if (backs_up)
		layout_add_line(lines, size, "GRANT EXECUTE ON FUNCTION %s, %s TO %s;",
				renamed ? "pg_backup_start(text, boolean)" : "pg_start_backup(text, boolean, boolean)",
				renamed ? "pg_backup_stop(boolean)" : "pg_stop_backup(boolean, boolean)", role);
	if (proposed)
		layout_add_line(lines, size,
				"-- then user=dbsnap in database.conninfo, and it is let in by pg_hba.conf (local all dbsnap peer "
				"map=dbsnap) and pg_ident.conf (dbsnap %s dbsnap)",
				database->user);
}

void account_mariadb(const struct conf_database_settings *database, char account[static ACCOUNT_SIZE])
{
	struct conf_target_mariadb target = {.user = ""};
	char quoted[QUOTED_SIZE];

	conf_read_conninfo_mariadb(conf_conninfo(database, CONF_DATABASE_MARIADB), &target);
	quote(target.user, '\'', "'\\", quoted);
	snprintf(account, ACCOUNT_SIZE, "%s@'localhost'", quoted);
}

static void describe_mariadb(const struct conf_database_settings *database, const char *procedure, char *lines, size_t size)
{
	bool copies = procedure[0] == '\0' || procedure[0] == 'F';
	char account[ACCOUNT_SIZE];

	account_mariadb(database, account);
	layout_add_line(lines, size, "CREATE USER IF NOT EXISTS %s IDENTIFIED VIA unix_socket;", account);
	layout_add_line(lines, size, "GRANT RELOAD, BINLOG MONITOR%s ON *.* TO %s;", copies ? ", PROCESS" : "", account);
}

void account_describe(const struct conf_database_settings *database, enum conf_database type, unsigned major,
		      const char *procedure, char *lines, size_t size)
{
	lines[0] = '\0';
	if (!asks(procedure))
		return;
	if (type == CONF_DATABASE_POSTGRESQL)
		describe_postgresql(database, major, procedure[0] != 'A', lines, size);
	else if (type == CONF_DATABASE_MARIADB)
		describe_mariadb(database, procedure, lines, size);
}
