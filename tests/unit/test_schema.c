/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One table of every kind: each value at its boundaries, each shape of YAML that is refused. */
#include "common/schema.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct thing {
	char text[6];
	char path[16];
	char name[5];
	char id[64];
	int64_t number, duration, size, offset;
	struct schema_floor floor;
	uint32_t mode;
	bool flag;
	int word;
	struct item {
		int64_t inner;
		bool sure;
		unsigned line;
	} items[3];
	size_t item_count;
};

#define AT(member) .offset = offsetof(struct thing, member), .size = sizeof(((struct thing *)0)->member)

static const char *refuse_q(const char *text)
{
	return strchr(text, 'q') ? "text without the letter that follows p" : NULL;
}

static const struct schema_word words[] = {{"one", 1}, {"two", 2}, {"ten", 10, .not_built = true}, {NULL}};

static const struct schema_list items = {
	.max = 3, .stride = sizeof(struct item), .count = offsetof(struct thing, item_count),
	.line = offsetof(struct thing, items[0].line),
};

static const struct schema_row table[] = {
	{"text", SCHEMA_TEXT, AT(text), .min = 1, .max = 5, .fallback = "x", .check = refuse_q, .doc = "T."},
	{"path", SCHEMA_PATH, AT(path), .min = 1, .fallback = "/p", .doc = "P."},
	{"name", SCHEMA_NAME, AT(name), .fallback = "", .doc = "N."},
	{"id", SCHEMA_CLUSTER, AT(id), .min = 1, .doc = "I."},
	{"number", SCHEMA_NUMBER, AT(number), .min = 2, .max = 1000, .fallback = "2", .doc = "N."},
	{"duration", SCHEMA_DURATION, AT(duration), .min = 100, .max = INT64_C(2) * 86400000, .fallback = "1s", .doc = "D."},
	{"size", SCHEMA_SIZE, AT(size), .min = 0, .max = INT64_C(1) << 41, .fallback = "1KiB", .doc = "S."},
	{"offset", SCHEMA_OFFSET, AT(offset), .min = -840, .max = 840, .fallback = "+00:00", .doc = "O."},
	{"floor", SCHEMA_FLOOR, AT(floor), .max = 90, .fallback = "5%", .doc = "F."},
	{"mode", SCHEMA_MODE, AT(mode), .fallback = "0660", .doc = "M."},
	{"flag", SCHEMA_BOOL, AT(flag), .fallback = "true", .doc = "B."},
	{"word", SCHEMA_WORD, AT(word), .words = words, .fallback = "one", .doc = "Word \"quoted\" \\ x. And more."},
	{"map", SCHEMA_MAP, AT(items), .list = &items, .doc = "A map."},
	{"map.inner", SCHEMA_NUMBER, AT(items[0].inner), .max = 9, .fallback = "4", .doc = "Inner."},
	{"map.sure", SCHEMA_BOOL, AT(items[0].sure), .fallback = "false", .doc = "Sure."},
	{"later", SCHEMA_MAP, .not_built = true, .doc = ".Later."},
	{NULL},
};

static const struct schema_row *row_of(const char *key)
{
	int index = schema_find(table, key);

	assert_true(index >= 0);
	return &table[index];
}

static struct thing accept(const char *key, const char *text)
{
	struct thing thing = {0};
	char expected[200] = "";

	if (schema_set_value(row_of(key), text, &thing, expected, sizeof(expected)) < 0)
		fail_msg("%s: %s refused: expected %s", key, text, expected);
	return thing;
}

/* Refused, with something said, and the member untouched. */
static void refuse(const char *key, const char *text)
{
	struct thing thing, before;
	char expected[200] = "";

	memset(&thing, 0x5a, sizeof(thing));
	before = thing;
	if (schema_set_value(row_of(key), text, &thing, expected, sizeof(expected)) != ERR_INVALID)
		fail_msg("%s: \"%s\" accepted", key, text);
	assert_true(expected[0] != '\0');
	assert_memory_equal(&thing, &before, sizeof(thing));
}

static void refuse_all(const char *key, const char *const *texts)
{
	for (; *texts; texts++)
		refuse(key, *texts);
}

