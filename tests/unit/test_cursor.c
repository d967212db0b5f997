/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fields in bounded bytes: the worked example, every boundary, errors that stick. */
#include "common/cursor.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t example[] = {0x01, 0x00, 0x00, 0x01, 0x02, 0x00, 0x02, 0x70, 0x67};

static void test_worked_example(void **state)
{
	uint8_t bytes[sizeof(example)];
	struct writer w;
	struct reader r;
	char text[3];

	(void)state;
	writer_init(&w, bytes, sizeof(bytes));
	put_u8(&w, 1);
	put_u32(&w, 258);
	put_str(&w, "pg");
	assert_int_equal(writer_end(&w), sizeof(example));
	assert_memory_equal(bytes, example, sizeof(example));
	reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(get_u8(&r), 1);
	assert_int_equal(get_u32(&r), 258);
	get_str(&r, text, sizeof(text));
	assert_string_equal(text, "pg");
	assert_int_equal(reader_end(&r), 0);
}

static void test_extremes_come_back(void **state)
{
	uint8_t bytes[64], raw[2] = {0xfe, 0xff}, back[2];
	struct writer w;
	struct reader r;

	(void)state;
	writer_init(&w, bytes, sizeof(bytes));
	put_u8(&w, UINT8_MAX);
	put_u16(&w, UINT16_MAX);
	put_u32(&w, UINT32_MAX);
	put_u64(&w, UINT64_MAX);
	put_i64(&w, INT64_MIN);
	put_i64(&w, INT64_MAX);
	put_bytes(&w, raw, sizeof(raw));
	put_bytes(&w, NULL, 0);
	put_u8(&w, 1);
	reader_init(&r, bytes, (size_t)writer_end(&w));
	assert_int_equal(get_u8(&r), UINT8_MAX);
	assert_int_equal(get_u16(&r), UINT16_MAX);
	assert_int_equal(get_u32(&r), UINT32_MAX);
	assert_true(get_u64(&r) == UINT64_MAX);
	assert_true(get_i64(&r) == INT64_MIN);
	assert_true(get_i64(&r) == INT64_MAX);
	get_bytes(&r, back, sizeof(back));
	assert_memory_equal(raw, back, sizeof(raw));
	assert_true(get_bool(&r));
	assert_int_equal(reader_end(&r), 0);
}

/* Into one byte less than needed: refused, and nothing is written beyond. */
static void test_writer_keeps_its_bound(void **state)
{
	uint8_t bytes[9];
	struct writer w;

	(void)state;
	memset(bytes, 0xaa, sizeof(bytes));
	writer_init(&w, bytes, 8);
	put_u8(&w, 1);
	put_u64(&w, 2);
	put_u8(&w, 3); /* would fit: but the error sticks */
	assert_int_equal(writer_end(&w), ERR_TOO_LONG);
	assert_int_equal(bytes[1], 0xaa);
	assert_int_equal(bytes[8], 0xaa);
}

static void test_string_lengths(void **state)
{
	char *text = calloc(1, PUT_STR_ARRAY_MAX + 2);
	uint8_t *bytes = malloc(PUT_STR_ARRAY_MAX + 3);
	struct writer w;

	(void)state;
	assert_non_null(text);
	assert_non_null(bytes);
	memset(text, 'x', PUT_STR_ARRAY_MAX);
	writer_init(&w, bytes, PUT_STR_ARRAY_MAX + 3);
	put_str(&w, text);
	assert_int_equal(writer_end(&w), PUT_STR_ARRAY_MAX + 2);
	text[PUT_STR_ARRAY_MAX] = 'x';
	writer_init(&w, bytes, PUT_STR_ARRAY_MAX + 3);
	put_str(&w, text);
	assert_int_equal(writer_end(&w), ERR_TOO_LONG);
	writer_init(&w, bytes, 2);
	put_str(&w, NULL);
	assert_int_equal(writer_end(&w), 2);
	free(text);
	free(bytes);
}

/* The worked example cut at every length, and with a byte too many. */
static void test_reader_wants_exactly_its_length(void **state)
{
	uint8_t longer[sizeof(example) + 1] = {0};

	(void)state;
	memcpy(longer, example, sizeof(example));
	for (size_t size = 0; size <= sizeof(longer); size++) {
		struct reader r;
		char text[8] = "old";

		reader_init(&r, longer, size);
		get_u8(&r);
		get_u32(&r);
		get_str(&r, text, sizeof(text));
		assert_int_equal(reader_end(&r), size == sizeof(example) ? 0 : ERR_INVALID);
		if (size < sizeof(example))
			assert_string_equal(text, "");
	}
}

static void read_str(const char *bytes, size_t size, size_t room, const char *want, int want_end)
{
	struct reader r;
	char text[16];

	reader_init(&r, bytes, size);
	get_str(&r, text, room);
	assert_string_equal(text, want);
	assert_int_equal(reader_end(&r), want_end);
	assert_int_equal(reader_state(&r), want_end);
}

static void test_bad_strings(void **state)
{
	(void)state;
	read_str("\0\003abc", 5, 4, "abc", 0);
	read_str("\0\003abc", 5, 3, "", ERR_INVALID);
	read_str("\0\003a\0c", 5, 16, "", ERR_INVALID);
	read_str("\377\377abc", 5, 16, "", ERR_INVALID);
	read_str("\0\0", 2, 1, "", 0);
	read_str("\0", 1, 16, "", ERR_INVALID);
}

static void test_enums_and_sticking(void **state)
{
	static const uint8_t bytes[] = {3, 4, 9};
	uint8_t raw[2] = {7, 7};
	struct reader r;

	(void)state;
	reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(get_enum(&r, 3), 3);
	assert_int_equal(reader_state(&r), 0);
	assert_int_equal(get_enum(&r, 3), 0);
	assert_int_equal(reader_state(&r), ERR_INVALID);
	assert_int_equal(get_u8(&r), 0); /* there is a 9: but the error sticks */
	get_bytes(&r, raw, sizeof(raw));
	assert_int_equal(raw[0] | raw[1], 0);
	reader_init(&r, "\002", 1);
	assert_false(get_bool(&r));
	assert_int_equal(reader_end(&r), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worked_example),
		cmocka_unit_test(test_extremes_come_back),
		cmocka_unit_test(test_writer_keeps_its_bound),
		cmocka_unit_test(test_string_lengths),
		cmocka_unit_test(test_reader_wants_exactly_its_length),
		cmocka_unit_test(test_bad_strings),
		cmocka_unit_test(test_enums_and_sticking),
	};

	return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
