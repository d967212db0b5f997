/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multiplied, numbers that follow each other are spread over the table. */
#include "daemon/engine/inodes.h"

#include <stdint.h>
#include <stdlib.h>

/* The slot that holds inode, or the free one where it belongs. */
static ino_t *find_slot(const struct inodes *set, ino_t inode)
{
	size_t at = (size_t)(inode * UINT64_C(0x9E3779B97F4A7C15)) & (set->size - 1);

	while (set->slots[at] != 0 && set->slots[at] != inode)
		at = (at + 1) & (set->size - 1);
	return &set->slots[at];
}

static bool grow(struct inodes *set)
{
	struct inodes bigger = {.size = set->size ? set->size * 2 : 256, .used = set->used};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < set->size; i++) {
		if (set->slots[i] != 0)
			*find_slot(&bigger, set->slots[i]) = set->slots[i];
	}
	free(set->slots);
	*set = bigger;
	return true;
}

bool inodes_add(struct inodes *set, ino_t inode)
{
	ino_t *slot;

	if (set->used >= set->size / 2 && !grow(set))
		return true;
	slot = find_slot(set, inode);
	if (*slot == inode)
		return false;
	*slot = inode;
	set->used++;
	return true;
}

void inodes_free(struct inodes *set)
{
	free(set->slots);
	*set = (struct inodes){0};
}