static void test_strings(void **state)
{
	(void)state;
	assert_string_equal(accept("text", "\303\244b").text, "\303\244b");
	accept("text", "12345");
	refuse_all("text", (const char *const[]){"", "123456", "a\n", "\033", "\177", "\302\205", "aq", NULL});
	assert_string_equal(accept("path", "/a/b").path, "/a/b");
	accept("path", "/..a/.b/c..");
	accept("path", "/23456789012345");
	refuse_all("path", (const char *const[]){"", "/", "a", "a/b", "/a/", "//a", "/a//b", "/..", "/a/..", "/../a", "/.",
						 "/./a", "/a/./b", "/a\n", "/234567890123456", NULL});
	accept("name", "");
	accept("name", "_a.-");
	accept("name", "0");
	refuse_all("name", (const char *const[]){"-a", ".a", "a b", "a/b", "\303\244", "abcde", "a$", NULL});
	accept("id", "a-1");
	refuse_all("id", (const char *const[]){"", "a", "A1", "../x", "a_b", NULL});
}

static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(accept("number", "2").number, 2);
	assert_int_equal(accept("number", "1000").number, 1000);
	refuse_all("number", (const char *const[]){"", "1", "1001", "-2", "+2", "02", "2.0", "2 ", " 2", "0x2", "1e2",
						   "18446744073709551618", "999999999999999999999999", NULL});
	assert_int_equal(accept("duration", "100ms").duration, 100);
	assert_int_equal(accept("duration", "10s").duration, 10000);
	assert_int_equal(accept("duration", "5m").duration, 300000);
	assert_int_equal(accept("duration", "48h").duration, 2 * 86400000);
	assert_int_equal(accept("duration", "2d").duration, 2 * 86400000);
	refuse_all("duration", (const char *const[]){"", "0", "10", "s", "99ms", "3d", "49h", "1 s", "1S", "1.5s", "-1s", "1w",
						     "1h30m", "999999999999999999d", NULL});
	assert_int_equal(accept("size", "0").size, 0);
	assert_int_equal(accept("size", "64KiB").size, 65536);
	assert_int_equal(accept("size", "3MiB").size, 3 << 20);
	assert_int_equal(accept("size", "1GiB").size, 1 << 30);
	assert_true(accept("size", "2TiB").size == INT64_C(1) << 41);
	refuse_all("size", (const char *const[]){"", "3TiB", "1KB", "1K", "1kib", "1 KiB", "-1", "KiB", "64KiBs",
						 "16777216TiB", NULL}); /* the last one is 0 modulo 2^64 */
}

static void test_floor(void **state)
{
	struct schema_floor floor = accept("floor", "5%").floor;

	(void)state;
	assert_int_equal(floor.percent, 5);
	assert_int_equal(floor.bytes, 0);
	assert_int_equal(accept("floor", "0%").floor.percent, 0);
	assert_int_equal(accept("floor", "90%").floor.percent, 90);
	floor = accept("floor", "10GiB").floor;
	assert_int_equal(floor.percent, 0);
	assert_true(floor.bytes == INT64_C(10) << 30);
	assert_int_equal(accept("floor", "0").floor.bytes, 0);
	refuse_all("floor", (const char *const[]){"", "%", "91%", "-1%", "5 %", "5%%", "1.5%", "5s", NULL});
}

static void test_small_kinds(void **state)
{
	(void)state;
	assert_int_equal(accept("mode", "0660").mode, 0660);
	assert_int_equal(accept("mode", "0000").mode, 0);
	assert_int_equal(accept("mode", "0777").mode, 0777);
	refuse_all("mode", (const char *const[]){"", "660", "1777", "0888", "0o66", "00660", "066", "rw-r", NULL});
	assert_int_equal(accept("offset", "+00:00").offset, 0);
	assert_int_equal(accept("offset", "-05:30").offset, -330);
	assert_int_equal(accept("offset", "+14:00").offset, 840);
	assert_int_equal(accept("offset", "-14:00").offset, -840);
	refuse_all("offset", (const char *const[]){"", "00:00", "+14:01", "-14:01", "+1:00", "+01:60", "+0100", "+01:00x", "Z",
						   "+0a:00", "+01:0a", NULL});
	assert_true(accept("flag", "true").flag);
	assert_false(accept("flag", "false").flag);
	refuse_all("flag", (const char *const[]){"", "True", "yes", "on", "1", "truee", NULL});
	assert_int_equal(accept("word", "two").word, 2);
	refuse_all("word", (const char *const[]){"", "One", "three", "ten", "on", NULL});
}

