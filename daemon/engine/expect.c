/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A snapshot takes as long as the disk needs to write out what is dirty, which nobody knows beforehand; a walk that shares
 * blocks, as long as its files and extents are many; a copy, as long as the disk is slow. Where there is no honest figure
 * there is none.
 */
#include "daemon/engine/expect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FILE_US = 100, EXTENT_US = 16, MIB = 1 << 20 };

static const char *of_writers(const struct layout_expected *expected)
{
	return expected->freeze_us < 0 ? "writers are held meanwhile, for database.max_freeze at most" : "nobody is held";
}

static void of_snapshot(struct layout_expected *expected)
{
	snprintf(expected->why, sizeof(expected->why),
		 "milliseconds, whatever the size; longer while the disk is busy; %s",
		 of_writers(expected));
}

static void of_sharing(const struct expect_size *size, struct layout_expected *expected)
{
	if (!size->known) {
		snprintf(expected->why, sizeof(expected->why), "about 0.1 ms a file; %s", of_writers(expected));
		return;
	}
	expected->cut_us = (int64_t)(size->files * FILE_US + size->extents * EXTENT_US);
	snprintf(expected->why, sizeof(expected->why),
		 "estimated: %" PRIu64 " files at 0.1 ms and, of the largest, %" PRIu64 " %s at 0.016 ms; %s", size->files,
		 size->extents, size->extents == 1 ? "extent" : "extents", of_writers(expected));
}

static void of_copying(const struct expect_size *size, struct layout_expected *expected)
{
	if (size->known)
		snprintf(expected->why, sizeof(expected->why), "as long as the disks take to copy %" PRIu64 " MiB; %s",
			 size->bytes / MIB, of_writers(expected));
	else
		snprintf(expected->why, sizeof(expected->why), "as long as the disks take to copy all of it; %s",
			 of_writers(expected));
}

void expect_cut(struct layout *layout, const struct expect_size *size)
{
	struct layout_expected *expected = &layout->expected;

	if (expected->why[0])
		return;
	if (layout->snap->atomic)
		of_snapshot(expected);
	else if (layout->snap->measure)
		of_copying(size, expected);
	else
		of_sharing(size, expected);
}
