/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ack_load SOCKET CONNECTIONS MILLISECONDS NAME [BODY]: creates, or requests of this form body, as fast as
 * they are answered.
 * That many connections, each with one request under way, in one thread; every
 * request has a token of its own (NAME makes them those of this run). Any answer
 * but 200 ends it. It goes on for that long, and until each connection has had some
 * answers: a loop answers nobody before it has read everybody. Prints one JSON object: requests, and what they took in microseconds.
 */
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 10000, ANSWER_MAX = 4096, REQUEST_MAX = 512, EVENTS = 256, TIMES_MAX = 4000000,
       ANSWERS_EACH = 4 };

struct connection {
	int fd;
	int64_t asked_us;
	size_t size;
	char answer[ANSWER_MAX];
};

struct load {
	const char *name;
	const char *body; /* NULL: creates */
	int epoll;
	uint64_t asked;
	int64_t *times;
	size_t count;
};

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "ack_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void ask(struct load *load, struct connection *connection)
{
	char create[128], request[REQUEST_MAX];
	const char *body = load->body ? load->body : create;
	int length = snprintf(create, sizeof(create), "Action=CreateBackup&DBClusterId=main&ClientToken=%s-%010" PRIu64,
			      load->name, load->asked++);
	int size;

	if (load->body)
		length = (int)strlen(body);
	size = snprintf(request, sizeof(request),
			    "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
			    "Content-Length: %d\r\n\r\n%s", length, body);

	connection->size = 0;
	connection->asked_us = clock_measure_us();
	if (send(connection->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
		die("sending");
}

/* Is the whole answer there? */
static int is_whole(const struct connection *connection)
{
	const char *end = strstr(connection->answer, "\r\n\r\n");
	const char *length = end ? strcasestr(connection->answer, "\r\nContent-Length:") : NULL;

	if (!length || length > end)
		return 0;
	return connection->size >= (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
}

static void take(struct load *load, struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->answer + connection->size,
			   sizeof(connection->answer) - 1 - connection->size, 0);

	if (got <= 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		die("receiving");
	connection->size += (size_t)got;
	connection->answer[connection->size] = '\0';
	if (!is_whole(connection))
		return;
	if (strncmp(connection->answer, "HTTP/1.1 200 ", 13) != 0) {
		fprintf(stderr, "ack_load: answered %s\n", connection->answer);
		exit(1);
	}
	if (load->count < TIMES_MAX)
		load->times[load->count++] = clock_measure_us() - connection->asked_us;
	ask(load, connection);
}

static void open_connection(struct load *load, struct connection *connection, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(path);
	if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		die("epoll");
}

static int64_t run(struct load *load, int64_t run_us, size_t answers)
{
	int64_t begin = clock_measure_us(), now = begin;
	struct epoll_event events[EVENTS];

	while (now - begin < run_us || load->count < answers) {
		int ready = epoll_wait(load->epoll, events, EVENTS, 10000);

		if (ready <= 0) {
			fprintf(stderr, "ack_load: no answer in 10 s\n");
			exit(1);
		}
		for (int i = 0; i < ready; i++)
			take(load, events[i].data.ptr);
		now = clock_measure_us();
	}
	return now - begin;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(struct load *load, int64_t took_us)
{
	qsort(load->times, load->count, sizeof(*load->times), compare);
	printf("{\"requests\": %zu, \"elapsed_us\": %" PRId64 ", \"p50_us\": %" PRId64 ", \"p99_us\": %" PRId64
	       ", \"worst_us\": %" PRId64 "}\n", load->count, took_us, load->times[load->count / 2],
	       load->times[load->count / 100 * 99], load->times[load->count - 1]);
}

int main(int argc, char **argv)
{
	int count = argc == 5 || argc == 6 ? (int)strtol(argv[2], NULL, 10) : 0;
	struct load load = {.name = count > 0 ? argv[4] : "", .body = argc == 6 ? argv[5] : NULL};
	struct connection *connections;
	int64_t took_us;

	if (count < 1 || count > CONNECTIONS_MAX || strlen(load.name) > 32 || (load.body && strlen(load.body) > 256)) {
		fprintf(stderr, "usage: ack_load SOCKET CONNECTIONS MILLISECONDS NAME [BODY]\n");
		return 2;
	}
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.times = calloc(TIMES_MAX, sizeof(*load.times));
	connections = calloc((size_t)count, sizeof(*connections));
	if (load.epoll < 0 || !load.times || !connections)
		die("start");
	for (int i = 0; i < count; i++)
		open_connection(&load, &connections[i], argv[1]);
	for (int i = 0; i < count; i++)
		ask(&load, &connections[i]);
	took_us = run(&load, strtol(argv[3], NULL, 10) * 1000, (size_t)count * ANSWERS_EACH);
	print(&load, took_us);
	for (int i = 0; i < count; i++)
		close(connections[i].fd);
	free(connections);
	free(load.times);
	return 0;
}
