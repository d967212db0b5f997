/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Slots against the C library's calendar at every minute of three weeks, what is owed
 * against every served slot, the guard against each kind of jump, plans against the rules.
 */
#include "daemon/front/schedule.h"

#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MINUTE SCHEDULE_MINUTE_MS
#define HOUR SCHEDULE_HOUR_MS
#define DAY SCHEDULE_DAY_MS
#define MONDAY INT64_C(1709510400000) /* 2024-03-04T00:00Z */

enum { SLOTS_MAX = 24 * 40 };

static struct schedule policy(uint8_t days, uint8_t hour, uint8_t every)
{
	struct schedule schedule = schedule_default();

	schedule.enabled = true;
	schedule.days = days;
	schedule.hour = hour;
	schedule.every_hours = every;
	return schedule;
}

static const struct schedule some[] = {
	{.enabled = true, .days = 0x7f, .hour = 2, .every_hours = 24, .on_removal = 3, .level1_days = 7},
	{.enabled = true, .days = 0x7f, .hour = 0, .every_hours = 24, .on_removal = 3, .level1_days = 7},
	{.enabled = true, .days = 0x7f, .hour = 23, .every_hours = 24, .on_removal = 3, .level1_days = 7},
	{.enabled = true, .days = 0x41, .hour = 5, .every_hours = 24, .on_removal = 3, .level1_days = 7},
	{.enabled = true, .days = 0x12, .hour = 23, .every_hours = 24, .on_removal = 3, .level1_days = 7},
	{.enabled = true, .days = 0x7f, .hour = 1, .every_hours = 2, .on_removal = 3, .level1_days = 7},
	{.enabled = true, .days = 0x7f, .hour = 22, .every_hours = 3, .on_removal = 3, .level1_days = 7},
	{.enabled = true, .days = 0x7f, .hour = 7, .every_hours = 4, .on_removal = 3, .level1_days = 7},
};

enum { SOME = sizeof(some) / sizeof(some[0]) };

/* Slots from start on, by the C library's calendar. */
static size_t list_slots(const struct schedule *schedule, int64_t start_ms, int hours, int64_t *slots)
{
	size_t count = 0;

	for (int i = 0; i < hours; i++) {
		int64_t at = start_ms + i * HOUR;
		time_t seconds = (time_t)(at / 1000);
		struct tm tm;

		gmtime_r(&seconds, &tm);
		if (schedule->every_hours == 24 ? tm.tm_hour != schedule->hour || !(schedule->days >> (tm.tm_wday + 6) % 7 & 1)
						: (tm.tm_hour + 24 - schedule->hour) % 24 % schedule->every_hours != 0)
			continue;
		slots[count++] = at;
	}
	return count;
}

static void check_minute(const struct schedule *schedule, uint64_t seed, const int64_t *slots, size_t count, int64_t now)
{
	int64_t last = 0, next = 0;

	for (size_t i = 0; i < count; i++) {
		if (schedule_due(seed, slots[i]) <= now)
			last = slots[i];
		else if (!next)
			next = slots[i];
	}
	assert_int_equal(schedule_last(schedule, seed, now), last);
	assert_int_equal(schedule_next(schedule, seed, now), next);
}

static void slots_at_every_minute(void **state)
{
	static int64_t slots[SLOTS_MAX];

	(void)state;
	for (size_t s = 0; s < SOME; s++) {
		size_t count = list_slots(&some[s], MONDAY - 8 * DAY, 24 * 37, slots);

		for (int64_t now = MONDAY; now < MONDAY + 21 * DAY; now += MINUTE) {
			check_minute(&some[s], s * 77, slots, count, now);
			check_minute(&some[s], s * 77, slots, count, now - 1);
		}
		for (size_t i = 1; i < count; i++)
			assert_int_equal(schedule_after(&some[s], slots[i - 1]), slots[i]);
	}
}

