/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slots, what is owed, and ages. */
#include "daemon/front/schedule.h"

#include <string.h>

/* Far enough to either side for any sum below. */
#define TIME_MAX INT64_C(253402300800000) /* the year 10000 */

enum {
	DAY_HOURS = 24,
	WEEK_HOURS = 7 * DAY_HOURS,
	FIRST_DAY = 3, /* 1970 began on a Thursday */
	SPREAD_S = 300
};

struct schedule schedule_default(void)
{
	return (struct schedule){.days = SCHEDULE_ALL_DAYS, .hour = 2, .every_hours = SCHEDULE_DAILY,
				 .on_removal = SCHEDULE_REMOVAL_NONE, .level1_days = 7};
}

static bool level2_is_valid(int days)
{
	return days == 0 || days == SCHEDULE_FOREVER || (days >= SCHEDULE_LEVEL2_MIN && days <= SCHEDULE_LEVEL2_MAX);
}

bool schedule_is_valid(const struct schedule *s)
{
	bool often = s->every_hours >= 2 && s->every_hours <= 4;

	if (!often && s->every_hours != SCHEDULE_DAILY)
		return false;
	if (s->days > SCHEDULE_ALL_DAYS || __builtin_popcount(s->days) < 2 || (often && s->days != SCHEDULE_ALL_DAYS))
		return false;
	return s->hour < DAY_HOURS && s->on_removal > 0 && s->on_removal < SCHEDULE_REMOVALS &&
	       s->level1_days >= SCHEDULE_LEVEL1_MIN && s->level1_days <= SCHEDULE_LEVEL1_MAX &&
	       level2_is_valid(s->level2_days);
}

bool schedule_same_slots(const struct schedule *a, const struct schedule *b)
{
	return a->enabled == b->enabled && a->days == b->days && a->hour == b->hour && a->every_hours == b->every_hours;
}

/* ---- chance that is the same every time ---- */

/* Every bit of the result depends on every bit of the number. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t schedule_seed(const struct nonce *install, const char *cluster)
{
	uint64_t seed = 0;

	for (size_t i = 0; i < sizeof(install->bytes); i++)
		seed = mix(seed + install->bytes[i] + 1);
	for (; *cluster; cluster++)
		seed = mix(seed + (uint8_t)*cluster + 1);
	return seed;
}

int64_t schedule_due(uint64_t seed, int64_t slot_ms)
{
	return slot_ms + (int64_t)(mix(seed + (uint64_t)slot_ms) % 60) * SCHEDULE_MINUTE_MS;
}

int64_t schedule_spread(uint64_t seed, int64_t slot_ms)
{
	return (int64_t)(mix(~seed + (uint64_t)slot_ms) % SPREAD_S + 1) * 1000;
}

/* ---- slots ---- */

static int64_t clamp(int64_t wall_ms)
{
	return wall_ms < 0 ? 0 : wall_ms > TIME_MAX ? TIME_MAX : wall_ms;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Hours since 1970, also before. */
static bool is_slot(const struct schedule *schedule, int64_t hours)
{
	int64_t day = floor_div(hours, DAY_HOURS), hour = hours - day * DAY_HOURS;
	int64_t weekday = day + FIRST_DAY - floor_div(day + FIRST_DAY, 7) * 7;

	if (schedule->every_hours == SCHEDULE_DAILY)
		return hour == schedule->hour && (schedule->days >> weekday & 1);
	return (hour + DAY_HOURS - schedule->hour) % schedule->every_hours == 0;
}

int64_t schedule_last(const struct schedule *schedule, uint64_t seed, int64_t now_ms)
{
	int64_t now = clamp(now_ms), hours = floor_div(now, SCHEDULE_HOUR_MS);

	while (!is_slot(schedule, hours) || schedule_due(seed, hours * SCHEDULE_HOUR_MS) > now)
		hours--;
	return hours * SCHEDULE_HOUR_MS;
}

int64_t schedule_next(const struct schedule *schedule, uint64_t seed, int64_t now_ms)
{
	int64_t now = clamp(now_ms), hours = floor_div(now, SCHEDULE_HOUR_MS);

	while (!is_slot(schedule, hours) || schedule_due(seed, hours * SCHEDULE_HOUR_MS) <= now)
		hours++;
	return hours * SCHEDULE_HOUR_MS;
}

int64_t schedule_after(const struct schedule *schedule, int64_t slot_ms)
{
	int64_t hours = floor_div(clamp(slot_ms), SCHEDULE_HOUR_MS) + 1;

	while (!is_slot(schedule, hours))
		hours++;
	return hours * SCHEDULE_HOUR_MS;
}

void schedule_look(const struct schedule *schedule, uint64_t seed, int64_t served_ms, int64_t now_ms,
		   struct schedule_step *ret_step)
{
	struct schedule_step step = {.slot_ms = schedule_last(schedule, seed, now_ms),
				     .next_ms = schedule_next(schedule, seed, now_ms)};
	int64_t now = clamp(now_ms);

	if (served_ms > step.next_ms) {
		step.what = SCHEDULE_FORGET;
	} else if (step.slot_ms > served_ms) {
		bool late = now - schedule_due(seed, step.slot_ms) > SCHEDULE_LATE_MS;
		bool near = schedule_due(seed, step.next_ms) - now <= SCHEDULE_NEAR_MS;

		step.what = !late ? SCHEDULE_ON_TIME : near ? SCHEDULE_WAIT : SCHEDULE_LATE;
	} else {
		step.what = SCHEDULE_WAIT;
		if (step.next_ms <= served_ms)
			step.next_ms = schedule_after(schedule, served_ms);
	}
	*ret_step = step;
}

int64_t schedule_retry_pause(uint32_t failures)
{
	static const int minutes[] = {5, 10, 20, 40, 60};
	uint32_t last = sizeof(minutes) / sizeof(minutes[0]);

	return minutes[failures == 0 ? 0 : failures > last ? last - 1 : failures - 1] * SCHEDULE_MINUTE_MS;
}

/* ---- ages ---- */

int schedule_kept_days(const struct schedule *schedule)
{
	return schedule->level2_days ? schedule->level2_days : schedule->level1_days;
}

int64_t schedule_expires(const struct schedule *schedule, bool registered, int64_t accepted_ms)
{
	int days = schedule_kept_days(schedule);

	if (!schedule->enabled || days == SCHEDULE_FOREVER || (!registered && schedule->on_removal == SCHEDULE_REMOVAL_ALL))
		return SCHEDULE_NEVER;
	return clamp(accepted_ms) + days * SCHEDULE_DAY_MS;
}

bool schedule_guard_look(struct schedule_guard *guard, int64_t wall_ms, int64_t running_ms)
{
	/* Smaller than before: the machine was started since, as long ago at least as it runs. */
	int64_t ran = running_ms >= guard->running_ms ? running_ms - guard->running_ms : running_ms;
	int64_t jump = guard->wall_ms ? clamp(wall_ms) - clamp(guard->wall_ms) - ran : 0;
	bool jumped = jump > SCHEDULE_DAY_MS;

	guard->wall_ms = wall_ms;
	guard->running_ms = running_ms;
	if (guard->left_ms) {
		guard->ahead_ms += jump;
		guard->left_ms = ran < guard->left_ms ? guard->left_ms - ran : 0;
		if (guard->ahead_ms <= SCHEDULE_DAY_MS)
			guard->left_ms = 0;
	} else if (jumped) {
		guard->ahead_ms = jump;
	}
	if (jumped)
		guard->left_ms = SCHEDULE_DAY_MS;
	if (!guard->left_ms)
		guard->ahead_ms = 0;
	return jumped;
}
