/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cutdisk IMAGE LOG MOUNTPOINT: a disk image that remembers the order of writes and flushes.
 *
 * A FUSE file system with two files, in the foreground. MOUNTPOINT/disk is IMAGE; a loop
 * device goes on it and a file system on that. Each write, discard and flush that the loop
 * device sends is done on IMAGE and appended to LOG. Text written to MOUNTPOINT/mark is appended
 * too, so that a test can note "this was promised to a client" at its place among the
 * writes. tests/system/harness/cut.py makes the image that a power cut at any place in LOG would
 * have left. Requests are served one at a time, so LOG stands in the order of their completion.
 *
 * LOG is a sequence of records: a header of 24 bytes in the machine's byte order
 * { u32 type; u32 zero; u64 offset; u64 length }, then, for W and M, the data.
 * Types: W write, Z discard or write zeroes, F flush, M mark.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int image, log_fd;

static int record(char type, uint64_t offset, uint64_t length, const void *data)
{
	struct {
		uint32_t type, zero;
		uint64_t offset, length;
	} h = {(uint32_t)type, 0, offset, length};
	struct iovec v[2] = {{&h, sizeof(h)}, {(void *)(uintptr_t)data, data ? length : 0}};
	ssize_t want = (ssize_t)(v[0].iov_len + v[1].iov_len);

	return writev(log_fd, v, 2) == want ? 0 : -EIO;
}

static int cd_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	memset(st, 0, sizeof(*st));
	if (!strcmp(path, "/")) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
	} else if (!strcmp(path, "/disk")) {
		struct stat im;

		if (fstat(image, &im))
			return -errno;
		st->st_mode = S_IFREG | 0600;
		st->st_nlink = 1;
		st->st_size = im.st_size;
		st->st_blocks = im.st_blocks;
	} else if (!strcmp(path, "/mark")) {
		st->st_mode = S_IFREG | 0622;
		st->st_nlink = 1;
	} else {
		return -ENOENT;
	}
	return 0;
}

static int cd_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
		      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	(void)path;
	(void)off;
	(void)fi;
	(void)flags;
	fill(buf, "disk", NULL, 0, 0);
	fill(buf, "mark", NULL, 0, 0);
	return 0;
}

static int cd_open(const char *path, struct fuse_file_info *fi)
{
	fi->fh = !strcmp(path, "/mark");
	fi->direct_io = 1;	/* no page cache: the order seen here is the order sent */
	return 0;
}

static int cd_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	(void)fi;
	(void)size;
	return strcmp(path, "/mark") ? -EPERM : 0;	/* so that `echo x >mark` works */
}

static int cd_read(const char *path, char *buf, size_t n, off_t off,
		   struct fuse_file_info *fi)
{
	ssize_t r = fi->fh ? 0 : pread(image, buf, n, off);

	(void)path;
	return r < 0 ? -errno : (int)r;
}

static int cd_write(const char *path, const char *buf, size_t n, off_t off,
		    struct fuse_file_info *fi)
{
	ssize_t r;

	(void)path;
	if (fi->fh)
		return record('M', 0, n, buf) ? -EIO : (int)n;
	r = pwrite(image, buf, n, off);
	if (r < 0)
		return -errno;
	return record('W', (uint64_t)off, (uint64_t)r, buf) ? -EIO : (int)r;
}

static int cd_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	(void)datasync;
	return fi->fh ? 0 : record('F', 0, 0, NULL);
}

static int cd_fallocate(const char *path, int mode, off_t off, off_t len,
			struct fuse_file_info *fi)
{
	(void)path;
	if (fi->fh || !(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		return -EOPNOTSUPP;
	if (fallocate(image, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len))
		return -errno;
	return record('Z', (uint64_t)off, (uint64_t)len, NULL);
}

static const struct fuse_operations ops = {
	.getattr = cd_getattr, .readdir = cd_readdir, .open = cd_open,
	.truncate = cd_truncate, .read = cd_read, .write = cd_write,
	.fsync = cd_fsync, .fallocate = cd_fallocate,
};

int main(int argc, char **argv)
{
	char *args[] = {"cutdisk", "-f", "-s", "-o", "default_permissions,fsname=cutdisk", NULL, NULL};

	if (argc != 4) {
		fprintf(stderr, "usage: cutdisk IMAGE LOG MOUNTPOINT\n");
		return 2;
	}
	image = open(argv[1], O_RDWR | O_CLOEXEC);
	if (image < 0) {
		perror(argv[1]);
		return 1;
	}
	log_fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0) {
		perror(argv[2]);
		return 1;
	}
	args[5] = argv[3];
	return fuse_main(6, args, &ops, NULL);
}
