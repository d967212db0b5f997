/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Distances, their symmetry, and what counts as near. */
#include "client/near.h"

#include "tests/unit/cmocka_all.h"

#include <string.h>

static void distances(void **state)
{
	static const struct {
		const char *a, *b;
		size_t distance;
	} rows[] = {
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "ab", 1},
		{"abc", "xabc", 1},
		{"abc", "acb", 1},      /* neighbours swapped */
		{"ab", "ba", 1},
		{"abcd", "badc", 2},
		{"kitten", "sitting", 3},
		{"abc", "xyz", 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(near_distance(rows[i].a, rows[i].b), rows[i].distance);
		assert_int_equal(near_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
}

static void long_names_count_by_their_beginning(void **state)
{
	char a[200], b[200];

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	a[199] = b[199] = '\0';
	assert_int_equal(near_distance(a, b), 63);
	memset(b, 'a', 63);
	assert_int_equal(near_distance(a, b), 0);
}

static void near_names(void **state)
{
	(void)state;
	assert_true(near_is_near("pc-order", "pc-orders"));
	assert_true(near_is_near("orders", "pc-orders"));
	assert_true(near_is_near("pc-sotck", "pc-stock"));
	assert_false(near_is_near("pc-orders", "pc-stock"));
	/* Of a short name every other short one is a few edits away. */
	assert_true(near_is_near("abd", "abc"));
	assert_false(near_is_near("abc", "axy"));
	assert_false(near_is_near("pc", "pc-orders"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances),
		cmocka_unit_test(long_names_count_by_their_beginning),
		cmocka_unit_test(near_names),
	};

	return cmocka_run_group_tests_name("near", tests, NULL, NULL);
}
