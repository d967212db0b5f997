/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads fields of an answer, tolerant of what is absent or of another type: a
 * later daemon may leave out what this client knows. Everything returned is
 * borrowed from the object unless it says otherwise.
 */
#ifndef DBSNAP_CLIENT_FIELD_H
#define DBSNAP_CLIENT_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* path: "State", or "Dbsnap.State" for one inside an object. NULL when absent. */
const json_t *field_at(const json_t *object, const char *path);
/* A string field; "" when absent or no string. */
const char *field_str(const json_t *object, const char *path);
/* A number, or a string of digits; missing otherwise. */
int64_t field_int(const json_t *object, const char *path, int64_t missing);
/* True for true and "true". */
bool field_bool(const json_t *object, const char *path);
/* Anything as text (arrays joined by commas); the caller frees it; never NULL. */
char *field_text(const json_t *object, const char *path);
/* The array Items.<kind> of an answer; NULL when absent. */
json_t *field_items(const json_t *answer, const char *kind);
/* The first of them; NULL when there is none. */
json_t *field_item(const json_t *answer, const char *kind);
/* Prints an answer or an item on standard output, for programs. */
void field_print_json(const json_t *value);

#endif
