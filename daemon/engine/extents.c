/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file may grow, shrink and be moved while it is asked about: each answer has to lead further than the last, or the
 * count ends.
 */
#include "daemon/engine/extents.h"

#include "common/clock.h"
#include "common/err.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stddef.h>
#include <sys/ioctl.h>

enum { AT_ONCE = 256 };

union batch {
	struct fiemap map;
	char room[sizeof(struct fiemap) + AT_ONCE * sizeof(struct fiemap_extent)];
};

/* Where what follows the batch begins; 0: nothing does. */
static uint64_t next_of(const struct fiemap *map)
{
	const struct fiemap_extent *last = &map->fm_extents[map->fm_mapped_extents - 1];
	uint64_t end = last->fe_logical + last->fe_length;

	return last->fe_flags & FIEMAP_EXTENT_LAST || end <= map->fm_start ? 0 : end;
}

int extents_count(int fd, uint64_t most, int64_t deadline_ms, uint64_t *ret_count, bool *ret_more)
{
	uint64_t count = 0, from = 0;

	do {
		union batch batch = {.map = {.fm_start = from, .fm_length = FIEMAP_MAX_OFFSET - from, .fm_extent_count = AT_ONCE}};

		if (ioctl(fd, FS_IOC_FIEMAP, &batch.map) < 0)
			return errno == ENOTTY || errno == EOPNOTSUPP ? ERR_UNSUPPORTED : err_from_errno(errno);
		if (batch.map.fm_mapped_extents == 0 || batch.map.fm_mapped_extents > AT_ONCE)
			from = 0;
		else
			from = next_of(&batch.map);
		count += batch.map.fm_mapped_extents;
	} while (from && count < most && clock_running_ms() < deadline_ms);
	*ret_count = count < most ? count : most;
	*ret_more = from != 0 || count > most;
	return 0;
}
