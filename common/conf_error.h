/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong with the configuration, as a bounded list of lines for the
 * caller to print: "FILE:LINE: KEY: what was expected". All files' errors are
 * gathered, not only the first.
 */
#ifndef DBSNAP_CONF_ERROR_H
#define DBSNAP_CONF_ERROR_H

#include <stddef.h>

enum { CONF_ERROR_MAX = 100, CONF_ERROR_SIZE = 1024 };

/* Starts as {0}; owns its lines: conf_errors_clear() when done. */
struct conf_errors {
	size_t count;
	size_t dropped; /* how many more there were than fit */
	char *lines[CONF_ERROR_MAX];
};

/* file: NULL for none. line: 0 for none. key: NULL for none. Control characters become '?'. */
void conf_errors_add(struct conf_errors *errors, const char *file, unsigned line, const char *key,
		     const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Frees the lines; the list is empty afterwards. */
void conf_errors_clear(struct conf_errors *errors);

#endif
