/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory of nonces on a scripted clock: what is forgotten, who may have how much, where the floor lies. */
#include "daemon/front/nonces.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

#define MINUTE INT64_C(60000)

enum { CAPACITY = 64 };

static const int64_t windows_ms[NONCES_WINDOWS] = {31 * MINUTE, 15 * MINUTE};

static struct nonces_item item_of(unsigned number, int64_t stamp_s, unsigned window, unsigned owner)
{
	struct nonces_item item = {.stamp_s = stamp_s, .window = window, .owner = owner};

	memcpy(item.hash, &number, sizeof(number));
	return item;
}

/* As a request does: looked at, and taken if it may be. */
static int ask(struct nonces *nonces, unsigned number, int64_t stamp_s, unsigned window, unsigned owner, int64_t wall_ms,
	       int64_t running_ms)
{
	const struct nonces_item item = item_of(number, stamp_s, window, owner);
	const struct nonces_now now = {wall_ms, running_ms};
	int r = nonces_look(nonces, &item, &now);

	if (r == 0)
		nonces_take(nonces, &item, &now);
	return r;
}

static int set_up(void **state)
{
	*state = nonces_new(CAPACITY, windows_ms);
	assert_non_null(*state);
	return 0;
}

static int tear_down(void **state)
{
	*state = nonces_free(*state);
	return 0;
}

static void test_once(void **state)
{
	struct nonces *nonces = *state;

	assert_int_equal(ask(nonces, 1, 1000, 0, 1, 1000000, 0), 0);
	assert_int_equal(ask(nonces, 1, 1000, 0, 1, 1000000, 0), ERR_EXISTS);
	assert_int_equal(ask(nonces, 1, 1001, 1, 2, 1000000, 0), ERR_EXISTS);
	assert_int_equal(ask(nonces, 2, 1000, 0, 1, 1000000, 0), 0);
	assert_int_equal(nonces_count(nonces, 1), 2);
}

/* The last moment at which it is remembered, and the first at which it is not. */
static void check_end(unsigned window, int64_t wall_ms, int64_t running_ms, bool over)
{
	struct nonces *nonces = nonces_new(CAPACITY, windows_ms);
	const struct nonces_now now = {wall_ms, running_ms};

	assert_int_equal(ask(nonces, 1, 100000, window, 1, 100000000, 0), 0);
	nonces_sweep(nonces, &now);
	assert_int_equal(nonces_count(nonces, 1), over ? 0 : 1);
	assert_int_equal(nonces_floor_s(nonces, window), over ? 100000 : 0);
	assert_int_equal(nonces_floor_s(nonces, !window), 0);
	nonces_free(nonces);
}

static void test_forgotten_by_both_clocks(void **state)
{
	const int64_t start = 100000000;

	(void)state;
	for (unsigned window = 0; window < NONCES_WINDOWS; window++) {
		int64_t length = windows_ms[window];

		check_end(window, start + length, length, false);
		check_end(window, start + length + 1, length + 1, true);
		check_end(window, start + length + 1, length, false);  /* the wall clock jumped ahead */
		check_end(window, start + 100 * length, length, false);
		check_end(window, start + length, 100 * length, false); /* it was set back */
		check_end(window, start - length, 100 * length, false);
	}
}

/* One that is stamped ahead of the clock lives on until its own window is over. */
static void test_stamped_ahead(void **state)
{
	struct nonces *nonces = *state;
	const struct nonces_now before = {100000000 + 30 * MINUTE, 30 * MINUTE}, after = {before.wall_ms + 1, before.running_ms + 1};

	assert_int_equal(ask(nonces, 1, 100000 + 15 * 60, 1, 1, 100000000, 0), 0);
	nonces_sweep(nonces, &before);
	assert_int_equal(nonces_count(nonces, 1), 1);
	nonces_sweep(nonces, &after);
	assert_int_equal(nonces_count(nonces, 1), 0);
	assert_int_equal(nonces_floor_s(nonces, 1), 100000 + 15 * 60);
}

static void test_floor_never_falls(void **state)
{
	struct nonces *nonces = *state;

	nonces_raise_floor(nonces, 50);
	nonces_raise_floor(nonces, 40);
	assert_int_equal(nonces_floor_s(nonces, 0), 50);
	assert_int_equal(nonces_floor_s(nonces, 1), 50);
}

