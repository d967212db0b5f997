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
 * May something new be made on fd's file system? 0; or ERR_FULL with why naming path's file system, what is
 * free and what is needed: floor, or (btrfs) unallocated bytes and free metadata less the global reserve
 * under 1 % of the whole, at most 1 GiB: below that a commit itself may find no room. *ret_space is filled in
 * both cases.
 */
int space_check(int fd, const char *path, const struct schema_floor *floor, struct space *ret_space,
		struct reason *why);

#endif
