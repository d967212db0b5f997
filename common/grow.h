/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arrays that grow by doubling. */
#ifndef DBSNAP_GROW_H
#define DBSNAP_GROW_H

#include <stddef.h>
#include <stdlib.h>

/*
 * array with room for one more than count entries of each bytes, and *room brought up to date; array is
 * then the returned one. NULL: out of memory, nothing changed.
 */
static inline void *grow(void *array, size_t count, size_t *room, size_t each)
{
	size_t more = *room ? *room * 2 : 16;
	void *larger;

	if (count < *room)
		return array;
	larger = reallocarray(array, more, each);
	if (larger)
		*room = more;
	return larger;
}

#endif
