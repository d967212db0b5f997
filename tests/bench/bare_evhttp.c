/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bare_evhttp DIR SOCKET: the least that acknowledges a create over HTTP.
 * evhttp on a Unix socket, one bare commit a request, a fixed answer: no
 * parameters, no rights, no log, no guard. Serves until it is ended.
 */
#include "tests/bench/bare_puts.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/util.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ANSWER "{\"RequestId\":\"00000000-0000-4000-8000-000000000000\",\"BackupJobId\":\"1000000\"}"

struct server {
	struct bare_puts *puts;
	uint64_t requests;
};

static void on_request(struct evhttp_request *req, void *arg)
{
	struct server *server = arg;
	struct evbuffer *body = evbuffer_new();

	bare_puts_commit(server->puts, ++server->requests);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", "application/json;charset=utf-8");
	evbuffer_add(body, ANSWER, sizeof(ANSWER) - 1);
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
		return -1;
	return evutil_make_socket_nonblocking(fd) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = base ? evhttp_new(base) : NULL;
	struct server server = {0};
	int fd;

	if (argc != 3 || !http) {
		fprintf(stderr, "usage: bare_evhttp DIR SOCKET\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* the load leaves with an answer under way */
	server.puts = bare_puts_open(argv[1]);
	fd = listen_at(argv[2]);
	if (fd < 0 || evhttp_accept_socket(http, fd) < 0) {
		perror("bare_evhttp");
		return 1;
	}
	evhttp_set_gencb(http, on_request, &server);
	event_base_dispatch(base);
	return 0;
}
