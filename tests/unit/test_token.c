/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys byte by byte, fingerprints that tell any two lists apart, life by both clocks. */
#include "daemon/front/token.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

#define X8 "xxxxxxxx"
#define X64 X8 X8 X8 X8 X8 X8 X8 X8

static void key_of_a_uid(void **state)
{
	static const uint8_t want[] = {1, 4, 0, 0, 3, 0xe8, 1, 0x61, 0x31};
	const struct token_owner owner = {.kind = TOKEN_OWNER_UID, .uid = 1000};
	struct token_key key;

	(void)state;
	assert_int_equal(token_key_make(&owner, TOKEN_CREATE_BACKUP, "a1", &key), 0);
	assert_int_equal(key.size, sizeof(want));
	assert_memory_equal(key.bytes, want, sizeof(want));
}

static void key_of_an_access_key(void **state)
{
	static const uint8_t want[] = {2, 6, 't', 'e', 's', 't', 'i', 'd', 2, 'T'};
	const struct token_owner owner = {.kind = TOKEN_OWNER_KEY, .key_id = "testid"};
	struct token_key key;

	(void)state;
	assert_int_equal(token_key_make(&owner, TOKEN_CLONE_BACKUP, "T", &key), 0);
	assert_int_equal(key.size, sizeof(want));
	assert_memory_equal(key.bytes, want, sizeof(want));
}

static void longest_key(void **state)
{
	const struct token_owner owner = {.kind = TOKEN_OWNER_KEY, .key_id = X64};
	struct token_key key;

	(void)state;
	assert_int_equal(token_key_make(&owner, TOKEN_CREATE_BACKUP, X64, &key), 0);
	assert_int_equal(key.size, TOKEN_KEY_MAX);
	assert_true(TOKEN_KEY_MAX + 8 <= 511); /* LMDB's longest key, with an end's time before it */
}

static void refused_keys(void **state)
{
	const struct token_owner uid = {.kind = TOKEN_OWNER_UID, .uid = 0};
	const struct token_owner bad[] = {
		{.kind = 0},
		{.kind = 3, .key_id = "a"},
		{.kind = TOKEN_OWNER_KEY},
		{.kind = TOKEN_OWNER_KEY, .key_id = ""},
		{.kind = TOKEN_OWNER_KEY, .key_id = X64 "x"},
	};
	static const char *const tokens[] = {"", X64 "x", "a\nb", "\x1f", "\x7f", "\xc3\xa9"};
	struct token_key key = {.size = 99};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(token_key_make(&bad[i], TOKEN_CREATE_BACKUP, "a", &key), ERR_INVALID);
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
		assert_int_equal(token_key_make(&uid, TOKEN_CREATE_BACKUP, tokens[i], &key), ERR_INVALID);
	assert_int_equal(token_key_make(&uid, 0, "a", &key), ERR_INVALID);
	assert_int_equal(token_key_make(&uid, 3, "a", &key), ERR_INVALID);
	assert_int_equal(key.size, 99);
}

static void keys_do_not_meet(void **state)
{
	const struct token_owner owners[] = {
		{.kind = TOKEN_OWNER_UID, .uid = 0},
		{.kind = TOKEN_OWNER_UID, .uid = 1000},
		{.kind = TOKEN_OWNER_KEY, .key_id = "1000"},
		{.kind = TOKEN_OWNER_KEY, .key_id = "a"},
		{.kind = TOKEN_OWNER_KEY, .key_id = "a\x01" "b"}, /* "a", operation 1, "b..." */
	};
	static const char *const tokens[] = {"a", "A", "b", "ba", " a", "a "};
	struct token_key keys[60];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		for (int operation = 1; operation <= 2; operation++) {
			for (size_t t = 0; t < sizeof(tokens) / sizeof(tokens[0]); t++)
				assert_int_equal(token_key_make(&owners[i], operation, tokens[t], &keys[count++]), 0);
		}
	}
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++)
			assert_true(keys[i].size != keys[j].size || memcmp(keys[i].bytes, keys[j].bytes, keys[i].size));
	}
}

