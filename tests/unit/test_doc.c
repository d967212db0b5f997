/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Documents: their text, byte for byte; whatever goes in comes out of a parser again. */
#include "daemon/front/doc.h"

#include "tests/unit/cmocka_all.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Ends the document. */
static void assert_text(struct doc *doc, const char *wanted)
{
	size_t size = 0;
	char *text = doc_end(doc, &size);

	assert_non_null(text);
	assert_string_equal(text, wanted);
	assert_int_equal(size, strlen(wanted));
	free(text);
}

static void test_members(void **state)
{
	struct doc *object = doc_object(), *array = doc_array(), *inner = doc_object();

	(void)state;
	doc_put_text(inner, "A", "b");
	doc_add(array, inner);
	doc_add_text(array, "c");
	doc_add(array, doc_array());
	doc_put_text(object, "Text", "");
	doc_put_number(object, "Zero", 0);
	doc_put_number(object, "Most", UINT64_MAX);
	assert_int_equal(doc_count(array), 3);
	doc_put(object, "Items", array);
	assert_int_equal(doc_count(object), 4);
	assert_text(object, "{\"Text\":\"\",\"Zero\":0,\"Most\":18446744073709551615,\"Items\":[{\"A\":\"b\"},\"c\",[]]}");
	assert_text(doc_object(), "{}");
	assert_int_equal(doc_count(object = doc_object()), 0);
	doc_free(object);
}

static void test_text(void **state)
{
	struct doc *array = doc_array();

	(void)state;
	doc_add_text(array, "\"\\\"/");
	doc_add_text(array, "a\nb\t\x01\x1f\x7f");
	doc_add_text(array, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	doc_add_text(array, "\xc3\xa9 \"\xff");
	assert_text(array, "[\"\\\"\\\\\\\"/\",\"a\\u000ab\\u0009\\u0001\\u001f\x7f\","
			   "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\",\"?? \\\"?\"]");
}

/* Every byte alone and after a letter, and every two bytes of the upper half: valid JSON, ASCII unchanged. */
static void test_every_byte(void **state)
{
	(void)state;
	for (int first = 1; first < 256; first++) {
		for (int second = 0; second < 256; second += first < 0x80 && second == 0 ? 0x41 : 1) {
			char value[3] = {(char)first, (char)second, '\0'};
			struct doc *array = doc_array();
			size_t size = 0;
			json_t *parsed;
			char *text;

			doc_add_text(array, value);
			text = doc_end(array, &size);
			assert_non_null(text);
			parsed = json_loadb(text, size, 0, NULL);
			assert_non_null(parsed);
			if (first < 0x80 && second < 0x80)
				assert_string_equal(json_string_value(json_array_get(parsed, 0)), value);
			assert_int_equal(json_string_length(json_array_get(parsed, 0)), strlen(value));
			json_decref(parsed);
			free(text);
		}
	}
}

static void test_growth(void **state)
{
	enum { ELEMENTS = 1000 };
	struct doc *array = doc_array();
	json_t *parsed;
	size_t size = 0;
	char *text;

	(void)state;
	for (int i = 0; i < ELEMENTS; i++) {
		struct doc *object = doc_object();

		doc_put_number(object, "Number", (uint64_t)i);
		doc_put_text(object, "Text", "some text that is not short, so that there is much of it");
		doc_add(array, object);
	}
	text = doc_end(array, &size);
	parsed = json_loadb(text, size, 0, NULL);
	assert_int_equal(json_array_size(parsed), ELEMENTS);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(parsed, ELEMENTS - 1), "Number")), ELEMENTS - 1);
	json_decref(parsed);
	free(text);
}

/* What had no memory spoils what it is put into. */
static void test_no_memory(void **state)
{
	struct doc *object = doc_object();
	size_t size = 0;

	(void)state;
	assert_int_equal(doc_count(NULL), 1);
	doc_put_text(NULL, "Name", "value");
	doc_put_number(NULL, "Name", 1);
	doc_add_text(NULL, "value");
	doc_put(NULL, "Name", doc_array());
	doc_add(NULL, doc_array());
	assert_null(doc_end(NULL, &size));
	doc_put(object, "Items", NULL);
	assert_null(doc_end(object, &size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members), cmocka_unit_test(test_text), cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_growth), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("doc", tests, NULL, NULL);
}
