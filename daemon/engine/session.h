/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a helper and asks it typed questions. Every question has a deadline that
 * is kept here: a helper that misses it is killed, and with it its session.
 */
#ifndef DBSNAP_ENGINE_SESSION_H
#define DBSNAP_ENGINE_SESSION_H

#include "common/ask.h"
#include "daemon/engine/job.h"

struct session;

/* Starts libexec_dir/program as the database's user. 0 or a code with why. The caller's to session_end(). */
int session_start(struct worker_job *job, const char *program, struct session **ret_session, struct reason *why);

/*
 * Asks and waits. 0: ret_answer is of the question's type, whatever its outcome. ERR_TIMEOUT: not answered within
 * timeout_ms; ERR_CANCELLED; ERR_UNKNOWN: the helper died or spoke nonsense. After any of these it is dead.
 */
int session_ask(struct session *session, const struct ask_question *question, int timeout_ms,
		struct ask_answer *ret_answer, struct reason *why);

/* The last socket to a server that the helper handed on; -1 before. Borrowed. */
int session_socket(const struct session *session);
/* Closes our copy of it: as long as it is open the server does not see that the helper has died. */
void session_let_socket_go(struct session *session);

/* Kills and reaps the helper, whatever it does; frees. NULL is fine. Always NULL. */
struct session *session_end(struct session *session);

#endif
