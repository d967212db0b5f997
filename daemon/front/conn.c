/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * evhttp tells nobody when it accepts a connection and what becomes of it. What it
 * does do, as of libevent 2.1: ask for a bufferevent for each accepted socket
 * (evhttp_set_bevcb), give itself that bufferevent's callbacks with its connection
 * object as their argument, and call a close callback (evhttp_connection_set_closecb)
 * when it ends an incoming connection for whatever reason. So a connection is
 * counted when the bufferevent is asked for, admitted (peer, caps, deadline) by an
 * event that runs before the socket is first read, and forgotten in the close callback.
 */
#include "daemon/front/conn.h"

#include "common/log.h"
#include "common/scope.h"
#include "daemon/front/reply.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	ACCEPT_PAUSE_MS = 100,
	WRITE_AT_ONCE = 1 << 20, /* a client that has shut its side down gets a whole answer all the same */
	ANSWER_MAX = 1024
};

LIST_HEAD(conn_list, conn);

/* A socket that clients come in by. */
struct door {
	struct conns *conns;
	size_t number;
	struct evconnlistener *listener; /* its server's */
};

struct conns {
	struct event_base *base;
	struct conn_limits limits;
	struct door doors[CONNS_DOORS_MAX];
	size_t door_count;
	struct event *admit;
	struct conn_list fresh;    /* accepted, not admitted */
	struct conn_list admitted;
	size_t count;
	struct conn **by_fd;
	size_t by_fd_size;
	conns_gone_fn *gone;
	bool accepting;
};

static struct timeval milliseconds(int64_t ms)
{
	return (struct timeval){ms / 1000, ms % 1000 * 1000};
}

static void update_doors(struct conns *conns)
{
	bool accept = conns->accepting && conns->count < conns->limits.connections;

	for (size_t i = 0; i < conns->door_count; i++) {
		if (accept)
			evconnlistener_enable(conns->doors[i].listener);
		else
			evconnlistener_disable(conns->doors[i].listener);
	}
}

/*
 * Accept fails. evhttp has taken the listener's argument for itself and libevent gives the
 * same to these, so they know nothing but the listener: what they have to remember
 * (that it was said) is which of them is set. A connection's end wakes the listener
 * earlier, for then a descriptor is free; woken at the cap it lets in one and rests again.
 */
static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evconnlistener_enable(arg);
}

static void on_accept_failing(struct evconnlistener *listener, void *server)
{
	struct timeval pause = milliseconds(ACCEPT_PAUSE_MS);

	(void)server;
	/* Without memory for the pause there is none. */
	if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_pause_over, listener, &pause) == 0)
		evconnlistener_disable(listener);
}

static void on_accept_failed(struct evconnlistener *listener, void *server)
{
	log_warning("cannot accept connections: %s; trying again", strerror(errno));
	evconnlistener_set_error_cb(listener, on_accept_failing);
	on_accept_failing(listener, server);
}

static void forget(struct conn *conn)
{
	struct conns *conns = conn->conns;

	if (conn->fd >= 0)
		conns->by_fd[conn->fd] = NULL;
	LIST_REMOVE(conn, link);
	conns->count--;
	event_free(conn->deadline);
	peer_clear(&conn->peer);
	free(conn);
	update_doors(conns);
}

static void on_close(struct evhttp_connection *evcon, void *arg)
{
	struct conn *conn = arg;

	(void)evcon;
	if (conn->exchange)
		conn->conns->gone(conn->exchange);
	forget(conn);
}

/* Too slow. A request that waits for its answer is answered, whatever its client does. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	if (!conn->exchange)
		evhttp_connection_free(conn->evcon);
}

static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	struct door *door = arg;
	struct conns *conns = door->conns;
	scope_free struct conn *conn = calloc(1, sizeof(*conn));
	struct bufferevent *bev = conn ? bufferevent_socket_new(base, -1, 0) : NULL;

	if (!bev)
		return NULL;
	conn->deadline = evtimer_new(base, on_deadline, conn);
	if (!conn->deadline) {
		bufferevent_free(bev);
		return NULL;
	}
	conn->conns = conns;
	conn->door = door->number;
	conn->fd = -1;
	conn->bev = bev;
	bufferevent_incref(bev); /* until it is admitted */
	LIST_INSERT_HEAD(&conns->fresh, conn, link);
	conns->count++;
	evconnlistener_set_error_cb(door->listener, on_accept_failed);
	scope_take_ptr(conn);
	event_active(conns->admit, EV_TIMEOUT, 0);
	update_doors(conns);
	return bev;
}

static size_t count_uid(const struct conns *conns, uint32_t uid)
{
	struct conn *conn;
	size_t found = 0;

	LIST_FOREACH(conn, &conns->admitted, link)
		found += conn->peer.uid == uid ? 1 : 0;
	return found;
}

