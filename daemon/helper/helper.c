/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A database helper: descriptor 3 is a socket pair to the worker; questions are
 * answered one by one until its end. The one difficulty is that the
 * process talks to a server that may be hostile: so it gives up everything
 * first, and whatever goes wrong between it and its worker ends it.
 */
#include "common/ask.h"
#include "common/err.h"
#include "common/log.h"
#include "common/proc.h"
#include "daemon/helper/helper.h"
#include "daemon/helper/sandbox.h"

#include <fcntl.h>
#include <stdlib.h>

enum { LINK = 3 };

static void pass_socket(int fd)
{
	struct ask_answer answer = {.type = ASK_SOCKET};

	if (ask_send_answer(LINK, &answer, fd) < 0)
		exit(1);
}

/* The worker's identity is ours already; an exec made us dumpable again. */
static int give_up_power(void)
{
	struct proc_identity self;
	int error;

	proc_identity_self(&self);
	error = proc_become(&self);
	return error < 0 ? error : sandbox_enter();
}

static int serve(struct helper_session *session)
{
	struct ask_question question;
	int error;

	while ((error = ask_receive_question(LINK, &question)) == 0) {
		struct ask_answer answer = {.type = question.type};

		helper_session_answer(session, &question, pass_socket, &answer);
		error = ask_send_answer(LINK, &answer, -1);
		if (error < 0)
			break;
	}
	return error == ERR_CLOSED ? 0 : error;
}

int main(void)
{
	struct helper_session *session;
	int error;

	log_open(helper_name);
	if (fcntl(LINK, F_SETFD, FD_CLOEXEC) < 0) {
		log_error("this program is started by dbsnapd, not by hand");
		return 2;
	}
	error = give_up_power();
	if (error < 0) {
		log_error("cannot give up privileges: %s", err_text(error));
		return 1;
	}
	session = helper_session_new();
	if (!session)
		return 1;
	error = serve(session);
	if (error < 0)
		log_error("helper ends: %s", err_text(error));
	helper_session_end(session);
	return error < 0;
}
