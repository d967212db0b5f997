/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A timer of the wall clock that never comes due: what the kernel cancels is told. */
#include "daemon/front/clock_watch.h"

#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define FAR_S 4102444800 /* the year 2100 */

struct clock_watch {
	int fd;
	struct event *event;
	clock_watch_fn *fn;
	void *arg;
};

static int arm(int fd)
{
	static const struct itimerspec never = {.it_value = {.tv_sec = FAR_S}};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void on_set(evutil_socket_t fd, short what, void *arg)
{
	struct clock_watch *watch = arg;
	uint64_t times;

	(void)what;
	/* ECANCELED: set. A clock that is beyond the timer's time would come due at once again. */
	if (read((int)fd, &times, sizeof(times)) > 0)
		event_del(watch->event);
	watch->fn(watch->arg);
}

struct clock_watch *clock_watch_new(struct event_base *base, clock_watch_fn *fn, void *arg)
{
	struct clock_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->fn = fn;
	watch->arg = arg;
	watch->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->fd >= 0 && arm(watch->fd) == 0)
		watch->event = event_new(base, watch->fd, EV_READ | EV_PERSIST, on_set, watch);
	if (!watch->event || event_add(watch->event, NULL) < 0)
		return clock_watch_free(watch);
	return watch;
}

struct clock_watch *clock_watch_free(struct clock_watch *watch)
{
	if (!watch)
		return NULL;
	if (watch->event)
		event_free(watch->event);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
	return NULL;
}
