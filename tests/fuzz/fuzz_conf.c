/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of dbsnapd.yaml and of a cluster's file, read by the tables that the daemon reads them by. What was
 * taken is written again, key by key, and read to the same values.
 */
#include "common/conf.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>

static bool is_string(const struct schema_row *row)
{
	return row->kind == SCHEMA_TEXT || row->kind == SCHEMA_PATH || row->kind == SCHEMA_CLUSTER ||
	       row->kind == SCHEMA_NAME;
}

static bool is_number(const struct schema_row *row)
{
	return row->kind == SCHEMA_NUMBER || row->kind == SCHEMA_DURATION || row->kind == SCHEMA_SIZE ||
	       row->kind == SCHEMA_OFFSET;
}

static const char *word_of(const struct schema_row *row, int value)
{
	for (const struct schema_word *w = row->words; w->word; w++) {
		if (w->value == value && !w->not_built)
			return w->word;
	}
	return NULL;
}

/* Whatever stood in the file: a member is a value of its kind. */
static void check_member(const struct schema_row *row, const void *member)
{
	const struct schema_floor *floor = member;

	if (is_string(row))
		must(memchr(member, '\0', row->size));
	else if (is_number(row) && row->fallback)
		must(*(const int64_t *)member >= row->min && *(const int64_t *)member <= row->max);
	else if (row->kind == SCHEMA_FLOOR)
		must(floor->percent >= 0 && floor->percent <= row->max && floor->bytes >= 0 && !(floor->percent && floor->bytes));
	else if (row->kind == SCHEMA_MODE)
		must(*(const uint32_t *)member <= 0777);
	else if (row->kind == SCHEMA_WORD)
		must(word_of(row, *(const int *)member));
}

static void check_errors(const struct conf_errors *errors, int error)
{
	must((errors->count > 0 || errors->dropped > 0) == (error < 0));
	must(errors->count <= CONF_ERROR_MAX);
	for (size_t i = 0; i < errors->count; i++) {
		must(strlen(errors->lines[i]) < CONF_ERROR_SIZE);
		for (const char *c = errors->lines[i]; *c; c++)
			must((unsigned char)*c >= ' ' && *c != 0x7f);
	}
}

/* In double quotes, every other character than ASCII by its number. The text is UTF-8: libyaml takes nothing else. */
static void write_text(FILE *out, const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	putc('"', out);
	while (*c) {
		uint32_t point = *c++;
		int more = point < 0x80 ? 0 : point < 0xe0 ? 1 : point < 0xf0 ? 2 : 3;

		point &= more ? 0x3fU >> more : 0x7f;
		for (; more > 0; more--)
			point = point << 6 | (*c++ & 0x3f);
		if (point == '"' || point == '\\')
			putc('\\', out);
		fprintf(out, point < 0x80 ? "%c" : "\\U%08" PRIX32, point);
	}
	putc('"', out);
}

static void write_value(FILE *out, const struct schema_row *row, const void *member)
{
	const struct schema_floor *floor = member;
	int64_t minutes;

	if (is_string(row)) {
		write_text(out, member);
	} else if (row->kind == SCHEMA_OFFSET) {
		minutes = *(const int64_t *)member;
		fprintf(out, "%c%02d:%02d", minutes < 0 ? '-' : '+', (int)llabs(minutes) / 60, (int)llabs(minutes) % 60);
	} else if (is_number(row)) {
		fprintf(out, "%" PRId64 "%s", *(const int64_t *)member, row->kind == SCHEMA_DURATION ? "ms" : "");
	} else if (row->kind == SCHEMA_FLOOR) {
		fprintf(out, "%" PRId64 "%s", floor->percent ? floor->percent : floor->bytes, floor->percent ? "%" : "");
	} else if (row->kind == SCHEMA_MODE) {
		fprintf(out, "%04o", *(const uint32_t *)member);
	} else if (row->kind == SCHEMA_BOOL) {
		fputs(*(const bool *)member ? "true" : "false", out);
	} else {
		fputs(word_of(row, *(const int *)member), out);
	}
}

/* The keys of one map lie beside each other in a table. */
static void write_keys(FILE *out, const struct schema_row *table, const struct schema_lines *lines, const char *base)
{
	for (size_t i = 0; table[i].key; i++) {
		const char *name = strrchr(table[i].key, '.');
		bool empty = true;

		if (!lines->at[i] || table[i].not_built)
			continue;
		fprintf(out, "%s%s: ", name ? "  " : "", name ? name + 1 : table[i].key);
		for (size_t j = i + 1; table[i].kind == SCHEMA_MAP && table[j].key && strchr(table[j].key, '.'); j++)
			empty = empty && !lines->at[j];
		if (table[i].kind != SCHEMA_MAP)
			write_value(out, &table[i], base + table[i].offset);
		else if (empty)
			fputs("{}", out);
		putc('\n', out);
	}
}

static void check_again(const struct schema_row *table, const struct schema_lines *lines, const char *base, size_t base_size)
{
	struct conf_errors errors = {0};
	struct schema_lines lines_again;
	char *again = calloc(1, base_size), *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	must(again && out);
	write_keys(out, table, lines, base);
	must(fclose(out) == 0);
	schema_set_defaults(table, again);
	must(schema_parse(table, "again", text, size, again, &errors, &lines_again) == 0);
	for (const struct schema_row *row = table; row->key; row++) {
		if (is_string(row))
			must(strcmp(base + row->offset, again + row->offset) == 0);
		else if (row->kind != SCHEMA_MAP && !row->not_built)
			must(memcmp(base + row->offset, again + row->offset, row->size) == 0);
	}
	conf_errors_clear(&errors);
	free(again);
	free(text);
}

static void check_table(const struct schema_row *table, size_t base_size, const uint8_t *data, size_t size)
{
	struct conf_errors errors = {0};
	struct schema_lines lines;
	char *base = calloc(1, base_size);
	int error;

	must(base);
	schema_set_defaults(table, base);
	error = schema_parse(table, "file", (const char *)data, size, base, &errors, &lines);
	must(error == 0 || error == ERR_INVALID);
	check_errors(&errors, error);
	for (const struct schema_row *row = table; row->key; row++) {
		if (!row->not_built && row->kind != SCHEMA_MAP)
			check_member(row, base + row->offset);
	}
	if (error == 0)
		check_again(table, &lines, base, base_size);
	conf_errors_clear(&errors);
	must(errors.count == 0);
	free(base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_table(conf_daemon_table(), sizeof(struct conf), data, size);
	check_table(conf_cluster_table(), sizeof(struct conf_cluster), data, size);
	return 0;
}
