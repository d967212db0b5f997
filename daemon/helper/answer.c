/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes of a hostile server's words what may be passed on. */
#include "daemon/helper/answer.h"

#include <stddef.h>

/* One line, control characters as blanks, blanks at the end off. */
static void set_text(struct ask_answer *answer, const char *text)
{
	size_t length = 0;

	for (; text && *text && length + 1 < sizeof(answer->text); text++) {
		unsigned char c = (unsigned char)*text;

		answer->text[length++] = c < 0x20 || c == 0x7f ? ' ' : *text;
	}
	while (length > 0 && answer->text[length - 1] == ' ')
		length--;
	answer->text[length] = '\0';
}

void answer_refuse(struct ask_answer *answer, enum ask_outcome outcome, const char *text)
{
	answer->outcome = (uint8_t)outcome;
	set_text(answer, text);
}

bool answer_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!text || !*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || number > (UINT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (uint64_t)(*text - '0');
	}
	*ret_number = number;
	return number <= max;
}