/* Over the cap of its uid: told so without waiting for a request, and closed, so that it takes nobody's place. */
static void send_throttled(int fd)
{
	char answer[ANSWER_MAX], ahead[4096];
	int status, length;
	scope_free char *text = reply_error_text(REPLY_THROTTLING, &status);

	length = snprintf(answer, sizeof(answer),
			  "HTTP/1.1 %d Bad Request\r\nContent-Type: application/json;charset=utf-8\r\n"
			  "Content-Length: %zu\r\nx-acs-retry-after: 1000\r\nConnection: close\r\n\r\n%s",
			  status, strlen(text), text);
	if (length > 0 && (size_t)length < sizeof(answer))
		(void)!send(fd, answer, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* Bytes left unread at close would turn into a reset at the other end. */
	(void)!recv(fd, ahead, sizeof(ahead), MSG_DONTWAIT);
}

static bool note_fd(struct conns *conns, struct conn *conn)
{
	size_t wanted = (size_t)conn->fd + 1;

	if (wanted > conns->by_fd_size) {
		struct conn **larger = realloc(conns->by_fd, 2 * wanted * sizeof(*larger));

		if (!larger)
			return false;
		memset(larger + conns->by_fd_size, 0, (2 * wanted - conns->by_fd_size) * sizeof(*larger));
		conns->by_fd = larger;
		conns->by_fd_size = 2 * wanted;
	}
	conns->by_fd[conn->fd] = conn;
	return true;
}

/*
 * evhttp bounds neither a chunk's size line nor what is pipelined: at the mark nothing
 * more is read until a request has been taken out, or the deadline comes.
 */
static void bound_unread(struct conn *conn)
{
	bufferevent_setwatermark(conn->bev, EV_READ, 0, conn->conns->limits.unread_max);
}

static bool prepare(struct conns *conns, struct conn *conn, int fd)
{
	if (peer_read(fd, &conn->peer) < 0)
		return false;
	if (count_uid(conns, conn->peer.uid) > conns->limits.connections_per_uid) {
		send_throttled(fd);
		return false;
	}
	conn->fd = fd;
	if (!note_fd(conns, conn)) {
		conn->fd = -1;
		return false;
	}
	bufferevent_set_max_single_write(conn->bev, WRITE_AT_ONCE);
	bound_unread(conn);
	return true;
}

static void admit(struct conns *conns, struct conn *conn)
{
	int fd = bufferevent_getfd(conn->bev);
	void *evcon = NULL;

	bufferevent_getcb(conn->bev, NULL, NULL, NULL, &evcon);
	LIST_REMOVE(conn, link);
	LIST_INSERT_HEAD(&conns->admitted, conn, link);
	bufferevent_decref(conn->bev);
	if (!evcon) { /* evhttp gave it up at once */
		forget(conn);
		return;
	}
	conn->evcon = evcon;
	evhttp_connection_set_closecb(conn->evcon, on_close, conn);
	if (prepare(conns, conn, fd))
		conn_restart(conn);
	else
		evhttp_connection_free(conn->evcon);
}

static void on_admit(evutil_socket_t fd, short what, void *arg)
{
	struct conns *conns = arg;
	struct conn *conn;

	(void)fd;
	(void)what;
	while ((conn = LIST_FIRST(&conns->fresh)))
		admit(conns, conn);
}

/* The listener becomes the server's, which closes nothing with it. */
bool conns_add_door(struct conns *conns, struct evhttp *server, int listen_fd)
{
	struct door *door = &conns->doors[conns->door_count];
	struct evconnlistener *listener = evconnlistener_new(conns->base, NULL, NULL,
							     LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, listen_fd);

	if (!listener)
		return false;
	if (!evhttp_bind_listener(server, listener)) {
		evconnlistener_free(listener);
		return false;
	}
	*door = (struct door){.conns = conns, .number = conns->door_count++, .listener = listener};
	evconnlistener_set_error_cb(listener, on_accept_failed);
	evhttp_set_bevcb(server, on_accept, door);
	return true;
}

struct conns *conns_new(struct event_base *base, conns_gone_fn *gone)
{
	struct conns *conns = calloc(1, sizeof(*conns));

	if (!conns)
		return NULL;
	conns->base = base;
	conns->gone = gone;
	LIST_INIT(&conns->fresh);
	LIST_INIT(&conns->admitted);
	conns->admit = evtimer_new(base, on_admit, conns);
	return conns->admit ? conns : conns_free(conns);
}

void conns_close(struct conns *conns)
{
	conns_accept(conns, false);
	conns->door_count = 0;
}

struct conns *conns_free(struct conns *conns)
{
	struct conn *conn;

	if (!conns)
		return NULL;
	while ((conn = LIST_FIRST(&conns->fresh))) {
		bufferevent_decref(conn->bev);
		forget(conn);
	}
	if (conns->admit)
		event_free(conns->admit);
	free(conns->by_fd);
	free(conns);
	return NULL;
}

void conns_set_limits(struct conns *conns, const struct conn_limits *limits)
{
	struct conn *conn;

	conns->limits = *limits;
	LIST_FOREACH(conn, &conns->admitted, link)
		bound_unread(conn);
	update_doors(conns);
}

void conns_accept(struct conns *conns, bool accept)
{
	conns->accepting = accept;
	update_doors(conns);
}

struct conn *conns_find(struct conns *conns, struct evhttp_connection *evcon)
{
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evcon));
	struct conn *conn = fd >= 0 && (size_t)fd < conns->by_fd_size ? conns->by_fd[fd] : NULL;

	return conn && conn->evcon == evcon ? conn : NULL;
}

void conn_begin(struct conn *conn, void *exchange)
{
	conn->exchange = exchange;
	evtimer_del(conn->deadline);
}

void conn_restart(struct conn *conn)
{
	struct timeval timeout = milliseconds(conn->conns->limits.timeout_ms);

	conn->exchange = NULL;
	evtimer_add(conn->deadline, &timeout);
}
