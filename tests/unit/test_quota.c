/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Days at every border, limits at every boundary, refunds in every state. */
#include "daemon/front/quota.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#define DAY_MS INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)

static void days(void **state)
{
	static const struct {
		int64_t wall_ms;
		int offset;
		int32_t day;
	} rows[] = {
		{0, 0, 0},
		{DAY_MS - 1, 0, 0},
		{DAY_MS, 0, 1},
		{-1, 0, -1},
		{-DAY_MS, 0, -1},
		{-DAY_MS - 1, 0, -2},
		/* east: the day begins earlier */
		{DAY_MS - 8 * HOUR_MS - 1, 480, 0},
		{DAY_MS - 8 * HOUR_MS, 480, 1},
		{0, 480, 0},
		/* west: later */
		{5 * HOUR_MS - 1, -300, -1},
		{5 * HOUR_MS, -300, 0},
		{0, -1, -1},
		{59999, -1, -1},
		{60000, -1, 0},
		{-60000, 1, 0},
		{-60001, 1, -1},
		{0, QUOTA_OFFSET_MAX_MINUTES, 0},
		{60000, QUOTA_OFFSET_MAX_MINUTES, 1},
		{59999, QUOTA_OFFSET_MAX_MINUTES, 0},
		{0, -QUOTA_OFFSET_MAX_MINUTES, -1},
		{INT64_C(1774310400000), 0, 20536}, /* 2026-03-24T00:00Z */
		{INT64_C(1774310400000) - 1, 0, 20535},
		{INT64_MAX, 0, INT32_MAX},
		{INT64_MAX, QUOTA_OFFSET_MAX_MINUTES, INT32_MAX},
		{INT64_MIN, 0, INT32_MIN},
		{INT64_MIN, -QUOTA_OFFSET_MAX_MINUTES, INT32_MIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(quota_day(rows[i].wall_ms, rows[i].offset), rows[i].day);
}

/* retained, accepted, refunded against 3, 3, 100 and others. */
static void limits_at_every_boundary(void **state)
{
	static const struct {
		struct quota_limits limits;
		struct quota_counts counts;
		int which; /* 0: accepted */
		uint32_t least; /* of what the three leave */
	} rows[] = {
		{{3, 3, 100}, {0, 0, 0}, 0, 3},
		{{3, 3, 100}, {2, 2, 0}, 0, 1},
		{{3, 3, 100}, {3, 2, 0}, QUOTA_MANUAL_RETAINED, 0},
		{{3, 3, 100}, {4, 0, 0}, QUOTA_MANUAL_RETAINED, 0},
		{{3, 3, 100}, {2, 3, 0}, QUOTA_MANUAL_PER_DAY, 0},
		{{3, 3, 100}, {2, 3, 1}, 0, 1},
		{{3, 3, 100}, {0, 99, 99}, 0, 1},
		{{3, 3, 100}, {0, 100, 100}, QUOTA_CREATES_PER_DAY, 0},
		{{3, 3, 100}, {0, 101, 101}, QUOTA_CREATES_PER_DAY, 0},
		/* the order, when several are exceeded */
		{{3, 3, 3}, {3, 3, 0}, QUOTA_MANUAL_RETAINED, 0},
		{{3, 3, 3}, {2, 3, 0}, QUOTA_MANUAL_PER_DAY, 0},
		{{3, 3, 3}, {2, 3, 1}, QUOTA_CREATES_PER_DAY, 0},
		/* 0: none allowed */
		{{0, 3, 100}, {0, 0, 0}, QUOTA_MANUAL_RETAINED, 0},
		{{3, 0, 100}, {0, 0, 0}, QUOTA_MANUAL_PER_DAY, 0},
		{{3, 3, 0}, {0, 0, 0}, QUOTA_CREATES_PER_DAY, 0},
		/* the largest the configuration takes */
		{{1000000000, 1000000000, 1000000000}, {999999999, 999999999, 0}, 0, 1},
		{{1000000000, 1000000000, 1000000000}, {1000000000, 0, 0}, QUOTA_MANUAL_RETAINED, 0},
		/* a damaged count gives nothing away */
		{{3, 3, 100}, {0, 3, 4}, QUOTA_MANUAL_PER_DAY, 0},
		{{3, 3, 100}, {0, 1, UINT32_MAX}, 0, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct quota_left left = quota_left(&rows[i].limits, &rows[i].counts);
		uint32_t least = left.retained < left.per_day ? left.retained : left.per_day;
		enum quota_which which = 77;
		int rc = quota_check(&rows[i].limits, &rows[i].counts, &which);

		assert_int_equal(rc, rows[i].which ? ERR_DENIED : 0);
		assert_int_equal(which, rows[i].which ? rows[i].which : 77);
		assert_int_equal(least < left.creates ? least : left.creates, rows[i].least);
	}
}

static void ends_refund_once(void **state)
{
	(void)state;
	for (int s = 0; s <= BACKUP_STATES; s++) {
		bool ended_without = s == BACKUP_FAILED || s == BACKUP_CANCELLED;
		struct quota_backup backup = {.mode = BACKUP_MANUAL, .state = s};

		assert_int_equal(quota_refunds_end(&backup), ended_without);
		backup.refunded = true;
		assert_false(quota_refunds_end(&backup));
		backup.refunded = false;
		backup.mode = BACKUP_AUTOMATED;
		assert_false(quota_refunds_end(&backup));
	}
}

static void deletes_refund_on_the_day(void **state)
{
	struct quota_backup backup = {.mode = BACKUP_MANUAL, .state = BACKUP_DELETING, .accepted_ms = 5 * HOUR_MS};

	(void)state;
	assert_true(quota_refunds_delete(&backup, true, 5 * HOUR_MS, 0));
	assert_true(quota_refunds_delete(&backup, true, DAY_MS - 1, 0));
	assert_false(quota_refunds_delete(&backup, true, DAY_MS, 0));
	assert_true(quota_refunds_delete(&backup, true, 0, 0));
	assert_false(quota_refunds_delete(&backup, true, -1, 0));
	/* the same instants at another offset */
	assert_true(quota_refunds_delete(&backup, true, DAY_MS, -300));
	assert_false(quota_refunds_delete(&backup, true, 5 * HOUR_MS - 1, -300));
	assert_false(quota_refunds_delete(&backup, false, 5 * HOUR_MS, 0));
	backup.refunded = true;
	assert_false(quota_refunds_delete(&backup, true, 5 * HOUR_MS, 0));
	backup.refunded = false;
	backup.mode = BACKUP_AUTOMATED;
	assert_false(quota_refunds_delete(&backup, true, 5 * HOUR_MS, 0));
	backup.mode = BACKUP_MANUAL;
	for (int s = 0; s <= BACKUP_STATES; s++) {
		backup.state = s;
		assert_int_equal(quota_refunds_delete(&backup, true, 5 * HOUR_MS, 0), s == BACKUP_DELETING);
	}
}

int main(void)
{
	const struct CMUnitTest quota[] = {
		cmocka_unit_test(days),
		cmocka_unit_test(limits_at_every_boundary),
		cmocka_unit_test(ends_refund_once),
		cmocka_unit_test(deletes_refund_on_the_day),
	};

	return cmocka_run_group_tests(quota, NULL, NULL);
}
