/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of text in columns as wide as their widest cell. */
#ifndef DBSNAP_CLIENT_TABLE_H
#define DBSNAP_CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct column {
	const char *title;
	bool right;    /* aligned to the right: numbers */
	bool optional; /* left out when all its cells are empty */
};

struct table;

/* columns: borrowed for the table's life. */
struct table *table_new(const struct column *columns, size_t count);
struct table *table_free(struct table *table);
/* Fills the next cell, row by row; the text is copied (escaped), or taken over. */
void table_add(struct table *table, const char *text);
void table_take(struct table *table, char *text);
void table_print(const struct table *table, FILE *file);

static inline void table_free_p(struct table **table)
{
	table_free(*table);
}
#define scope_table __attribute__((cleanup(table_free_p)))

#endif
