/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packets that did not fit wait in a list, as bytes. */
#include "daemon/front/link.h"

#include "common/err.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	QUEUE_MAX = 8 << 20,       /* bytes */
	QUEUE_LOG_MAX = 256 << 10, /* above this, lines of the log are dropped */
	TURN_MAX = 64              /* messages taken in one turn of the loop */
};

struct packet {
	struct packet *next;
	size_t size;
	char bytes[];
};

struct link {
	int fd;
	struct event *readable, *writable;
	struct packet *first, **last;
	size_t queued; /* bytes */
	int failure;   /* 0: none; told once */
	bool ended;
	link_fn *fn;
	link_end_fn *end;
	void *arg;
};

struct link *link_new(int fd)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->fd = fd;
	link->last = &link->first;
	evutil_make_socket_nonblocking(fd);
	return link;
}

static void drop_first(struct link *link)
{
	struct packet *packet = link->first;

	link->first = packet->next;
	if (!link->first)
		link->last = &link->first;
	link->queued -= packet->size;
	free(packet);
}

struct link *link_free(struct link *link)
{
	if (!link)
		return NULL;
	if (link->readable)
		event_free(link->readable);
	if (link->writable)
		event_free(link->writable);
	while (link->first)
		drop_first(link);
	free(link);
	return NULL;
}

int link_wait(struct link *link, struct msg *ret_msg)
{
	struct pollfd p = {.fd = link->fd, .events = POLLIN};
	int r;

	while ((r = msg_receive(link->fd, MSG_DONTWAIT, ret_msg)) == ERR_BUSY) {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return ERR_IO;
	}
	return r;
}

/* The loop tells it: whoever is sending must not find its own objects gone. */
static void fail(struct link *link, int code)
{
	if (link->failure)
		return;
	link->failure = code;
	if (link->readable)
		event_active(link->readable, EV_TIMEOUT, 0);
}

static void tell_end(struct link *link)
{
	if (link->ended)
		return;
	link->ended = true;
	event_del(link->readable);
	event_del(link->writable);
	link->end(link->arg, link->failure);
}

static void flush_queue(struct link *link)
{
	while (link->first) {
		ssize_t sent = send(link->fd, link->first->bytes, link->first->size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				return;
			fail(link, errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : ERR_IO);
			return;
		}
		drop_first(link);
	}
	event_del(link->writable);
}

static void queue(struct link *link, const struct msg *msg)
{
	char bytes[MSG_SIZE_MAX];
	int size = msg_encode(msg, bytes, sizeof(bytes));
	struct packet *packet;

	if (size < 0) {
		fail(link, size);
		return;
	}
	if (link->queued + (size_t)size > QUEUE_MAX) {
		fail(link, ERR_BUSY);
		return;
	}
	packet = malloc(sizeof(*packet) + (size_t)size);
	if (!packet) {
		fail(link, ERR_NOMEM);
		return;
	}
	packet->next = NULL;
	packet->size = (size_t)size;
	memcpy(packet->bytes, bytes, (size_t)size);
	*link->last = packet;
	link->last = &packet->next;
	link->queued += packet->size;
	if (link->writable)
		event_add(link->writable, NULL);
}

void link_send(struct link *link, const struct msg *msg)
{
	int r;

	if (link->failure)
		return;
	if (link->first) {
		queue(link, msg);
		return;
	}
	r = msg_send(link->fd, msg);
	if (r == ERR_BUSY)
		queue(link, msg);
	else if (r < 0)
		fail(link, r);
}

static int take(struct link *link, const struct msg *msg)
{
	if (msg->type == MSG_PING) {
		struct msg pong = {.type = MSG_PONG, .tag = msg->tag};

		pong.u.ping.number = msg->u.ping.number;
		link_send(link, &pong);
		return 0;
	}
	return link->fn(link->arg, msg);
}

static void receive(struct link *link)
{
	struct msg msg;
	int r = 0;

	for (int i = 0; i < TURN_MAX && !link->failure; i++) {
		r = msg_receive(link->fd, MSG_DONTWAIT, &msg);
		if (r == 0) {
			r = take(link, &msg);
			if (msg.type == MSG_CONFIG_KEY)
				explicit_bzero(&msg, sizeof(msg));
		} else if (r == ERR_BUSY) {
			return;
		}
		if (r < 0)
			fail(link, r);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	(void)fd;
	if (what & EV_READ)
		receive(link);
	if (link->failure)
		tell_end(link);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush_queue(arg);
}

int link_start(struct link *link, struct event_base *base, link_fn *fn, link_end_fn *end, void *arg)
{
	link->fn = fn;
	link->end = end;
	link->arg = arg;
	link->readable = event_new(base, link->fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(base, link->fd, EV_WRITE | EV_PERSIST, on_writable, link);
	if (!link->readable || !link->writable || event_add(link->readable, NULL) < 0)
		return ERR_NOMEM;
	if (link->first)
		event_add(link->writable, NULL);
	if (link->failure)
		event_active(link->readable, EV_TIMEOUT, 0);
	return 0;
}

void link_log(void *arg, enum log_level level, const struct log_about *about, const char *text)
{
	struct link *link = arg;
	struct msg msg = {.type = MSG_LOG};
	struct msg_log *line = &msg.u.log;

	if (link->queued > QUEUE_LOG_MAX)
		return;
	line->level = (uint8_t)level;
	if (about) {
		line->backup = about->backup;
		line->job = about->job;
		if (about->cluster && ident_is_cluster(about->cluster))
			snprintf(line->cluster, sizeof(line->cluster), "%s", about->cluster);
		if (about->clone && ident_is_clone(about->clone))
			snprintf(line->clone, sizeof(line->clone), "%s", about->clone);
		if (about->request)
			snprintf(line->request, sizeof(line->request), "%s", about->request);
	}
	snprintf(line->text, sizeof(line->text), "%s", text);
	link_send(link, &msg);
}
