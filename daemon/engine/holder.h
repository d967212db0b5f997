/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who holds a tree: has one of its files or folders open, or works in one of its folders. */
#ifndef DBSNAP_ENGINE_HOLDER_H
#define DBSNAP_ENGINE_HOLDER_H

#include "daemon/engine/job.h"

#include <stddef.h>

/*
 * Looks through all processes but dbsnapd's own. Of the tree at root_fd the names are read by a walker, if there is
 * somebody who may be meant. path: where the tree lies now, for text. 1 with "process 123 (postgres), which runs, has
 * /srv/pg/base/5/1259 open" in text; 0 for nobody; or a code with why: ERR_DENIED, as root, if there is a process that cannot be
 * looked at. A process that maps a file and has closed it is not seen, nor, without root, one of others.
 */
int holder_find(struct worker_job *job, int root_fd, const char *path, char *text, size_t size, struct reason *why);

/* The same for somebody other than except (0: nobody is) who has a file of job's data_dir open for writing. */
int holder_find_writer(struct worker_job *job, pid_t except, pid_t *ret_pid, struct reason *why);

#endif
