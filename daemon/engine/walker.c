/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walker: a fork that gives up everything but the database user's own
 * rights before it touches a name. Its answer comes back through a pipe as
 * plain bytes; a short one, or a walker that did not live to the end, is no answer.
 */
#include "daemon/engine/walker.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/tree_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FDS_MAX = 2 * TREE_ROOTS_MAX, WAIT_MS_MAX = 24 * 3600 * 1000, STOPPED_MS_MAX = 10000, END_MS_MAX = 10000 };

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

/* What a walker is to do, and where its answer goes. All borrowed. */
struct task {
	const struct cell *cell; /* NULL: none */
	bool apart;              /* number 1 of a PID namespace; in a cell always */
	walker_fn *fn;
	const void *arg;
	const int *fds;
	size_t count;
	int out;
	void *answer;
	size_t answer_size;
};

static void __attribute__((noreturn)) tell(const struct task *task, const struct head *head)
{
	_exit(write_all(task->out, head, sizeof(*head)) && write_all(task->out, task->answer, task->answer_size) ? 0 : 3);
}

/* In a PID namespace of its own no parent has a number: that it lives can be told by its end of the pipe. */
static void die_with_reader(int out)
{
	struct pollfd item = {.fd = out, .events = POLLOUT};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&item, 1, 0) < 0 || item.revents & POLLERR)
		_exit(1);
}

static void __attribute__((noreturn)) live(const struct worker_job *job, pid_t parent, const struct task *task)
{
	struct head head = {0};

	/* Whatever changes an identity ends this: it is set again below. */
	if (task->cell) {
		die_with_reader(task->out);
		head.code = cell_enter(task->cell, &job->identity, job->as_root, &head.why);
	}
	if (head.code < 0)
		tell(task, &head);
	if (proc_become(&job->identity) < 0)
		_exit(2);
	if (task->apart)
		die_with_reader(task->out);
	else
		proc_die_with(parent);
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	head.code = task->fn(task->arg, task->fds, task->answer, &head.why);
	tell(task, &head);
}

