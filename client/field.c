/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fields of answers, by path. */
#include "client/field.h"

#include "client/text.h"
#include "common/scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const json_t *field_at(const json_t *object, const char *path)
{
	const char *dot = strchr(path, '.');
	char name[64];

	if (!dot)
		return json_object_get(object, path);
	snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
	return field_at(json_object_get(object, name), dot + 1);
}

const char *field_str(const json_t *object, const char *path)
{
	const char *value = json_string_value(field_at(object, path));

	return value ? value : "";
}

int64_t field_int(const json_t *object, const char *path, int64_t missing)
{
	const json_t *value = field_at(object, path);
	const char *text = json_string_value(value);
	char *end;
	long long number;

	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_real(value))
		return (int64_t)json_real_value(value);
	if (!text || !text[0])
		return missing;
	number = strtoll(text, &end, 10);
	return *end ? missing : number;
}

bool field_bool(const json_t *object, const char *path)
{
	return json_is_true(field_at(object, path)) || strcmp(field_str(object, path), "true") == 0;
}

static char *text_of_array(const json_t *array)
{
	char *joined = text_format("%s", "");
	size_t i;
	json_t *entry;

	json_array_foreach(array, i, entry) {
		scope_free char *before = joined;
		scope_free char *dumped = json_dumps(entry, JSON_ENCODE_ANY | JSON_COMPACT);
		const char *one = json_string_value(entry);

		joined = text_format("%s%s%s", before, i ? ", " : "", one ? one : dumped ? dumped : "?");
	}
	return joined;
}

char *field_text(const json_t *object, const char *path)
{
	const json_t *value = field_at(object, path);
	scope_free char *dumped = NULL;

	if (!value || json_is_null(value))
		return text_format("%s", "");
	if (json_is_string(value))
		return text_format("%s", json_string_value(value));
	if (json_is_array(value))
		return text_of_array(value);
	dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	return text_format("%s", dumped ? dumped : "?");
}

json_t *field_items(const json_t *answer, const char *kind)
{
	json_t *items = json_object_get(json_object_get(answer, "Items"), kind);

	return json_is_array(items) ? items : NULL;
}

json_t *field_item(const json_t *answer, const char *kind)
{
	return json_array_get(field_items(answer, kind), 0);
}

void field_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	putchar('\n');
}
