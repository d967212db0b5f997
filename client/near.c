/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edit distance by three rows of the usual table. */
#include "client/near.h"

#include <string.h>

enum { NAME_MAX_LENGTH = 63 };

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t near_distance(const char *a, const char *b)
{
	size_t rows[3][NAME_MAX_LENGTH + 1];
	size_t a_length = strnlen(a, NAME_MAX_LENGTH), b_length = strnlen(b, NAME_MAX_LENGTH);

	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *now = rows[i % 3];
		const size_t *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			now[j] = min(last[j - 1] + (a[i - 1] != b[j - 1]), min(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min(now[j], before[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

bool near_is_near(const char *typed, const char *name)
{
	size_t length = strlen(typed), bound = length < 4 ? 1 : length < 9 ? 2 : 3;

	/* "orders" for "pc-orders" is no slip of a key, but surely what was meant. */
	return near_distance(typed, name) <= bound || (length >= 3 && strstr(name, typed));
}
