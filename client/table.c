/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A table keeps its escaped cells until it is printed, because only then every width is known. */
#include "client/table.h"

#include "client/client.h"
#include "client/text.h"
#include "common/scope.h"

#include <stdlib.h>

enum { COLUMN_MAX = 16 };

struct table {
	const struct column *columns;
	size_t column_count;
	char **cells;
	size_t count;
	size_t room;
};

static void *must(void *memory)
{
	if (!memory) {
		fputs("dbsnap: out of memory\n", stderr);
		exit(STATUS_REFUSED);
	}
	return memory;
}

struct table *table_new(const struct column *columns, size_t count)
{
	struct table *table = must(calloc(1, sizeof(*table)));

	table->columns = columns;
	table->column_count = count < COLUMN_MAX ? count : COLUMN_MAX;
	return table;
}

struct table *table_free(struct table *table)
{
	if (table) {
		for (size_t i = 0; i < table->count; i++)
			free(table->cells[i]);
		free(table->cells);
		free(table);
	}
	return NULL;
}

void table_add(struct table *table, const char *text)
{
	if (table->count == table->room) {
		table->room = table->room ? table->room * 2 : 64;
		table->cells = must(reallocarray(table->cells, table->room, sizeof(*table->cells)));
	}
	table->cells[table->count++] = text_escape(text);
}

void table_take(struct table *table, char *text)
{
	scope_free char *taken = text;

	table_add(table, taken);
}

/* Width 0: the column is left out. */
static void measure(const struct table *table, size_t *widths)
{
	for (size_t c = 0; c < table->column_count; c++) {
		size_t widest = 0;

		for (size_t i = c; i < table->count; i += table->column_count) {
			size_t width = text_width(table->cells[i]);

			widest = width > widest ? width : widest;
		}
		if (widest || !table->columns[c].optional) {
			size_t width = text_width(table->columns[c].title);

			widest = width > widest ? width : widest;
		}
		widths[c] = widest;
	}
}

static void print_cell(FILE *file, const char *text, size_t width, bool right, bool last)
{
	int blanks = (int)(width - text_width(text));

	if (right)
		fprintf(file, "%*s%s", blanks, "", text);
	else if (last)
		fputs(text, file);
	else
		fprintf(file, "%s%*s", text, blanks, "");
	fputs(last ? "" : "  ", file);
}

/* A line ends with its last text: no blanks behind it. */
static void print_row(const struct table *table, FILE *file, const char *const *cells, const size_t *widths)
{
	size_t last = 0;

	for (size_t c = 0; c < table->column_count; c++)
		last = widths[c] && cells[c][0] ? c : last;
	for (size_t c = 0; c <= last; c++) {
		if (widths[c])
			print_cell(file, cells[c], widths[c], table->columns[c].right, c == last);
	}
	fputc('\n', file);
}

void table_print(const struct table *table, FILE *file)
{
	size_t widths[COLUMN_MAX];
	const char *titles[COLUMN_MAX];

	measure(table, widths);
	for (size_t c = 0; c < table->column_count; c++)
		titles[c] = table->columns[c].title;
	print_row(table, file, titles, widths);
	for (size_t i = 0; i + table->column_count <= table->count; i += table->column_count)
		print_row(table, file, (const char *const *)table->cells + i, widths);
}
