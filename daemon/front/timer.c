/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An unsorted list: there are about as many timers as clusters. */
#include "daemon/front/timer.h"

#include "common/clock.h"

#include <event2/event.h>
#include <stdlib.h>

struct timers {
	struct event *event; /* NULL: scripted */
	struct timer *first;
};

static struct timer *earliest(const struct timers *timers)
{
	struct timer *best = NULL;

	for (struct timer *t = timers->first; t; t = t->next) {
		if (!best || t->due_ms < best->due_ms)
			best = t;
	}
	return best;
}

static void rearm(struct timers *timers)
{
	const struct timer *next;
	struct timeval wait;
	int64_t ms;

	if (!timers->event)
		return;
	next = earliest(timers);
	if (!next) {
		evtimer_del(timers->event);
		return;
	}
	ms = next->due_ms - clock_running_ms();
	if (ms < 0)
		ms = 0;
	wait.tv_sec = (time_t)(ms / 1000);
	wait.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	evtimer_add(timers->event, &wait);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	timers_run(arg);
}

struct timers *timers_new(struct event_base *base, bool scripted)
{
	struct timers *timers = calloc(1, sizeof(*timers));

	if (!timers || scripted)
		return timers;
	timers->event = evtimer_new(base, on_event, timers);
	if (!timers->event) {
		free(timers);
		return NULL;
	}
	return timers;
}

struct timers *timers_free(struct timers *timers)
{
	if (timers && timers->event)
		event_free(timers->event);
	free(timers);
	return NULL;
}

void timers_run(struct timers *timers)
{
	int64_t now = clock_running_ms();
	struct timer *t;

	while ((t = earliest(timers)) && t->due_ms <= now) {
		timer_disarm(t);
		t->fn(t->arg);
	}
	rearm(timers);
}

void timer_init(struct timer *timer, struct timers *timers, timer_fn *fn, void *arg)
{
	*timer = (struct timer){.timers = timers, .fn = fn, .arg = arg};
}

void timer_arm(struct timer *timer, int64_t due_ms)
{
	struct timers *timers = timer->timers;

	if (timer->armed && timer->due_ms == due_ms)
		return;
	timer->due_ms = due_ms;
	if (!timer->armed) {
		timer->armed = true;
		timer->prev = NULL;
		timer->next = timers->first;
		if (timers->first)
			timers->first->prev = timer;
		timers->first = timer;
	}
	rearm(timers);
}

void timer_disarm(struct timer *timer)
{
	if (!timer->armed)
		return;
	timer->armed = false;
	if (timer->prev)
		timer->prev->next = timer->next;
	else
		timer->timers->first = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
	rearm(timer->timers);
}
