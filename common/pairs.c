/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Takes "key = value" apart, as libpq does. */
#include "common/pairs.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const char blanks[] = " \t\n\r\f\v";

static bool append(char *text, size_t size, size_t *length, char c)
{
	if (*length + 1 >= size)
		return false;
	text[(*length)++] = c;
	text[*length] = '\0';
	return true;
}

/* The value at text, quoted or not. What follows it, or NULL if it is malformed. */
static const char *read_value(const char *text, struct pair *pair)
{
	bool quoted = *text == '\'';
	size_t length = 0;

	pair->value[0] = '\0';
	text += quoted;
	while (*text && (quoted ? *text != '\'' : !strchr(blanks, *text))) {
		if (*text == '\\' && text[1])
			text++;
		if (!append(pair->value, sizeof(pair->value), &length, *text++))
			return NULL;
	}
	if (quoted && *text != '\'')
		return NULL;
	return text + quoted;
}

const char *pairs_next(const char *text, struct pair *ret_pair)
{
	size_t length;

	ret_pair->key[0] = '\0';
	ret_pair->value[0] = '\0';
	text += strspn(text, blanks);
	if (!*text)
		return text;
	length = strcspn(text, "= \t\n\r\f\v");
	if (length == 0 || length >= sizeof(ret_pair->key))
		return NULL;
	memcpy(ret_pair->key, text, length);
	ret_pair->key[length] = '\0';
	text += length;
	text += strspn(text, blanks);
	if (*text != '=')
		return NULL;
	text++;
	return read_value(text + strspn(text, blanks), ret_pair);
}
