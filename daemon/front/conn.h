/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections: accepted by evhttp, watched by us. Each has a peer, an absolute
 * deadline and a bound on what may lie unread; all together and those of one uid
 * have a cap. At the cap, and when accept fails, the listener rests.
 */
#ifndef DBSNAP_FRONT_CONN_H
#define DBSNAP_FRONT_CONN_H

#include "daemon/front/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct bufferevent;
struct conns;
struct event;
struct event_base;
struct evhttp;
struct evhttp_connection;

struct conn {
	struct conns *conns;
	size_t door;                     /* number of the socket that it came in by */
	struct bufferevent *bev;         /* evhttp's */
	struct evhttp_connection *evcon; /* evhttp's; NULL until admitted */
	int fd;                          /* evhttp's; -1 until admitted */
	struct peer peer;
	struct event *deadline;
	void *exchange; /* the request that is not answered yet; NULL: receiving or sending */
	LIST_ENTRY(conn) link;
};

struct conn_limits {
	uint32_t connections;
	uint32_t connections_per_uid;
	int64_t timeout_ms;
	size_t unread_max; /* bytes read ahead of what has been served: no less than one request takes */
};

/* Called when a connection that has an exchange ends: nobody waits for its answer any more. */
enum { CONNS_DOORS_MAX = 8 };

typedef void conns_gone_fn(void *exchange);

/* NULL: out of memory. */
struct conns *conns_new(struct event_base *base, conns_gone_fn *gone);
/*
 * server: evhttp, whose connections become these; listen_fd stays the caller's. Doors are numbered from 0 in the order in
 * which they are added, at most CONNS_DOORS_MAX. Not accepting yet. False: out of memory.
 */
bool conns_add_door(struct conns *conns, struct evhttp *server, int listen_fd);
/* Before the servers are freed, which frees their listeners and connections; conns_free() comes after that. */
void conns_close(struct conns *conns);
struct conns *conns_free(struct conns *conns);
void conns_set_limits(struct conns *conns, const struct conn_limits *limits);
/* Accept, or accept no more. */
void conns_accept(struct conns *conns, bool accept);

/* The connection of a request. NULL: one that was accepted without our knowledge (out of memory). */
struct conn *conns_find(struct conns *conns, struct evhttp_connection *evcon);
/* A request has been read: no deadline runs until its answer. */
void conn_begin(struct conn *conn, void *exchange);
/* Its answer is being sent, or has been sent: the deadline runs anew. */
void conn_restart(struct conn *conn);

#endif
