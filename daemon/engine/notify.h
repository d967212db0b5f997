/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the engine tells systemd, and when the watchdog wants to hear. Nothing happens without systemd. */
#ifndef DBSNAP_ENGINE_NOTIFY_H
#define DBSNAP_ENGINE_NOTIFY_H

#include <stdint.h>

struct notify {
	int64_t interval_ms; /* between two signs of life; 0: no watchdog */
	int64_t next_ms;     /* running time of the next one */
	int64_t extended_ms; /* running time of the last extension */
};

void notify_init(struct notify *notify);
void notify_ready(void);
void notify_status(const char *text);
void notify_reloading(void);
void notify_stopping(void);
/* Recovery makes progress: asks for half a minute more, at most once a second. */
void notify_extend(struct notify *notify);
/* The loop turns and the front answers. */
void notify_alive(struct notify *notify);

#endif
