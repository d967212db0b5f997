/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gets a connection, and says why there is none. */
#ifndef DBSNAP_HELPER_CONNECT_H
#define DBSNAP_HELPER_CONNECT_H

#include "daemon/helper/answer.h"

#include <libpq-fe.h>

/*
 * Connects as question says. new_socket is called with every socket to a server before
 * that server has said anything. The caller's to PQfinish, NULL too; usable only if answer->outcome stayed ASK_DONE.
 */
PGconn *connect_open(const struct ask_question *question, void (*new_socket)(int fd), struct ask_answer *answer);

/* Does text begin with five characters as every SQLSTATE has them? */
bool sqlstate_is_valid(const char *text);
enum ask_outcome sqlstate_outcome(const char *sqlstate);

#endif
