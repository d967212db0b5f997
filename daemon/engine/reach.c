/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a server that refuses is said to do. */
#include "daemon/engine/reach.h"

#include "common/err.h"
#include "daemon/engine/server.h"

#include <stdio.h>

int reach_refuse(const struct reach *reach, const struct ask_answer *answer, struct reason *why)
{
	switch (answer->outcome) {
	case ASK_REJECTED:
		return reason_set(why, ERR_DATABASE, reach->rejected, "the server does not let us in: %s", answer->text);
	case ASK_FORBIDDEN:
		return reason_set(why, ERR_DATABASE, reach->forbidden, "the server forbids it: %s", answer->text);
	case ASK_NOT_READY:
		return reason_set_retry(why, ERR_DATABASE, "wait until the server has started",
					"the server does not take sessions now: %s", answer->text);
	case ASK_CROWDED:
		return reason_set_retry(why, ERR_DATABASE, "raise max_connections, or end some sessions",
					"the server has no connection left: %s", answer->text);
	case ASK_NO_SERVER:
		return reason_set_retry(why, ERR_DATABASE, "start the server, or correct database.conninfo",
					"nothing answers at conninfo \"%.200s\"", reach->conninfo);
	case ASK_LOST:
		return reason_set_retry(why, ERR_DATABASE, NULL, "the connection to the server was lost: %s",
					answer->text);
	case ASK_NONSENSE:
		reason_set(why, ERR_DATABASE, NULL, "the server answers what no %s does: %s", reach->product, answer->text);
		snprintf(why->remedy, sizeof(why->remedy), "is a %s behind database.conninfo?", reach->product);
		return ERR_DATABASE;
	default:
		return reason_set(why, ERR_DATABASE, NULL, "the server refuses: %s", answer->text);
	}
}

/* A server that takes the connection and says nothing: who is it, and what does it do? */
static int refuse_silent(const struct session *session, struct reason *why)
{
	char who[128];

	server_describe(session_socket(session), who, sizeof(who));
	return reason_set_retry(why, ERR_TIMEOUT, "see why it hangs; kill -CONT continues a stopped process",
				"the server did not answer within %d s: %s", REACH_CONNECT_MS / 1000, who);
}

int reach_server(const struct reach *reach, struct session *session, struct ask_answer *ret_answer, struct reason *why)
{
	struct ask_question question = {.type = ASK_CONNECT, .timeout_ms = REACH_CONNECT_MS};
	int error;

	snprintf(question.conninfo, sizeof(question.conninfo), "%s", reach->conninfo);
	ret_answer->outcome = ASK_DONE;
	error = session_ask(session, &question, REACH_CONNECT_MS + REACH_MARGIN_MS, ret_answer, why);
	if (error == ERR_TIMEOUT)
		return refuse_silent(session, why);
	if (error < 0)
		return error;
	if (ret_answer->outcome == ASK_LOST && !ret_answer->sqlstate[0] && session_socket(session) >= 0)
		return refuse_silent(session, why);
	if (ret_answer->outcome == ASK_NO_SERVER)
		return 0;
	return ret_answer->outcome == ASK_DONE ? 1 : reach_refuse(reach, ret_answer, why);
}

/* However it answers, somebody does: he is ours unless he proves to be another directory's. */
static int refuse_answering(const struct reach *reach, const struct worker_job *job, int socket_fd, struct reason *why)
{
	char who[128];

	if (server_is_elsewhere(job, socket_fd))
		return 0;
	server_describe(socket_fd, who, sizeof(who));
	return reason_set(why, ERR_BUSY, "stop the server, and keep it stopped until the restore is done",
			  "the server runs: %s, answers at conninfo \"%.200s\"", who, reach->conninfo);
}

int reach_prove_stopped(const struct reach *reach, struct worker_job *job, const char *helper, struct reason *why)
{
	struct session *session = NULL;
	struct ask_answer answer;
	int reached, error = session_start(job, helper, &session, why);

	if (error < 0)
		return error;
	reached = reach_server(reach, session, &answer, why);
	if (reached != 0)
		error = reached < 0 && session_socket(session) < 0 ? reached :
								     refuse_answering(reach, job, session_socket(session), why);
	if (error == 0)
		*why = (struct reason){0};
	session_end(session);
	return error;
}
