/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * On btrfs the number that statvfs gives is about data; what stops the whole
 * file system is metadata, which grows out of unallocated space. So that is
 * looked at as well, by ioctls that need no privilege.
 */
#include "daemon/engine/space.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/volume.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

static const char remedy[] = "delete backups that are no longer needed, or make the file system larger";

int space_read(int fd, struct space *ret_space)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0)
		return err_from_errno(errno);
	ret_space->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	ret_space->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	return 0;
}

static int read_unallocated(int fd, uint64_t *ret_bytes, uint64_t *ret_total)
{
	struct btrfs_ioctl_fs_info_args fs = {0};
	uint64_t unallocated = 0, total = 0;

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &fs) < 0)
		return err_from_errno(errno);
	for (uint64_t id = 1; id <= fs.max_id; id++) {
		struct btrfs_ioctl_dev_info_args device = {.devid = id};

		if (ioctl(fd, BTRFS_IOC_DEV_INFO, &device) < 0)
			continue; /* ids of removed devices are gaps */
		total += device.total_bytes;
		if (device.total_bytes > device.bytes_used)
			unallocated += device.total_bytes - device.bytes_used;
	}
	*ret_bytes = unallocated;
	*ret_total = total;
	return 0;
}

/* Free metadata less the global reserve; may be negative. */
static int read_metadata(int fd, int64_t *ret_bytes)
{
	enum { SPACES = 32 };
	scope_free struct btrfs_ioctl_space_args *args =
		calloc(1, sizeof(*args) + SPACES * sizeof(struct btrfs_ioctl_space_info));
	int64_t bytes = 0;

	if (!args)
		return ERR_NOMEM;
	args->space_slots = SPACES;
	if (ioctl(fd, BTRFS_IOC_SPACE_INFO, args) < 0)
		return err_from_errno(errno);
	for (uint64_t i = 0; i < args->total_spaces && i < SPACES; i++) {
		const struct btrfs_ioctl_space_info *info = &args->spaces[i];

		if (info->flags & BTRFS_SPACE_INFO_GLOBAL_RSV)
			bytes -= (int64_t)info->total_bytes;
		else if (info->flags & BTRFS_BLOCK_GROUP_METADATA)
			bytes += (int64_t)(info->total_bytes - info->used_bytes);
	}
	*ret_bytes = bytes;
	return 0;
}

static const char *format_mib(uint64_t bytes, char text[static 32])
{
	snprintf(text, 32, "%" PRIu64 " MiB", bytes >> 20);
	return text;
}

static int check_btrfs(int fd, const char *path, struct reason *why)
{
	uint64_t unallocated, total, floor;
	int64_t metadata = 0, left;
	char have[32], need[32];

	if (read_unallocated(fd, &unallocated, &total) < 0 || read_metadata(fd, &metadata) < 0)
		return 0; /* a kernel that does not say: statvfs has to do */
	floor = total / 100 < UINT64_C(1) << 30 ? total / 100 : UINT64_C(1) << 30;
	left = (int64_t)unallocated + metadata;
	if (left >= (int64_t)floor)
		return 0;
	return reason_set(why, ERR_FULL, remedy,
			  "the btrfs file system of %.600s has %s left for metadata, %s are needed", path,
			  format_mib(left > 0 ? (uint64_t)left : 0, have), format_mib(floor, need));
}

static int refuse_floor(const struct volume *volume, const char *path, uint64_t free_bytes, uint64_t floor,
			uint64_t needed, struct reason *why)
{
	char have[32], keep[32], need[32];

	format_mib(free_bytes, have);
	format_mib(floor, keep);
	if (needed == 0)
		return reason_set(why, ERR_FULL, remedy, "the %s file system of %.600s has %s free, min_free asks for %s",
				  volume->name, path, have, keep);
	return reason_set(why, ERR_FULL, remedy,
			  "the %s file system of %.600s has %s free; a copy needs %s, and min_free asks for %s beside it",
			  volume->name, path, have, format_mib(needed, need), keep);
}

/* A file system that was made for so many files, and has as many (ext4; others make inodes as they need them). */
static bool has_no_inode(int fd, uint64_t *ret_total)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0 || st.f_files == 0 || st.f_favail > 0)
		return false;
	*ret_total = st.f_files;
	return true;
}

void space_explain(int fd, const char *path, uint64_t needed, struct reason *why)
{
	char cause[MSG_TEXT_SIZE / 3], have[32], need[32];
	struct volume volume;
	struct space space = {0};
	uint64_t inodes;

	if (space_read(fd, &space) < 0 || volume_of(fd, &volume) < 0)
		return;
	snprintf(cause, sizeof(cause), "%.*s", (int)sizeof(cause) - 1, why->cause);
	if (space.free_bytes > needed && has_no_inode(fd, &inodes))
		reason_set(why, ERR_FULL, remedy, "%s: the %s file system of %.300s has none of its %" PRIu64 " inodes free",
			   cause, volume.name, path, inodes);
	else if (needed > 0)
		reason_set(why, ERR_FULL, remedy, "%s: the %s file system of %.300s has %s free, %s are needed in all",
			   cause, volume.name, path, format_mib(space.free_bytes, have), format_mib(needed, need));
	else
		reason_set(why, ERR_FULL, remedy, "%s: the %s file system of %.300s has %s free", cause, volume.name, path,
			   format_mib(space.free_bytes, have));
}

int space_check(int fd, const char *path, const struct schema_floor *floor, uint64_t needed, struct space *ret_space,
		struct reason *why)
{
	struct space space;
	struct volume volume;
	uint64_t bytes;
	int error = space_read(fd, &space);

	if (error == 0)
		error = volume_of(fd, &volume);
	if (error < 0)
		return reason_set_retry(why, error, NULL,
					"cannot ask the file system of %s for its free space: %s", path,
					err_text(error));
	*ret_space = space;
	bytes = floor->percent ? space.total_bytes / 100 * (uint64_t)floor->percent : (uint64_t)floor->bytes;
	if (space.free_bytes < bytes || space.free_bytes - bytes < needed)
		return refuse_floor(&volume, path, space.free_bytes, bytes, needed, why);
	return volume_is_btrfs(&volume) ? check_btrfs(fd, path, why) : 0;
}
