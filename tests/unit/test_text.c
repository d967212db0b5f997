/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Escaping byte by byte, units at their borders, spans and times. */
#include "client/text.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

static void assert_text(char *taken, const char *expected)
{
	scope_free char *text = taken;

	assert_string_equal(text, expected);
}

static void escapes(void **state)
{
	static const char *const rows[][2] = {
		{"", ""},
		{"plain ~", "plain ~"},
		{"\x1b[2J", "\\x1b[2J"},
		{"a\nb\tc\r\x7f", "a\\x0ab\\x09c\\x0d\\x7f"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"\xc2\x9b", "\\xc2\\x9b"},                 /* CSI as one character */
		{"\xe2\x80\xae", "\\xe2\\x80\\xae"},         /* right to left */
		{"\xc0\x80", "\\xc0\\x80"},                 /* longer than it need be */
		{"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},         /* a surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond the last */
		{"\xe2\x82", "\\xe2\\x82"},                 /* cut off */
		{"\xc3(", "\\xc3("},
		{"\xff", "\\xff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_text(text_escape(rows[i][0]), rows[i][1]);
}

static void no_byte_passes_that_moves_a_terminal(void **state)
{
	(void)state;
	for (int first = 1; first < 256; first++) {
		for (int second = 0; second < 256; second++) {
			char raw[] = {(char)first, (char)second, '\0'};
			scope_free char *text = text_escape(raw);

			for (const char *p = text; *p; p++)
				assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
		}
	}
}

static void sizes(void **state)
{
	static const struct {
		int64_t bytes;
		const char *text;
	} rows[] = {
		{-1, ""},
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{1048524, "1023.9 KiB"},
		{1048576 - 1, "1.0 MiB"},
		{INT64_C(1) << 30, "1.0 GiB"},
		{INT64_MAX, "8.0 EiB"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_text(text_size(rows[i].bytes), rows[i].text);
	assert_text(text_free_of(1024, 4096), "1.0 KiB of 4.0 KiB (25%)");
	assert_text(text_free_of(-1, 4096), "");
	assert_text(text_free_of(0, 0), "");
}

static void spans(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} rows[] = {
		{-5, "0 s"},	      {0, "0 s"},	       {119, "119 s"},	 {120, "2 min"},
		{7199, "119 min"},    {7200, "2 h"},	       {172799, "47 h"}, {172800, "2 d"},
		{86400 * 400, "400 d"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_text(text_span(rows[i].seconds), rows[i].text);
}

static void milliseconds(void **state)
{
	static const char *const rows[][2] = {
		{"", ""},	      {"0.000", "0 ms"},     {"0", "0 ms"},	   {"0.040", "< 0.1 ms"},
		{"3.071", "3.1 ms"},  {"9.949", "9.9 ms"},   {"9.950", "10 ms"},   {"120.500", "120 ms"},
		{"5s", "5s"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_text(text_milliseconds(rows[i][0]), rows[i][1]);
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* negative: none */
	} rows[] = {
		{"0", 0},	   {"7", 7000},	     {"500ms", 500}, {"30s", 30000}, {"5m", 300000},
		{"1h", 3600000},   {"2d", 172800000}, {"", -1},	     {"s", -1},	     {"-1", -1},
		{"1 s", -1},	   {"1sec", -1},     {"1.5s", -1},   {"+1", -1},     {"1234567890", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = 42;

		assert_int_equal(text_parse_span(rows[i].text, &ms), rows[i].ms < 0 ? ERR_INVALID : 0);
		assert_int_equal(ms, rows[i].ms < 0 ? 42 : rows[i].ms);
	}
}

static void times(void **state)
{
	char then[21];

	(void)state;
	assert_text(text_age(""), "");
	assert_text(text_age("2026-01-02T03:04Z"), "");
	assert_text(text_age("2026-01-02T03:04:05Zx"), "");
	clock_format(clock_wall_ms() - 3 * 3600 * CLOCK_MS_PER_S - 1000, then);
	assert_text(text_age(then), "3 h");
}

static void shell_words(void **state)
{
	(void)state;
	assert_text(text_shell("/srv/pg-1/a_b.c"), "/srv/pg-1/a_b.c");
	assert_text(text_shell(""), "''");
	assert_text(text_shell("/a b"), "'/a b'");
	assert_text(text_shell("/a'$(x)"), "'/a'\\''$(x)'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),   cmocka_unit_test(no_byte_passes_that_moves_a_terminal),
		cmocka_unit_test(sizes),     cmocka_unit_test(spans),
		cmocka_unit_test(durations), cmocka_unit_test(times),
		cmocka_unit_test(milliseconds), cmocka_unit_test(shell_words),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
