/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages to and from the engine. Sending never waits: what the socket does
 * not take is queued, in order, up to a bound that only an engine which stopped
 * reading reaches; that ends the relation, as end of file and a malformed message do. PING is answered here.
 */
#ifndef DBSNAP_FRONT_LINK_H
#define DBSNAP_FRONT_LINK_H

#include "common/msg.h"

struct event_base;
struct link;

/* One message of the engine's. Negative: it cannot come now; the relation ends with that code. */
typedef int link_fn(void *arg, const struct msg *msg);
/* The relation has ended: ERR_CLOSED (end of file), ERR_INVALID, ERR_BUSY (it does not read), ERR_IO. Called once, from the loop. */
typedef void link_end_fn(void *arg, int code);

/* fd: a SEQPACKET socket, stays the caller's; made non-blocking. NULL: out of memory. */
struct link *link_new(int fd);
struct link *link_free(struct link *link);
/* Waits for one message: before the loop runs. 0 or as msg_receive(). */
int link_wait(struct link *link, struct msg *ret_msg);
/* From now on messages are taken by the loop. 0 or ERR_NOMEM. */
int link_start(struct link *link, struct event_base *base, link_fn *fn, link_end_fn *end, void *arg);
/* Sends or queues. Failures are told by the end function. */
void link_send(struct link *link, const struct msg *msg);
/* A log_sink_fn: arg is the link. Lines are dropped rather than fill the queue. */
void link_log(void *arg, enum log_level level, const struct log_about *about, const char *text);

#endif
