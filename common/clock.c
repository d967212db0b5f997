/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two clocks, and their scripted stand-in for tests. */
#include "common/clock.h"

#include "common/err.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static const volatile struct clock_script *script;

static int64_t now_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_wall_ms(void)
{
	return script ? script->wall_ms : now_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_running_ms(void)
{
	return script ? script->running_ms : now_ns(CLOCK_BOOTTIME) / 1000000;
}

int64_t clock_measure_us(void)
{
	return now_ns(CLOCK_MONOTONIC) / 1000;
}

int clock_follow(int fd)
{
	void *map = mmap(NULL, sizeof(struct clock_script), PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return ERR_IO;
	script = map;
	return 0;
}

static void to_calendar(int64_t wall_ms, struct tm *tm)
{
	static const int64_t last_s = INT64_C(253402300799); /* 9999-12-31T23:59:59Z */
	int64_t s = wall_ms / CLOCK_MS_PER_S;
	time_t t = (time_t)(s < 0 ? 0 : s > last_s ? last_s : s);

	gmtime_r(&t, tm);
}

void clock_format(int64_t wall_ms, char text[static 21])
{
	struct tm tm;

	to_calendar(wall_ms, &tm);
	strftime(text, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void clock_format_minute(int64_t wall_ms, char text[static 18])
{
	struct tm tm;

	to_calendar(wall_ms, &tm);
	strftime(text, 18, "%Y-%m-%dT%H:%MZ", &tm);
}

/* Digits where the pattern has a 0, the very character elsewhere. */
static bool has_shape(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++) {
		if (*pattern == '0' ? *text < '0' || *text > '9' : *text != *pattern)
			return false;
	}
	return *text == '\0';
}

/* What sscanf() has filled in, if it is a real time of 1970 or later. */
static int from_calendar(struct tm tm, int64_t *ret_wall_ms)
{
	struct tm back;
	time_t t;

	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	t = timegm(&back);
	/* timegm() turns the 30th of February into March: a date that moved was none. */
	if (back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday || back.tm_hour != tm.tm_hour ||
	    back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec || t < 0)
		return ERR_INVALID;
	*ret_wall_ms = (int64_t)t * CLOCK_MS_PER_S;
	return 0;
}

int clock_parse(const char *text, int64_t *ret_wall_ms)
{
	struct tm tm = {0};

	if (!has_shape(text, "0000-00-00T00:00:00Z") ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec) != 6)
		return ERR_INVALID;
	return from_calendar(tm, ret_wall_ms);
}

int clock_parse_minute(const char *text, int64_t *ret_wall_ms)
{
	struct tm tm = {0};

	if (!has_shape(text, "0000-00-00T00:00Z") ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min) != 5)
		return ERR_INVALID;
	return from_calendar(tm, ret_wall_ms);
}
