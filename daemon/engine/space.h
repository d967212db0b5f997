/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Free bytes and the floors below which nothing new is made. */
#ifndef DBSNAP_ENGINE_SPACE_H
#define DBSNAP_ENGINE_SPACE_H

#include "daemon/engine/job.h"

#include <stdint.h>

struct space {
	uint64_t free_bytes; /* that an ordinary user could write */
	uint64_t total_bytes;
};

/* Of fd's file system. 0 or a code from errno. */
int space_read(int fd, struct space *ret_space);

/*
 * May something new of so many bytes (0: a few) be made on fd's file system? 0; or ERR_FULL with why naming path's file
 * system, what is free and what is needed: floor beside the bytes, or (btrfs) unallocated bytes and free metadata less the global reserve
 * under 1 % of the whole, at most 1 GiB: below that a commit itself may find no room. *ret_space is filled in
 * both cases.
 */
int space_check(int fd, const char *path, const struct schema_floor *floor, uint64_t needed, struct space *ret_space,
		struct reason *why);

/*
 * After ERR_FULL in the middle of something that needs so many bytes (0: not known): says in why which file system it
 * is, what is free and what would be needed. Before anything is removed.
 */
void space_explain(int fd, const char *path, uint64_t needed, struct reason *why);

#endif
