/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table of fields drives the writer and the reader of a small JSON file: one
 * object of scalars and of lists of such objects. Written in ASCII; read by
 * libyaml. A string is bytes: each one outside printable ASCII is written as
 * \u00XX, so that every path survives.
 */
#ifndef DBSNAP_ENGINE_JSON_H
#define DBSNAP_ENGINE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_kind {
	JSON_END,
	JSON_TEXT,  /* char[size] */
	JSON_U8,
	JSON_U32,
	JSON_U64,
	JSON_I64,
	JSON_BOOL,
	JSON_NONCE, /* struct nonce, as 32 hexadecimal digits */
	JSON_LIST
};

struct json_list;

struct json_field {
	enum json_kind kind;
	const char *name;
	size_t offset;
	size_t size;  /* JSON_TEXT: of the array */
	bool needed;  /* a file without it is corrupt */
	const struct json_list *list;
};

struct json_list {
	const struct json_field *fields; /* of an element: no lists */
	size_t element;      /* bytes of one */
	size_t max;
	size_t count_offset; /* of the size_t beside it in the object */
};

#define JSON_FIELD(k, name, s, m, needed) {k, name, offsetof(struct s, m), sizeof(((struct s *)0)->m), needed, NULL}

enum { JSON_FIELDS_MAX = 48 };

/* The object with "version" and "kind" before its fields. The caller frees it; NULL: no memory. */
char *json_write(const char *kind, unsigned version, const struct json_field *fields, const void *base);

/*
 * Into base, zeroed by the caller. 0; ERR_CORRUPT: malformed, another kind, a needed key
 * missing, a key doubled, a value out of its range; ERR_VERSION: newer than version; ERR_NOMEM.
 */
int json_read(const char *kind, unsigned version, const struct json_field *fields, const char *text, size_t size,
	      void *base);

#endif
