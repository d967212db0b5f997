/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The closing bracket is written when the document is put into another, or ends. */
#include "daemon/front/doc.h"

#include "common/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOC_FIRST_SIZE = 512 };

struct doc {
	char *text;
	size_t used, size;
	size_t count; /* members */
	char closing;
	bool failed;
};

/* Room for size more bytes, or NULL and the document has failed. */
static char *reserve(struct doc *doc, size_t size)
{
	size_t wanted = doc->used + size;
	char *larger;

	if (doc->failed)
		return NULL;
	if (wanted > doc->size) {
		larger = realloc(doc->text, 2 * wanted);
		if (!larger) {
			doc->failed = true;
			return NULL;
		}
		doc->text = larger;
		doc->size = 2 * wanted;
	}
	doc->used = wanted;
	return doc->text + wanted - size;
}

static void append(struct doc *doc, const char *bytes, size_t size)
{
	char *place = reserve(doc, size);

	if (place)
		memcpy(place, bytes, size);
}

static struct doc *make(char opening, char closing)
{
	struct doc *doc = calloc(1, sizeof(*doc));

	if (!doc)
		return NULL;
	doc->closing = closing;
	doc->text = malloc(DOC_FIRST_SIZE);
	doc->size = DOC_FIRST_SIZE;
	doc->failed = !doc->text;
	append(doc, &opening, 1);
	return doc;
}

struct doc *doc_object(void)
{
	return make('{', '}');
}

struct doc *doc_array(void)
{
	return make('[', ']');
}

void doc_free(struct doc *doc)
{
	if (doc)
		free(doc->text);
	free(doc);
}

size_t doc_count(const struct doc *doc)
{
	return doc && !doc->failed ? doc->count : 1;
}

/* ---- values ---- */

static bool is_plain(char c)
{
	return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

static void append_escaped(struct doc *doc, char c)
{
	char text[sizeof("\\u0000")];
	int size = c == '"' || c == '\\' ? snprintf(text, sizeof(text), "\\%c", c) :
					   snprintf(text, sizeof(text), "\\u%04x", (unsigned char)c);

	append(doc, text, (size_t)size);
}

static void replace_foreign(char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		text[i] = text[i] < 0 ? '?' : text[i];
}

static void append_text(struct doc *doc, const char *text)
{
	size_t size = strlen(text), begin = doc->used, plain;
	bool clean = utf8_is_valid(text, size);

	append(doc, "\"", 1);
	for (const char *at = text, *end = text + size; at < end; at += plain) {
		for (plain = 0; at + plain < end && is_plain(at[plain]);)
			plain++;
		append(doc, at, plain);
		if (at + plain < end)
			append_escaped(doc, at[plain++]);
	}
	append(doc, "\"", 1);
	if (!clean && !doc->failed)
		replace_foreign(doc->text + begin, doc->used - begin);
}

/* Takes child. */
static void append_doc(struct doc *doc, struct doc *child)
{
	if (child)
		append(child, &child->closing, 1);
	if (!child || child->failed)
		doc->failed = true;
	else
		append(doc, child->text, child->used);
	doc_free(child);
}

/* ---- members ---- */

static void begin_member(struct doc *doc)
{
	if (doc->count++ > 0)
		append(doc, ",", 1);
}

static void begin_named(struct doc *object, const char *name)
{
	begin_member(object);
	append(object, "\"", 1);
	append(object, name, strlen(name));
	append(object, "\":", 2);
}

void doc_put_text(struct doc *object, const char *name, const char *value)
{
	if (!object)
		return;
	begin_named(object, name);
	append_text(object, value);
}

void doc_put_number(struct doc *object, const char *name, uint64_t value)
{
	char text[24];

	if (!object)
		return;
	begin_named(object, name);
	append(object, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, value));
}

void doc_put(struct doc *object, const char *name, struct doc *value)
{
	if (!object) {
		doc_free(value);
		return;
	}
	begin_named(object, name);
	append_doc(object, value);
}

void doc_add_text(struct doc *array, const char *value)
{
	if (!array)
		return;
	begin_member(array);
	append_text(array, value);
}

void doc_add(struct doc *array, struct doc *value)
{
	if (!array) {
		doc_free(value);
		return;
	}
	begin_member(array);
	append_doc(array, value);
}

char *doc_end(struct doc *doc, size_t *ret_size)
{
	char *text = NULL;

	if (!doc)
		return NULL;
	append(doc, (char[]){doc->closing, '\0'}, 2);
	if (!doc->failed) {
		text = doc->text;
		*ret_size = doc->used - 1;
		doc->text = NULL;
	}
	doc_free(doc);
	return text;
}
