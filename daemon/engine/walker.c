/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walker: a fork that gives up everything but the database user's own
 * rights before it touches a name. Its answer comes back through a pipe as
 * plain bytes; a short one, or a walker that did not live to the end, is no answer.
 */
#include "daemon/engine/walker.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/tree_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FDS_MAX = 2 * TREE_ROOTS_MAX, WAIT_MS_MAX = 24 * 3600 * 1000 };

struct head {
	int code;
	struct reason why;
};

static bool write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size > 0) {
		ssize_t done = write(fd, at, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += done;
		size -= (size_t)done;
	}
	return true;
}

static void __attribute__((noreturn)) live(const struct worker_job *job, pid_t parent, walker_fn *fn, const void *arg,
					   const int *fds, int out, void *answer, size_t answer_size)
{
	struct head head = {0};
	int error = proc_become(&job->identity);

	if (error < 0)
		_exit(2);
	proc_die_with(parent);
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	head.code = fn(arg, fds, answer, &head.why);
	_exit(write_all(out, &head, sizeof(head)) && write_all(out, answer, answer_size) ? 0 : 3);
}

static pid_t start(const struct worker_job *job, walker_fn *fn, const void *arg, const int *fds, size_t count,
		   int out, void *answer, size_t answer_size)
{
	int keep[FDS_MAX + 2];
	pid_t parent = getpid(), pid;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		keep[kept++] = fds[i];
	keep[kept++] = out;
	/* The lock must outlive the worker as long as anything of its job may still happen. */
	if (job->lock_fd >= 0)
		keep[kept++] = job->lock_fd;
	pid = proc_fork(keep, kept);
	if (pid == 0)
		live(job, parent, fn, arg, fds, out, answer, answer_size);
	return pid;
}

/* Waits for bytes, the engine's word or the deadline. 0, ERR_TIMEOUT or ERR_CANCELLED. */
static int wait_for(struct worker_job *job, int fd, struct reason *why)
{
	struct pollfd items[] = {{.fd = fd, .events = POLLIN}, {.fd = job->link, .events = POLLIN}};
	int ready = poll(items, 2, job_time_left_ms(job, WAIT_MS_MAX));

	if (ready == 0)
		return reason_set_retry(why, ERR_TIMEOUT, NULL, "reading the data directory took too long");
	return items[1].revents ? job_check_cancelled(job, why) : 0;
}

static int read_all(struct worker_job *job, int fd, void *bytes, size_t size, struct reason *why)
{
	char *at = bytes;

	while (size > 0) {
		int error = wait_for(job, fd, why);
		ssize_t got = error < 0 ? 0 : read(fd, at, size);

		if (error < 0)
			return error;
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return reason_set_retry(why, ERR_UNKNOWN, NULL,
						"the process that reads the data directory died");
		at += got;
		size -= (size_t)got;
	}
	return 0;
}

/* The database user's words: bounded, and a code of ours. */
static int judge(struct head *head, struct reason *why)
{
	head->why.cause[sizeof(head->why.cause) - 1] = '\0';
	head->why.remedy[sizeof(head->why.remedy) - 1] = '\0';
	if (head->code > 0 || head->code < ERR_LAST)
		return reason_set(why, ERR_UNKNOWN, NULL, "the process that reads the data directory spoke nonsense");
	if (head->code < 0) {
		*why = head->why;
		why->code = head->code;
		why->retry = *(unsigned char *)&head->why.retry != 0;
	}
	return head->code;
}

static int listen_to(struct worker_job *job, int fd, void *answer, size_t answer_size, struct reason *why)
{
	struct head head;
	scope_free void *bytes = malloc(answer_size + 1);
	int error = bytes ? read_all(job, fd, &head, sizeof(head), why) : reason_set(why, ERR_NOMEM, NULL, "out of memory");

	if (error == 0)
		error = read_all(job, fd, bytes, answer_size, why);
	if (error == 0)
		error = judge(&head, why);
	if (error == 0)
		memcpy(answer, bytes, answer_size);
	return error;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int walker_run(struct worker_job *job, walker_fn *fn, const void *arg, const int *fds, size_t count, void *answer,
	       size_t answer_size, struct reason *why)
{
	scope_close int in = -1, out = -1;
	scope_free void *scratch = calloc(1, answer_size + 1);
	int ends[2], error;
	pid_t pid;

	if (count > FDS_MAX || !scratch)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return reason_set_errno(why, errno, "cannot make a pipe");
	in = ends[0];
	out = ends[1];
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		return reason_set_errno(why, errno, "cannot set up a pipe");
	pid = start(job, fn, arg, fds, count, out, scratch, answer_size);
	if (pid < 0)
		return reason_set_errno(why, errno, "cannot start a process");
	close(scope_take_fd(out));
	error = listen_to(job, in, answer, answer_size, why);
	end(pid);
	return error;
}

static int measure(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)arg;
	return tree_measure(fds[0], answer, why);
}

int walker_measure(struct worker_job *job, int root_fd, uint64_t *ret_bytes, struct reason *why)
{
	return walker_run(job, measure, NULL, &root_fd, 1, ret_bytes, sizeof(*ret_bytes), why);
}
