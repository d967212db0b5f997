/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies of configuration that lies outside the data directory (on Debian all of
 * it), for a person who restores on another machine; no job reads them. The
 * database's user reads them: what that user cannot read is left out and logged.
 */
#ifndef DBSNAP_ENGINE_CONFIG_COPY_H
#define DBSNAP_ENGINE_CONFIG_COPY_H

#include "daemon/engine/job.h"

#include <limits.h>

/* A server cannot have opened one whose path is longer. */
enum { CONFIG_FILES_MAX = 32, CONFIG_PATH_SIZE = PATH_MAX };

/*
 * Copies the file path into the folder config_fd, its name with a '%' for each '/'. One inside data_dir, or copied
 * already, is passed over; one that cannot be copied is logged. 0; or a code with why only where the copy could not be
 * written.
 */
int config_copy(struct worker_job *job, int config_fd, const char *path, struct reason *why);

#endif
