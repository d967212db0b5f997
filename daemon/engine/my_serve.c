/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A MariaDB on a clone, by the option file that the clone was given and nothing else. */
#include "daemon/engine/db_mariadb.h"

#include "common/err.h"
#include "common/scope.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_S = 5 };

int my_server(struct worker_job *job, const struct db_place *place, const struct db_clone *clone, struct db_server *ret_server,
	      struct reason *why)
{
	struct db_server server = {.end_signal = SIGTERM, .hard_signal = SIGKILL};
	char bindir[MSG_PATH_SIZE];
	int error = my_find_server(job, place->bindir, bindir, why);

	(void)clone;
	if (error < 0)
		return error;
	snprintf(server.program, sizeof(server.program), "%s/mariadbd", bindir);
	db_server_add(&server, "--defaults-file=%s/%s", place->path, MY_CLONE_CONFIG);
	/* What it says goes where dbsnapd looks for it. */
	db_server_add(&server, "--skip-log-error");
	*ret_server = server;
	return 0;
}

/* It opens its socket when it can serve, and speaks first. */
bool my_answers(const struct db_clone *clone)
{
	static const struct timeval patience = {.tv_sec = ANSWER_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = MY_CLONE_SOCKET};
	scope_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	(void)clone;
	return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	       connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && recv(fd, &byte, 1, 0) == 1;
}