static void test_what_was_expected(void **state)
{
	struct thing thing = {0};
	char expected[200];

	(void)state;
	schema_set_value(row_of("number"), "x", &thing, expected, sizeof(expected));
	assert_string_equal(expected, "a number from 2 to 1000");
	schema_set_value(row_of("duration"), "x", &thing, expected, sizeof(expected));
	assert_string_equal(expected, "a duration from 100ms to 2d");
	schema_set_value(row_of("size"), "x", &thing, expected, sizeof(expected));
	assert_string_equal(expected, "a size from 0 to 2TiB");
	schema_set_value(row_of("word"), "x", &thing, expected, sizeof(expected));
	assert_string_equal(expected, "one of one, two (not built yet in this release: ten)");
	schema_set_value(row_of("text"), "q", &thing, expected, sizeof(expected));
	assert_string_equal(expected, "text without the letter that follows p");
}

static struct thing parsed;
static struct conf_errors errors;
static struct schema_lines lines;

static int parse(const char *text)
{
	conf_errors_clear(&errors);
	memset(&parsed, 0, sizeof(parsed));
	schema_set_defaults(table, &parsed);
	parsed.number = 77;
	return schema_parse(table, "f", text, strlen(text), &parsed, &errors, &lines);
}

/* Exactly these lines of errors, in this order. */
static void expect_errors(const char *text, const char *const *want)
{
	size_t count = 0;

	assert_int_equal(parse(text), want[0] ? ERR_INVALID : 0);
	for (; want[count]; count++) {
		if (count >= errors.count || !strstr(errors.lines[count], want[count]))
			fail_msg("%s\nwanted \"%s\", got \"%s\"", text, want[count],
				 count < errors.count ? errors.lines[count] : "nothing");
	}
	if (errors.count != count)
		fail_msg("%s\ntoo many: \"%s\"", text, errors.lines[count]);
	conf_errors_clear(&errors);
}

#define EXPECT(text, ...) expect_errors(text, (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_NONE(text) expect_errors(text, (const char *const[]){NULL})

static void test_good_files(void **state)
{
	(void)state;
	EXPECT_NONE("---\nid: pc-1\nnumber: 5\nmap:\n  inner: 3\nword: 'two'\n...\n");
	assert_string_equal(parsed.id, "pc-1");
	assert_int_equal(parsed.number, 5);
	assert_int_equal(parsed.items[0].inner, 3);
	assert_int_equal(parsed.word, 2);
	assert_int_equal(lines.at[schema_find(table, "id")], 2);
	assert_int_equal(lines.at[schema_find(table, "map")], 4);
	assert_int_equal(lines.at[schema_find(table, "map.inner")], 5);
	assert_int_equal(lines.at[schema_find(table, "flag")], 0);
	EXPECT_NONE("{id: aa, map: {}, text: \"\\u00e4\"}");
	EXPECT_NONE("# nothing but what must be\nid: aa\n");
	assert_int_equal(parsed.number, 77);
}

static void test_missing_key(void **state)
{
	(void)state;
	EXPECT("", "f:1: id: missing, expected an id");
	EXPECT("# only a comment\n", "f:1: id: missing");
	EXPECT("number: 3\n", "f:1: id: missing");
	EXPECT("{}", "f:1: id: missing");
}

