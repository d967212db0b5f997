/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells when somebody sets the wall clock, or the machine has slept. Nothing wakes up for it meanwhile. */
#ifndef DBSNAP_FRONT_CLOCK_WATCH_H
#define DBSNAP_FRONT_CLOCK_WATCH_H

struct clock_watch;
struct event_base;

typedef void clock_watch_fn(void *arg);

/* Before the sandbox: it makes a descriptor. base outlives it. NULL: it cannot be had. */
struct clock_watch *clock_watch_new(struct event_base *base, clock_watch_fn *fn, void *arg);
/* Takes NULL. Returns NULL. */
struct clock_watch *clock_watch_free(struct clock_watch *watch);

#endif
