/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Wall time (may jump, is recorded) and running time (never jumps, counts
 * while the machine sleeps too, measures durations). The front's tests replace
 * both by a script: see clock_follow().
 */
#ifndef DBSNAP_CLOCK_H
#define DBSNAP_CLOCK_H

#include <stdint.h>

#define CLOCK_MS_PER_S INT64_C(1000)
#define CLOCK_S_PER_DAY INT64_C(86400)

/* What a test's script writes: both in milliseconds. */
struct clock_script {
	int64_t wall_ms;
	int64_t running_ms;
};

/* Milliseconds since 1970-01-01 UTC. */
int64_t clock_wall_ms(void);
/* Milliseconds of CLOCK_BOOTTIME. */
int64_t clock_running_ms(void);
/* Microseconds of CLOCK_MONOTONIC: for measuring cuts. Never scripted. */
int64_t clock_measure_us(void);

/*
 * From now on both clocks are read from the struct clock_script at the start
 * of fd's file (a memfd that the test maps as well). 0, or ERR_IO.
 */
int clock_follow(int fd);

/* "yyyy-MM-ddTHH:mm:ssZ" of a wall time. text: at least 21 bytes. Years 1970 to 9999; others are clamped. */
void clock_format(int64_t wall_ms, char text[static 21]);
/* The same, to the minute: "yyyy-MM-ddTHH:mmZ". text: at least 18 bytes. */
void clock_format_minute(int64_t wall_ms, char text[static 18]);
/* Reads exactly "yyyy-MM-ddTHH:mm:ssZ" (a real date, 1970 or later). 0 and the wall time in ms, or ERR_INVALID. */
int clock_parse(const char *text, int64_t *ret_wall_ms);
/* The same of "yyyy-MM-ddTHH:mmZ". */
int clock_parse_minute(const char *text, int64_t *ret_wall_ms);

#endif
