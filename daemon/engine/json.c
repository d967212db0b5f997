/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writer and reader of our small files. The one difficulty is that libyaml gives
 * the escape \u00e9 back as the two bytes of UTF-8, where a path had one byte
 * 0xe9: take_text() turns code points below 256 into bytes and refuses others,
 * which we never write.
 */
#include "daemon/engine/json.h"

#include "common/err.h"
#include "common/ident.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static void write_text(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			fprintf(out, "\\u%04x", c);
		else
			putc(c, out);
	}
	putc('"', out);
}

static void write_scalar(FILE *out, const struct json_field *field, const void *member)
{
	char hex[IDENT_HEX_SIZE];

	switch (field->kind) {
	case JSON_TEXT:
		write_text(out, member);
		break;
	case JSON_U8:
		fprintf(out, "%u", *(const uint8_t *)member);
		break;
	case JSON_U32:
		fprintf(out, "%" PRIu32, *(const uint32_t *)member);
		break;
	case JSON_U64:
		fprintf(out, "%" PRIu64, *(const uint64_t *)member);
		break;
	case JSON_I64:
		fprintf(out, "%" PRId64, *(const int64_t *)member);
		break;
	case JSON_BOOL:
		fputs(*(const bool *)member ? "true" : "false", out);
		break;
	default:
		nonce_format(member, hex);
		write_text(out, hex);
	}
}

static void write_element(FILE *out, const struct json_field *field, const char *base)
{
	fputs("\n    {", out);
	for (const struct json_field *f = field; f->kind != JSON_END; f++) {
		fprintf(out, "%s\"%s\": ", f == field ? "" : ", ", f->name);
		write_scalar(out, f, base + f->offset);
	}
	putc('}', out);
}

static void write_list(FILE *out, const struct json_field *field, const char *base)
{
	const struct json_list *list = field->list;
	size_t count = *(const size_t *)(base + list->count_offset);

	putc('[', out);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			putc(',', out);
		write_element(out, list->fields, base + field->offset + i * list->element);
	}
	fputs(count ? "\n  ]" : "]", out);
}

char *json_write(const char *kind, unsigned version, const struct json_field *fields, const void *base)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	fprintf(out, "{\n  \"version\": %u,\n  \"kind\": \"%s\"", version, kind);
	for (const struct json_field *f = fields; f->kind != JSON_END; f++) {
		fprintf(out, ",\n  \"%s\": ", f->name);
		if (f->kind == JSON_LIST)
			write_list(out, f, base);
		else
			write_scalar(out, f, (const char *)base + f->offset);
	}
	fputs("\n}\n", out);
	failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}

/* What is being read; every function gives 0 or a code that ends the reading. */
struct input {
	yaml_parser_t parser;
	yaml_event_t event;
	bool pending; /* event is to be deleted */
	unsigned version;
	const char *kind;
	bool seen_version, seen_kind;
};

static int next(struct input *in)
{
	if (in->pending)
		yaml_event_delete(&in->event);
	in->pending = yaml_parser_parse(&in->parser, &in->event);
	if (!in->pending)
		return in->parser.error == YAML_MEMORY_ERROR ? ERR_NOMEM : ERR_CORRUPT;
	return 0;
}

static int expect(struct input *in, yaml_event_type_t type)
{
	int error = next(in);

	return error < 0 ? error : in->event.type == type ? 0 : ERR_CORRUPT;
}

/* Over the value that the current event begins. */
static int skip(struct input *in)
{
	int depth = 0, error = 0;

	while (error == 0) {
		yaml_event_type_t type = in->event.type;

		if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
			depth++;
		else if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT)
			depth--;
		else if (type != YAML_SCALAR_EVENT)
			return ERR_CORRUPT;
		if (depth == 0)
			return 0;
		error = depth > 16 ? ERR_CORRUPT : next(in);
	}
	return error;
}

static int take_text(const unsigned char *from, size_t length, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned c = from[i];

		if (c >= 0x80) {
			if ((c != 0xc2 && c != 0xc3) || ++i == length)
				return ERR_CORRUPT;
			c = (c & 3) << 6 | (from[i] & 0x3f);
		}
		if (c == 0 || used + 1 >= size)
			return ERR_CORRUPT;
		text[used++] = (char)c;
	}
	text[used] = '\0';
	return 0;
}

/* Canonical decimal from min to max (of the absolute value with negative allowed when low is set). */
static int take_number(const char *text, bool may_be_negative, uint64_t max, uint64_t *ret_value)
{
	bool negative = may_be_negative && *text == '-';
	uint64_t value = 0;

	if (negative)
		text++;
	if (*text == '\0')
		return ERR_CORRUPT;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (digit > 9 || value > (max - digit) / 10)
			return ERR_CORRUPT;
		value = value * 10 + digit;
	}
	*ret_value = negative ? 0 - value : value;
	return 0;
}

static int take_integer(const struct json_field *field, const char *text, void *member)
{
	static const uint64_t top[] = {
		[JSON_U8] = UINT8_MAX, [JSON_U32] = UINT32_MAX, [JSON_U64] = UINT64_MAX, [JSON_I64] = INT64_MAX,
	};
	uint64_t value;

	if (take_number(text, field->kind == JSON_I64, top[field->kind], &value) < 0)
		return ERR_CORRUPT;
	if (field->kind == JSON_U8)
		*(uint8_t *)member = (uint8_t)value;
	else if (field->kind == JSON_U32)
		*(uint32_t *)member = (uint32_t)value;
	else if (field->kind == JSON_U64)
		*(uint64_t *)member = value;
	else
		*(int64_t *)member = (int64_t)value;
	return 0;
}

