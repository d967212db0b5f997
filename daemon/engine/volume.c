/* SPDX-License-Identifier: GPL-3.0-or-later */
/* File systems, as far as ioctls and statfs tell about them. */
#include "daemon/engine/volume.h"

#include "common/err.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define MAGIC_XFS UINT64_C(0x58465342)

/* XFS_IOC_FSGEOMETRY_V1 and EXT4_IOC_GETFSUUID, whose headers are not everywhere. */
struct xfs_geometry {
	uint8_t before[64];
	uint8_t uuid[16];
	uint8_t units[12];
	uint32_t flags;
	uint8_t after[16];
};
#define XFS_HAS_REFLINK (UINT32_C(1) << 20)
#define XFS_GEOMETRY _IOR('X', 100, struct xfs_geometry)

struct ext4_uuid {
	uint32_t length;
	uint32_t flags;
	uint8_t uuid[16];
};
struct ext4_uuid_header {
	uint32_t length;
	uint32_t flags;
};
#define EXT4_UUID _IOR('f', 44, struct ext4_uuid_header)

static void name_magic(uint64_t magic, char *name, size_t size)
{
	static const struct {
		uint64_t magic;
		const char *name;
	} known[] = {
		{BTRFS_SUPER_MAGIC, "btrfs"}, {MAGIC_XFS, "xfs"},       {EXT4_SUPER_MAGIC, "ext4"},
		{TMPFS_MAGIC, "tmpfs"},       {OVERLAYFS_SUPER_MAGIC, "overlay"}, {NFS_SUPER_MAGIC, "nfs"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].magic == magic) {
			snprintf(name, size, "%s", known[i].name);
			return;
		}
	}
	snprintf(name, size, "0x%" PRIx64, magic);
}

static void ask_btrfs(int fd, struct volume *volume)
{
	struct btrfs_ioctl_fs_info_args info = {0};

	volume->sharing = VOLUME_SHARES;
	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) == 0)
		uuid_format(info.fsid, volume->uuid);
}

static void ask_xfs(int fd, struct volume *volume)
{
	struct xfs_geometry geometry = {0};

	volume->sharing = VOLUME_SHARES_PERHAPS;
	if (ioctl(fd, XFS_GEOMETRY, &geometry) < 0)
		return;
	uuid_format(geometry.uuid, volume->uuid);
	volume->sharing = geometry.flags & XFS_HAS_REFLINK ? VOLUME_SHARES : VOLUME_SHARES_NOT;
}

static void ask_ext4(int fd, struct volume *volume)
{
	struct ext4_uuid ext4 = {.length = sizeof(ext4.uuid)};

	volume->sharing = VOLUME_SHARES_NOT;
	if (ioctl(fd, EXT4_UUID, &ext4) == 0)
		uuid_format(ext4.uuid, volume->uuid);
}

static void ask(int fd, struct volume *volume)
{
	switch (volume->magic) {
	case BTRFS_SUPER_MAGIC:
		ask_btrfs(fd, volume);
		break;
	case MAGIC_XFS:
		ask_xfs(fd, volume);
		break;
	case EXT4_SUPER_MAGIC:
		ask_ext4(fd, volume);
		break;
	case TMPFS_MAGIC:
		volume->sharing = VOLUME_SHARES_NOT;
		break;
	default:
		volume->sharing = VOLUME_SHARES_PERHAPS;
	}
}

/* Not a secret and not stored: only says "the same disk" between clusters of one engine. */
static uint64_t number_of(const char *uuid, dev_t device)
{
	uint64_t number = UINT64_C(14695981039346656037);

	if (!uuid[0])
		return (uint64_t)device + 1;
	for (; *uuid; uuid++)
		number = (number ^ (uint8_t)*uuid) * UINT64_C(1099511628211);
	return number ? number : 1;
}

int volume_of(int fd, struct volume *ret_volume)
{
	struct volume v = {0};
	struct statfs fs;
	struct statx st;

	if (fstatfs(fd, &fs) < 0)
		return err_from_errno(errno);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
		return err_from_errno(errno);
	v.magic = (uint64_t)(uint32_t)fs.f_type;
	v.device = makedev(st.stx_dev_major, st.stx_dev_minor);
	v.mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
	v.read_only = fs.f_flags & ST_RDONLY;
	name_magic(v.magic, v.name, sizeof(v.name));
	ask(fd, &v);
	v.number = number_of(v.uuid, v.device);
	*ret_volume = v;
	return 0;
}

bool volume_is_btrfs(const struct volume *volume)
{
	return volume->magic == BTRFS_SUPER_MAGIC;
}

bool volume_same(const struct volume *a, const struct volume *b)
{
	if (a->uuid[0] || b->uuid[0])
		return strcmp(a->uuid, b->uuid) == 0;
	return a->device == b->device;
}

void volume_format_device(dev_t device, char text[static 32])
{
	snprintf(text, 32, "%u:%u", major(device), minor(device));
}
