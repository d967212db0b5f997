/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of inode numbers: those of files with several names, each of which is to be counted once. */
#ifndef DBSNAP_ENGINE_INODES_H
#define DBSNAP_ENGINE_INODES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* An open hash table, at most half full. Starts as {0}; inodes_free() frees what it holds. */
struct inodes {
	ino_t *slots; /* 0: free. No file has inode 0 */
	size_t size;  /* a power of two, or 0 */
	size_t used;
};

/* Was it not there before? Puts it there. Out of memory: true. */
bool inodes_add(struct inodes *set, ino_t inode);
void inodes_free(struct inodes *set);

#endif