static void test_unknown_and_doubled_keys(void **state)
{
	(void)state;
	EXPECT("id: aa\nidd: x\n", "f:2: idd: unknown key; expected one of text, path, name, id");
	EXPECT("id: aa\nidd: {a: [1, {b: c}], d: e}\nfoo: [1]\n", "f:2: idd: unknown", "f:3: foo: unknown");
	EXPECT("id: aa\nmap: {outer: 1}\n", "f:2: map.outer: unknown key; expected one of inner");
	EXPECT("id: aa\nmap.inner: 1\n", "f:2: map.inner: unknown key");
	EXPECT("id: aa\n\"id\\0x\": 1\n", "f:2: id: unknown key");
	EXPECT("id: aa\n\"a\\nb\": 1\n", "f:2: a?b: unknown key");
	EXPECT("id: aa\nid: bb\n", "f:2: id: given twice, expected once; it stands in line 1");
	EXPECT("id: aa\nmap: {inner: 1, inner: 2}\nmap: {inner: 3}\n", "f:2: map.inner: given twice", "f:3: map: given twice");
}

static void test_wrong_types(void **state)
{
	(void)state;
	EXPECT("id: aa\nnumber: \"3\"\n", "f:2: number: expected a number from 2 to 1000, without quotes, got \"3\"");
	EXPECT("id: aa\nflag: 'true'\n", "f:2: flag: expected true or false, without quotes");
	EXPECT("id: aa\nname:\nmode: ~\n", "f:2: name: expected a name", "f:3: mode: expected four octal digits");
	EXPECT("id: aa\nname: null\n", "(nothing was given)");
	EXPECT("id: aa\nnumber: [3]\n", "f:2: number: expected a number from 2 to 1000, got a list");
	EXPECT("id: aa\nnumber: {a: 3}\n", "got a map");
	EXPECT("id: aa\nmap: 3\n", "f:2: map: expected a map of keys or a list of such maps, got a single value");
	EXPECT("[id, aa]", "f:1: expected a map of keys");
	EXPECT("id", "f:1: expected a map of keys");
	EXPECT("id: \"a\\0a\"\n", "f:1: id: expected an id");
	EXPECT("id: aa\n? [a]\n: b\n", "f:2: expected a plain key, got a list");
	EXPECT("id: aa\n? {a: b}\n: [b]\nnumber: 1\n", "f:2: expected a plain key, got a map", "f:4: number");
}

static void test_lists_of_maps(void **state)
{
	(void)state;
	schema_set_defaults(table, &parsed);
	assert_int_equal(parsed.item_count, 1);
	assert_int_equal(parsed.items[0].inner, 4);
	assert_int_equal(parsed.items[0].line, 0);
	EXPECT_NONE("id: aa\nmap: {inner: 7}\n");
	assert_int_equal(parsed.item_count, 1);
	assert_int_equal(parsed.items[0].inner, 7);
	assert_int_equal(parsed.items[0].line, 0);
	/* Each begins with the defaults, whatever the one before said. */
	EXPECT_NONE("id: aa\nmap:\n- {inner: 7, sure: true}\n- inner: 8\n- {}\nnumber: 3\n");
	assert_int_equal(parsed.item_count, 3);
	assert_int_equal(parsed.items[0].inner, 7);
	assert_true(parsed.items[0].sure);
	assert_int_equal(parsed.items[1].inner, 8);
	assert_false(parsed.items[1].sure);
	assert_int_equal(parsed.items[1].line, 4);
	assert_int_equal(parsed.items[2].inner, 4);
	assert_int_equal(parsed.number, 3);
	EXPECT("id: aa\nmap: [{}, {}, {}, {}]\nnumber: 1\n", "f:2: map: expected no more than 3 maps", "f:3: number");
	EXPECT("id: aa\nmap: []\n", "f:2: map: expected at least one map in the list");
	EXPECT("id: aa\nmap: [3, [{}]]\n", "f:2: map: expected a list of maps, got a single value in it",
	       "f:2: map: expected a list of maps, got a list in it");
	EXPECT("id: aa\nmap: [{inner: 1, inner: 2}, {inner: 3, other: 4}]\n", "map.inner: given twice", "map.other: unknown key");
	EXPECT("id: aa\nmap: [&a {inner: 1}, *a]\n", "map: expected a value without", "map: expected a value without");
	EXPECT("id: aa\nmap: [{inner: 10}]\n", "map.inner: expected a number");
	EXPECT("id: aa\nmap: [{inner: 1}\n", "expected YAML");
}

