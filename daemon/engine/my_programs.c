/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which programs a clone's server is made of. */
#include "daemon/engine/db_mariadb.h"

#include "common/err.h"
#include "daemon/engine/bindir.h"

#include <stdio.h>

int my_find_server(const struct worker_job *job, const char *recorded, char ret_path[static MSG_PATH_SIZE], struct reason *why)
{
	static const char *const programs[] = {"mariadbd", NULL};
	int error;

	if (job->cluster->database.bindir[0])
		return bindir_check(job, job->cluster->database.bindir, programs, ret_path, why);
	error = recorded[0] ? bindir_check(job, recorded, programs, ret_path, why) : ERR_NOT_FOUND;
	return error == ERR_NOT_FOUND ? bindir_check(job, "/usr/sbin", programs, ret_path, why) : error;
}

/* Beside the server, or in bin beside the server's sbin. */
int my_find_client(const struct worker_job *job, const char *bindir, char ret_path[static MSG_PATH_SIZE], struct reason *why)
{
	static const char *const programs[] = {"mariadb", "innochecksum", NULL};
	char path[MSG_PATH_SIZE + 8];
	int error = bindir_check(job, bindir, programs, ret_path, why);

	if (error != ERR_NOT_FOUND)
		return error;
	snprintf(path, sizeof(path), "%s/../bin", bindir);
	error = bindir_check(job, path, programs, ret_path, why);
	return error == ERR_NOT_FOUND ? reason_set(why, error, "install MariaDB's programs (mariadb-client, mariadb-server-core)",
						   "there are no mariadb and innochecksum in %.400s, nor in bin beside it", bindir) : error;
}
