/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ids and names at every boundary; nonces and UUIDs there and back. */
#include "common/ident.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

/* length times 'a'. Static: one at a time. */
static const char *repeat(size_t length)
{
	static char text[256];

	memset(text, 'a', length);
	text[length] = '\0';
	return text;
}

static void test_cluster(void **state)
{
	static const char *const bad[] = {"", "a", "-a", "A1", "aB", "a_b", "a.b", "a/b", "../etc", "a b", "a\n", "\303\244b"};

	(void)state;
	assert_true(ident_is_cluster("a1"));
	assert_true(ident_is_cluster("0-"));
	assert_true(ident_is_cluster("pc-orders"));
	assert_true(ident_is_cluster(repeat(63)));
	assert_false(ident_is_cluster(repeat(64)));
	assert_false(ident_is_cluster(repeat(200)));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ident_is_cluster(bad[i]));
}

static void test_clone(void **state)
{
	(void)state;
	assert_true(ident_is_clone("a"));
	assert_true(ident_is_clone(repeat(63)));
	assert_false(ident_is_clone(repeat(64)));
	assert_false(ident_is_clone(""));
	assert_false(ident_is_clone("-"));
	assert_false(ident_is_clone(".."));
}

static void test_verify_clone(void **state)
{
	char text[IDENT_CLONE_SIZE];
	uint64_t job = 0;

	(void)state;
	ident_verify_clone(INT64_MAX, text);
	assert_string_equal(text, "verify-9223372036854775807");
	assert_true(ident_is_clone(text));
	assert_true(ident_is_verify_clone("verify-7", &job));
	assert_int_equal(job, 7);
	assert_true(ident_is_verify_clone("verify-7", NULL));
	assert_false(ident_is_verify_clone("verify-", &job));
	assert_false(ident_is_verify_clone("verify-07", &job));
	assert_false(ident_is_verify_clone("verify-7a", &job));
	assert_false(ident_is_verify_clone("verify", &job));
	assert_false(ident_is_verify_clone("verify-9223372036854775808", &job));
	assert_int_equal(job, 7);
}

static void test_token(void **state)
{
	(void)state;
	assert_true(ident_is_token(""));
	assert_true(ident_is_token(" ~"));
	assert_true(ident_is_token(repeat(64)));
	assert_false(ident_is_token(repeat(65)));
	assert_false(ident_is_token("a\n"));
	assert_false(ident_is_token("\037"));
	assert_false(ident_is_token("\177"));
	assert_false(ident_is_token("\303\244"));
}

static void test_id(void **state)
{
	static const char *const bad[] = {"", "0", "01", "-1", "+1", " 1", "1 ", "1x", "0x1", "9223372036854775808",
					  "18446744073709551617", "99999999999999999999999"};
	char text[IDENT_ID_SIZE];
	uint64_t id = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ident_parse_id(bad[i], &id), ERR_INVALID);
		assert_int_equal(id, 7);
	}
	assert_int_equal(ident_parse_id("1", &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(ident_parse_id("9223372036854775807", &id), 0);
	assert_true(id == INT64_MAX);
	ident_format_id(UINT64_MAX, text);
	assert_string_equal(text, "18446744073709551615");
}

static void test_nonce(void **state)
{
	static const char *const bad[] = {"", "0", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
					  "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcdeg"};
	struct nonce zero = {{0}}, a, b, back = {{9}};
	char text[IDENT_HEX_SIZE];

	(void)state;
	nonce_make(&a);
	nonce_make(&b);
	assert_false(nonce_equal(&a, &b));
	assert_false(nonce_is_zero(&a));
	assert_true(nonce_is_zero(&zero));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(nonce_parse(bad[i], &back), ERR_INVALID);
		assert_int_equal(back.bytes[0], 9);
	}
	nonce_format(&a, text);
	assert_int_equal(nonce_parse(text, &back), 0);
	assert_true(nonce_equal(&a, &back));
	assert_int_equal(nonce_parse("0123456789abcdef0123456789abcdef", &back), 0);
	assert_int_equal(back.bytes[0], 0x01);
	assert_int_equal(back.bytes[15], 0xef);
}

static void test_uuid(void **state)
{
	static const uint8_t bytes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff};
	char text[IDENT_UUID_SIZE], other[IDENT_UUID_SIZE];

	(void)state;
	uuid_format(bytes, text);
	assert_string_equal(text, "00010203-0405-0607-0809-0a0b0c0d0eff");
	uuid_make(text);
	uuid_make(other);
	assert_string_not_equal(text, other);
	assert_int_equal(strlen(text), IDENT_UUID_SIZE - 1);
	assert_int_equal(strspn(text, "0123456789ABCDEF-"), IDENT_UUID_SIZE - 1);
	assert_int_equal(text[14], '4');
	assert_non_null(strchr("89AB", text[19]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cluster), cmocka_unit_test(test_clone), cmocka_unit_test(test_verify_clone),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_id),      cmocka_unit_test(test_nonce), cmocka_unit_test(test_uuid),
	};

	return cmocka_run_group_tests_name("ident", tests, NULL, NULL);
}