static void test_decorations_and_documents(void **state)
{
	(void)state;
	EXPECT("id: &a aa\nname: *a\n", "f:1: id: expected a value without", "f:2: name: expected a value without");
	EXPECT("id: !!str aa\n", "f:1: id: expected a value without anchors, aliases and tags, got one with an explicit tag");
	EXPECT("id: aa\nmap: !x {inner: 1}\n", "f:2: map: expected a value without");
	EXPECT("id: aa\nmap: &m {inner: 1}\n", "f:2: map: expected a value without");
	EXPECT("id: aa\n&k number: 3\n", "f:2: expected a plain key, got an anchor");
	EXPECT("id: aa\n!!str number: 3\n", "f:2: expected a plain key, got an explicit tag");
	EXPECT("&a {id: aa}", "f:1: expected a map of keys without anchors");
	EXPECT("id: aa\n---\nid: bb\n", "f:2: expected the end of the file after one document");
}

static void test_not_built(void **state)
{
	(void)state;
	EXPECT("id: aa\nlater: {a: 1}\nword: ten\n", "f:2: later: not built yet in this release; remove the key",
	       "f:3: word: expected one of one, two (not built yet in this release: ten), got \"ten\"");
}

static void test_syntax(void **state)
{
	(void)state;
	EXPECT("id: aa\nnumber: 1\n}\n", "f:2: number", "f:3: expected YAML: ");
	EXPECT("id: [\n", "f:1: id: expected an id", "f:2: expected YAML: ");
	EXPECT("id: aa\n\ttext: b\n", "expected YAML: ");
	EXPECT("id: \"aa\n", "expected YAML: ");
	EXPECT("id: \377\376\n", "expected YAML: ");
}

static void test_secrets_are_not_repeated(void **state)
{
	(void)state;
	assert_int_equal(parse("id: aa\ntext: 1qsecret\n"), ERR_INVALID);
	assert_int_equal(errors.count, 1);
	assert_null(strstr(errors.lines[0], "secret"));
	conf_errors_clear(&errors);
}

static void test_errors_are_bounded(void **state)
{
	char *text = calloc(1, 200 * 8 + 100);
	size_t used = 0;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 150; i++)
		used += (size_t)snprintf(text + used, 16, "k%03d: 1\n", i);
	assert_int_equal(parse(text), ERR_INVALID);
	assert_int_equal(errors.count, CONF_ERROR_MAX);
	assert_int_equal(errors.dropped, 150 + 1 - CONF_ERROR_MAX); /* one is the missing id */
	conf_errors_clear(&errors);
	assert_int_equal(errors.count + errors.dropped, 0);
	free(text);
}

static void test_defaults(void **state)
{
	struct thing thing = {0};

	(void)state;
	schema_set_defaults(table, &thing);
	assert_string_equal(thing.text, "x");
	assert_string_equal(thing.path, "/p");
	assert_string_equal(thing.id, "");
	assert_int_equal(thing.duration, 1000);
	assert_int_equal(thing.floor.percent, 5);
	assert_int_equal(thing.mode, 0660);
	assert_true(thing.flag);
	assert_int_equal(thing.word, 1);
}

static void test_mdoc(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	schema_print_mdoc(table, out);
	fclose(out);
	assert_non_null(strstr(text, ".It Ic number\nN.\nExpects a number from 2 to 1000.\nDefault:\n.Ql \"2\" .\n"));
	assert_non_null(strstr(text, ".It Ic name\nN.\nExpects a name of at most 4 of"));
	assert_non_null(strstr(text, "\nDefault: empty.\n"));
	assert_non_null(strstr(text, ".It Ic later\n\\&.Later.\nNot built yet in this release"));
	assert_non_null(strstr(text, "Word \\(dqquoted\\(dq \\e x.\nAnd more.\n"));
	assert_non_null(strstr(text, "\nRequired.\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_small_kinds),
		cmocka_unit_test(test_what_was_expected),
		cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_missing_key),
		cmocka_unit_test(test_unknown_and_doubled_keys),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_lists_of_maps),
		cmocka_unit_test(test_decorations_and_documents),
		cmocka_unit_test(test_not_built),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_secrets_are_not_repeated),
		cmocka_unit_test(test_errors_are_bounded),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_mdoc),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
