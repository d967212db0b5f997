/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A child of a worker that is the database's user for good and does what the
 * worker needs done inside the database's tree: no name in such a tree is ever
 * resolved by a process with privileges.
 */
#ifndef DBSNAP_ENGINE_WALKER_H
#define DBSNAP_ENGINE_WALKER_H

#include "daemon/engine/job.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Runs in the walker, with the descriptors given (in order). arg is the caller's memory as it
 * was at the fork; the answer, of the size that walker_run() was told, goes back as bytes: no pointers in it.
 */
typedef int walker_fn(const void *arg, const int *fds, void *answer, struct reason *why);

/*
 * Forks a walker that becomes job->identity, runs fn and ends; waits for it. 0 with the answer
 * filled in, or fn's code and reason. A walker that died or answered nonsense is ERR_UNKNOWN; the job's
 * deadline and cancellation end it. What the answer says is still the database user's word: the caller checks it.
 */
int walker_run(struct worker_job *job, walker_fn *fn, const void *arg, const int *fds, size_t count, void *answer,
	       size_t answer_size, struct reason *why);

/*
 * The folder at path, wherever on the machine, by the database user's rights. The descriptor is the caller's; what it shows
 * is the database user's choice.
 */
int walker_open(struct worker_job *job, const char *path, int *ret_fd, struct reason *why);

struct cell;

/*
 * The same in a cell (cell.h), where fn may start programs: when this returns, and when this process dies, none of them is left.
 * ERR_UNSUPPORTED where there is no cell to be had.
 */
int walker_run_in_cell(struct worker_job *job, const struct cell *cell, walker_fn *fn, const void *arg, const int *fds,
		       size_t count, void *answer, size_t answer_size, struct reason *why);

/*
 * As walker_run(), and fn may start programs there, with this process's own namespaces but for that of PIDs (without root that one
 * too). Each has to inherit fds[count] as well: when this returns none of them is left, for which it waits if need be.
 */
int walker_run_apart(struct worker_job *job, walker_fn *fn, const void *arg, const int *fds, size_t count, void *answer,
		     size_t answer_size, struct reason *why);

/* Bytes that the tree at root_fd takes (allocated, each inode once), names of other devices left out. */
int walker_measure(struct worker_job *job, int root_fd, uint64_t *ret_bytes, struct reason *why);

#endif
