/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One value by the rules of its row: what it may look like, and its number of units. */
#include "common/schema.h"

#include "common/err.h"
#include "common/ident.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

/* Ascending: format_amount() takes the last that divides. */
static const struct unit duration_units[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};
static const struct unit size_units[] = {
	{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", INT64_C(1) << 40}, {NULL, 0},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Leading digits without a needless zero, at most 18 of them. What follows them, or NULL. */
static const char *parse_digits(const char *text, int64_t *ret_value)
{
	int64_t value = 0;
	int count = 0;

	for (; is_digit(text[count]); count++) {
		if (count == 18)
			return NULL;
		value = value * 10 + (text[count] - '0');
	}
	if (count == 0 || (count > 1 && text[0] == '0'))
		return NULL;
	*ret_value = value;
	return text + count;
}

static int parse_amount(const char *text, const struct unit *units, int64_t *ret_value)
{
	int64_t value;
	const char *rest = parse_digits(text, &value);

	for (; rest && units->name; units++) {
		if (strcmp(rest, units->name) == 0)
			return __builtin_mul_overflow(value, units->factor, ret_value) ? ERR_INVALID : 0;
	}
	return ERR_INVALID;
}

static void format_amount(int64_t value, const struct unit *units, char *text, size_t size)
{
	const struct unit *best = units;

	for (const struct unit *u = units; u->name; u++) {
		if (value % u->factor == 0 && (value != 0 || u->factor <= 1000))
			best = u;
	}
	snprintf(text, size, "%" PRId64 "%s", value / best->factor, best->name);
}

static int in_range(const struct schema_row *row, int64_t value)
{
	return value >= row->min && value <= row->max ? 0 : ERR_INVALID;
}

/* Control characters, DEL and (in UTF-8) U+0080 to U+009F: none may reach a terminal. */
static bool is_clean_text(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	for (; *c; c++) {
		if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f))
			return false;
	}
	return true;
}

static bool is_clean_path(const char *text)
{
	if (text[0] != '/' || !is_clean_text(text))
		return false;
	while (*text) {
		const char *component = ++text; /* past the slash */
		size_t length = strcspn(component, "/");

		if (length == 0 || (length == 1 && component[0] == '.') ||
		    (length == 2 && memcmp(component, "..", 2) == 0))
			return false;
		text += length;
	}
	return true;
}

static bool is_name(const char *text)
{
	/* The two at the end are allowed, but not first. */
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

	return text[0] != '.' && text[0] != '-' && text[strspn(text, letters)] == '\0';
}

static int set_string(const struct schema_row *row, const char *text, char *member)
{
	size_t length = strlen(text);
	bool good;

	if (length >= row->size || (row->kind == SCHEMA_TEXT && in_range(row, (int64_t)length) < 0))
		return ERR_INVALID;
	if (row->kind == SCHEMA_TEXT)
		good = is_clean_text(text);
	else if (length == 0)
		good = row->min == 0;
	else if (row->kind == SCHEMA_PATH)
		good = is_clean_path(text);
	else
		good = row->kind == SCHEMA_CLUSTER ? ident_is_cluster(text) : is_name(text);
	if (!good || (row->check && row->check(text)))
		return ERR_INVALID;
	memcpy(member, text, length + 1);
	return 0;
}

static int set_mode(const char *text, uint32_t *member)
{
	if (strlen(text) != 4 || text[0] != '0' || strspn(text, "01234567") != 4)
		return ERR_INVALID;
	*member = (uint32_t)strtoul(text, NULL, 8);
	return 0;
}

static int parse_offset(const char *text, int64_t *ret_minutes)
{
	int64_t minutes;

	if (strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' || !is_digit(text[1]) ||
	    !is_digit(text[2]) || !is_digit(text[4]) || !is_digit(text[5]) || text[4] > '5')
		return ERR_INVALID;
	minutes = ((text[1] - '0') * 10 + text[2] - '0') * 60 + (text[4] - '0') * 10 + text[5] - '0';
	*ret_minutes = text[0] == '-' ? -minutes : minutes;
	return 0;
}

static int set_number(const struct schema_row *row, const char *text, int64_t *member)
{
	const char *rest;
	int64_t value = 0;
	int error;

	if (row->kind == SCHEMA_DURATION) {
		error = parse_amount(text, duration_units, &value);
	} else if (row->kind == SCHEMA_SIZE) {
		error = parse_amount(text, size_units, &value);
	} else if (row->kind == SCHEMA_OFFSET) {
		error = parse_offset(text, &value);
	} else {
		rest = parse_digits(text, &value);
		error = rest && *rest == '\0' ? 0 : ERR_INVALID;
	}
	if (error < 0 || in_range(row, value) < 0)
		return ERR_INVALID;
	*member = value;
	return 0;
}

static int set_floor(const struct schema_row *row, const char *text, struct schema_floor *member)
{
	int64_t value;
	const char *rest = parse_digits(text, &value);

	if (rest && strcmp(rest, "%") == 0) {
		if (in_range(row, value) < 0)
			return ERR_INVALID;
		*member = (struct schema_floor){.percent = value};
		return 0;
	}
	if (parse_amount(text, size_units, &value) < 0)
		return ERR_INVALID;
	*member = (struct schema_floor){.bytes = value};
	return 0;
}

