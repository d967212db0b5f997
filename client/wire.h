/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP/1.1 with one server on a Unix socket: a form is sent, its answer read whole, the connection kept for
 * the next. Blocks until then, or until a time has passed.
 */
#ifndef DBSNAP_CLIENT_WIRE_H
#define DBSNAP_CLIENT_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct wire;

struct wire_answer {
	int status;
	int64_t retry_after_ms; /* what a throttled answer asks for; 0 = nothing */
	char *body;		/* the receiver's (free), with a NUL after its end */
	size_t size;
};

/* path: borrowed for the object's life. NULL without memory. */
struct wire *wire_new(const char *path);
struct wire *wire_free(struct wire *wire);
/* The next exchange makes a connection of its own. */
void wire_disconnect(struct wire *wire);

/*
 * form: a body of application/x-www-form-urlencoded. A kept connection that turns out to be dead is replaced, and
 * the form sent a second time: who must not have that disconnects first. 0, or ERR_OFFLINE (no connection: nothing
 * was sent), ERR_CLOSED (broken before the answer was whole), ERR_TIMEOUT, ERR_INVALID (no HTTP, or more of it than
 * is understood here), ERR_TOO_LONG, ERR_NOMEM.
 */
int wire_exchange(struct wire *wire, const char *form, int64_t timeout_ms, struct wire_answer *ret_answer);

#endif
