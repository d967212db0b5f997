/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The server is number 1 of a PID namespace of its own, so its end, whatever ended it, is the end of all its
 * processes: none goes on with a query of its own. What they share by System V goes with a namespace too. Without root
 * that takes a user namespace, which not every system gives; the server's processes then find out by themselves that it has died.
 */
#include "daemon/engine/serve.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/proc.h"
#include "common/scope.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/serve_log.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	REPEAT_MS = 1000,      /* number 1 of a namespace does not hear what it has no handler for yet */
	END_MS = 10000,        /* after that it is ended without order */
	HARD_MS = 15000,       /* after that it is killed */
	ASK_PAUSE_MS = 10,
	LOG_END_MS = 1000,     /* its last words are written long before that */
	TAIL_SIZE = 4096,
	LINES_SIZE = 600,
	LINES = 3
};

struct child {
	pid_t pid; /* 0: none */
	int pidfd; /* -1 */
};

struct run {
	const struct serve *serve;
	struct child server, asker, logger;
	int words[2];      /* the pipe from the server to the logger; -1 */
	int64_t ends_ms;   /* running time; 0: no end */
	int64_t ending_ms; /* since then it is being ended; 0: it is not */
	int64_t next_ms;   /* the next signal */
};

/* ---- children ---- */

static void speak_into(int out)
{
	scope_close int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
		_exit(127);
}

/* In a PID namespace of its own no parent has a number: that it lives can be told by its end of the pipe. */
static void die_with_reader(int out)
{
	struct pollfd item = {.fd = out, .events = POLLOUT};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&item, 1, 0) < 0 || item.revents & POLLERR)
		_exit(127);
}

/* Every child: the database's user, in the clone, for no longer than this process. */
static void become(const struct serve *s, int alive)
{
	if (proc_become(&s->job->identity) < 0)
		_exit(127);
	die_with_reader(alive);
	umask(077);
	if (fchdir(s->root_fd) < 0)
		_exit(127);
}

static void __attribute__((noreturn)) be_server(const struct run *run, int alive)
{
	const struct serve *s = run->serve;
	char *argv[DB_SERVER_ARGS + 2] = {(char *)(uintptr_t)s->server.program};
	char *env[] = {"PATH=/usr/bin:/bin", NULL};

	become(s, alive);
	speak_into(run->words[1]);
	for (size_t i = 0; i < s->server.arg_count; i++)
		argv[i + 1] = (char *)(uintptr_t)s->server.args[i];
	/* Its lock goes with the last of its processes. */
	proc_exec(s->server.program, argv, env, &s->lock_fd, 1);
	dprintf(STDERR_FILENO, "cannot start %s: %s\n", s->server.program, strerror(errno));
	_exit(127);
}

static void __attribute__((noreturn)) be_logger(const struct run *run, int alive)
{
	become(run->serve, alive);
	serve_log_keep(run->serve->root_fd, run->words[0]);
	_exit(0);
}

static void __attribute__((noreturn)) be_asker(const struct run *run, int alive)
{
	const struct serve *s = run->serve;

	become(s, alive);
	while (!s->db->answers(&s->clone))
		nanosleep(&(struct timespec){.tv_nsec = ASK_PAUSE_MS * 1000000L}, NULL);
	_exit(0);
}

/* Number 1 of namespaces, where they are to be had. */
static pid_t fork_first(const struct serve *s, const int *keep, size_t count)
{
	bool as_root = s->job->as_root;
	pid_t pid = proc_fork_apart(keep, count, CLONE_NEWIPC | (as_root ? 0 : CLONE_NEWUSER));
	struct reason ignored = {0};

	if (pid < 0 && !as_root)
		return proc_fork(keep, count);
	if (pid == 0 && !as_root && cell_map_user(&s->job->identity, &ignored) < 0)
		_exit(127);
	return pid;
}

/* words: its end of that pipe, -1 none. */
static int fork_child(const struct run *run, void (*be)(const struct run *, int), int words, bool first, struct child *child,
		      struct reason *why)
{
	const struct serve *s = run->serve;
	size_t count = words < 0 ? 3 : 4;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return reason_set_errno(why, errno, "cannot make a pipe");
	pid = first ? fork_first(s, (int[]){s->root_fd, s->lock_fd, ends[1], words}, count) :
		      proc_fork((int[]){s->root_fd, s->lock_fd, ends[1], words}, count);
	if (pid == 0)
		be(run, ends[1]);
	/* The reading end stays open until this process ends. */
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return reason_set_errno(why, errno, "cannot start a process%s", first ? " in namespaces" : "");
	}
	child->pid = pid;
	child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return child->pidfd < 0 ? reason_set_errno(why, errno, "cannot watch a process") : 0;
}

/* How it ended, as waitpid() says. */
static int reap(struct child *child)
{
	int status = 0;

	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (child->pidfd >= 0)
		close(child->pidfd);
	*child = (struct child){.pidfd = -1};
	return status;
}

static void kill_child(struct child *child)
{
	if (!child->pid)
		return;
	kill(child->pid, SIGKILL);
	reap(child);
}

/* When the server has ended: what it said is in the file, or will never be. */
static void end_log(struct run *run)
{
	struct pollfd item = {.fd = run->logger.pidfd, .events = POLLIN};

	if (run->logger.pid)
		poll(&item, 1, LOG_END_MS);
	kill_child(&run->logger);
}

