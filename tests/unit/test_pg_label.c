/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/pg_label.h"

#include "common/err.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHERE "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
#define CHECKPOINT "CHECKPOINT LOCATION: 0/2000060\n"
#define METHOD "BACKUP METHOD: streamed\n"
#define FROM "BACKUP FROM: primary\n"
#define WHEN "START TIME: 2026-01-31 12:00:00 UTC\n"
#define NAME "LABEL: dbsnap 7\n"
#define TIMELINE "START TIMELINE: 1\n"

static const char golden[] = WHERE CHECKPOINT METHOD FROM WHEN NAME TIMELINE;

static int parse(const char *text, struct pg_label *label)
{
	size_t size = strlen(text);
	/* In memory of just that size, so that a sanitizer sees a byte read beyond. */
	char *bytes = malloc(size ? size : 1);
	int error;

	assert_non_null(bytes);
	memcpy(bytes, text, size);
	error = pg_label_parse(bytes, size, label);
	free(bytes);
	return error;
}

static void test_label(void **state)
{
	struct pg_label label;

	(void)state;
	assert_int_equal(parse(golden, &label), 0);
	assert_int_equal(label.start, 0x2000028);
	assert_string_equal(label.segment, "000000010000000000000002");
	assert_int_equal(label.checkpoint, 0x2000060);
	assert_int_equal(label.timeline, 1);
	assert_true(label.from_primary);
	assert_string_equal(label.name, "dbsnap 7");
	assert_int_equal(parse(WHERE CHECKPOINT METHOD "BACKUP FROM: master\n" WHEN NAME TIMELINE, &label), 0);
	assert_true(label.from_primary);
	assert_int_equal(parse(WHERE CHECKPOINT METHOD "BACKUP FROM: standby\n" WHEN NAME
			       "START TIMELINE: 4294967295\n", &label), 0);
	assert_false(label.from_primary);
	assert_int_equal(label.timeline, UINT32_MAX);
}

static void test_label_is_strict(void **state)
{
	static const char *const bad[] = {
		"", "\n", WHERE, CHECKPOINT METHOD FROM WHEN NAME TIMELINE,
		WHERE CHECKPOINT FROM METHOD WHEN NAME TIMELINE,
		WHERE CHECKPOINT METHOD FROM WHEN NAME TIMELINE "\n",
		WHERE CHECKPOINT METHOD FROM WHEN NAME TIMELINE "INCREMENTAL FROM LSN: 0/1\n",
		WHERE CHECKPOINT METHOD FROM WHEN NAME TIMELINE "STOP TIME: x\n",
		WHERE CHECKPOINT "BACKUP METHOD: pg_start_backup\n" FROM WHEN NAME TIMELINE,
		WHERE CHECKPOINT METHOD "BACKUP FROM: primary \n" WHEN NAME TIMELINE,
		WHERE CHECKPOINT METHOD "BACKUP FROM: other\n" WHEN NAME TIMELINE,
		WHERE CHECKPOINT METHOD FROM WHEN "LABEL: \n" TIMELINE,
		WHERE CHECKPOINT METHOD FROM WHEN "LABEL: a\tb\n" TIMELINE,
		WHERE CHECKPOINT METHOD FROM WHEN NAME "START TIMELINE: 0\n",
		WHERE CHECKPOINT METHOD FROM WHEN NAME "START TIMELINE: 01\n",
		WHERE CHECKPOINT METHOD FROM WHEN NAME "START TIMELINE: -1\n",
		WHERE CHECKPOINT METHOD FROM WHEN NAME "START TIMELINE: 4294967296\n",
		WHERE CHECKPOINT METHOD FROM WHEN NAME "START TIMELINE: 99999999999\n",
		"START WAL LOCATION: 2000028 (file 000000010000000000000002)\n" CHECKPOINT METHOD FROM WHEN NAME TIMELINE,
		"START WAL LOCATION: 0/2000028 (file 0000000100000000000000022)\n" CHECKPOINT METHOD FROM WHEN NAME
		TIMELINE,
		"START WAL LOCATION: 0/2000028(file 000000010000000000000002)\n" CHECKPOINT METHOD FROM WHEN NAME TIMELINE,
	};
	struct pg_label label, untouched;

	(void)state;
	memset(&label, 0x5a, sizeof(label));
	untouched = label;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], &label), ERR_CORRUPT);
	assert_int_equal(pg_label_parse(golden, sizeof(golden), &label), ERR_CORRUPT);
	assert_memory_equal(&label, &untouched, sizeof(label));
}

/* Every cut, and at every byte a NUL, a newline and a blank: nothing of it passes but a changed time or name. */
static void test_label_bent_anywhere(void **state)
{
	static const char strange[] = {'\0', '\n', ' ', '\x7f', '(', '/'};
	size_t length = strlen(golden);
	size_t time = (size_t)(strstr(golden, "2026") - golden), time_end = (size_t)(strstr(golden, " UTC") - golden) + 4;
	size_t name = (size_t)(strstr(golden, "dbsnap 7") - golden);
	struct pg_label label;
	char text[sizeof(golden)];

	(void)state;
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(pg_label_parse(golden, cut, &label), ERR_CORRUPT);
	for (size_t i = 0; i < length * sizeof(strange); i++) {
		size_t at = i / sizeof(strange);
		char c = strange[i % sizeof(strange)];
		bool free_text = (at >= time && at < time_end) || (at >= name && at < name + 8);
		bool plain = c == ' ' || c == '(' || c == '/';

		memcpy(text, golden, sizeof(text));
		if (text[at] == c)
			continue;
		text[at] = c;
		assert_int_equal(pg_label_parse(text, length, &label) == 0, plain && free_text);
	}
}

