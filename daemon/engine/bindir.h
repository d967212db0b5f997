/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether a database's programs may be run on its behalf: nobody but root may have had a hand in them. */
#ifndef DBSNAP_ENGINE_BINDIR_H
#define DBSNAP_ENGINE_BINDIR_H

#include "daemon/engine/job.h"

/*
 * Checks the folder path and the programs in it (a list ended by NULL): links followed, each file and every folder above it
 * is root's (without root: or the caller's) and nobody else's to write, none lies in job's data_dir. 0 with the real path; or
 * ERR_NOT_FOUND, ERR_UNTRUSTED, ERR_TOO_LONG with why.
 */
int bindir_check(const struct worker_job *job, const char *path, const char *const programs[],
		 char ret_real[static MSG_PATH_SIZE], struct reason *why);

#endif
