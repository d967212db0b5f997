/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies one open file into another: its bytes, then what belongs to it. Runs in
 * the walker, so what the database's user may not do is not done, and said. Knows no names.
 */
#ifndef DBSNAP_ENGINE_FILE_COPY_H
#define DBSNAP_ENGINE_FILE_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum file_way {
	FILE_CLONE,  /* shared blocks (FICLONE, FICLONERANGE) or nothing */
	FILE_COPY,   /* bytes, holes kept */
	FILE_EITHER  /* shared blocks where the file systems can, else bytes */
};

/*
 * Makes the empty regular file to_fd the same as from_fd, up to the size that from_fd has now: what it grows by
 * meanwhile is left out, what it loses meanwhile shortens the copy. ranges: the file need not be of one moment, so
 * it is cloned a range at a time (1 to 16 MiB, as long as it takes some 20 ms), for a writer waits while a
 * range of its file is cloned. ret_bytes: allocated bytes of the copy. 0 or a code from errno, which is left in errno
 * (EXDEV, EOPNOTSUPP: FILE_CLONE cannot between these two). A btrfs file without copy-on-write (chattr +C) makes
 * the clone one. The kernel copies bytes where it can, which on some file systems shares blocks even with FILE_COPY.
 */
int file_copy_bytes(int from_fd, int to_fd, enum file_way way, bool ranges, uint64_t *ret_bytes);
/* The same; *done (NULL: none), which another process may read, grows by what is done meanwhile, holes left out. */
int file_copy_counted(int from_fd, int to_fd, enum file_way way, bool ranges, uint64_t *done, uint64_t *ret_bytes);

/*
 * Makes to_fd, whatever is in it, the same as from_fd by sharing its blocks: one call, usually. Both are regular files,
 * else EINVAL or EISDIR. 0 or a code from errno, which is left in errno.
 */
int file_clone(int from_fd, int to_fd);

/* What of its belongings a copy does not have. */
enum { FILE_LOST_OWNER = 1, FILE_LOST_XATTR = 2 };

/*
 * Owner and group, then extended attributes and ACLs, mode, times of st (which is from_fd's) for to_fd: file or folder.
 * Where owner or group cannot be given (EPERM) the copy stays the caller's own and its mode is cut to the owner's bits;
 * an attribute that may not be set or is not supported is left out. *ret_lost says which. 0 or a code from errno.
 */
int file_copy_belongings(int from_fd, int to_fd, const struct stat *st, unsigned *ret_lost);

#endif