static void test_map(void **state)
{
	static const char text[] = "16385 /srv/fast\n16386 /srv/two words\n4294967295 /\n";
	struct pg_map_entry entry;
	size_t at = 0;

	(void)state;
	assert_int_equal(pg_map_next(text, strlen(text), &at, &entry), 1);
	assert_int_equal(entry.oid, 16385);
	assert_string_equal(entry.path, "/srv/fast");
	assert_int_equal(pg_map_next(text, strlen(text), &at, &entry), 1);
	assert_string_equal(entry.path, "/srv/two words");
	assert_int_equal(pg_map_next(text, strlen(text), &at, &entry), 1);
	assert_int_equal(entry.oid, UINT32_MAX);
	assert_int_equal(pg_map_next(text, strlen(text), &at, &entry), 0);
	assert_int_equal(pg_map_next("", 0, &(size_t){0}, &entry), 0);
}

static void test_map_is_strict(void **state)
{
	static const char *const bad[] = {"\n", "1", "1 /a", "1 \n", "1 a\n", " 1 /a\n", "0 /a\n", "01 /a\n", "x /a\n",
					  "4294967296 /a\n", "1 /a\\b\n", "1 /a\rb\n", "1\t/a\n", "-1 /a\n", "1 /a\x7f\n"};
	struct pg_map_entry entry;
	char longest[PG_MAP_PATH_SIZE + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t at = 0;

		assert_int_equal(pg_map_next(bad[i], strlen(bad[i]), &at, &entry), ERR_CORRUPT);
		assert_int_equal(at, 0);
	}
	assert_int_equal(pg_map_next("1 /a\0b\n", 7, &(size_t){0}, &entry), ERR_CORRUPT);
	memset(longest, '/', sizeof(longest));
	memcpy(longest, "1 ", 2);
	longest[2 + PG_MAP_PATH_SIZE - 1] = '\n';
	assert_int_equal(pg_map_next(longest, 2 + PG_MAP_PATH_SIZE, &(size_t){0}, &entry), 1);
	longest[2 + PG_MAP_PATH_SIZE - 1] = '/';
	longest[2 + PG_MAP_PATH_SIZE] = '\n';
	assert_int_equal(pg_map_next(longest, 3 + PG_MAP_PATH_SIZE, &(size_t){0}, &entry), ERR_CORRUPT);
}

/* The header of the segment 000000010000000000000002 of PostgreSQL 15, as a little-endian host has it. */
static const uint8_t page_golden[PG_WAL_HEADER] = {
	0x10, 0xd1, 0x06, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x1a, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x2b, 0xdc, 0x0a, 0x38, 0xb5, 0xbb, 0x05, 0x6b, 0x00, 0x00, 0x00, 0x01, 0x00, 0x20, 0x00, 0x00,
};

static void test_page(void **state)
{
	struct pg_wal_page page;
	uint8_t bytes[PG_WAL_HEADER];

	(void)state;
	assert_int_equal(pg_wal_page_parse(page_golden, sizeof(page_golden), 15, &page), 0);
	assert_true(page.first);
	assert_int_equal(page.timeline, 1);
	assert_int_equal(page.address, 0x2000000);
	assert_true(page.system_identifier == UINT64_C(7711776323945552939));
	assert_int_equal(page.segment_size, 16 << 20);
	memcpy(bytes, page_golden, sizeof(bytes));
	bytes[2] = 5;
	bytes[36] = 0;
	assert_int_equal(pg_wal_page_parse(bytes, sizeof(bytes), 15, &page), 0);
	assert_false(page.first);
	assert_int_equal(page.segment_size, 0);
}

static void refuse_page(size_t at, uint8_t value)
{
	struct pg_wal_page page;
	uint8_t bytes[PG_WAL_HEADER];

	memcpy(bytes, page_golden, sizeof(bytes));
	bytes[at] = value;
	assert_int_equal(pg_wal_page_parse(bytes, sizeof(bytes), 15, &page), ERR_CORRUPT);
}

static void test_page_is_strict(void **state)
{
	static const uint16_t magics[] = {0xD106, 0xD10D, 0xD110, 0xD113, 0xD116};
	struct pg_wal_page page;
	uint8_t bytes[PG_WAL_HEADER];

	(void)state;
	refuse_page(0, 0x11);
	refuse_page(1, 0xd0);
	refuse_page(2, 0x16);
	refuse_page(3, 0x01);
	refuse_page(4, 0x00);
	refuse_page(8, 0x01);
	refuse_page(9, 0x10);
	refuse_page(36, 0x01);
	for (size_t size = 0; size < PG_WAL_HEADER; size++)
		assert_int_equal(pg_wal_page_parse(page_golden, size, 15, &page), ERR_CORRUPT);
	memcpy(bytes, page_golden, sizeof(bytes));
	for (uint32_t major = 0; major < 30; major++) {
		for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
			memcpy(bytes, &magics[i], sizeof(magics[i]));
			assert_int_equal(pg_wal_page_parse(bytes, sizeof(bytes), major, &page),
					 major == 13 + i ? 0 : ERR_CORRUPT);
		}
	}
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(pg_wal_page_parse(bytes, sizeof(bytes), 15, &page), ERR_CORRUPT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_label),
		cmocka_unit_test(test_label_is_strict),
		cmocka_unit_test(test_label_bent_anywhere),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_map_is_strict),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_page_is_strict),
	};

	return cmocka_run_group_tests_name("pg_label", tests, NULL, NULL);
}