/* Wherever the clock stands, an answer comes, and it is one of the policy's slots. */
static void strange_clocks(void **state)
{
	static const int64_t times[] = {INT64_MIN, -1, 0, 1, HOUR, DAY, INT64_C(253402300799999), INT64_MAX};

	(void)state;
	for (size_t s = 0; s < SOME; s++) {
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
			struct schedule_step step;

			assert_true(schedule_next(&some[s], 1, times[i]) > schedule_last(&some[s], 1, times[i]));
			for (size_t j = 0; j < sizeof(times) / sizeof(times[0]); j++) {
				schedule_look(&some[s], 1, times[j], times[i], &step);
				assert_true(step.next_ms > step.slot_ms);
			}
			assert_true(schedule_expires(&some[s], true, times[i]) > 0);
		}
	}
}

static void minutes_are_spread(void **state)
{
	const struct nonce install = {{1}}, other = {{2}};
	uint64_t seed = schedule_seed(&install, "pc-a");
	bool seen[60] = {false};
	unsigned same = 0;

	(void)state;
	assert_int_equal(seed, schedule_seed(&install, "pc-a"));
	assert_int_not_equal(seed, schedule_seed(&install, "pc-b"));
	assert_int_not_equal(seed, schedule_seed(&other, "pc-a"));
	for (int64_t slot = MONDAY; slot < MONDAY + 1000 * DAY; slot += DAY) {
		int64_t minute = (schedule_due(seed, slot) - slot) / MINUTE;

		assert_true(minute >= 0 && minute < 60 && (schedule_due(seed, slot) - slot) % MINUTE == 0);
		assert_true(schedule_spread(seed, slot) > 0 && schedule_spread(seed, slot) <= SCHEDULE_LATE_MS);
		seen[minute] = true;
		same += schedule_due(seed, slot) == schedule_due(schedule_seed(&install, "pc-b"), slot);
	}
	for (int i = 0; i < 60; i++)
		assert_true(seen[i]);
	assert_in_range(same, 1, 60); /* of 1000: about one in sixty */
}

static void check_step(const struct schedule *schedule, uint64_t seed, int64_t served, int64_t now)
{
	int64_t last = schedule_last(schedule, seed, now), next = schedule_next(schedule, seed, now);
	int64_t age = now - schedule_due(seed, last);
	struct schedule_step step;

	schedule_look(schedule, seed, served, now, &step);
	assert_int_equal(step.slot_ms, last);
	if (served > next) {
		assert_int_equal(step.what, SCHEDULE_FORGET);
		return;
	}
	assert_int_equal(step.next_ms, served == next ? schedule_after(schedule, next) : next);
	if (served >= last)
		assert_int_equal(step.what, SCHEDULE_WAIT);
	else if (age <= SCHEDULE_LATE_MS)
		assert_int_equal(step.what, SCHEDULE_ON_TIME);
	else
		assert_int_equal(step.what, schedule_due(seed, next) - now <= SCHEDULE_NEAR_MS ? SCHEDULE_WAIT : SCHEDULE_LATE);
}

/* Each policy, each minute, each slot that may have been served, from long ago to far ahead. */
static void owed_at_every_minute(void **state)
{
	static int64_t slots[SLOTS_MAX];

	(void)state;
	for (size_t s = 0; s < SOME; s++) {
		size_t count = list_slots(&some[s], MONDAY - 8 * DAY, 24 * 20, slots);

		for (int64_t now = MONDAY; now < MONDAY + 3 * DAY; now += MINUTE) {
			check_step(&some[s], 5, 0, now);
			check_step(&some[s], 5, now + 3650 * DAY, now);
			for (size_t i = 0; i < count; i++)
				check_step(&some[s], 5, slots[i], now);
		}
	}
}

/* What the scheduler does with a step; a slot that was served. */
static bool obey(const struct schedule *schedule, uint64_t seed, int64_t now, int64_t *served)
{
	struct schedule_step step;

	schedule_look(schedule, seed, *served, now, &step);
	if (step.what == SCHEDULE_FORGET) {
		*served = step.slot_ms;
		schedule_look(schedule, seed, *served, now, &step);
		assert_int_equal(step.what, SCHEDULE_WAIT);
	}
	if (step.what == SCHEDULE_WAIT)
		return false;
	assert_true(step.slot_ms > *served);
	*served = step.slot_ms;
	return true;
}