static struct token_fingerprint print_of(const struct token_param *params, size_t count)
{
	struct token_fingerprint print;

	assert_int_equal(token_fingerprint_make(params, count, &print), 0);
	return print;
}

static void known_fingerprints(void **state)
{
	/* SHA-256 of nothing, and of 01 0000000000000001 61 00 0000000000000000 ("a", no value) */
	static const uint8_t empty[] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
					0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
					0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
	static const uint8_t one[] = {0xa9, 0x91, 0x5d, 0xb5, 0x47, 0x55, 0x95, 0x59, 0x87, 0x04, 0xd2,
					      0x0e, 0x00, 0x43, 0x71, 0x44, 0x17, 0xa3, 0x16, 0x44, 0x31, 0xc9,
					      0x86, 0xc2, 0xb3, 0x03, 0xb4, 0x8d, 0x78, 0xee, 0x33, 0xdf};
	const struct token_param a = {"a", NULL};

	(void)state;
	assert_memory_equal(print_of(NULL, 0).bytes, empty, sizeof(empty));
	assert_memory_equal(print_of(&a, 1).bytes, one, sizeof(one));
}

static void fingerprints_tell_lists_apart(void **state)
{
	static const struct token_param lists[][2] = {
		{{"DBClusterId", "pc-a"}, {"BackupType", "FullBackup"}},
		{{"DBClusterId", "pc-b"}, {"BackupType", "FullBackup"}},
		{{"DBClusterId", "pc-a"}, {"BackupType", ""}},
		{{"DBClusterId", "pc-a"}, {"BackupType", NULL}},
		{{"DBClusterId", "pc-aB"}, {"ackupType", "FullBackup"}},
		{{"BackupType", "FullBackup"}, {"DBClusterId", "pc-a"}},
		{{"DBClusterId", "pc-a"}, {"BackupType", "FullBackup "}},
	};
	struct token_fingerprint prints[7];

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		struct token_fingerprint again = print_of(lists[i], 2);

		prints[i] = print_of(lists[i], 2);
		assert_true(token_fingerprint_equal(&prints[i], &again));
		for (size_t j = 0; j < i; j++)
			assert_false(token_fingerprint_equal(&prints[i], &prints[j]));
	}
}

static void life_by_both_clocks(void **state)
{
	static const struct {
		struct token_age age;
		int64_t wall_ms;
		bool over;
	} rows[] = {
		{{false, 0, 0}, INT64_MAX, false}, /* open: lives */
		{{false, 0, INT64_MAX}, INT64_MAX, false},
		{{true, 5000, 1000}, 6000, true}, /* exactly the ttl by both */
		{{true, 5000, 999}, 6000, false},
		{{true, 5000, 1000}, 5999, false},
		{{true, 5000, 999}, INT64_MAX, false}, /* the clock jumped ahead */
		{{true, 5000, INT64_MAX}, 4000, false}, /* the clock was set back */
		{{true, 5000, 0}, 5000, false},
		{{true, INT64_MIN, 5000}, INT64_MAX, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(token_is_over(&rows[i].age, 1000, rows[i].wall_ms), rows[i].over);
	assert_true(token_is_over(&(struct token_age){true, 5000, 0}, 0, 5000)); /* no life at all */
}

int main(void)
{
	const struct CMUnitTest token[] = {
		cmocka_unit_test(key_of_a_uid),
		cmocka_unit_test(key_of_an_access_key),
		cmocka_unit_test(longest_key),
		cmocka_unit_test(refused_keys),
		cmocka_unit_test(keys_do_not_meet),
		cmocka_unit_test(known_fingerprints),
		cmocka_unit_test(fingerprints_tell_lists_apart),
		cmocka_unit_test(life_by_both_clocks),
	};

	return cmocka_run_group_tests(token, NULL, NULL);
}