static pid_t start(const struct worker_job *job, const struct task *task)
{
	int keep[FDS_MAX + 3];
	pid_t parent = getpid(), pid;
	size_t kept = 0;

	for (size_t i = 0; i < task->count; i++)
		keep[kept++] = task->fds[i];
	keep[kept++] = task->out;
	if (task->cell)
		keep[kept++] = task->cell->root_fd;
	/* The lock must outlive the worker as long as anything of its job may still happen. */
	if (job->lock_fd >= 0)
		keep[kept++] = job->lock_fd;
	pid = task->apart ? proc_fork_apart(keep, kept, task->cell ? cell_namespaces(job->as_root) : 0) : proc_fork(keep, kept);
	if (pid == 0)
		live(job, parent, task);
	return pid;
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* The worker's end of one walk. */
struct walk {
	struct worker_job *job;
	pid_t pid;
	int in;           /* its answer */
	int signals;      /* SIGCHLD, which also tells that it was stopped or continued */
	int64_t since_ms; /* it stands still since then; 0: it does not */
	int64_t stood_ms; /* before that, in all */
};

static void look_at_stops(struct walk *walk)
{
	struct signalfd_siginfo ignored;
	siginfo_t info = {0};

	while (read(walk->signals, &ignored, sizeof(ignored)) > 0)
		;
	while (waitid(P_PID, (id_t)walk->pid, &info, WSTOPPED | WCONTINUED | WNOHANG) == 0 && info.si_pid == walk->pid) {
		if (info.si_code == CLD_CONTINUED && walk->since_ms) {
			walk->stood_ms += clock_running_ms() - walk->since_ms;
			walk->since_ms = 0;
		} else if (info.si_code != CLD_CONTINUED && !walk->since_ms) {
			walk->since_ms = clock_running_ms();
		}
		info.si_pid = 0;
	}
}

/* How long it may go on standing still. */
static int patience_ms(const struct walk *walk)
{
	int64_t stood = walk->stood_ms + (walk->since_ms ? clock_running_ms() - walk->since_ms : 0);

	return stood < STOPPED_MS_MAX ? (int)(STOPPED_MS_MAX - stood) : 0;
}

/*
 * Waits for bytes, the engine's word or the deadline. 0, ERR_TIMEOUT or ERR_CANCELLED; ERR_UNKNOWN for a
 * walker that stood still too long: whose it is may stop it, but not hold a place among the running jobs by it.
 */
static int wait_for(struct walk *walk, struct reason *why)
{
	struct pollfd items[] = {{.fd = walk->in, .events = POLLIN},
				 {.fd = walk->job->link, .events = POLLIN},
				 {.fd = walk->signals, .events = POLLIN}};
	int most = walk->since_ms ? patience_ms(walk) : WAIT_MS_MAX;
	int left = job_time_left_ms(walk->job, WAIT_MS_MAX), wait = least(left, most);
	bool counts = walk->job->gauge.done && GAUGE_PAUSE_MS < wait;
	int ready = poll(items, 3, counts ? GAUGE_PAUSE_MS : wait);

	if (ready == 0 && counts)
		gauge_tell(walk->job);
	else if (ready == 0 && left <= most)
		return reason_set_retry(why, ERR_TIMEOUT, NULL, "reading the data directory took too long");
	if (ready >= 0)
		look_at_stops(walk);
	if (patience_ms(walk) == 0)
		return reason_set_retry(why, ERR_UNKNOWN, NULL,
					"the process that reads the data directory was stopped by a signal");
	return ready > 0 && items[1].revents ? job_check_cancelled(walk->job, why) : 0;
}

static int read_all(struct walk *walk, void *bytes, size_t size, struct reason *why)
{
	char *at = bytes;

	while (size > 0) {
		int error = wait_for(walk, why);
		ssize_t got = error < 0 ? 0 : read(walk->in, at, size);

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

static int listen_to(struct walk *walk, void *answer, size_t answer_size, struct reason *why)
{
	struct head head;
	scope_free void *bytes = malloc(answer_size + 1);
	int error = bytes ? read_all(walk, &head, sizeof(head), why) : reason_set(why, ERR_NOMEM, NULL, "out of memory");

	if (error == 0)
		error = read_all(walk, bytes, answer_size, why);
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

/* Blocked, SIGCHLD waits to be read; the walker gets it back unblocked. The descriptor, or an error. */
static int open_signals(sigset_t *ret_before)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_from_errno(errno);
	sigprocmask(SIG_BLOCK, &set, ret_before);
	return fd;
}

static int run(struct walk *walk, struct task *task, struct reason *why)
{
	scope_close int in = -1, out = -1;
	scope_free void *scratch = calloc(1, task->answer_size + 1);
	void *answer = task->answer;
	int ends[2], error;

	if (!scratch)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return reason_set_errno(why, errno, "cannot make a pipe");
	in = ends[0];
	out = ends[1];
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		return reason_set_errno(why, errno, "cannot set up a pipe");
	task->out = out;
	task->answer = scratch;
	walk->pid = start(walk->job, task);
	if (walk->pid < 0 && task->cell)
		return cell_refuse(errno, walk->job->as_root, why);
	if (walk->pid < 0)
		return reason_set_errno(why, errno, "cannot start a process");
	close(scope_take_fd(out));
	walk->in = in;
	error = listen_to(walk, answer, task->answer_size, why);
	end(walk->pid);
	return error;
}

static int run_watched(struct worker_job *job, struct task *task, struct reason *why)
{
	struct walk walk = {.job = job};
	sigset_t before;
	int error;

	if (task->count > FDS_MAX)
		return reason_set(why, ERR_TOO_LONG, NULL, "too many folders for one walk");
	walk.signals = open_signals(&before);
	if (walk.signals < 0)
		return reason_set(why, walk.signals, NULL, "cannot watch a process: %s", err_text(walk.signals));
	error = run(&walk, task, why);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(walk.signals);
	return error;
}

int walker_run(struct worker_job *job, walker_fn *fn, const void *arg, const int *fds, size_t count, void *answer,
	       size_t answer_size, struct reason *why)
{
	struct task task = {.fn = fn, .arg = arg, .fds = fds, .count = count, .answer = answer, .answer_size = answer_size};

	return run_watched(job, &task, why);
}

int walker_run_in_cell(struct worker_job *job, const struct cell *cell, walker_fn *fn, const void *arg, const int *fds,
		       size_t count, void *answer, size_t answer_size, struct reason *why)
{
	struct task task = {.cell = cell, .apart = true, .fn = fn, .arg = arg, .fds = fds, .count = count, .answer = answer,
			    .answer_size = answer_size};

	return run_watched(job, &task, why);
}

/* A killed process is gone when the last thing that it had open is closed, and not before. */
static int wait_for_end(int life, struct reason *why)
{
	struct pollfd item = {.fd = life, .events = POLLIN};
	int64_t end_ms = clock_running_ms() + END_MS_MAX, left_ms = END_MS_MAX;
	int ready = 0;

	while (left_ms > 0 && (ready = poll(&item, 1, (int)left_ms)) <= 0)
		left_ms = end_ms - clock_running_ms();
	return ready > 0 ? 0 : reason_set_retry(why, ERR_UNKNOWN, NULL, "a process that was killed does not end");
}

int walker_run_apart(struct worker_job *job, walker_fn *fn, const void *arg, const int *fds, size_t count, void *answer,
		     size_t answer_size, struct reason *why)
{
	struct task task = {.apart = job->as_root, .fn = fn, .arg = arg, .count = count + 1, .answer = answer,
			    .answer_size = answer_size};
	scope_close int life = -1, held = -1;
	struct reason second = {0};
	int all[FDS_MAX], ends[2], error, ended;

	if (count >= FDS_MAX)
		return reason_set(why, ERR_TOO_LONG, NULL, "too many folders for one walk");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return reason_set_errno(why, errno, "cannot make a pipe");
	life = ends[0];
	held = ends[1];
	memcpy(all, fds, count * sizeof(int));
	all[count] = held;
	task.fds = all;
	error = run_watched(job, &task, why);
	close(scope_take_fd(held));
	ended = wait_for_end(life, error < 0 ? &second : why);
	return error < 0 ? error : ended;
}

static int measure(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)arg;
	return tree_measure(fds[0], 0, NULL, NULL, answer, why);
}

int walker_measure(struct worker_job *job, int root_fd, uint64_t *ret_bytes, struct reason *why)
{
	return walker_run(job, measure, NULL, &root_fd, 1, ret_bytes, sizeof(*ret_bytes), why);
}
