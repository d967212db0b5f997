/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Most text is ASCII, byte after byte; each other sequence must be the shortest of its character. */
#include "common/utf8.h"

#include <stdint.h>

/* The length of the sequence that begins here, or 0: there is none. */
static size_t sequence_length(const uint8_t *at, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = at[0] < 0x80 ? 1 : (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : (at[0] & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t point;

	if (length < 2 || length > left)
		return length == 1 ? 1 : 0;
	point = at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (at[i] & 0x3f);
	}
	return point < least[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : length;
}

bool utf8_is_valid(const char *text, size_t size)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + size;

	while (at < end) {
		size_t length = sequence_length(at, (size_t)(end - at));

		if (length == 0)
			return false;
		at += length;
	}
	return true;
}
