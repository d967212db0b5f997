/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From conninfo to a server of either kind. Each way in which that fails, or in which a server refuses later, has its own
 * sentence and its remedy: this is what an administrator reads first.
 */
#ifndef DBSNAP_ENGINE_REACH_H
#define DBSNAP_ENGINE_REACH_H

#include "daemon/engine/session.h"

enum {
	REACH_CONNECT_MS = 10000, /* a healthy server takes a few milliseconds */
	REACH_MARGIN_MS = 2000,   /* the helper's own deadline comes first: its word is better */
	REACH_FACTS_MS = 30000
};

/* What the sentences are about. All borrowed. */
struct reach {
	const char *product;  /* "PostgreSQL" */
	const char *conninfo;
	const char *rejected; /* remedy, if the server does not let us in */
	const char *forbidden; /* remedy, if it does, and forbids what is asked */
};

/* Why an answer is not ASK_DONE. The code. */
int reach_refuse(const struct reach *reach, const struct ask_answer *answer, struct reason *why);

/*
 * Connects the session's helper. 1: in; 0: nothing listens; or a code with why, which ret_answer's outcome (ASK_DONE where the
 * server has not refused) may explain better. Waits for up to REACH_CONNECT_MS + REACH_MARGIN_MS.
 */
int reach_server(const struct reach *reach, struct session *session, struct ask_answer *ret_answer, struct reason *why);

/*
 * Nobody answers, by the helper of that name, but perhaps one who proves to serve another directory than job's. 0; ERR_BUSY with
 * why; or another code with why: it is not known. Waits as reach_server().
 */
int reach_prove_stopped(const struct reach *reach, struct worker_job *job, const char *helper, struct reason *why);

#endif
