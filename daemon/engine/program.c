/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Standard output and error are one pipe: its end is the end of the program and of all that it started. */
#include "daemon/engine/program.h"

#include "common/err.h"
#include "common/proc.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FDS_MAX = 8 };

/* What is started, all borrowed. */
struct order {
	const char *path;
	char *const *argv, *const *env;
	const int *fds;
	size_t count;
};

/* Its starter's end is its own, wherever no namespace sees to that. */
static void __attribute__((noreturn)) become(const struct order *order, pid_t parent, int in, int out)
{
	proc_die_with(parent);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 || chdir("/") < 0)
		_exit(127);
	proc_exec(order->path, order->argv, order->env, order->fds, order->count);
	dprintf(STDERR_FILENO, "cannot start %s: %s\n", order->path, strerror(errno));
	_exit(127);
}

/* A descriptor that gives the text and then its end. */
static int open_input(const char *text)
{
	int ends[2];
	bool written;

	if (!text)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	written = write(ends[1], text, strlen(text)) == (ssize_t)strlen(text);
	close(ends[1]);
	if (written)
		return ends[0];
	close(ends[0]);
	return -1;
}

static int start(struct program *program, const struct order *order, const char *input, program_line_fn *fn, void *arg)
{
	scope_close int in = open_input(input), out = -1;
	int ends[2], keep[FDS_MAX + 2];
	pid_t parent = getpid();

	*program = (struct program){.out = -1, .fn = fn, .arg = arg};
	if (in < 0 || order->count > FDS_MAX || pipe2(ends, O_CLOEXEC) < 0)
		return ERR_IO;
	out = ends[1];
	keep[0] = in;
	keep[1] = out;
	if (order->count)
		memcpy(keep + 2, order->fds, order->count * sizeof(int));
	program->pid = proc_fork(keep, order->count + 2);
	if (program->pid == 0)
		become(order, parent, in, out);
	program->out = ends[0];
	if (program->pid > 0)
		return 0;
	close(scope_take_fd(program->out));
	program->pid = 0;
	return ERR_IO;
}

int program_start(struct program *program, const char *path, char *const argv[], char *const env[], const char *input,
		  program_line_fn *fn, void *arg)
{
	const struct order order = {.path = path, .argv = argv, .env = env};

	return start(program, &order, input, fn, arg);
}

int program_start_with(struct program *program, const char *path, char *const argv[], const int *fds, size_t count,
		       program_line_fn *fn, void *arg)
{
	const struct order order = {.path = path, .argv = argv, .fds = fds, .count = count};

	return start(program, &order, NULL, fn, arg);
}

static void end_line(struct program *program)
{
	if (program->used) {
		program->line[program->used] = '\0';
		program->fn(program->arg, program->line);
	}
	program->used = 0;
}

/* Progress is written over itself, with returns instead of newlines. */
static void take(struct program *program, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n' || bytes[i] == '\r' || bytes[i] == '\0')
			end_line(program);
		else if (program->used < sizeof(program->line) - 1)
			program->line[program->used++] = bytes[i];
	}
}

static void end(struct program *program)
{
	end_line(program);
	close(scope_take_fd(program->out));
	while (waitpid(program->pid, &program->status, 0) < 0 && errno == EINTR)
		;
	program->pid = 0;
}

static void hear(struct program *program)
{
	char bytes[4096];
	ssize_t got = read(program->out, bytes, sizeof(bytes));

	if (got > 0)
		take(program, bytes, (size_t)got);
	else if (got == 0 || errno != EINTR)
		end(program);
}

int program_read(struct program *first, struct program *second, const bool *until)
{
	while (first->out >= 0 && !(until && *until)) {
		struct pollfd items[] = {{.fd = first->out, .events = POLLIN},
					 {.fd = second ? second->out : -1, .events = POLLIN}};

		int ready = poll(items, 2, first->pause ? first->pause_ms : -1);

		if (ready < 0 && errno != EINTR)
			return ERR_IO;
		if (ready == 0)
			first->pause(first->arg);
		if (ready <= 0)
			continue;
		if (items[0].revents)
			hear(first);
		if (items[1].revents)
			hear(second);
	}
	return 0;
}

bool program_succeeded(const struct program *program)
{
	return program->pid == 0 && WIFEXITED(program->status) && WEXITSTATUS(program->status) == 0;
}
