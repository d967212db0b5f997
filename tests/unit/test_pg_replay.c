/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A WAL is written here record by record, as a server does; then it is damaged. */
#include "daemon/engine/pg_replay.h"

#include "common/err.h"
#include "daemon/engine/pg_records.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

#include <string.h>

enum { SEGMENT = 1 << 20, SEGMENTS = 3, FIRST = 5, TIMELINE = 2 };
enum { XLOG = 0, HEAP = 10, TABLESPACE = 5, SWITCH = 0x40, CREATE = 0, DROP = 0x10 };

/* From segment FIRST on. */
static struct {
	uint8_t bytes[SEGMENTS * SEGMENT];
	uint64_t at, last; /* LSNs */
} wal;

static struct reason why;

static uint8_t *byte(uint64_t lsn)
{
	return &wal.bytes[lsn - (uint64_t)FIRST * SEGMENT];
}

static void put(uint64_t lsn, uint64_t value, size_t size)
{
	memcpy(byte(lsn), &value, size);
}

static void put_header(uint32_t continued)
{
	bool first = wal.at % SEGMENT == 0;

	put(wal.at, 0xD110, 2);
	put(wal.at + 2, (first ? 2U : 0U) | (continued ? 1U : 0U), 2);
	put(wal.at + 4, TIMELINE, 4);
	put(wal.at + 8, wal.at, 8);
	put(wal.at + 16, continued, 4);
	if (first) {
		put(wal.at + 32, SEGMENT, 4);
		put(wal.at + 36, PG_WAL_PAGE, 4);
	}
	wal.at += first ? PG_WAL_HEADER : PG_WAL_HEADER_SHORT;
}

/* A record of that length, its body of 0xEE; its LSN. */
static uint64_t add(uint8_t manager, uint8_t info, uint32_t length)
{
	uint8_t head[PG_RECORD_HEAD] = {0};
	uint64_t begin;

	if (wal.at % PG_WAL_PAGE == 0)
		put_header(0);
	begin = wal.at;
	memcpy(head, &length, 4);
	memcpy(head + 8, &wal.last, 8);
	head[16] = info;
	head[17] = manager;
	for (uint32_t i = 0; i < length; i++) {
		if (wal.at % PG_WAL_PAGE == 0)
			put_header(length - i);
		*byte(wal.at++) = i < sizeof(head) ? head[i] : 0xEE;
	}
	wal.at = (wal.at + 7) / 8 * 8;
	wal.last = begin;
	return begin;
}

static void switch_segment(void)
{
	add(XLOG, SWITCH, 24);
	wal.at = (wal.at + SEGMENT - 1) / SEGMENT * SEGMENT;
}

/* Ends the page so that that many bytes are left on it. */
static void leave(uint32_t bytes)
{
	add(HEAP, 0, (uint32_t)(PG_WAL_PAGE - wal.at % PG_WAL_PAGE - bytes));
	assert_int_equal(PG_WAL_PAGE - wal.at % PG_WAL_PAGE, bytes);
}

static void begin(void)
{
	memset(&wal, 0, sizeof(wal));
	wal.at = (uint64_t)FIRST * SEGMENT;
	wal.last = 4711; /* of the segment before */
	add(HEAP, 0, 100);
}

static void save_segment(const struct folder *folder, uint32_t timeline, uint64_t number)
{
	char name[PG_SEGMENT_NAME_SIZE + 8] = "pg_wal/";
	int fd;

	mkdirat(folder->fd, "pg_wal", 0700);
	pg_control_segment(timeline, number * SEGMENT, SEGMENT, name + 7);
	fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, byte(number * SEGMENT), SEGMENT), SEGMENT);
	close(fd);
}

static void save(const struct folder *folder)
{
	for (uint64_t i = 0; i < SEGMENTS; i++)
		save_segment(folder, TIMELINE, FIRST + i);
}

/* Of the WAL from its first record, to reach. */
static int look(struct folder *folder, uint64_t reach)
{
	struct pg_replay replay = {.major = 15, .segment_size = SEGMENT, .timeline = TIMELINE, .newest = TIMELINE,
				   .start = (uint64_t)FIRST * SEGMENT + PG_WAL_HEADER, .reach = reach};

	save(folder);
	why = (struct reason){0};
	return pg_replay_check(&replay, folder->fd, &why);
}

static void test_ends_where_the_wal_does(void **state)
{
	begin();
	for (uint32_t length = 24; wal.at < (uint64_t)(FIRST + 2) * SEGMENT; length++)
		add(HEAP, 0x20, length);
	add(TABLESPACE, DROP, 40);
	assert_int_equal(look(*state, wal.at), 0);
	assert_int_equal(look(*state, wal.at + 1), ERR_STATE);
	assert_true(why.retry);
}

static void test_tablespace(void **state)
{
	for (uint32_t bytes = 8; bytes <= 48; bytes += 8) {
		begin();
		leave(bytes);
		add(TABLESPACE, CREATE, 60);
		assert_int_equal(look(*state, 0), ERR_LAYOUT);
		assert_true(why.retry);
		assert_non_null(strstr(why.remedy, "CHECKPOINT"));
	}
}

static void test_begins_amid_a_page(void **state)
{
	struct pg_replay replay = {.major = 15, .segment_size = SEGMENT, .timeline = TIMELINE, .newest = TIMELINE};
	struct folder *folder = *state;

	begin();
	add(TABLESPACE, CREATE, 60);
	replay.start = add(HEAP, 0, 9000);
	replay.reach = wal.at;
	save(folder);
	assert_int_equal(pg_replay_check(&replay, folder->fd, &why), 0);
	/* A checkpoint that begins a page may be named by the page itself. */
	replay.start = wal.at / PG_WAL_PAGE * PG_WAL_PAGE;
	assert_int_equal(pg_replay_check(&replay, folder->fd, &why), ERR_STATE);
	replay.start = (uint64_t)FIRST * SEGMENT;
	assert_int_equal(pg_replay_check(&replay, folder->fd, &why), ERR_LAYOUT);
}

