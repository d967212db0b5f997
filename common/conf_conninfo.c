/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a connection string just far enough to refuse what must not be in it:
 * secrets (the file is not the place; it may be read by more than the database's
 * user), and addresses that are no Unix socket (only a local peer can be asked who it is).
 */
#include "common/conf_parts.h"

#include "common/pairs.h"

#include <string.h>
#include <strings.h>

enum { MARIADB_USER_MAX = 128 };

_Static_assert((int)CONF_TARGET_SIZE == (int)PAIRS_VALUE_SIZE, "a value fits");

static const char *judge(const struct pair *pair)
{
	static const char no_password[] = "no password in it: use peer authentication, or a passfile=FILE that only "
					  "database.user can read";

	if (strcasecmp(pair->key, "password") == 0 || strcasecmp(pair->key, "sslpassword") == 0)
		return no_password;
	/* libpq can be made to take a whole connection string as the database's name. */
	if (strcmp(pair->key, "dbname") == 0 && strpbrk(pair->value, "=:/"))
		return "the name of a database as dbname";
	/* After a comma libpq would go on to another host, which may be no folder. */
	if (strcmp(pair->key, "host") == 0 && (pair->value[0] != '/' || strchr(pair->value, ',')))
		return "the folder of a Unix socket as host";
	if (strcmp(pair->key, "hostaddr") == 0)
		return "a Unix socket, no hostaddr";
	if (strcmp(pair->key, "service") == 0 || strcmp(pair->key, "servicefile") == 0)
		return "the keys themselves, no service";
	return NULL;
}

const char *conf_check_conninfo(const char *text)
{
	struct pair pair = {.key = ""};
	const char *why = NULL;

	if (strncasecmp(text, "postgresql:", 11) == 0 || strncasecmp(text, "postgres:", 9) == 0)
		return "key=value pairs, no URI (and no password: use peer authentication or a passfile)";
	do {
		text = pairs_next(text, &pair);
		if (!text)
			return "key=value pairs as libpq reads them";
		why = judge(&pair);
	} while (!why && *text);
	return why;
}

static const char *judge_mariadb(const struct pair *pair)
{
	if (strcasecmp(pair->key, "password") == 0 || strcasecmp(pair->key, "passwd") == 0)
		return "no password in it: create the account with IDENTIFIED VIA unix_socket";
	if (strcmp(pair->key, "socket") == 0 && pair->value[0] == '/' && strlen(pair->value) < CONF_SOCKET_SIZE)
		return NULL;
	if (strcmp(pair->key, "socket") == 0)
		return "the path of a Unix socket as socket, of at most 107 bytes";
	if (strcmp(pair->key, "user") == 0 && pair->value[0] && strlen(pair->value) <= MARIADB_USER_MAX)
		return NULL;
	return pair->key[0] ? "socket=PATH and user=NAME, of a MariaDB no more" : NULL;
}

const char *conf_check_conninfo_mariadb(const char *text)
{
	struct pair pair = {.key = ""};
	const char *why = NULL;

	do {
		text = pairs_next(text, &pair);
		if (!text)
			return "key=value pairs: socket=PATH and user=NAME";
		why = judge_mariadb(&pair);
	} while (!why && *text);
	return why;
}

bool conf_read_conninfo_mariadb(const char *text, struct conf_target_mariadb *ret_target)
{
	struct conf_target_mariadb target = {.socket = "/run/mysqld/mysqld.sock", .user = "mysql"};
	struct pair pair;

	if (conf_check_conninfo_mariadb(text))
		return false;
	do {
		text = pairs_next(text, &pair);
		if (strcmp(pair.key, "socket") == 0)
			memcpy(target.socket, pair.value, sizeof(pair.value));
		else if (strcmp(pair.key, "user") == 0)
			memcpy(target.user, pair.value, sizeof(pair.value));
	} while (*text);
	*ret_target = target;
	return true;
}
