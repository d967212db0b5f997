/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which database a manifest means. */
#include "daemon/engine/db.h"

#include <stddef.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct db_ops *db_find(const char *name)
{
	static const struct db_ops *const all[] = {&db_postgresql, &db_mariadb, &db_none};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	}
	return NULL;
}

void db_server_add(struct db_server *server, const char *format, ...)
{
	va_list args;

	if (server->arg_count == DB_SERVER_ARGS)
		return;
	va_start(args, format);
	vsnprintf(server->args[server->arg_count++], DB_SERVER_ARG_SIZE, format, args);
	va_end(args);
}
