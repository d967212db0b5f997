/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every code has a name and a sentence of its own; errno's boundary gives negative codes only. */
#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <string.h>

static void test_every_code_is_its_own(void **state)
{
	(void)state;
	for (int code = 0; code >= ERR_LAST; code--) {
		assert_memory_equal(err_name(code), "ERR_", 4);
		assert_true(strlen(err_text(code)) > 0);
		for (int other = 0; other > code; other--) {
			assert_string_not_equal(err_name(code), err_name(other));
			assert_string_not_equal(err_text(code), err_text(other));
		}
	}
	assert_string_equal(err_name(ERR_FULL), "ERR_FULL");
	assert_string_equal(err_name(ERR_MISMATCH), "ERR_MISMATCH");
	assert_string_equal(err_name(1), "ERR_OTHER");
	assert_string_equal(err_name(ERR_LAST - 1), "ERR_OTHER");
	assert_string_equal(err_text(-100000), "unknown error");
}

static void test_errno(void **state)
{
	(void)state;
	for (int number = 0; number < 200; number++)
		assert_in_range(-err_from_errno(number), 1, -ERR_LAST);
	assert_int_equal(err_from_errno(ENOENT), ERR_NOT_FOUND);
	assert_int_equal(err_from_errno(EEXIST), ERR_EXISTS);
	assert_int_equal(err_from_errno(EPERM), ERR_DENIED);
	assert_int_equal(err_from_errno(ENOSPC), ERR_FULL);
	assert_int_equal(err_from_errno(EDQUOT), ERR_FULL);
	assert_int_equal(err_from_errno(ENOTTY), ERR_UNSUPPORTED);
	assert_int_equal(err_from_errno(EIO), ERR_IO);
	assert_int_equal(err_from_errno(0), ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_is_its_own),
		cmocka_unit_test(test_errno),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
