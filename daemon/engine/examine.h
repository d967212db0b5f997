/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the verifications of all databases have in common. The worker's side sets up the cell and bounds the answer.
 * Inside, two things are kept apart: what says that the backup is damaged, and what only says that this machine could not
 * look (no room, no memory, a program that is missing); the second is no verdict.
 */
#ifndef DBSNAP_ENGINE_EXAMINE_H
#define DBSNAP_ENGINE_EXAMINE_H

#include "daemon/engine/db.h"
#include "daemon/engine/job.h"
#include "daemon/engine/program.h"
#include "daemon/engine/walker.h"

#include <stdint.h>

/*
 * In the worker: runs fn in a cell on the clone (fds[0], and at CELL_ROOT) with question; its answer is a struct db_verified.
 * The source's data directory is out of sight, and so is the folder hidden (NULL or no absolute path: none). Blocks.
 */
int examine_in_cell(struct worker_job *job, int clone_fd, const char *hidden, walker_fn *fn, const void *question,
		    struct db_verified *ret_verified, struct reason *why);

/* A PostgreSQL of one of its processes; it does not speak of damage. */
#define EXAMINE_KILLED "was terminated by signal 9"

/* In the cell: a server and one tool at a time. All pointers are borrowed. */
struct examine {
	struct db_verified *answer;
	struct reason *why;
	uint64_t *done; /* of the gauge; NULL */
	uint64_t total;
	struct program server, tool; /* server.out -1 before it is started */
	char trouble[256];        /* a line that speaks of this machine; "" none */
	char said[MSG_TEXT_SIZE]; /* by the tool that runs, lines */
};

void examine_set_done(const struct examine *examine, unsigned percent);

/* Of a line that speaks of this machine the first is kept as trouble. */
bool examine_take_trouble(struct examine *examine, const char *line);
/* That line is why there is no verdict. remedy: NULL for the usual one. The code. */
int examine_refuse_trouble(struct examine *examine, const char *remedy);

/* Is there a verdict? It is "bad" for good. */
bool examine_is_over(const struct examine *examine);
/* Adds what, and with it what the tool said. */
void examine_find(struct examine *examine, const char *what);
/* Of a tool that ended, without trouble: 0 if it is content, or there is a verdict now; or a code. */
int examine_judge_tool(struct examine *examine, const char *what);

/* Starts bindir's program name; argv[0] is filled in. 0 or a code with why. */
int examine_start(struct examine *examine, struct program *program, const char *bindir, const char *name, char *argv[],
		  char *const env[], const char *input, program_line_fn *fn, void *arg);
/* Runs a tool to its end, while the server (if there is one) is heard. 0 or a code with why. */
int examine_run_tool(struct examine *examine, const char *bindir, const char *name, char *argv[], char *const env[],
		     const char *input, program_line_fn *fn, void *arg);

#endif