static int set_bool(const char *text, bool *member)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return ERR_INVALID;
	*member = text[0] == 't';
	return 0;
}

static int set_word(const struct schema_row *row, const char *text, void *member)
{
	for (const struct schema_word *w = row->words; w->word; w++) {
		if (strcmp(text, w->word) != 0)
			continue;
		if (w->not_built)
			return ERR_UNSUPPORTED;
		memcpy(member, &w->value, sizeof(w->value));
		return 0;
	}
	return ERR_INVALID;
}

static int set_member(const struct schema_row *row, const char *text, void *member)
{
	switch (row->kind) {
	case SCHEMA_MAP:
		break;
	case SCHEMA_TEXT:
	case SCHEMA_PATH:
	case SCHEMA_CLUSTER:
	case SCHEMA_NAME:
		return set_string(row, text, member);
	case SCHEMA_NUMBER:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
	case SCHEMA_OFFSET:
		return set_number(row, text, member);
	case SCHEMA_FLOOR:
		return set_floor(row, text, member);
	case SCHEMA_MODE:
		return set_mode(text, member);
	case SCHEMA_BOOL:
		return set_bool(text, member);
	case SCHEMA_WORD:
		return set_word(row, text, member);
	}
	abort();
}

int schema_set_value(const struct schema_row *row, const char *text, void *base, char *expected, size_t expected_size)
{
	int error = set_member(row, text, (char *)base + row->offset);
	const char *why = error < 0 && row->check ? row->check(text) : NULL;

	if (error < 0 && why)
		snprintf(expected, expected_size, "%s", why);
	else if (error < 0)
		schema_describe(row, expected, expected_size);
	return error < 0 ? ERR_INVALID : 0;
}

void schema_set_defaults(const struct schema_row *table, void *base)
{
	char expected[CONF_ERROR_SIZE];

	for (const struct schema_row *row = table; row->key; row++) {
		if (row->list)
			*(size_t *)(void *)((char *)base + row->list->count) = 1;
		if (row->fallback && !row->not_built &&
		    schema_set_value(row, row->fallback, base, expected, sizeof(expected)) < 0)
			abort();
	}
}

static void describe_words(const struct schema_row *row, char *text, size_t size)
{
	size_t used = 0;

	for (int not_built = 0; not_built <= 1; not_built++) {
		const char *before = not_built ? " (not built yet in this release: " : "one of ";

		for (const struct schema_word *w = row->words; w->word; w++) {
			if (w->not_built != (not_built == 1) || used >= size)
				continue;
			used += (size_t)snprintf(text + used, size - used, "%s%s", before, w->word);
			before = ", ";
		}
		if (not_built && before[0] == ',' && used < size)
			snprintf(text + used, size - used, ")");
	}
}

static void describe_range(const struct schema_row *row, const char *what, const struct unit *units, char *text,
			   size_t size)
{
	char low[32], high[32];

	format_amount(row->min, units, low, sizeof(low));
	format_amount(row->max, units, high, sizeof(high));
	snprintf(text, size, "a %s from %s to %s", what, low, high);
}

static void describe_string(const struct schema_row *row, char *text, size_t size)
{
	const char *or_empty = row->min == 0 ? ", or \"\"" : "";
	size_t max = row->size - 1;

	if (row->kind == SCHEMA_TEXT)
		snprintf(text, size, "text of %" PRId64 " to %" PRId64 " bytes without control characters", row->min,
			 row->max);
	else if (row->kind == SCHEMA_PATH)
		snprintf(text, size, "an absolute path of at most %zu bytes, without \".\", \"..\", \"//\" and \"/\" at its end%s",
			 max, or_empty);
	else if (row->kind == SCHEMA_NAME)
		snprintf(text, size, "a name of at most %zu of A-Z, a-z, 0-9, \"_\", and after the first also \".\" and \"-\"%s",
			 max, or_empty);
	else
		snprintf(text, size, "an id: 2 to 63 of a-z, 0-9 and \"-\", not beginning with \"-\"");
}

void schema_describe(const struct schema_row *row, char *text, size_t size)
{
	static const struct unit count_units[] = {{"", 1}, {NULL, 0}};

	if (row->kind == SCHEMA_MAP)
		snprintf(text, size, row->list ? "a map of keys or a list of such maps" : "a map of keys");
	else if (row->kind == SCHEMA_NUMBER)
		describe_range(row, "number", count_units, text, size);
	else if (row->kind == SCHEMA_DURATION)
		describe_range(row, "duration", duration_units, text, size);
	else if (row->kind == SCHEMA_SIZE)
		describe_range(row, "size", size_units, text, size);
	else if (row->kind == SCHEMA_FLOOR)
		snprintf(text, size, "a percentage from %" PRId64 "%% to %" PRId64 "%%, or a size such as 10GiB", row->min,
			 row->max);
	else if (row->kind == SCHEMA_MODE)
		snprintf(text, size, "four octal digits such as \"0660\"");
	else if (row->kind == SCHEMA_OFFSET)
		snprintf(text, size, "an offset such as \"+02:00\", at most %" PRId64 " hours either way", row->max / 60);
	else if (row->kind == SCHEMA_BOOL)
		snprintf(text, size, "true or false");
	else if (row->kind == SCHEMA_WORD)
		describe_words(row, text, size);
	else
		describe_string(row, text, size);
}