static void each_slot_once(void **state)
{
	static int64_t slots[SLOTS_MAX];

	(void)state;
	for (size_t s = 0; s < SOME; s++) {
		size_t count = list_slots(&some[s], MONDAY, 24 * 30, slots), made = 0;
		int64_t served = schedule_last(&some[s], 9, MONDAY);

		for (int64_t now = MONDAY; now < MONDAY + 30 * DAY; now += MINUTE)
			made += obey(&some[s], 9, now, &served);
		assert_in_range(made, count - 1, count); /* the minute of one may lie before the first minute */
	}
}

/* However long it was away: one, or none with the next one near. */
static void one_catch_up(void **state)
{
	(void)state;
	for (size_t s = 0; s < SOME; s++) {
		for (int64_t away = 0; away < 40 * DAY; away += 37 * MINUTE) {
			int64_t served = schedule_last(&some[s], 3, MONDAY), now = MONDAY + away;
			int made = 0;

			made += obey(&some[s], 3, now, &served);
			made += obey(&some[s], 3, now, &served);
			made += obey(&some[s], 3, now + MINUTE / 2, &served);
			assert_true(made <= 1);
			if (made == 0 && served < schedule_last(&some[s], 3, now))
				assert_true(schedule_due(3, schedule_next(&some[s], 3, now)) - now <= SCHEDULE_NEAR_MS);
		}
	}
}

/* Set back by less than a slot: none is served twice. Wrong by years: the next ones are not blocked. */
static void clock_set_back(void **state)
{
	(void)state;
	for (size_t s = 0; s < SOME; s++) {
		int64_t slot = schedule_last(&some[s], 3, MONDAY + 10 * DAY), before = schedule_last(&some[s], 3, schedule_due(3, slot) - 1);

		for (int64_t now = schedule_due(3, before); now < schedule_due(3, slot); now += MINUTE) {
			int64_t served = slot;

			assert_false(obey(&some[s], 3, now, &served));
			assert_int_equal(served, slot);
		}
		for (int64_t years = 1; years < 50; years++) {
			int64_t served = slot + years * 365 * DAY, now = schedule_due(3, slot) + MINUTE;

			assert_false(obey(&some[s], 3, now, &served));
			assert_int_equal(served, slot);
			assert_true(obey(&some[s], 3, schedule_due(3, schedule_next(&some[s], 3, now)), &served));
		}
	}
}

static void valid_policies(void **state)
{
	struct schedule s = schedule_default();

	(void)state;
	assert_true(schedule_is_valid(&s) && !s.enabled);
	for (int every = 0; every < 256; every++) {
		s = policy(0x7f, 0, (uint8_t)every);
		assert_int_equal(schedule_is_valid(&s), every == 2 || every == 3 || every == 4 || every == 24);
	}
	for (int days = 0; days < 256; days++) {
		s = policy((uint8_t)days, 23, 24);
		assert_int_equal(schedule_is_valid(&s), days < 128 && __builtin_popcount((unsigned)days) >= 2);
		s = policy((uint8_t)days, 23, 2);
		assert_int_equal(schedule_is_valid(&s), days == 127);
	}
	for (int n = -10; n < 8000; n++) {
		s = schedule_default();
		s.level2_days = (int16_t)n;
		assert_int_equal(schedule_is_valid(&s), n == -1 || n == 0 || (n >= 30 && n <= 7300));
		s = schedule_default();
		s.level1_days = (uint8_t)n;
		assert_int_equal(schedule_is_valid(&s), (n & 255) >= 3 && (n & 255) <= 14);
		s = policy(0x7f, (uint8_t)n, 24);
		assert_int_equal(schedule_is_valid(&s), (n & 255) < 24);
	}
}

