/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bare_echo SOCKET BYTES: the least that answers a request over HTTP. epoll, one read and one write a
 * request, an answer that is fixed and this long; nothing is looked at but where a request ends.
 * A client sends one request at a time, as ack_load does. Serves until it is ended.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { EVENTS = 256, REQUEST_MAX = 4096, BODY_MAX = 1 << 20 };

struct server {
	int epoll, listener;
	char *answer;
	size_t size;
};

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "bare_echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0)
		die(path);
	return fd;
}

static void watch(const struct server *server, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll");
}

static void accept_all(const struct server *server)
{
	int fd;

	while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		watch(server, fd);
}

static void answer(const struct server *server, int fd)
{
	char request[REQUEST_MAX];
	ssize_t got = recv(fd, request, sizeof(request), 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0 || send(fd, server->answer, server->size, MSG_NOSIGNAL) < 0)
		close(fd);
}

static void make_answer(struct server *server, size_t body)
{
	int head;

	server->answer = malloc(body + 256);
	if (!server->answer)
		die("start");
	head = snprintf(server->answer, 256,
			"HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: %zu\r\n\r\n", body);
	memset(server->answer + head, 'x', body);
	server->size = (size_t)head + body;
}

int main(int argc, char **argv)
{
	struct server server = {0};
	struct epoll_event events[EVENTS];
	size_t body = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

	if (body == 0 || body > BODY_MAX) {
		fprintf(stderr, "usage: bare_echo SOCKET BYTES\n");
		return 2;
	}
	make_answer(&server, body);
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	server.listener = listen_at(argv[1]);
	watch(&server, server.listener);
	for (;;) {
		int ready = epoll_wait(server.epoll, events, EVENTS, -1);

		for (int i = 0; i < ready; i++) {
			if (events[i].data.fd == server.listener)
				accept_all(&server);
			else
				answer(&server, events[i].data.fd);
		}
	}
}
