/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Programs that look at a throw-away clone, and how much of what they say is believed. */
#include "daemon/engine/examine.h"

#include "common/err.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/layout.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* By the kernel, when memory runs out. */
static const char killed_remedy[] = "look in the kernel's log: was there enough memory?";

/* The database user's words: text, and bounded. */
static void clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++) {
		if (*text != '\n' && (*text < 0x20 || *text > 0x7e))
			*text = '?';
	}
}

static void judge(const unsigned char *good, struct db_verified *verified)
{
	verified->good = *good == 1;
	clean(verified->checked, sizeof(verified->checked));
	clean(verified->found, sizeof(verified->found));
	if (!verified->good && !verified->found[0])
		snprintf(verified->found, sizeof(verified->found), "the programs that looked at it found damage");
}

int examine_in_cell(struct worker_job *job, int clone_fd, const char *hidden, walker_fn *fn, const void *question,
		    struct db_verified *ret_verified, struct reason *why)
{
	struct cell cell = {.root_fd = clone_fd, .hidden = {job->cluster->data_dir}};
	int error = cell_find_path(clone_fd, cell.path, why);

	if (hidden && hidden[0] == '/')
		cell.hidden[1] = hidden;
	if (error == 0)
		error = walker_run_in_cell(job, &cell, fn, question, &clone_fd, 1, ret_verified, sizeof(*ret_verified), why);
	if (error == 0)
		judge((const unsigned char *)&ret_verified->good, ret_verified);
	return error;
}

void examine_set_done(const struct examine *examine, unsigned percent)
{
	if (examine->done)
		__atomic_store_n(examine->done, examine->total / 100 * percent, __ATOMIC_RELAXED);
}

static bool speaks_of_machine(const char *line)
{
	static const char *const words[] = {"No space left on device", "ut of memory", "Cannot allocate memory", "could not fork",
					    "oo many open files", "cannot start ", "could not load library",
					    "could not access file \"$libdir", "could not open extension control file",
					    "Disk quota exceeded", "error while loading shared libraries", EXAMINE_KILLED};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(line, words[i]))
			return true;
	}
	return false;
}

bool examine_take_trouble(struct examine *examine, const char *line)
{
	if (!speaks_of_machine(line))
		return false;
	if (!examine->trouble[0])
		snprintf(examine->trouble, sizeof(examine->trouble), "%.255s", line);
	return true;
}

int examine_refuse_trouble(struct examine *examine, const char *remedy)
{
	if (!remedy)
		remedy = strstr(examine->trouble, EXAMINE_KILLED) ? killed_remedy : "see to what the line names, and try again";
	return reason_set(examine->why, ERR_DATABASE, remedy,
			  "the backup could not be looked at: %s", examine->trouble);
}

bool examine_is_over(const struct examine *examine)
{
	return examine->answer->found[0] != '\0';
}

void examine_find(struct examine *examine, const char *what)
{
	char *found = examine->answer->found;

	if (examine->said[0])
		layout_add_line(found, sizeof(examine->answer->found), "%s:\n%s", what, examine->said);
	if (!found[0] || !examine->said[0])
		layout_add_line(found, sizeof(examine->answer->found), "%s", what);
}

int examine_judge_tool(struct examine *examine, const char *what)
{
	if (program_succeeded(&examine->tool))
		return 0;
	if (WIFSIGNALED(examine->tool.status) && WTERMSIG(examine->tool.status) == SIGKILL)
		return reason_set(examine->why, ERR_UNKNOWN, killed_remedy,
				  "the backup could not be looked at: a program that looks was killed");
	examine_find(examine, what);
	return 0;
}

int examine_start(struct examine *examine, struct program *program, const char *bindir, const char *name, char *argv[],
		  char *const env[], const char *input, program_line_fn *fn, void *arg)
{
	char path[MSG_PATH_SIZE + 32];

	snprintf(path, sizeof(path), "%s/%s", bindir, name);
	argv[0] = path;
	if (program_start(program, path, argv, env, input, fn, arg) == 0)
		return 0;
	return reason_set_retry(examine->why, ERR_IO, NULL, "cannot start %s", path);
}

int examine_run_tool(struct examine *examine, const char *bindir, const char *name, char *argv[], char *const env[],
		     const char *input, program_line_fn *fn, void *arg)
{
	int error;

	examine->said[0] = '\0';
	error = examine_start(examine, &examine->tool, bindir, name, argv, env, input, fn, arg);
	if (error == 0 && program_read(&examine->tool, examine->server.out >= 0 ? &examine->server : NULL, NULL) < 0)
		error = reason_set_retry(examine->why, ERR_IO, NULL, "cannot listen to %s", name);
	return error;
}