static void ages(void **state)
{
	struct schedule s = schedule_default();

	(void)state;
	assert_true(schedule_expires(&s, true, MONDAY) == SCHEDULE_NEVER); /* nobody set it */
	s.enabled = true;
	assert_int_equal(schedule_expires(&s, true, MONDAY), MONDAY + 7 * DAY);
	s.level2_days = 30;
	assert_int_equal(schedule_expires(&s, true, MONDAY), MONDAY + 30 * DAY);
	s.level2_days = 7300;
	assert_int_equal(schedule_expires(&s, true, MONDAY), MONDAY + 7300 * DAY);
	s.level2_days = SCHEDULE_FOREVER;
	assert_true(schedule_expires(&s, true, MONDAY) == SCHEDULE_NEVER);
	s.level2_days = 0;
	s.on_removal = SCHEDULE_REMOVAL_LATEST;
	assert_int_equal(schedule_expires(&s, false, MONDAY), MONDAY + 7 * DAY);
	s.on_removal = SCHEDULE_REMOVAL_ALL;
	assert_true(schedule_expires(&s, false, MONDAY) == SCHEDULE_NEVER);
	assert_int_equal(schedule_expires(&s, true, MONDAY), MONDAY + 7 * DAY);
}

static void pauses(void **state)
{
	static const int64_t minutes[] = {5, 5, 10, 20, 40, 60, 60, 60};

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(schedule_retry_pause(i), minutes[i] * MINUTE);
	assert_int_equal(schedule_retry_pause(UINT32_MAX), 60 * MINUTE);
}

/* ---- the guard ---- */

static struct schedule_guard looked(int64_t wall_ms, int64_t running_ms)
{
	struct schedule_guard guard = {0};

	assert_false(schedule_guard_look(&guard, wall_ms, running_ms));
	assert_int_equal(guard.left_ms, 0);
	return guard;
}

static void guard_trusts(void **state)
{
	struct schedule_guard guard = looked(MONDAY, 5000);

	(void)state;
	/* time goes by, however long nobody looks */
	assert_false(schedule_guard_look(&guard, MONDAY + 900 * DAY, 5000 + 900 * DAY));
	assert_int_equal(guard.left_ms, 0);
	/* a day ahead, and any number back */
	assert_false(schedule_guard_look(&guard, MONDAY + 901 * DAY, 5000 + 900 * DAY));
	assert_false(schedule_guard_look(&guard, MONDAY, 5000 + 900 * DAY));
	assert_int_equal(guard.left_ms, 0);
	/* a machine that was off for less than a day */
	assert_false(schedule_guard_look(&guard, MONDAY + DAY + 1000, 1000));
	assert_int_equal(guard.left_ms, 0);
	/* and one that has run for three days since it was */
	guard = looked(MONDAY, 90 * DAY);
	assert_false(schedule_guard_look(&guard, MONDAY + 4 * DAY, 3 * DAY));
	assert_int_equal(guard.left_ms, 0);
}

static void guard_waits_a_day(void **state)
{
	struct schedule_guard guard = looked(MONDAY, 0);

	(void)state;
	assert_true(schedule_guard_look(&guard, MONDAY + DAY + 1, 0));
	assert_int_equal(guard.left_ms, DAY);
	assert_int_equal(guard.ahead_ms, DAY + 1);
	for (int64_t ran = HOUR; ran < DAY; ran += HOUR) {
		assert_false(schedule_guard_look(&guard, MONDAY + DAY + 1 + ran, ran));
		assert_int_equal(guard.left_ms, DAY - ran);
	}
	assert_false(schedule_guard_look(&guard, MONDAY + DAY + 1 + DAY, DAY));
	assert_int_equal(guard.left_ms, 0);
	assert_int_equal(guard.ahead_ms, 0);
}