/* Half of the room is everybody's, the other half is shared out: 16 for each of two. */
static void test_shares(void **state)
{
	struct nonces *nonces = *state;
	unsigned number = 0;

	nonces_set_owners(nonces, 2);
	while (ask(nonces, number, 1000, 0, 1, 1000000, 0) == 0)
		number++;
	assert_int_equal(number, CAPACITY / 2 + CAPACITY / 4);
	assert_int_equal(ask(nonces, 1000, 1000, 0, 1, 1000000, 0), ERR_FULL);
	for (unsigned i = 0; i < CAPACITY / 4; i++)
		assert_int_equal(ask(nonces, 2000 + i, 1000, 0, 2, 1000000, 0), 0);
	assert_int_equal(ask(nonces, 3000, 1000, 0, 2, 1000000, 0), ERR_FULL);
	/* What is known is known, in a full table too. */
	assert_int_equal(ask(nonces, 2000, 1000, 0, 2, 1000000, 0), ERR_EXISTS);
}

static void test_one_owner_may_have_all(void **state)
{
	struct nonces *nonces = *state;

	for (unsigned i = 0; i < CAPACITY; i++)
		assert_int_equal(ask(nonces, i, 1000, 0, 1, 1000000, 0), 0);
	assert_int_equal(ask(nonces, 1000, 1000, 0, 1, 1000000, 0), ERR_FULL);
}

/* A full table has room again when its nonces are over, and is looked through once a second at most. */
static void test_room_again(void **state)
{
	struct nonces *nonces = *state;
	const int64_t later = 1000000 + windows_ms[0] + 1;

	for (unsigned i = 0; i < CAPACITY; i++)
		assert_int_equal(ask(nonces, i, 1000, 0, 1, 1000000, 0), 0);
	assert_int_equal(ask(nonces, 1000, 1000, 0, 1, 1000000, windows_ms[0] - 999), ERR_FULL);
	assert_int_equal(ask(nonces, 1000, 1000, 0, 1, later, windows_ms[0] + 1), 0);
	assert_true(nonces_count(nonces, 1) < CAPACITY);
	assert_int_equal(ask(nonces, 1001, 3000, 0, 1, later, windows_ms[0] + 1002), 0);
	assert_int_equal(nonces_floor_s(nonces, 0), 1000);
}

/* Taken by an earlier front: never refused, and the floor stands in where there is no room. */
static void test_nobodys(void **state)
{
	struct nonces *nonces = *state;
	const struct nonces_now now = {1000000, 0};

	for (unsigned i = 0; i < CAPACITY + 5; i++) {
		const struct nonces_item item = item_of(i, 1000 + i, 1, NONCES_NOBODY);

		nonces_take(nonces, &item, &now);
		nonces_take(nonces, &item, &now);
	}
	assert_int_equal(nonces_count(nonces, NONCES_NOBODY), CAPACITY);
	assert_int_equal(nonces_floor_s(nonces, 1), 1000 + CAPACITY + 4);
	assert_int_equal(ask(nonces, 7, 1007, 1, 1, 1000000, 0), ERR_EXISTS);
}

/* Against a plain list: thousands of steps of both clocks, in one chain after another. */
static void test_random_against_a_list(void **state)
{
	struct nonces *nonces = *state;
	struct { unsigned number; int64_t end_wall, end_running; } known[CAPACITY];
	size_t count = 0;
	int64_t wall = 100000000, running = 0;
	unsigned seed = 7;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned number = (seed = seed * 1103515245 + 12345) >> 16 & 127;
		bool found = false;
		int r;

		wall += seed >> 8 & 0x1ffff;
		running += seed >> 8 & 0x1ffff;
		nonces_sweep(nonces, &(struct nonces_now){wall, running});
		for (size_t i = 0; i < count;) {
			if (wall > known[i].end_wall && running > known[i].end_running)
				known[i] = known[--count];
			else
				found = known[i++].number == number || found;
		}
		assert_int_equal(nonces_count(nonces, 1), count);
		r = ask(nonces, number, wall / 1000, 1, 1, wall, running);
		assert_int_equal(r, found ? ERR_EXISTS : count == CAPACITY ? ERR_FULL : 0);
		if (r == 0) {
			known[count].number = number;
			known[count].end_wall = wall / 1000 * 1000 + windows_ms[1];
			known[count].end_running = running + known[count].end_wall - wall;
			count++;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once, set_up, tear_down),
		cmocka_unit_test(test_forgotten_by_both_clocks),
		cmocka_unit_test_setup_teardown(test_stamped_ahead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_floor_never_falls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shares, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_owner_may_have_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_room_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobodys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random_against_a_list, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("nonces", tests, NULL, NULL);
}
