/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sd_notify(3), one function a message. */
#include "daemon/engine/notify.h"

#include "common/clock.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

void notify_init(struct notify *notify)
{
	uint64_t period_us = 0;

	*notify = (struct notify){0};
	if (sd_watchdog_enabled(0, &period_us) > 0)
		notify->interval_ms = (int64_t)(period_us / 2000) > 0 ? (int64_t)(period_us / 2000) : 1;
	notify->next_ms = clock_running_ms() + notify->interval_ms;
}

void notify_ready(void)
{
	sd_notify(0, "READY=1\nSTATUS=Serving");
}

void notify_status(const char *text)
{
	sd_notifyf(0, "STATUS=%s", text);
}

void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=Reading the configuration",
		   clock_measure_us());
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=Waiting for running jobs");
}

void notify_extend(struct notify *notify)
{
	int64_t now = clock_running_ms();

	if (now - notify->extended_ms < CLOCK_MS_PER_S)
		return;
	notify->extended_ms = now;
	sd_notify(0, "EXTEND_TIMEOUT_USEC=30000000");
}

void notify_alive(struct notify *notify)
{
	notify->next_ms = clock_running_ms() + notify->interval_ms;
	sd_notify(0, "WATCHDOG=1");
}
