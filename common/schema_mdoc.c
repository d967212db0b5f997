/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A table of keys as the list of a manual page. */
#include "common/schema.h"

#include <string.h>

/*
 * Text for a macro's argument or lines of its own: nothing in it is a request
 * or an escape, and each sentence begins a line, as mdoc wants it.
 */
static void print_text(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		bool ends_sentence = text[0] == '.' && text[1] == ' ' && text[2] >= 'A' && text[2] <= 'Z';

		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '"')
			fputs("\\(dq", out);
		else
			fputc(*text, out);
		if (ends_sentence) {
			fputc('\n', out);
			text++;
		}
	}
}

static void print_default(const struct schema_row *row, FILE *out)
{
	if (row->kind == SCHEMA_MAP)
		return;
	if (!row->fallback) {
		fputs("Required.\n", out);
		return;
	}
	if (!row->fallback[0]) {
		fputs("Default: empty.\n", out);
		return;
	}
	fputs("Default:\n.Ql \"", out);
	print_text(row->fallback, out);
	fputs("\" .\n", out);
}

static void print_row(const struct schema_row *row, FILE *out)
{
	char expected[CONF_ERROR_SIZE / 2];

	fprintf(out, ".It Ic %s\n", row->key);
	print_text(row->doc, out);
	fputc('\n', out);
	if (row->not_built) {
		fputs("Not built yet in this release: the key is refused.\n", out);
		return;
	}
	if (row->kind != SCHEMA_MAP) {
		schema_describe(row, expected, sizeof(expected));
		fputs("Expects ", out);
		print_text(expected, out);
		fputs(".\n", out);
	}
	print_default(row, out);
}

void schema_print_mdoc(const struct schema_row *table, FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (const struct schema_row *row = table; row->key; row++)
		print_row(row, out);
	fputs(".El\n", out);
}
