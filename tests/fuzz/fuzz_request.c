/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parameters from a query and a body, as the front adds them. The input's first line is the query, the rest the
 * body: JSON if it begins with an opening brace or bracket, else a form. What was taken is written as a form and as JSON and read again.
 */
#include "daemon/front/request.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

/* An independent reading of UTF-8: libjansson takes no other strings. */
static bool is_utf8(const char *text)
{
	json_t *string = json_string(text);

	json_decref(string);
	return string != NULL;
}

static void check_params(const struct request *request)
{
	must(request->count <= REQUEST_PARAMS_MAX);
	for (size_t i = 0; i < request->count; i++) {
		const char *name = request->params[i].name, *value = request->params[i].value;

		must(name[0] && strlen(name) <= REQUEST_NAME_MAX && is_utf8(name) && is_utf8(value));
		must(request_get(request, name) == (value[0] ? value : NULL));
		for (size_t j = 0; j < i; j++)
			must(strcmp(name, request->params[j].name) != 0);
	}
}

static bool add(struct request *request, const char *text, size_t size, bool json)
{
	char why[REQUEST_WHY_SIZE];
	int error;

	fuzz_fill(why, sizeof(why));
	error = json ? request_add_json(request, text, size, why) : request_add_form(request, text, size, why);
	if (error == 0) {
		must(fuzz_untouched(why, sizeof(why)));
	} else {
		must(error == ERR_INVALID || error == ERR_EXISTS || error == ERR_TOO_LONG || error == ERR_UNSUPPORTED);
		must(json || error != ERR_UNSUPPORTED);
		must(why[0] && memchr(why, '\0', sizeof(why)));
	}
	check_params(request);
	return error == 0;
}

static void check_equal(const struct request *a, const struct request *b)
{
	must(a->count == b->count);
	for (size_t i = 0; i < a->count; i++) {
		must(strcmp(a->params[i].name, b->params[i].name) == 0);
		must(strcmp(a->params[i].value, b->params[i].value) == 0);
	}
}

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, "%%%02x", (unsigned char)*text);
}

static void check_form(const struct request *request)
{
	struct request again = {0};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	must(out);
	for (size_t i = 0; i < request->count; i++) {
		put_escaped(out, request->params[i].name);
		putc('=', out);
		put_escaped(out, request->params[i].value);
		putc('&', out);
	}
	must(fclose(out) == 0);
	must(add(&again, text, size, false));
	check_equal(request, &again);
	request_clear(&again);
	free(text);
}

static void check_json(const struct request *request)
{
	struct request again = {0};
	json_t *object = json_object();
	char *text;

	for (size_t i = 0; i < request->count; i++)
		must(json_object_set_new(object, request->params[i].name, json_string(request->params[i].value)) == 0);
	text = json_dumps(object, JSON_ENSURE_ASCII);
	must(text && add(&again, text, strlen(text), true));
	check_equal(request, &again);
	request_clear(&again);
	free(text);
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *query = (const char *)data, *end = size ? memchr(query, '\n', size) : NULL;
	size_t query_size = end ? (size_t)(end - query) : size, body_size = end ? size - query_size - 1 : 0;
	struct request request = {0};
	bool good = add(&request, query, query_size, false);

	if (good && body_size > 0)
		good = add(&request, end + 1, body_size, end[1] == '{' || end[1] == '[');
	if (good) {
		check_form(&request);
		check_json(&request);
	}
	request_clear(&request);
	must(request.count == 0);
	return 0;
}
