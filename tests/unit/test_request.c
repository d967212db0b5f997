/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parameters: every form they come in, and every way they can be wrong. */
#include "daemon/front/request.h"

#include "common/err.h"

#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static int form(struct request *request, const char *text)
{
	char why[REQUEST_WHY_SIZE] = "";
	int r = request_add_form(request, text, strlen(text), why);

	assert_int_equal(why[0] != '\0', r < 0);
	return r;
}

static int json(struct request *request, const char *text)
{
	char why[REQUEST_WHY_SIZE] = "";
	int r = request_add_json(request, text, strlen(text), why);

	assert_int_equal(why[0] != '\0', r < 0);
	return r;
}

static void test_form(void **state)
{
	struct request request = {0};

	(void)state;
	assert_int_equal(form(&request, "Action=CreateBackup&ClientToken=a%20b%2Bc*d~e%2Ff%3Dg%25h&x=a+b&&OwnerId=&flag&e=%C3%a9"), 0);
	assert_string_equal(request_get(&request, "Action"), "CreateBackup");
	assert_string_equal(request_get(&request, "ClientToken"), "a b+c*d~e/f=g%h");
	assert_string_equal(request_get(&request, "x"), "a b");
	assert_string_equal(request_get(&request, "e"), "\xc3\xa9");
	assert_null(request_get(&request, "OwnerId"));
	assert_null(request_get(&request, "flag"));
	assert_null(request_get(&request, "action"));
	assert_int_equal(request.count, 6);
	request_clear(&request);
}

static void test_form_malformed(void **state)
{
	static const char *const bad[] = {"a=%",      "a=%4",	 "a=%4g",	 "a=%zz",    "%=a",	       "=a",
					  "a=%00",    "a%00=b",	 "a=%ff",	 "a=%C3",    "a=%C3%28",       "a=%C0%80",
					  "a=%E0%80%80", "a=%ED%A0%80", "a=%F4%90%80%80", "a=\xff", "a=%F0%80%80%80", "a=%80"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct request request = {0};

		if (form(&request, bad[i]) != ERR_INVALID)
			fail_msg("taken: %s", bad[i]);
		request_clear(&request);
	}
}

static void test_raw_nul(void **state)
{
	char why[REQUEST_WHY_SIZE];
	struct request request = {0};

	(void)state;
	assert_int_equal(request_add_form(&request, "a=b\0c", 5, why), ERR_INVALID);
	request_clear(&request);
	assert_int_equal(request_add_json(&request, "{\"a\":\"b\\u0000c\"}", 16, why), ERR_INVALID);
	assert_int_equal(request_add_json(&request, "{\"a\":\"\xff\"}", 9, why), ERR_INVALID);
	request_clear(&request);
}

static void test_utf8_edges(void **state)
{
	struct request request = {0};

	(void)state;
	assert_int_equal(form(&request, "a=%7F&b=%C2%80&c=%E0%A0%80&d=%ED%9F%BF&e=%EE%80%80&f=%F0%90%80%80&g=%F4%8F%BF%BF"), 0);
	request_clear(&request);
}

static void test_twice(void **state)
{
	struct request request = {0};

	(void)state;
	assert_int_equal(form(&request, "a=1"), 0);
	assert_int_equal(form(&request, "a=1"), ERR_EXISTS);
	assert_int_equal(json(&request, "{\"a\":\"1\"}"), ERR_EXISTS);
	assert_int_equal(form(&request, "b=&b=2"), ERR_EXISTS);
	assert_int_equal(form(&request, "A=1"), 0);
	assert_int_equal(json(&request, "{\"c\":\"1\",\"c\":\"2\"}"), ERR_EXISTS);
	request_clear(&request);
}

static void test_json(void **state)
{
	struct request request = {0};

	(void)state;
	assert_int_equal(json(&request, "{\"s\":\"x y\",\"n\":30,\"t\":true,\"f\":false,\"z\":null,\"e\":\"\"}"), 0);
	assert_string_equal(request_get(&request, "s"), "x y");
	assert_string_equal(request_get(&request, "n"), "30");
	assert_string_equal(request_get(&request, "t"), "true");
	assert_string_equal(request_get(&request, "f"), "false");
	assert_null(request_get(&request, "z"));
	assert_null(request_get(&request, "e"));
	request_clear(&request);
}

static void test_json_malformed(void **state)
{
	static const char *const bad[] = {"", "[]", "3", "\"x\"", "null", "{", "{\"a\":}", "{\"a\":1} x", "{'a':1}", "{\"\":1}",
					  "{\"a\":1,}", "{\"a\":01}", "{\"a\":\"\\ud800\"}"};
	struct request request = {0};
	char deep[4001];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (json(&request, bad[i]) != ERR_INVALID)
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(json(&request, "{\"a\":{}}"), ERR_UNSUPPORTED);
	assert_int_equal(json(&request, "{\"a\":[1]}"), ERR_UNSUPPORTED);
	memset(deep, '[', 4000);
	deep[4000] = '\0';
	assert_int_equal(json(&request, deep), ERR_INVALID);
	request_clear(&request);
}

static void test_bounds(void **state)
{
	struct request request = {0};
	char text[32], name[REQUEST_NAME_MAX + 3];

	(void)state;
	for (int i = 0; i < REQUEST_PARAMS_MAX; i++) {
		snprintf(text, sizeof(text), "p%d=%d", i, i);
		assert_int_equal(form(&request, text), 0);
	}
	assert_int_equal(form(&request, "more=1"), ERR_TOO_LONG);
	assert_string_equal(request_get(&request, "p127"), "127");
	request_clear(&request);
	assert_int_equal(request.count, 0);

	memset(name, 'n', sizeof(name));
	name[REQUEST_NAME_MAX] = '=';
	name[REQUEST_NAME_MAX + 1] = '\0';
	assert_int_equal(form(&request, name), 0);
	name[REQUEST_NAME_MAX] = 'n';
	name[REQUEST_NAME_MAX + 1] = '=';
	name[REQUEST_NAME_MAX + 2] = '\0';
	assert_int_equal(form(&request, name), ERR_TOO_LONG);
	request_clear(&request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),	   cmocka_unit_test(test_form_malformed),
		cmocka_unit_test(test_raw_nul),	   cmocka_unit_test(test_utf8_edges),
		cmocka_unit_test(test_twice),	   cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_malformed), cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