static void guard_ends_when_the_clock_is_back(void **state)
{
	struct schedule_guard guard = looked(MONDAY, 0);

	(void)state;
	assert_true(schedule_guard_look(&guard, MONDAY + 900 * DAY, 0));
	/* not yet */
	assert_false(schedule_guard_look(&guard, MONDAY + 10 * DAY, HOUR));
	assert_int_equal(guard.left_ms, DAY - HOUR);
	assert_false(schedule_guard_look(&guard, MONDAY + 2 * HOUR, 2 * HOUR));
	assert_int_equal(guard.left_ms, 0);
}

static void guard_counts_each_jump(void **state)
{
	struct schedule_guard guard = looked(MONDAY, 0);

	(void)state;
	assert_true(schedule_guard_look(&guard, MONDAY + 10 * DAY, 0));
	assert_false(schedule_guard_look(&guard, MONDAY + 10 * DAY + 20 * HOUR, 20 * HOUR));
	assert_int_equal(guard.left_ms, 4 * HOUR);
	assert_true(schedule_guard_look(&guard, MONDAY + 40 * DAY + 20 * HOUR, 20 * HOUR));
	assert_int_equal(guard.left_ms, DAY);
	/* back from the second jump, not from the first */
	assert_false(schedule_guard_look(&guard, MONDAY + 10 * DAY + 20 * HOUR, 20 * HOUR));
	assert_int_equal(guard.left_ms, DAY);
	assert_false(schedule_guard_look(&guard, MONDAY + 20 * HOUR, 20 * HOUR));
	assert_int_equal(guard.left_ms, 0);
}

/* ---- plans ---- */

static struct schedule_event events[4096];

static size_t plan(const struct schedule *schedule, const struct schedule_backup *backups, size_t count, int64_t now)
{
	const struct schedule_outlook outlook = {
		.schedule = schedule, .seed = 3, .registered = true, .now_ms = now, .until_ms = now + 7 * DAY,
		.served_ms = schedule_last(schedule, 3, now), .backups = backups, .backup_count = count,
	};

	return schedule_plan(&outlook, events);
}

static void plan_creates_what_is_due(void **state)
{
	(void)state;
	for (size_t s = 0; s < SOME; s++) {
		for (int64_t now = MONDAY; now < MONDAY + 2 * DAY; now += 7 * MINUTE) {
			size_t count = plan(&some[s], NULL, 0, now), n = 0;

			assert_true(count <= SCHEDULE_PLAN_CREATES);
			for (int64_t slot = schedule_next(&some[s], 3, now); schedule_due(3, slot) <= now + 7 * DAY;
			     slot = schedule_after(&some[s], slot)) {
				assert_true(events[n].create);
				assert_int_equal(events[n].slot_ms, slot);
				assert_int_equal(events[n++].at_ms, schedule_due(3, slot));
			}
			assert_int_equal(n, count); /* kept for seven days: none of them goes within seven days */
		}
	}
}

static void plan_removes_what_is_old(void **state)
{
	struct schedule s = policy(0x7f, 2, 24);
	const struct schedule_backup backups[] = {
		{.id = 1, .accepted_ms = MONDAY - 30 * DAY},
		{.id = 2, .accepted_ms = MONDAY - 29 * DAY, .read = true},
		{.id = 3, .accepted_ms = MONDAY - 5 * DAY},
		{.id = 4, .accepted_ms = MONDAY - 1 * HOUR},
		{.id = 5, .accepted_ms = MONDAY - 20 * DAY, .newest = true}, /* its clock was wrong */
	};
	uint64_t gone[8] = {0};
	int64_t first = 0;
	size_t count, removals = 0;

	(void)state;
	count = plan(&s, backups, 5, MONDAY);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			assert_true(events[i - 1].at_ms <= events[i].at_ms);
		if (events[i].create && !first)
			first = events[i].at_ms;
		if (!events[i].create)
			gone[removals++] = events[i].backup;
		if (events[i].backup == 1 || events[i].backup == 2)
			assert_int_equal(events[i].at_ms, MONDAY);
		assert_int_equal(events[i].read, events[i].backup == 2);
		if (events[i].backup == 3)
			assert_int_equal(events[i].at_ms, MONDAY + 2 * DAY);
		if (events[i].backup == 4)
			assert_int_equal(events[i].at_ms, MONDAY + 7 * DAY - HOUR);
		if (events[i].backup == 5)
			assert_int_equal(events[i].at_ms, first);
	}
	assert_int_equal(removals, 5);
	assert_memory_equal(gone, ((uint64_t[]){1, 2, 5, 3, 4}), sizeof(uint64_t) * 5);
	s.enabled = false;
	assert_int_equal(plan(&s, backups, 5, MONDAY), 0);
}