static void test_record_over_pages_and_segments(void **state)
{
	begin();
	add(HEAP, 0, SEGMENT + 5 * PG_WAL_PAGE);
	add(TABLESPACE, CREATE, 60);
	assert_int_equal(look(*state, 0), ERR_LAYOUT);
}

static void test_switch(void **state)
{
	uint64_t old;

	begin();
	switch_segment();
	old = wal.at - PG_WAL_PAGE;
	memset(byte(old), 0xEE, PG_WAL_PAGE);
	assert_int_equal(look(*state, wal.at), 0);
	add(TABLESPACE, CREATE, 60);
	assert_int_equal(look(*state, 0), ERR_LAYOUT);
}

/* What was in a segment before it was used again is not replayed. */
static void test_what_lies_behind_the_end(void **state)
{
	uint64_t end;

	begin();
	end = wal.at;
	wal.last = 1;
	add(TABLESPACE, CREATE, 60);
	assert_int_equal(look(*state, end), 0);
	begin();
	leave(48);
	end = wal.at + 48;
	add(HEAP, 0, 3000);
	add(TABLESPACE, CREATE, 60);
	put(end + 8, end - SEGMENT, 8);
	assert_int_equal(look(*state, end), 0);
	put(end + 8, end, 8);
	put(end + 16, 17, 4);
	assert_int_equal(look(*state, end), 0);
	put(end + 16, 3000 - 48, 4);
	assert_int_equal(look(*state, end), ERR_LAYOUT);
}

/* The server crashed amid a record, and went on behind it. */
static void test_overwritten_record(void **state)
{
	uint64_t whole, page;

	begin();
	leave(48);
	whole = wal.last;
	page = wal.at + 48;
	add(HEAP, 0, 3000);
	wal.at = page;
	wal.last = whole;
	memset(byte(page), 0, PG_WAL_PAGE);
	put_header(0);
	put(page + 2, 8, 2);
	add(XLOG, 0xD0, 40);
	add(TABLESPACE, CREATE, 60);
	assert_int_equal(look(*state, 0), ERR_LAYOUT);
	put(page + 2, 0, 2);
	assert_int_equal(look(*state, page), 0);
}

/* The segment in which a timeline began is there twice. */
static void test_newer_timeline(void **state)
{
	struct pg_replay replay = {.major = 15, .segment_size = SEGMENT, .timeline = TIMELINE, .newest = TIMELINE + 2,
				   .start = (uint64_t)FIRST * SEGMENT + PG_WAL_HEADER};
	struct folder *folder = *state;

	begin();
	switch_segment();
	save(folder);
	add(TABLESPACE, CREATE, 60);
	save_segment(folder, TIMELINE + 1, FIRST + 1);
	assert_int_equal(pg_replay_check(&replay, folder->fd, &why), ERR_LAYOUT);
	replay.newest = TIMELINE;
	assert_int_equal(pg_replay_check(&replay, folder->fd, &why), 0);
}

static void test_nothing_there(void **state)
{
	struct folder *folder = *state;
	struct pg_replay replay = {.major = 15, .segment_size = SEGMENT, .timeline = 1, .newest = UINT32_MAX,
				   .start = UINT64_MAX - 7, .reach = 1};

	assert_int_equal(pg_replay_check(&replay, folder->fd, &why), ERR_NOT_FOUND);
	mkdirat(folder->fd, "pg_wal", 0700);
	assert_int_equal(pg_replay_check(&replay, folder->fd, &why), 0);
	replay.start = 1;
	replay.reach = 2;
	assert_int_equal(pg_replay_check(&replay, folder->fd, &why), ERR_STATE);
}

static void test_what_control_says(void **state)
{
	struct pg_control control = {.redo = 100, .checkpoint = 200, .timeline = 3, .min_recovery_timeline = 2,
				     .wal_segment_size = SEGMENT};
	struct pg_replay replay;

	(void)state;
	pg_replay_of(&control, 15, 0, &replay);
	assert_int_equal(replay.start, 100);
	assert_int_equal(replay.reach, 201);
	assert_int_equal(replay.timeline, 3);
	assert_int_equal(replay.newest, 3);
	control.min_recovery_timeline = 4;
	pg_replay_of(&control, 15, 50, &replay);
	assert_int_equal(replay.start, 50);
	assert_int_equal(replay.newest, 4);
}

static void test_settled(void **state)
{
	(void)state;
	assert_true(pg_replay_is_settled(1000000, 1003601));
	assert_false(pg_replay_is_settled(1000000, 1003600));
	assert_false(pg_replay_is_settled(1003600, 1000000));
	assert_false(pg_replay_is_settled(INT64_MAX, INT64_MAX));
	/* What no server says is no proof. */
	assert_false(pg_replay_is_settled(INT64_MIN, INT64_MIN));
	assert_false(pg_replay_is_settled(-1, 0));
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_ends_where_the_wal_does),
		WITH_FOLDER(test_tablespace),
		WITH_FOLDER(test_begins_amid_a_page),
		WITH_FOLDER(test_record_over_pages_and_segments),
		WITH_FOLDER(test_switch),
		WITH_FOLDER(test_what_lies_behind_the_end),
		WITH_FOLDER(test_overwritten_record),
		WITH_FOLDER(test_newer_timeline),
		WITH_FOLDER(test_nothing_there),
		cmocka_unit_test(test_what_control_says),
		cmocka_unit_test(test_settled),
	};

	return cmocka_run_group_tests_name("pg_replay", tests, NULL, NULL);
}
