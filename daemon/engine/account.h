/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The SQL by which an administrator makes an account that may do what a procedure needs, and no more. */
#ifndef DBSNAP_ENGINE_ACCOUNT_H
#define DBSNAP_ENGINE_ACCOUNT_H

#include "common/conf.h"

#include <stddef.h>

enum { ACCOUNT_SIZE = 2 * CONF_TARGET_SIZE + 32 };

/* How statements name the account of database's conninfo: "'mysql'@'localhost'". */
void account_mariadb(const struct conf_database_settings *database, char account[static ACCOUNT_SIZE]);

/*
 * One statement a line. type: of the server, PostgreSQL or MariaDB. major: its release; 0: not known, one of today's.
 * procedure: "A" to "F"; "": not known, all that any needs. lines is "" for a procedure that asks no server.
 */
void account_describe(const struct conf_database_settings *database, enum conf_database type, unsigned major,
		      const char *procedure, char *lines, size_t size);

#endif