static int take_scalar(struct input *in, const struct json_field *field, void *member)
{
	const char *text = (const char *)in->event.data.scalar.value;
	size_t length = in->event.data.scalar.length;
	bool quoted = in->event.data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;

	if (quoted != (field->kind == JSON_TEXT || field->kind == JSON_NONCE) || strlen(text) != length)
		return ERR_CORRUPT;
	if (field->kind == JSON_TEXT)
		return take_text((const unsigned char *)text, length, member, field->size);
	if (field->kind == JSON_NONCE)
		return nonce_parse(text, member) < 0 ? ERR_CORRUPT : 0;
	if (field->kind != JSON_BOOL)
		return take_integer(field, text, member);
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return ERR_CORRUPT;
	*(bool *)member = text[0] == 't';
	return 0;
}

static int take_fields(struct input *in, const struct json_field *fields, char *base, bool top);

static int take_list(struct input *in, const struct json_field *field, char *base)
{
	const struct json_list *list = field->list;
	size_t count = 0;
	int error;

	if (in->event.type != YAML_SEQUENCE_START_EVENT)
		return ERR_CORRUPT;
	while ((error = next(in)) == 0 && in->event.type == YAML_MAPPING_START_EVENT) {
		if (count == list->max)
			return ERR_CORRUPT;
		error = take_fields(in, list->fields, base + field->offset + count++ * list->element, false);
		if (error < 0)
			return error;
	}
	if (error == 0 && in->event.type != YAML_SEQUENCE_END_EVENT)
		return ERR_CORRUPT;
	*(size_t *)(base + list->count_offset) = count;
	return error;
}

/* "version" and "kind", which every file has: 1 if the key was one of them. */
static int take_head(struct input *in, const char *key)
{
	const char *text = (const char *)in->event.data.scalar.value;
	uint64_t version;

	if (strcmp(key, "version") == 0) {
		if (in->seen_version || take_number(text, false, UINT32_MAX, &version) < 0 || version == 0)
			return ERR_CORRUPT;
		in->seen_version = true;
		return version > in->version ? ERR_VERSION : 1;
	}
	if (strcmp(key, "kind") != 0)
		return 0;
	if (in->seen_kind || strcmp(text, in->kind) != 0)
		return ERR_CORRUPT;
	in->seen_kind = true;
	return 1;
}

static int find(const struct json_field *fields, const char *key)
{
	for (int i = 0; fields[i].kind != JSON_END; i++) {
		if (strcmp(fields[i].name, key) == 0)
			return i;
	}
	return -1;
}

/* The value of key, whose first event is the current one. */
static int take_value(struct input *in, const struct json_field *fields, const char *key, char *base, bool top,
		      uint64_t *seen)
{
	int i = find(fields, key), head = 0;

	if (top && in->event.type == YAML_SCALAR_EVENT)
		head = take_head(in, key);
	if (head != 0)
		return head < 0 ? head : 0;
	if (i < 0)
		return skip(in);
	if (*seen >> i & 1)
		return ERR_CORRUPT;
	*seen |= UINT64_C(1) << i;
	if (fields[i].kind == JSON_LIST)
		return take_list(in, &fields[i], base);
	return in->event.type == YAML_SCALAR_EVENT ? take_scalar(in, &fields[i], base + fields[i].offset)
						   : ERR_CORRUPT;
}

static int take_fields(struct input *in, const struct json_field *fields, char *base, bool top)
{
	uint64_t seen = 0;
	int error;

	while ((error = next(in)) == 0 && in->event.type == YAML_SCALAR_EVENT) {
		char key[64];

		if (take_text(in->event.data.scalar.value, in->event.data.scalar.length, key, sizeof(key)) < 0)
			return ERR_CORRUPT;
		error = next(in);
		if (error == 0)
			error = take_value(in, fields, key, base, top, &seen);
		if (error < 0)
			return error;
	}
	if (error == 0 && in->event.type != YAML_MAPPING_END_EVENT)
		return ERR_CORRUPT;
	for (int i = 0; error == 0 && fields[i].kind != JSON_END; i++) {
		if (fields[i].needed && !(seen >> i & 1))
			return ERR_CORRUPT;
	}
	return error;
}

static int take_document(struct input *in, const struct json_field *fields, char *base)
{
	int error = expect(in, YAML_STREAM_START_EVENT);

	if (error == 0)
		error = expect(in, YAML_DOCUMENT_START_EVENT);
	if (error == 0)
		error = expect(in, YAML_MAPPING_START_EVENT);
	if (error == 0)
		error = take_fields(in, fields, base, true);
	if (error == 0)
		error = expect(in, YAML_DOCUMENT_END_EVENT);
	if (error == 0)
		error = expect(in, YAML_STREAM_END_EVENT);
	return error == 0 && (!in->seen_version || !in->seen_kind) ? ERR_CORRUPT : error;
}

int json_read(const char *kind, unsigned version, const struct json_field *fields, const char *text,
	      size_t size, void *base)
{
	struct input in = {.version = version, .kind = kind};
	int error;

	if (!yaml_parser_initialize(&in.parser))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&in.parser, (const unsigned char *)text, size);
	error = take_document(&in, fields, base);
	if (in.pending)
		yaml_event_delete(&in.event);
	yaml_parser_delete(&in.parser);
	return error;
}
