/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A cluster's conninfo: what the configuration takes, libpq must not read as a password, as an address that is no
 * Unix socket, or as a service; of a MariaDB there is nothing in it but a socket and a name.
 */
#include "common/conf_parts.h"
#include "common/pairs.h"
#include "tests/fuzz/fuzz.h"

#include <libpq-fe.h>

/* libpq takes a list of hosts, separated by commas; an empty one is the default socket folder. */
static bool is_local(const char *hosts)
{
	for (const char *host = hosts; *host; host += *host == ',') {
		if (*host != '/')
			return false;
		host += strcspn(host, ",");
	}
	return true;
}

static void check_option(const PQconninfoOption *option)
{
	if (!option->val || !option->val[0])
		return;
	must(strcmp(option->keyword, "password") != 0 && strcmp(option->keyword, "sslpassword") != 0);
	must(strcmp(option->keyword, "hostaddr") != 0 && strcmp(option->keyword, "service") != 0);
	must(strcmp(option->keyword, "host") != 0 || is_local(option->val));
}

static void check_mariadb(const char *text)
{
	const char *expected = conf_check_conninfo_mariadb(text);
	struct pair pair;

	must(!expected || expected[0]);
	while (!expected && *text) {
		text = pairs_next(text, &pair);
		must(text);
		must(!pair.key[0] || strcmp(pair.key, "user") == 0 || (strcmp(pair.key, "socket") == 0 && pair.value[0] == '/'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PQconninfoOption *options;
	char *text = malloc(size + 1), *error = NULL;
	const char *expected;

	must(text);
	memcpy(text, data, size);
	text[size] = '\0';
	expected = conf_check_conninfo(text);
	must(!expected || expected[0]);
	if (!expected) {
		options = PQconninfoParse(text, &error);
		for (PQconninfoOption *option = options; option && option->keyword; option++)
			check_option(option);
		PQconninfoFree(options);
		PQfreemem(error);
	}
	check_mariadb(text);
	free(text);
	return 0;
}
