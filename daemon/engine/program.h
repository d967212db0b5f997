/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Programs of others, run in a cell as the database's user: what they say comes in lines. Several at once, each
 * read as it speaks, so that none waits for room in its pipe. Nothing here has a deadline: the cell has.
 */
#ifndef DBSNAP_ENGINE_PROGRAM_H
#define DBSNAP_ENGINE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PROGRAM_LINE_SIZE = 1024 };

/* One line of standard output or error, without its end; of a longer one the beginning. */
typedef void program_line_fn(void *arg, const char *line);

struct program {
	pid_t pid; /* 0: not started, or ended */
	int out;   /* -1 after its end of file */
	int status; /* as waitpid() gives it, once it ended */
	program_line_fn *fn;
	void *arg;
	/* Set after the start, if at all: program_read() calls it each time that nothing was said for so long. */
	void (*pause)(void *arg);
	int pause_ms;
	size_t used;
	char line[PROGRAM_LINE_SIZE];
};

/*
 * Starts path with argv and env (NULL: empty). input: what it reads, at most a few kilobytes; NULL: /dev/null. fn and arg are
 * called by program_read(). 0 or a code.
 */
int program_start(struct program *program, const char *path, char *const argv[], char *const env[], const char *input,
		  program_line_fn *fn, void *arg);
/* The same for one that reads nothing, with descriptors of ours (at most 8): fds[i] is its number 3 + i. */
int program_start_with(struct program *program, const char *path, char *const argv[], const int *fds, size_t count,
		       program_line_fn *fn, void *arg);

/* Reads what first and second (or NULL) say until first has ended or *until (or NULL) is true. 0 or a code. */
int program_read(struct program *first, struct program *second, const bool *until);

/* Whether it ended by exit(0). */
bool program_succeeded(const struct program *program);

#endif