/* What is still to be made goes within the plan too, but for the last one. */
static void plan_removes_what_it_makes(void **state)
{
	struct schedule s = policy(0x7f, 2, 24);
	size_t count, removals = 0;

	(void)state;
	s.level1_days = 3;
	count = plan(&s, NULL, 0, MONDAY);
	for (size_t i = 0; i < count; i++) {
		if (events[i].create)
			continue;
		assert_int_equal(events[i].backup, 0);
		assert_int_equal(events[i].at_ms, events[i].made_ms + 3 * DAY);
		removals++;
	}
	assert_int_equal(count - removals, 7);
	assert_int_equal(removals, 4);
	/* two days a week: the one of Monday stays until that of Saturday is made */
	s.days = 0x21;
	count = plan(&s, NULL, 0, MONDAY);
	assert_int_equal(count, 3);
	assert_true(events[0].create && events[1].create && !events[2].create);
	assert_int_equal(events[2].made_ms, events[0].at_ms);
	assert_int_equal(events[2].at_ms, events[1].at_ms);
}

static void plan_of_what_is_late(void **state)
{
	const struct schedule s = policy(0x7f, 2, 24);
	const struct schedule_backup old = {.id = 1, .accepted_ms = MONDAY - 30 * DAY};
	struct schedule_outlook outlook = {
		.schedule = &s, .seed = 3, .registered = true, .now_ms = MONDAY, .until_ms = MONDAY + 7 * DAY,
		.served_ms = MONDAY - 90 * DAY, .late_ms = MONDAY + MINUTE, .not_removed_ms = MONDAY + 2 * DAY,
		.backups = &old, .backup_count = 1,
	};

	(void)state;
	assert_int_equal(schedule_plan(&outlook, events), 9);
	assert_true(events[0].create && events[0].late);
	assert_int_equal(events[0].at_ms, MONDAY + MINUTE);
	assert_int_equal(events[0].slot_ms, schedule_last(&s, 3, MONDAY));
	for (size_t i = 0; i < 9; i++) {
		if (!events[i].create)
			assert_int_equal(events[i].at_ms, MONDAY + 2 * DAY); /* the clock is not trusted before */
	}
	outlook.registered = false;
	assert_int_equal(schedule_plan(&outlook, events), 1);
	assert_int_equal(events[0].backup, 1);
}

int main(void)
{
	const struct CMUnitTest schedule[] = {
		cmocka_unit_test(slots_at_every_minute),
		cmocka_unit_test(strange_clocks),
		cmocka_unit_test(minutes_are_spread),
		cmocka_unit_test(owed_at_every_minute),
		cmocka_unit_test(each_slot_once),
		cmocka_unit_test(one_catch_up),
		cmocka_unit_test(clock_set_back),
		cmocka_unit_test(valid_policies),
		cmocka_unit_test(ages),
		cmocka_unit_test(pauses),
		cmocka_unit_test(guard_trusts),
		cmocka_unit_test(guard_waits_a_day),
		cmocka_unit_test(guard_ends_when_the_clock_is_back),
		cmocka_unit_test(guard_counts_each_jump),
		cmocka_unit_test(plan_creates_what_is_due),
		cmocka_unit_test(plan_removes_what_is_old),
		cmocka_unit_test(plan_removes_what_it_makes),
		cmocka_unit_test(plan_of_what_is_late),
	};

	/* A host with daylight saving: it must not matter. */
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return cmocka_run_group_tests(schedule, NULL, NULL);
}