static void close_words(struct run *run)
{
	for (size_t i = 0; i < 2; i++) {
		if (run->words[i] >= 0)
			close(scope_take_fd(run->words[i]));
	}
}

static int fork_children(struct run *run, struct reason *why)
{
	int error;

	if (pipe2(run->words, O_CLOEXEC) < 0)
		return reason_set_errno(why, errno, "cannot make a pipe");
	error = fork_child(run, be_logger, run->words[0], false, &run->logger, why);
	if (error == 0)
		error = fork_child(run, be_server, run->words[1], true, &run->server, why);
	close_words(run); /* the logger ends with the last of those that the server has started */
	return error == 0 ? fork_child(run, be_asker, -1, false, &run->asker, why) : error;
}

/* ---- its end ---- */

static void begin_end(struct run *run)
{
	if (!run->ending_ms)
		run->ending_ms = run->next_ms = clock_running_ms();
}

static void send_signal(struct run *run, int64_t now)
{
	const struct db_server *server = &run->serve->server;
	int64_t since = now - run->ending_ms;

	kill(run->server.pid, since < END_MS ? server->end_signal : since < HARD_MS ? server->hard_signal : SIGKILL);
	run->next_ms = now + REPEAT_MS;
}

static void check_time(struct run *run)
{
	int64_t now = clock_running_ms();

	if (run->ends_ms && now >= run->ends_ms)
		begin_end(run);
	if (run->ending_ms && now >= run->next_ms)
		send_signal(run, now);
}

static int timeout_of(const struct run *run)
{
	int64_t due = run->ending_ms ? run->next_ms : run->ends_ms;
	int64_t left = due - clock_running_ms();

	if (!due)
		return -1;
	return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

/* ---- what it said ---- */

static int read_tail(const void *arg, const int *fds, void *answer, struct reason *why)
{
	char bytes[TAIL_SIZE];
	scope_close int fd = tree_open(fds[0], SERVE_LOG, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;
	ssize_t got = 0;
	char *lines = answer, *start;

	(void)arg;
	(void)why;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		got = pread(fd, bytes, sizeof(bytes) - 1, st.st_size < (off_t)sizeof(bytes) ? 0 : st.st_size - (off_t)sizeof(bytes) + 1);
	while (got > 0 && bytes[got - 1] == '\n')
		got--;
	bytes[got > 0 ? got : 0] = '\0';
	start = bytes + (got > 0 ? got : 0);
	for (int line = 0; start > bytes && line < LINES; start--)
		line += start[-1] == '\n';
	start += *start == '\n';
	snprintf(lines, LINES_SIZE, "%s", strlen(start) < LINES_SIZE ? start : start + strlen(start) - LINES_SIZE + 1);
	return 0;
}

/* The database user's words: on one line, and bounded. */
static void clean(char *text)
{
	text[LINES_SIZE - 1] = '\0';
	for (; *text; text++) {
		if (*text == '\n')
			*text = ';';
		else if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = *text == '\t' ? ' ' : '?';
	}
}

static int explain_end(const struct run *run, int status, struct reason *why)
{
	const struct serve *s = run->serve;
	struct reason ignored = {0};
	char lines[LINES_SIZE] = "", how[48];

	if (walker_run(s->job, read_tail, NULL, &s->root_fd, 1, lines, sizeof(lines), &ignored) < 0)
		lines[0] = '\0';
	clean(lines);
	snprintf(how, sizeof(how), WIFSIGNALED(status) ? "signal %d" : "status %d",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return reason_set(why, ERR_DATABASE, "look into dbsnap.log in the clone's directory; delete the clone and make another",
			  "its server ended by itself (%s)%s%s", how, lines[0] ? ": " : "", lines);
}

/* ---- its life ---- */

static void take_answer(struct run *run, serve_ready_fn *ready)
{
	int status = reap(&run->asker);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		ready(run->serve->job);
}

/* How the server ended. */
static int watch(struct run *run, serve_ready_fn *ready, struct reason *why)
{
	for (;;) {
		struct pollfd items[] = {{.fd = run->server.pidfd, .events = POLLIN},
					 {.fd = run->ending_ms ? -1 : run->serve->job->link, .events = POLLIN},
					 {.fd = run->asker.pidfd, .events = POLLIN}};

		if (poll(items, 3, timeout_of(run)) < 0 && errno != EINTR)
			return reason_set_errno(why, errno, "cannot watch the server");
		if (items[0].revents) {
			int status = reap(&run->server);

			end_log(run);
			return run->ending_ms ? 0 : explain_end(run, status, why);
		}
		if (items[2].revents)
			take_answer(run, ready);
		/* The engine's end of it is this process's end. */
		if (items[1].revents && job_is_cancelled(run->serve->job))
			begin_end(run);
		check_time(run);
	}
}

int serve_run(const struct serve *serve, serve_ready_fn *ready, struct reason *why)
{
	struct run run = {.serve = serve, .server.pidfd = -1, .asker.pidfd = -1, .logger.pidfd = -1, .words = {-1, -1}};
	int error;

	run.ends_ms = serve->ttl_ms ? clock_running_ms() + serve->ttl_ms : 0;
	error = fork_children(&run, why);
	if (error == 0)
		error = watch(&run, ready, why);
	kill_child(&run.asker);
	kill_child(&run.server);
	end_log(&run);
	return error;
}
