/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Words for people: sizes, ages and spans, and lines whose control characters
 * are escaped, whoever wrote them. Every char * returned is the caller's to
 * free and never NULL: a client without memory says so and ends.
 */
#ifndef DBSNAP_CLIENT_TEXT_H
#define DBSNAP_CLIENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Control and direction characters, and bytes that are no UTF-8, become \xHH. */
char *text_escape(const char *text);
/* Columns that a text takes: its code points. */
size_t text_width(const char *text);

/* One escaped line: as it is to file; to standard error as "dbsnap: ..."; or indented below such a line. */
void text_say(FILE *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
void text_advise(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "Label            value", the value escaped; nothing when the value is empty. */
void text_pair(FILE *file, const char *label, const char *value);

/* Asks on standard error and reads an answer from standard input, a terminal. */
bool text_is_agreed(const char *question);

/* "1.2 GiB"; a negative number of bytes: "". */
char *text_size(int64_t bytes);
/* "12.0 GiB of 20.0 GiB (60%)"; "" when either is unknown (negative). */
char *text_free_of(int64_t free_bytes, int64_t total_bytes);
/* "45 s", "3 min", "5 h", "12 d". */
char *text_span(int64_t seconds);
/* A number of milliseconds as the API gives it ("3.071", "120") for people: "3.1 ms", "120 ms"; "" stays "". */
char *text_milliseconds(const char *api_ms);
/* The span since an API time ("yyyy-MM-ddTHH:mm:ssZ"), "" if it is none. */
char *text_age(const char *api_time);
/* "500ms", "30s", "5m", "1h", "2d" or plain seconds. 0, or ERR_INVALID. */
int text_parse_span(const char *text, int64_t *ret_ms);
/* A path as one word of a shell. */
char *text_shell(const char *path);

#endif
