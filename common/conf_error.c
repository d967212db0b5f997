/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of what is wrong; when even a line cannot be kept it is counted as dropped. */
#include "common/conf_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void clean(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

/* "FILE:LINE: KEY: ", as much of it as is known. What was written of it, never size or more. */
static size_t write_place(char *text, size_t size, const char *file, unsigned line, const char *key)
{
	int used = 0;

	text[0] = '\0';
	if (file && line > 0)
		used = snprintf(text, size, "%s:%u: ", file, line);
	else if (file)
		used = snprintf(text, size, "%s: ", file);
	if (key && used >= 0 && (size_t)used < size)
		used += snprintf(text + used, size - (size_t)used, "%s: ", key);
	return strlen(text);
}

void conf_errors_add(struct conf_errors *errors, const char *file, unsigned line, const char *key,
		     const char *format, ...)
{
	char text[CONF_ERROR_SIZE];
	size_t used = write_place(text, sizeof(text), file, line, key);
	va_list args;
	char *copy;

	va_start(args, format);
	vsnprintf(text + used, sizeof(text) - used, format, args);
	va_end(args);
	clean(text);
	copy = errors->count < CONF_ERROR_MAX ? strdup(text) : NULL;
	if (copy)
		errors->lines[errors->count++] = copy;
	else
		errors->dropped++;
}

void conf_errors_clear(struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->lines[i]);
	*errors = (struct conf_errors){0};
}
