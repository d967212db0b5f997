/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A PostgreSQL on a clone. What the clone's files say keeps it apart from its source; the command line has what
 * dbsnapd itself relies on, and what its unit's sandbox does not allow (code made at run time).
 */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "common/scope.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PROTOCOL = 3 << 16, ANSWER_S = 5, ANSWER_MAX = 2048 };

static const char *const programs[] = {"postgres", NULL};

int pg_server(struct worker_job *job, const struct db_place *place, const struct db_clone *clone, struct db_server *ret_server,
	      struct reason *why)
{
	static const char *const settings[] = {"listen_addresses=", "unix_socket_directories=.", "logging_collector=off",
					       "log_destination=stderr", "jit=off"};
	struct db_server server = {.end_signal = SIGINT, .hard_signal = SIGQUIT};
	char bindir[MSG_PATH_SIZE];
	uint32_t major = 0;
	int error = pg_read_major(job, place->fd, &major, why);

	if (error == 0)
		error = pg_find_programs(job, place->bindir, major, programs, bindir, why);
	if (error < 0)
		return error;
	snprintf(server.program, sizeof(server.program), "%s/postgres", bindir);
	db_server_add(&server, "-D");
	db_server_add(&server, "%s", place->path);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		db_server_add(&server, "-c");
		db_server_add(&server, "%s", settings[i]);
	}
	/* A file in /dev/shm would be there for good when the server is killed. See serve.c for what becomes of this. */
	if (job->as_root) {
		db_server_add(&server, "-c");
		db_server_add(&server, "dynamic_shared_memory_type=sysv");
	}
	db_server_add(&server, "-c");
	db_server_add(&server, "port=%" PRIu32, clone->port);
	*ret_server = server;
	return 0;
}

static int connect_to(uint32_t port)
{
	static const struct timeval patience = {.tv_sec = ANSWER_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	scope_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), ".s.PGSQL.%" PRIu32, port);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return scope_take_fd(fd);
}

/* An ErrorResponse: "E", its length, then fields of a letter and a string. Is it "starting up", or going down? */
static bool is_not_yet(const char *bytes, size_t size)
{
	size_t at = 5;

	while (at < size && bytes[at]) {
		if (bytes[at] == 'C')
			return strncmp(bytes + at + 1, "57P0", 4) == 0;
		at += 1 + strlen(bytes + at + 1) + 1;
	}
	return true;
}

/* Anybody's refusal is an answer, as for pg_isready: no account is needed. */
bool pg_answers(const struct db_clone *clone)
{
	static const char names[] = "user\0dbsnap\0database\0postgres\0";
	char bytes[ANSWER_MAX + 1] = {0};
	uint32_t head[2] = {htonl(sizeof(head) + sizeof(names)), htonl(PROTOCOL)};
	scope_close int fd = connect_to(clone->port);
	ssize_t got = -1;

	if (fd >= 0 && send(fd, head, sizeof(head), MSG_NOSIGNAL) == sizeof(head) &&
	    send(fd, names, sizeof(names), MSG_NOSIGNAL) == sizeof(names))
		got = recv(fd, bytes, ANSWER_MAX, 0);
	return got > 0 && (bytes[0] != 'E' || !is_not_yet(bytes, (size_t)got));
}
