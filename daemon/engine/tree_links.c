/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table of inodes; the paths lie one after the other in one piece of memory. */
#include "daemon/engine/tree_links.h"

#include "common/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { FIRST_SIZE = 256, INODES_MAX = 1 << 20, TEXT_FIRST = 4096, TEXT_MAX = 64 << 20 };

int tree_links_key_of(int fd, struct tree_links_key *ret_key)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0)
		return err_from_errno(errno);
	*ret_key = (struct tree_links_key){.device = makedev(st.stx_dev_major, st.stx_dev_minor), .inode = st.stx_ino};
	if (st.stx_mask & STATX_BTIME) {
		ret_key->born_s = st.stx_btime.tv_sec;
		ret_key->born_ns = st.stx_btime.tv_nsec;
	}
	return 0;
}

static bool is_same(const struct tree_links_key *a, const struct tree_links_key *b)
{
	return a->device == b->device && a->inode == b->inode && a->born_s == b->born_s && a->born_ns == b->born_ns;
}

/* The slot that holds key, or the free one where it belongs. */
static struct tree_links_entry *find_slot(const struct tree_links *links, const struct tree_links_key *key)
{
	uint64_t hash = (key->inode ^ key->device << 32) * UINT64_C(0x9E3779B97F4A7C15);
	size_t at = (size_t)(hash >> 20) & (links->size - 1);

	while (links->slots[at].offset != 0 && !is_same(&links->slots[at].key, key))
		at = (at + 1) & (links->size - 1);
	return &links->slots[at];
}

static bool grow_slots(struct tree_links *links)
{
	struct tree_links bigger = {.size = links->size ? links->size * 2 : FIRST_SIZE};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < links->size; i++) {
		if (links->slots[i].offset != 0)
			*find_slot(&bigger, &links->slots[i].key) = links->slots[i];
	}
	free(links->slots);
	links->slots = bigger.slots;
	links->size = bigger.size;
	return true;
}

static bool grow_text(struct tree_links *links, size_t length)
{
	size_t size = links->text_size ? links->text_size : TEXT_FIRST;
	char *bigger;

	while (size - links->text_used < length)
		size *= 2;
	bigger = size <= TEXT_MAX ? realloc(links->text, size) : NULL;
	if (!bigger)
		return false;
	links->text = bigger;
	links->text_size = size;
	return true;
}

const char *tree_links_find(const struct tree_links *links, const struct tree_links_key *key, size_t *ret_root)
{
	const struct tree_links_entry *slot = links->size ? find_slot(links, key) : NULL;

	if (!slot || slot->offset == 0)
		return NULL;
	*ret_root = slot->root;
	return links->text + slot->offset - 1;
}

bool tree_links_add(struct tree_links *links, const struct tree_links_key *key, size_t root, const char *path)
{
	size_t length = strlen(path) + 1;
	struct tree_links_entry *slot;

	if (links->used >= INODES_MAX || (links->used >= links->size / 2 && !grow_slots(links)))
		return false;
	if (links->text_size - links->text_used < length && !grow_text(links, length))
		return false;
	slot = find_slot(links, key);
	if (slot->offset == 0)
		links->used++;
	*slot = (struct tree_links_entry){
		.key = *key, .root = (uint32_t)root, .offset = (uint32_t)links->text_used + 1};
	memcpy(links->text + links->text_used, path, length);
	links->text_used += length;
	return true;
}

void tree_links_free(struct tree_links *links)
{
	free(links->slots);
	free(links->text);
	*links = (struct tree_links){0};
}
