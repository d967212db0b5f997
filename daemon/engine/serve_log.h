/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a clone's server says, in a file of the clone that does not grow without end. */
#ifndef DBSNAP_ENGINE_SERVE_LOG_H
#define DBSNAP_ENGINE_SERVE_LOG_H

#define SERVE_LOG "dbsnap.log"

/*
 * Writes what comes from the pipe in into SERVE_LOG below root_fd, begun anew, until nobody can write into the pipe any more. At
 * 8 MiB the file becomes SERVE_LOG.old, in the place of the one before it, and another is begun. What cannot be written is let
 * go: the pipe is always read. Blocks; in a process of its own, the clone's user's.
 */
void serve_log_keep(int root_fd, int in);

#endif
