/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a libpq connection string just far enough to refuse what must not be
 * in it: secrets (the file is not the place; it may be read by more than the
 * database's user), and addresses that are no Unix socket (only a local peer
 * can be asked who it is). The rules of quoting are those of libpq.
 */
#include "common/conf_parts.h"

#include <string.h>
#include <strings.h>

static const char blanks[] = " \t\n\r\f\v";

struct pair {
	char key[64];
	char value[CONF_CONNINFO_SIZE];
};

static bool append(char *text, size_t size, size_t *length, char c)
{
	if (*length + 1 >= size)
		return false;
	text[(*length)++] = c;
	text[*length] = '\0';
	return true;
}

/* The value at text, quoted or not. What follows it, or NULL if it is malformed. */
static const char *read_value(const char *text, struct pair *pair)
{
	bool quoted = *text == '\'';
	size_t length = 0;

	pair->value[0] = '\0';
	text += quoted;
	while (*text && (quoted ? *text != '\'' : !strchr(blanks, *text))) {
		if (*text == '\\' && text[1])
			text++;
		if (!append(pair->value, sizeof(pair->value), &length, *text++))
			return NULL;
	}
	if (quoted && *text != '\'')
		return NULL;
	return text + quoted;
}

/* "key = value" at text. What follows it, or NULL if it is malformed. */
static const char *read_pair(const char *text, struct pair *pair)
{
	size_t length = strcspn(text, "= \t\n\r\f\v");

	if (length == 0 || length >= sizeof(pair->key))
		return NULL;
	memcpy(pair->key, text, length);
	pair->key[length] = '\0';
	text += length;
	text += strspn(text, blanks);
	if (*text != '=')
		return NULL;
	text++;
	return read_value(text + strspn(text, blanks), pair);
}

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
	struct pair pair;
	const char *why = NULL;

	if (strncasecmp(text, "postgresql:", 11) == 0 || strncasecmp(text, "postgres:", 9) == 0)
		return "key=value pairs, no URI (and no password: use peer authentication or a passfile)";
	for (text += strspn(text, blanks); !why && *text; text += strspn(text, blanks)) {
		text = read_pair(text, &pair);
		if (!text)
			return "key=value pairs as libpq reads them";
		why = judge(&pair);
	}
	return why;
}
