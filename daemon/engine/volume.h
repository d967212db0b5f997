/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which file system a descriptor lies on. */
#ifndef DBSNAP_ENGINE_VOLUME_H
#define DBSNAP_ENGINE_VOLUME_H

#include "common/ident.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Can files on it share blocks (FICLONE)? */
enum volume_sharing { VOLUME_SHARES_NOT, VOLUME_SHARES, VOLUME_SHARES_PERHAPS };

struct volume {
	uint64_t magic; /* statfs's f_type */
	char name[32];  /* "btrfs", "xfs", "ext4", ...; or the magic in hexadecimal */
	dev_t device;   /* st_dev: differs between subvolumes of one btrfs */
	uint64_t mount; /* the mount's number, as in /proc/self/mountinfo; 0: not known */
	char uuid[IDENT_UUID_SIZE]; /* of the file system; "" where no ioctl tells it */
	uint64_t number; /* the same for everything on one file system; for "shares a disk with" */
	bool read_only;  /* the mount or the file system */
	enum volume_sharing sharing; /* perhaps: only trying tells */
};

/* fd: any open file or folder, not O_PATH. 0 or a code from errno. Asks the file system: may block. */
int volume_of(int fd, struct volume *ret_volume);
bool volume_is_btrfs(const struct volume *volume);
/* Are both on one file system? By UUID where there is one, else by device. */
bool volume_same(const struct volume *a, const struct volume *b);
/* "MAJOR:MINOR" */
void volume_format_device(dev_t device, char text[static 32]);

#endif
