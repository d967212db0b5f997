/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which inodes with several names a walk has copied, and where their first copy
 * is. An inode's number is given anew when its last name has gone, so that the time of its birth belongs to its key.
 */
#ifndef DBSNAP_ENGINE_TREE_LINKS_H
#define DBSNAP_ENGINE_TREE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_links_key {
	uint64_t device, inode;
	int64_t born_s; /* 0: the file system does not tell */
	uint32_t born_ns;
};

struct tree_links_entry {
	struct tree_links_key key;
	uint32_t root;   /* in which of the roots */
	uint32_t offset; /* of the path in text, plus 1; 0: a free slot */
};

/* Starts as {0}. Bounded: a million inodes, 64 MiB of paths. */
struct tree_links {
	struct tree_links_entry *slots; /* an open hash table, at most half full */
	size_t size;                    /* a power of two, or 0 */
	size_t used;
	char *text;
	size_t text_size, text_used;
};

/* Reads the key of an open file. 0 or a code from errno. */
int tree_links_key_of(int fd, struct tree_links_key *ret_key);

/* The path of the first copy below its root, borrowed until the next add; NULL if there is none. */
const char *tree_links_find(const struct tree_links *links, const struct tree_links_key *key, size_t *ret_root);

/* Notes a first copy. False when there is no room: further names become files of their own. */
bool tree_links_add(struct tree_links *links, const struct tree_links_key *key, size_t root, const char *path);

void tree_links_free(struct tree_links *links);

#endif
