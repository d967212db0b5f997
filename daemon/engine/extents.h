/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In how many pieces a file lies on its disk. */
#ifndef DBSNAP_ENGINE_EXTENTS_H
#define DBSNAP_ENGINE_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The extents of the regular file fd (open for reading), as FIEMAP tells them; nothing is written out for that. Counts to
 * most, and until deadline_ms (running time), no further: *ret_more then. 0; ERR_UNSUPPORTED where the file system does not
 * tell, or another code from errno. Asks the file system a few hundred at a time: may block.
 */
int extents_count(int fd, uint64_t most, int64_t deadline_ms, uint64_t *ret_count, bool *ret_more);

#endif
