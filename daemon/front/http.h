/* SPDX-License-Identifier: GPL-3.0-or-later */
/* evhttp behind guards: see design.md "evhttp". The HTTP side's whole contract with main. */
#ifndef DBSNAP_FRONT_HTTP_H
#define DBSNAP_FRONT_HTTP_H

#include <stddef.h>

struct front;
struct http;

/* first_fd and count - 1 after it: listening Unix sockets, non-blocking, as front->listeners says; they stay the caller's. Limits are read from front->conf. NULL: out of memory. */
struct http *http_new(struct front *front, int first_fd, size_t count);
/* Begin to accept (recovery is over). Until then clients wait in the backlog. */
void http_serve(struct http *http);
/* After a reload: take limits from front->conf again. */
void http_limits_changed(struct http *http);
/* Serve no more: answers under way go out; every other request gets 503 and the end of its connection. */
void http_stop(struct http *http);
struct http *http_free(struct http *http);

#endif
