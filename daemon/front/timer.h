/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Timers by running time. One libevent timer for all of them, armed only while
 * one is armed: an idle front never wakes up. With a scripted clock no real timer
 * is used at all: whoever moves the script calls timers_run().
 */
#ifndef DBSNAP_FRONT_TIMER_H
#define DBSNAP_FRONT_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct timers;

typedef void timer_fn(void *arg);

/* Embedded in what it belongs to, which disarms it before it goes. */
struct timer {
	struct timers *timers;
	timer_fn *fn;
	void *arg;
	int64_t due_ms;
	bool armed;
	struct timer *prev, *next;
};

/* base outlives it. NULL: out of memory. */
struct timers *timers_new(struct event_base *base, bool scripted);
struct timers *timers_free(struct timers *timers);
/* Calls every timer that is due, earliest first. */
void timers_run(struct timers *timers);

void timer_init(struct timer *timer, struct timers *timers, timer_fn *fn, void *arg);
/* Due at this running time (in the past: in the next turn), once. Replaces an earlier time. */
void timer_arm(struct timer *timer, int64_t due_ms);
void timer_disarm(struct timer *timer);

#endif
