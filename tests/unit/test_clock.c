/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times as text and back, at the calendar's edges; the scripted clock. */
#include "common/clock.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void test_format(void **state)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
	} rows[] = {
		{0, "1970-01-01T00:00:00Z"},
		{-1, "1970-01-01T00:00:00Z"},
		{INT64_MIN, "1970-01-01T00:00:00Z"},
		{999, "1970-01-01T00:00:00Z"},
		{1000, "1970-01-01T00:00:01Z"},
		{INT64_C(951782399000), "2000-02-28T23:59:59Z"},
		{INT64_C(951782400000), "2000-02-29T00:00:00Z"},
		{INT64_C(253402300799999), "9999-12-31T23:59:59Z"},
		{INT64_C(253402300800000), "9999-12-31T23:59:59Z"},
		{INT64_MAX, "9999-12-31T23:59:59Z"},
	};
	char text[21], minute[18];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		clock_format(rows[i].wall_ms, text);
		assert_string_equal(text, rows[i].text);
		clock_format_minute(rows[i].wall_ms, minute);
		assert_memory_equal(minute, rows[i].text, 16);
		assert_string_equal(minute + 16, "Z");
	}
}

static void test_parse_minute(void **state)
{
	static const char *const bad[] = {"",
					  "2026-02-29T00:00Z",
					  "2026-04-31T00:00Z",
					  "2026-13-01T00:00Z",
					  "2026-00-01T00:00Z",
					  "2026-01-00T00:00Z",
					  "2026-01-01T24:00Z",
					  "2026-01-01T00:60Z",
					  "1969-12-31T23:59Z",
					  "2026-01-01T00:00",
					  "2026-01-01T00:00Zx",
					  "2026-01-01T00:00:00Z",
					  "2026-01-01 00:00Z",
					  "2026-01-01t00:00z",
					  "2026-1-01T00:00Z",
					  "+026-01-01T00:00Z"};
	static const char *const good[] = {"1970-01-01T00:00Z", "2024-02-29T23:59Z", "2000-02-29T00:00Z", "9999-12-31T23:59Z"};
	int64_t wall_ms = 5;
	char text[18];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(clock_parse_minute(bad[i], &wall_ms), ERR_INVALID);
		assert_int_equal(wall_ms, 5);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(clock_parse_minute(good[i], &wall_ms), 0);
		clock_format_minute(wall_ms, text);
		assert_string_equal(text, good[i]);
	}
}

static void test_parse_second(void **state)
{
	static const char *const bad[] = {"", "2026-02-29T00:00:00Z", "2026-01-01T00:00:60Z", "1969-12-31T23:59:59Z",
					  "2026-01-01T00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00Zx",
					  "2026-01-01T00:00:0Z", "2026-01-01T00:00: 0Z"};
	static const char *const good[] = {"1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "9999-12-31T23:59:59Z"};
	int64_t wall_ms = 5;
	char text[21];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(clock_parse(bad[i], &wall_ms), ERR_INVALID);
		assert_int_equal(wall_ms, 5);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(clock_parse(good[i], &wall_ms), 0);
		clock_format(wall_ms, text);
		assert_string_equal(text, good[i]);
	}
}

static void test_real_clocks_go_forward(void **state)
{
	int64_t running = clock_running_ms(), measure = clock_measure_us();

	(void)state;
	assert_true(clock_wall_ms() > INT64_C(1600000000000));
	while (clock_measure_us() < measure + 2000)
		;
	assert_true(clock_running_ms() > running);
}

/* The last one: a process that follows a script never leaves it. */
static void test_script(void **state)
{
	int fd = memfd_create("clock", MFD_CLOEXEC);
	struct clock_script *script;
	int64_t before;

	(void)state;
	assert_int_equal(clock_follow(-1), ERR_IO);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*script)), 0);
	script = mmap(NULL, sizeof(*script), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(script, MAP_FAILED);
	assert_int_equal(clock_follow(fd), 0);
	close(fd);
	script->wall_ms = 100;
	script->running_ms = 7;
	assert_int_equal(clock_wall_ms(), 100);
	assert_int_equal(clock_running_ms(), 7);
	script->wall_ms = 50; /* set back */
	assert_int_equal(clock_wall_ms(), 50);
	before = clock_measure_us();
	assert_true(before > 0); /* never scripted */
	munmap(script, sizeof(*script));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_parse_minute),
		cmocka_unit_test(test_parse_second),
		cmocka_unit_test(test_real_clocks_go_forward),
		cmocka_unit_test(test_script),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
