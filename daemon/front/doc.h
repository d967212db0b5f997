/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON that is only ever written: an object or an array is the text of its members so far.
 *
 * Memory that cannot be had sticks: what is put into such a document is dropped, one that is
 * put into another fails that too, and doc_end() gives NULL. Names are ours and written as
 * they are; values are anybody's bytes.
 *
 * Worked example, doc_put_text(object, "Name", "a\"b"), doc_put(object, "Items", array of "x"):
 *   {"Name":"a\"b","Items":["x"]}
 */
#ifndef DBSNAP_FRONT_DOC_H
#define DBSNAP_FRONT_DOC_H

#include <stddef.h>
#include <stdint.h>

struct doc;

struct doc *doc_object(void);
struct doc *doc_array(void);
void doc_free(struct doc *doc);

/* Members so far; never 0 of one that lacked memory. */
size_t doc_count(const struct doc *doc);

/* Of an object. Bytes that are not UTF-8 become '?', and so does all in that value that is not ASCII. */
void doc_put_text(struct doc *object, const char *name, const char *value);
void doc_put_number(struct doc *object, const char *name, uint64_t value);
/* Takes value, an object or an array. */
void doc_put(struct doc *object, const char *name, struct doc *value);

/* Of an array. */
void doc_add_text(struct doc *array, const char *value);
/* Takes value. */
void doc_add(struct doc *array, struct doc *value);

/* The whole text, a string that the caller frees, and its length; frees the document. NULL: out of memory. */
char *doc_end(struct doc *doc, size_t *ret_size);

#endif
