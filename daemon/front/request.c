/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hostile text to parameters. Every byte of it is somebody else's. */
#include "daemon/front/request.h"

#include "common/err.h"
#include "common/scope.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(char *why, int code, const char *what, const char *name)
{
	snprintf(why, REQUEST_WHY_SIZE, "%s%s%.*s%s", what, name ? " \"" : "", name ? REQUEST_NAME_MAX : 0,
		 name ? name : "", name ? "\"." : ".");
	return code;
}

/* The length of the UTF-8 sequence that begins here, or 0: there is none (overlong, surrogate, beyond U+10FFFF, cut off). */
static size_t sequence_length(const uint8_t *at, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = at[0] < 0x80 ? 1 : (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : (at[0] & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t point;

	if (length < 2 || length > left)
		return length == 1 ? 1 : 0;
	point = at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (at[i] & 0x3f);
	}
	return point < least[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : length;
}

static bool is_text(const char *text, size_t size)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + size;

	while (at < end) {
		size_t length = *at ? sequence_length(at, (size_t)(end - at)) : 0;

		if (length == 0)
			return false;
		at += length;
	}
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A new string, NUL-terminated, or NULL with the reason in *ret_code. */
static char *decode(const char *text, size_t size, int *ret_code)
{
	scope_free char *out = malloc(size + 1);
	size_t used = 0;

	*ret_code = out ? ERR_INVALID : ERR_NOMEM;
	for (size_t i = 0; out && i < size; i++) {
		int high, low;

		if (text[i] != '%') {
			out[used++] = text[i] == '+' ? ' ' : text[i];
			continue;
		}
		if (size - i < 3)
			return NULL;
		high = hex_value(text[i + 1]);
		low = hex_value(text[i + 2]);
		if (high < 0 || low < 0)
			return NULL;
		out[used++] = (char)(high << 4 | low);
		i += 2;
	}
	if (!out || !is_text(out, used))
		return NULL;
	out[used] = '\0';
	return scope_take_ptr(out);
}

/* Takes both strings in any case. */
static int add(struct request *request, char *name, char *value, char *why)
{
	scope_free char *own_name = name, *own_value = value;

	if (!name || !value)
		return fail(why, ERR_NOMEM, "Out of memory", NULL);
	if (strlen(name) > REQUEST_NAME_MAX)
		return fail(why, ERR_TOO_LONG, "A parameter's name is too long", NULL);
	for (size_t i = 0; i < request->count; i++) {
		if (strcmp(request->params[i].name, name) == 0)
			return fail(why, ERR_EXISTS, "This parameter is given twice:", name);
	}
	if (request->count == REQUEST_PARAMS_MAX)
		return fail(why, ERR_TOO_LONG, "There are too many parameters", NULL);
	request->params[request->count].name = scope_take_ptr(own_name);
	request->params[request->count].value = scope_take_ptr(own_value);
	request->count++;
	return 0;
}

static int add_pair(struct request *request, const char *text, size_t size, char *why)
{
	const char *equals = memchr(text, '=', size);
	size_t name_size = equals ? (size_t)(equals - text) : size;
	scope_free char *name = NULL;
	char *value;
	int r;

	if (name_size == 0)
		return fail(why, ERR_INVALID, "A parameter has no name", NULL);
	name = decode(text, name_size, &r);
	if (!name)
		return fail(why, r, "A parameter's name is not well-formed", NULL);
	value = equals ? decode(equals + 1, size - name_size - 1, &r) : strdup("");
	if (!value)
		return fail(why, r, "The percent-encoding or UTF-8 is not well-formed in the value of", name);
	return add(request, scope_take_ptr(name), value, why);
}

int request_add_form(struct request *request, const char *text, size_t size, char why[static REQUEST_WHY_SIZE])
{
	while (size > 0) {
		const char *end = memchr(text, '&', size);
		size_t length = end ? (size_t)(end - text) : size;
		int r = length > 0 ? add_pair(request, text, length, why) : 0;

		if (r < 0)
			return r;
		length += end ? 1 : 0;
		text += length;
		size -= length;
	}
	return 0;
}

/* NULL: an object or an array, or out of memory. */
static char *value_text(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return strdup(json_string_value(value));
	case JSON_INTEGER:
	case JSON_REAL:
	case JSON_TRUE:
	case JSON_FALSE:
		return json_dumps(value, JSON_ENCODE_ANY);
	case JSON_NULL:
		return strdup("");
	default:
		return NULL;
	}
}

static int add_members(struct request *request, json_t *object, char *why)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value) {
		int r;

		if (json_is_object(value) || json_is_array(value))
			return fail(why, ERR_UNSUPPORTED, "Neither an object nor an array can be the value of", name);
		if (!name[0])
			return fail(why, ERR_INVALID, "A parameter has no name", NULL);
		r = add(request, strdup(name), value_text(value), why);
		if (r < 0)
			return r;
	}
	return 0;
}

int request_add_json(struct request *request, const char *text, size_t size, char why[static REQUEST_WHY_SIZE])
{
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	int r;

	if (!root && json_error_code(&error) == json_error_duplicate_key)
		return fail(why, ERR_EXISTS, "A parameter is given twice in the JSON object", NULL);
	if (!root)
		return fail(why, ERR_INVALID, "The body is not valid JSON", NULL);
	r = json_is_object(root) ? add_members(request, root, why) :
				   fail(why, ERR_INVALID, "The JSON body is no object", NULL);
	json_decref(root);
	return r;
}

const char *request_get(const struct request *request, const char *name)
{
	for (size_t i = 0; i < request->count; i++) {
		if (strcmp(request->params[i].name, name) == 0)
			return request->params[i].value[0] ? request->params[i].value : NULL;
	}
	return NULL;
}

void request_clear(struct request *request)
{
	for (size_t i = 0; i < request->count; i++) {
		free(request->params[i].name);
		free(request->params[i].value);
	}
	request->count = request->query_count = 0;
}
