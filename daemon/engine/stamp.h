/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Of a file that must not change while nobody serves the database. */
#ifndef DBSNAP_ENGINE_STAMP_H
#define DBSNAP_ENGINE_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct stamp {
	uint64_t device, inode;
	int64_t mtime_s, mtime_ns, ctime_s, ctime_ns;
};

void stamp_of(const struct stat *st, struct stamp *ret_stamp);
bool stamp_equal(const struct stamp *a, const struct stamp *b);

#endif
