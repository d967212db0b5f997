/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A helper process, from its fork to its end. */
#include "daemon/engine/session.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_WAIT_MS = 1000 };

struct session {
	struct worker_job *job;
	pid_t pid;  /* 0 when reaped */
	int link;   /* to the helper */
	int socket; /* to the server */
	char program[64];
};

static void __attribute__((noreturn)) live(const struct worker_job *job, pid_t parent, const char *path,
					   const char *program, int link)
{
	char *const argv[] = {(char *)program, NULL};

	if (proc_become(&job->identity) < 0)
		_exit(2);
	proc_die_with(parent);
	proc_exec(path, argv, NULL, &link, 1);
	_exit(errno == ENOENT ? 127 : 126);
}

static int start(struct session *session, const char *program, struct reason *why)
{
	char path[MSG_PATH_SIZE];
	pid_t parent = getpid();
	scope_close int ours = -1, theirs = -1;
	int pair[2], room = 2 * ASK_PACKET_MAX, error = proc_socketpair(pair);

	if (error < 0)
		return reason_set(why, error, NULL, "cannot make a socket pair: %s", err_text(error));
	ours = pair[0];
	theirs = pair[1];
	/* The default takes the largest answer, but an administrator may have lowered it. */
	(void)setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	snprintf(path, sizeof(path), "%s/%s", session->job->libexec_dir, program);
	session->pid = proc_fork(&theirs, 1);
	if (session->pid < 0) {
		session->pid = 0;
		return reason_set_errno(why, errno, "cannot start %s", program);
	}
	if (session->pid == 0)
		live(session->job, parent, path, program, theirs);
	session->link = scope_take_fd(ours);
	return 0;
}

int session_start(struct worker_job *job, const char *program, struct session **ret_session, struct reason *why)
{
	struct session *session = calloc(1, sizeof(*session));
	int error;

	if (!session)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	*session = (struct session){.job = job, .link = -1, .socket = -1};
	snprintf(session->program, sizeof(session->program), "%s", program);
	error = start(session, program, why);
	if (error < 0)
		session_end(session);
	else
		*ret_session = session;
	return error;
}

/* Ends the process. Its exit status, -1 if it was a signal that ended it. */
static int reap(struct session *session)
{
	int status = 0;

	if (session->pid == 0)
		return -1;
	kill(session->pid, SIGKILL);
	while (waitpid(session->pid, &status, 0) < 0 && errno == EINTR)
		;
	session->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct session *session_end(struct session *session)
{
	if (session) {
		reap(session);
		if (session->link >= 0)
			close(session->link);
		session_let_socket_go(session);
		free(session);
	}
	return NULL;
}

int session_socket(const struct session *session)
{
	return session->socket;
}

void session_let_socket_go(struct session *session)
{
	if (session->socket >= 0)
		close(session->socket);
	session->socket = -1;
}

/* The end of file may come just before the exit: its status is waited for, but not for ever. */
static void wait_exit(const struct session *session)
{
	scope_close int pidfd = session->pid > 0 ? (int)syscall(SYS_pidfd_open, session->pid, 0) : -1;
	struct pollfd item = {.fd = pidfd, .events = POLLIN};

	if (pidfd >= 0)
		poll(&item, 1, EXIT_WAIT_MS);
}

static int refuse_dead(struct session *session, struct reason *why)
{
	int status;

	wait_exit(session);
	status = reap(session);
	if (status == 127 || status == 126)
		return reason_set(why, ERR_NOT_FOUND, "install dbsnap whole, and let the database's user reach its programs",
				  "cannot run %s/%s", session->job->libexec_dir, session->program);
	return reason_set_retry(why, ERR_UNKNOWN, NULL, "the database helper died");
}

static int wait_for(struct session *session, int64_t end_ms, struct reason *why)
{
	struct pollfd items[] = {{.fd = session->link, .events = POLLIN},
				 {.fd = session->job->link, .events = POLLIN}};
	int64_t left = end_ms - clock_running_ms();
	int ready = left <= 0 ? 0 : poll(items, 2, job_time_left_ms(session->job, (int)left));

	if (ready == 0) {
		reap(session);
		return reason_set_retry(why, ERR_TIMEOUT, NULL, "the database did not answer in time");
	}
	if (ready > 0 && items[1].revents) {
		int error = job_check_cancelled(session->job, why);

		if (error < 0)
			reap(session);
		return error < 0 ? error : items[0].revents != 0;
	}
	return ready > 0;
}

/* One packet. 1: it was an answer; 0: a socket, which is kept. */
static int receive(struct session *session, struct ask_answer *ret_answer, struct reason *why)
{
	int passed = -1;
	int error = ask_receive_answer(session->link, ret_answer, &passed);

	if (error == ERR_CLOSED)
		return refuse_dead(session, why);
	if (error < 0) {
		reap(session);
		return reason_set_retry(why, ERR_UNKNOWN, NULL, "the database helper spoke nonsense");
	}
	if (passed >= 0) {
		session_let_socket_go(session);
		session->socket = passed;
	}
	return ret_answer->type != ASK_SOCKET;
}

int session_ask(struct session *session, const struct ask_question *question, int timeout_ms,
		struct ask_answer *ret_answer, struct reason *why)
{
	int64_t end_ms = clock_running_ms() + timeout_ms;
	struct ask_answer answer;
	int ready, done = 0;

	if (session->pid == 0)
		return reason_set_retry(why, ERR_UNKNOWN, NULL, "the database helper is gone");
	if (ask_send_question(session->link, question) < 0)
		return refuse_dead(session, why);
	while (done == 0) {
		ready = wait_for(session, end_ms, why);
		if (ready < 0)
			return ready;
		done = ready > 0 ? receive(session, &answer, why) : 0;
		if (done < 0)
			return done;
	}
	if (answer.type != question->type) {
		reap(session);
		return reason_set_retry(why, ERR_UNKNOWN, NULL, "the database helper answered another question");
	}
	*ret_answer = answer;
	return 0;
}
