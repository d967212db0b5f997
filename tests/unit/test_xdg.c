/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/xdg.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int set_up(void **state)
{
	(void)state;
	setenv("HOME", "/home/of/mine", 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static const char *config(void)
{
	static char path[256];

	assert_int_equal(xdg_path(XDG_CONFIG("x.yaml"), path, sizeof(path)), 0);
	return path;
}

static void test_the_variable_is_first(void **state)
{
	(void)state;
	setenv("XDG_CONFIG_HOME", "/c", 1);
	assert_string_equal(config(), "/c/dbsnap/x.yaml");
}

static void test_what_is_not_absolute_is_not_there(void **state)
{
	static const char *const ignored[] = {"", "c", "./c", "~/c"};

	(void)state;
	assert_string_equal(config(), "/home/of/mine/.config/dbsnap/x.yaml");
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		setenv("XDG_CONFIG_HOME", ignored[i], 1);
		assert_string_equal(config(), "/home/of/mine/.config/dbsnap/x.yaml");
	}
}

static void test_a_home_that_is_not_named(void **state)
{
	const struct passwd *entry = getpwuid(geteuid());
	char expected[256];

	(void)state;
	if (!entry)
		skip();
	snprintf(expected, sizeof(expected), "%s/.config/dbsnap/x.yaml", entry->pw_dir);
	unsetenv("HOME");
	assert_string_equal(config(), expected);
	setenv("HOME", "mine", 1);
	assert_string_equal(config(), expected);
}

static void test_the_runtime_folder_is_by_number(void **state)
{
	char path[256], expected[256];

	(void)state;
	snprintf(expected, sizeof(expected), "/run/user/%lu/dbsnap/dbsnapd.sock", (unsigned long)geteuid());
	assert_int_equal(xdg_path(XDG_SOCKET, path, sizeof(path)), 0);
	assert_string_equal(path, expected);
	setenv("XDG_RUNTIME_DIR", "/r", 1);
	assert_int_equal(xdg_path(XDG_SOCKET, path, sizeof(path)), 0);
	assert_string_equal(path, "/r/dbsnap/dbsnapd.sock");
}

static void test_a_path_that_does_not_fit(void **state)
{
	char path[32];

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/r1234567", 1);
	assert_int_equal(strlen("/r1234567/dbsnap/dbsnapd.sock"), 29);
	assert_int_equal(xdg_path(XDG_SOCKET, path, 30), 0);
	assert_int_equal(xdg_path(XDG_SOCKET, path, 29), ERR_TOO_LONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_variable_is_first, set_up),
		cmocka_unit_test_setup(test_what_is_not_absolute_is_not_there, set_up),
		cmocka_unit_test_setup(test_a_home_that_is_not_named, set_up),
		cmocka_unit_test_setup(test_the_runtime_folder_is_by_number, set_up),
		cmocka_unit_test_setup(test_a_path_that_does_not_fit, set_up),
	};

	return cmocka_run_group_tests_name("xdg", tests, NULL, NULL);
}
