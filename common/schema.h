/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table of keys drives a libyaml event stream into a struct. The table is
 * the one place that knows a key's kind, range, default and sentence: parsing,
 * checking and the manual page's key list all come from it.
 *
 * A key inside a map is written with dots ("jobs.timeout"); the map itself is a
 * row of kind SCHEMA_MAP. Where the row has a schema_list, a list of such maps may stand in
 * its place. Everything else is an error: other lists, aliases, anchors, tags, several
 * documents, unknown and doubled keys.
 */
#ifndef DBSNAP_SCHEMA_H
#define DBSNAP_SCHEMA_H

#include "common/conf_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum schema_kind {
	SCHEMA_MAP,      /* a map; its keys are rows of their own */
	SCHEMA_TEXT,     /* char[size]: UTF-8 without control characters; min, max: bytes */
	SCHEMA_PATH,     /* char[size]: absolute, no "..", no empty component, no trailing slash */
	SCHEMA_CLUSTER,  /* char[size]: a cluster's id */
	SCHEMA_NAME,     /* char[size]: a user, group or label: [A-Za-z0-9_][A-Za-z0-9_.-]*, min 0 allows "" */
	SCHEMA_NUMBER,   /* int64_t, min to max */
	SCHEMA_DURATION, /* int64_t in ms; 250ms 10s 5m 24h 400d */
	SCHEMA_SIZE,     /* int64_t in bytes; 512 64KiB 10MiB 1GiB 1TiB */
	SCHEMA_FLOOR,    /* struct schema_floor: a percentage or a size; max: of the percentage */
	SCHEMA_MODE,     /* uint32_t: "0660" */
	SCHEMA_OFFSET,   /* int64_t in minutes: "+02:00" */
	SCHEMA_BOOL,     /* bool: true or false */
	SCHEMA_WORD      /* an enum (stored as int): one of words */
};

/* A floor below which nothing is made: one of the two is in force, the other 0. */
struct schema_floor {
	int64_t percent; /* of the whole */
	int64_t bytes;
};

struct schema_word {
	const char *word; /* NULL ends the list */
	int value;
	bool not_built; /* known, and refused by name */
};

/*
 * An array in base, whose first element the rows below the map are about. A single map fills that one, a list
 * one element for each of its maps, each with the defaults of the first. Rows below such a map have defaults.
 */
struct schema_list {
	size_t max;    /* elements of the array */
	size_t stride; /* bytes of one */
	size_t count;  /* offset of a size_t in base: 1 by default, a list's length where one was given */
	size_t line;   /* offset of an unsigned in the first element: where it stood in a list, else 0 */
};

struct schema_row {
	const char *key; /* NULL ends the table */
	enum schema_kind kind;
	size_t offset; /* of the member */
	size_t size;   /* of the member, with a string's NUL */
	int64_t min, max;
	const char *fallback; /* the default as one would write it; NULL: the key must be there */
	const struct schema_word *words;
	/* NULL, or a further check of a value of the right kind: NULL if good, else what was expected. */
	const char *(*check)(const char *text);
	const char *doc; /* one line for the manual page */
	bool not_built;  /* the function does not exist yet: the key is refused, saying so; it has no member */
	const struct schema_list *list; /* SCHEMA_MAP: NULL, or a list of such maps may be given */
};

enum { SCHEMA_ROWS_MAX = 48, SCHEMA_BYTES_MAX = 1 << 20 };

/* Where each row's key stood, by row number; 0: not there. */
struct schema_lines {
	unsigned at[SCHEMA_ROWS_MAX];
};

/* Fills in the table's defaults. One that is no valid value is our own mistake. */
void schema_set_defaults(const struct schema_row *table, void *base);

/*
 * Reads one document of size bytes (file: its name for errors) into base, which
 * has its defaults already; nothing at all is an empty document. Every error is
 * added to errors; 0 if there was none, else ERR_INVALID, and base holds what
 * could be read. No error repeats the value of a SCHEMA_TEXT key: it may hold a
 * secret. Does not block.
 */
int schema_parse(const struct schema_row *table, const char *file, const char *bytes, size_t size, void *base,
		 struct conf_errors *errors, struct schema_lines *ret_lines);

/* One value by the rules of its row (no SCHEMA_MAP). 0, or ERR_INVALID with what was expected in expected. */
int schema_set_value(const struct schema_row *row, const char *text, void *base, char *expected, size_t expected_size);

/* What a value of the row looks like: "a duration from 1s to 7d", as errors and the manual page say it. */
void schema_describe(const struct schema_row *row, char *text, size_t size);

/* The number of key's row, or -1. */
int schema_find(const struct schema_row *table, const char *key);

/* The table as an mdoc(7) list: key, kind, range, default, sentence. */
void schema_print_mdoc(const struct schema_row *table, FILE *out);

#endif
