/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gets a connection to a MariaDB, and says why there is none. */
#ifndef DBSNAP_HELPER_MARIADB_CONNECT_H
#define DBSNAP_HELPER_MARIADB_CONNECT_H

#include "daemon/helper/answer.h"

#include <mysql.h>

/*
 * Connects as question says. new_socket is called with the socket as soon as the server is waited for, and
 * again when the session is there. The caller's to mysql_close, NULL too; usable only if answer->outcome stayed ASK_DONE.
 */
MYSQL *maria_open(const struct ask_question *question, void (*new_socket)(int fd), struct ask_answer *answer);

/* Fills in what the server or the library refused last. */
void maria_refuse(MYSQL *mysql, struct ask_answer *answer);

#endif
