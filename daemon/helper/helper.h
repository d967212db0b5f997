/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each database's part of a helper offers. The process is the database's
 * user, may do nothing but talk to Unix sockets and read files, and blocks as long as
 * a server likes: the worker keeps the deadlines and kills.
 */
#ifndef DBSNAP_HELPER_H
#define DBSNAP_HELPER_H

#include "common/ask.h"

struct helper_session;

/* What the program is called. */
extern const char helper_name[];

/* No session yet. NULL: no memory. */
struct helper_session *helper_session_new(void);
/* Ends it. NULL is fine. Always NULL. */
struct helper_session *helper_session_end(struct helper_session *session);

/*
 * Answers question; ret_answer->type is set already. new_socket is called with every
 * socket that a server was reached by, before that server has said anything.
 */
void helper_session_answer(struct helper_session *session, const struct ask_question *question,
			   void (*new_socket)(int fd), struct ask_answer *ret_answer);

#endif
