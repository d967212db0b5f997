/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One file into another. The difficulty is a source that lives: it shrinks under
 * a range (EINVAL), grows as fast as it is read, or gets holes. So the size at the
 * beginning bounds everything, and every refusal is checked against the size of the moment.
 */
#include "daemon/engine/file_copy.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	/* Powers of two, so that every range begins at a block of any file system. */
	RANGE_LEAST = 1 << 20,
	RANGE_MOST = 16 << 20,
	RANGE_FAST_US = 10 * 1000,
	RANGE_SLOW_US = 40 * 1000,
	/* How often a file may shrink while it is cloned in ranges. */
	SHRINKS_MAX = 100,
	PIECE = 4 << 20,
	BUFFER_SIZE = 1 << 16,
	/* Of all names and of one value: usually enough, and what the kernel gives at most. */
	XATTR_USUAL = 1024,
	XATTR_MOST = 1 << 16,
	MUCH_ROOM = 1 << 20
};

/*
 * After EINVAL: btrfs shares blocks only between files that both have copy-on-write, or both not. Was
 * the copy changed to be like its source? If not, errno is EINVAL again.
 */
static bool match_cow(int from_fd, int to_fd)
{
	int from = 0, to = 0;
	bool differ = ioctl(from_fd, FS_IOC_GETFLAGS, &from) == 0 && ioctl(to_fd, FS_IOC_GETFLAGS, &to) == 0 &&
		      ((from ^ to) & FS_NOCOW_FL) != 0;

	/* Compression and this exclude each other. */
	to &= ~(FS_NOCOW_FL | FS_COMPR_FL);
	to |= from & FS_NOCOW_FL;
	if (differ && ioctl(to_fd, FS_IOC_SETFLAGS, &to) == 0)
		return true;
	errno = EINVAL;
	return false;
}

/* One file's copy as it is made. */
struct copy {
	int from, to;
	off_t size;   /* that the copy gets at most; follows the source when that shrinks */
	bool to_end;  /* what is there reaches the source's end: no hole is missing behind it */
	bool by_hand; /* the kernel does not copy between these two by itself */
	uint64_t *done; /* NULL: nobody wants to know */
};

static void count(const struct copy *copy, off_t bytes)
{
	if (copy->done)
		__atomic_add_fetch(copy->done, (uint64_t)bytes, __ATOMIC_RELAXED);
}

/* 0, or -1 with errno. */
static int clone_range(const struct copy *copy, off_t at, off_t length)
{
	struct file_clone_range range = {.src_fd = copy->from, .src_offset = (uint64_t)at,
					 .src_length = (uint64_t)length, .dest_offset = (uint64_t)at};

	if (ioctl(copy->to, FICLONERANGE, &range) == 0)
		return 0;
	if (errno != EINVAL || at > 0 || !match_cow(copy->from, copy->to))
		return -1;
	return ioctl(copy->to, FICLONERANGE, &range);
}

/* 0, or -1 with errno. Has the source become shorter, so has the copy. */
static int follow_size(struct copy *copy, off_t *ret_now)
{
	struct stat st;

	if (fstat(copy->from, &st) < 0)
		return -1;
	if (st.st_size < copy->size)
		copy->size = st.st_size;
	*ret_now = st.st_size;
	return 0;
}

/* Where the range with the next data begins, from at on; the size when there are none. */
static off_t skip_hole(struct copy *copy, off_t at)
{
	off_t data = lseek(copy->from, at, SEEK_DATA), now;

	if (data >= 0) {
		data &= ~(off_t)(RANGE_LEAST - 1);
		return data > at ? data : at;
	}
	/* A hole at the end, or no end there any more. */
	return errno == ENXIO && follow_size(copy, &now) == 0 ? copy->size : at;
}

/*
 * How much is to be cloned at once. Only to the end of the file (0) may a length be no multiple of the block; when
 * the end has run away meanwhile, a whole range, and what is too much is cut off later.
 */
static int next_length(struct copy *copy, off_t at, off_t range, off_t *ret_length)
{
	off_t now;

	*ret_length = range;
	/* at lies before the size; the sum may be more than a number holds. */
	if (range < copy->size - at)
		return 0;
	if (follow_size(copy, &now) < 0)
		return -1;
	if (now - at <= RANGE_MOST)
		*ret_length = 0;
	return 0;
}

/* After EINVAL: is it that the source no longer reaches length behind at? Else errno is EINVAL again. */
static bool has_shrunk(struct copy *copy, off_t at, off_t length)
{
	off_t now;

	if (follow_size(copy, &now) == 0 && now - at < length)
		return true;
	errno = EINVAL;
	return false;
}

static off_t adapt(off_t range, int64_t took_us)
{
	if (took_us < RANGE_FAST_US && range < RANGE_MOST)
		return range * 2;
	if (took_us > RANGE_SLOW_US && range > RANGE_LEAST)
		return range / 2;
	return range;
}

/*
 * A range was refused, but reaches no further than the source does now: that was shorter for a moment. Only the
 * kernel itself sees an end that stands still. When that lies before at, the copy ends there. 0, or -1 with errno.
 */
static int clone_rest(struct copy *copy, off_t at)
{
	copy->to_end = true;
	if (clone_range(copy, at, 0) == 0)
		return 0;
	if (errno != EINVAL || at == 0)
		return -1;
	copy->size = at;
	return 0;
}

/* 0, or -1 with errno. */
static int clone_ranges(struct copy *copy)
{
	off_t at = 0, range = RANGE_LEAST, length;
	int shrinks = 0;

	while ((at = skip_hole(copy, at)) < copy->size) {
		int64_t begin = clock_measure_us();

		if (next_length(copy, at, range, &length) < 0)
			return -1;
		if (clone_range(copy, at, length) == 0) {
			count(copy, length ? length : copy->size - at);
			copy->to_end = length == 0;
			if (copy->to_end)
				break;
			at += length;
			range = adapt(range, clock_measure_us() - begin);
			continue;
		}
		if (errno != EINVAL)
			return -1;
		if (has_shrunk(copy, at, length) && ++shrinks <= SHRINKS_MAX)
			continue;
		return clone_rest(copy, at);
	}
	return 0;
}

int file_clone(int from_fd, int to_fd)
{
	if (ioctl(to_fd, FICLONE, from_fd) == 0)
		return 0;
	if (errno == EINVAL && match_cow(from_fd, to_fd) && ioctl(to_fd, FICLONE, from_fd) == 0)
		return 0;
	return err_from_errno(errno);
}

/* 0, or -1 with errno. */
static int clone_file(struct copy *copy, bool ranges)
{
	if (ranges && copy->size > RANGE_LEAST)
		return clone_ranges(copy);
	copy->to_end = true;
	if (file_clone(copy->from, copy->to) < 0)
		return -1;
	count(copy, copy->size);
	return 0;
}

/* Through memory. The bytes done, 0 at the source's end, -1 with errno. */
static ssize_t copy_by_hand(const struct copy *copy, off_t at, size_t length)
{
	char bytes[BUFFER_SIZE];
	ssize_t got = pread(copy->from, bytes, length < sizeof(bytes) ? length : sizeof(bytes), at);

	for (ssize_t done = 0; done < got;) {
		ssize_t put = pwrite(copy->to, bytes + done, (size_t)(got - done), at + done);

		if (put < 0 && errno != EINTR)
			return -1;
		done += put > 0 ? put : 0;
	}
	return got;
}

static ssize_t copy_in_kernel(const struct copy *copy, off_t at, size_t length)
{
	off_t in = at, out = at;

	return copy_file_range(copy->from, &in, copy->to, &out, length, 0);
}

static bool is_refusal(int errno_value)
{
	return errno_value == EXDEV || errno_value == EOPNOTSUPP || errno_value == EINVAL || errno_value == ENOSYS ||
	       errno_value == ENOTTY;
}

/* From at to end, or to where the source ends by now. Where it stopped; -1 with errno. */
static off_t copy_span(struct copy *copy, off_t at, off_t end)
{
	while (at < end) {
		size_t length = end - at < PIECE ? (size_t)(end - at) : PIECE;
		ssize_t got = copy->by_hand ? copy_by_hand(copy, at, length) : copy_in_kernel(copy, at, length);

		if (got < 0 && errno == EINTR)
			continue;
		/* Nothing is what some file systems answer that cannot: only read() tells that from the end. */
		if (!copy->by_hand && (got == 0 || (got < 0 && is_refusal(errno)))) {
			copy->by_hand = true;
			continue;
		}
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		count(copy, got);
		at += got;
	}
	return at;
}

/* The next bytes that are no hole, from *at on, to *ret_end. False when only holes are left. */
static bool find_span(const struct copy *copy, off_t *at, off_t *ret_end)
{
	off_t data = lseek(copy->from, *at, SEEK_DATA), hole;

	*ret_end = copy->size;
	if (data < 0)
		return errno != ENXIO;
	if (data >= copy->size)
		return false;
	hole = lseek(copy->from, data, SEEK_HOLE);
	*at = data;
	if (hole > data && hole < copy->size)
		*ret_end = hole;
	return true;
}

/* 0, or -1 with errno. */
static int copy_file(struct copy *copy, bool sparse)
{
	off_t at = 0, end, now;

	copy->to_end = !sparse;
	while (at < copy->size) {
		end = copy->size;
		/* Only holes, or no end there any more. */
		if (sparse && !find_span(copy, &at, &end))
			return follow_size(copy, &now);
		at = copy_span(copy, at, end);
		if (at < 0)
			return -1;
		if (at < end)
			copy->size = at;
	}
	return 0;
}

/* 0, or -1 with errno. */
static int fill(struct copy *copy, const struct stat *from, enum file_way way, bool ranges)
{
	if (way != FILE_COPY) {
		if (clone_file(copy, ranges) == 0)
			return 0;
		if (way == FILE_CLONE || !is_refusal(errno) || ftruncate(copy->to, 0) < 0)
			return -1;
		copy->size = from->st_size;
	}
	return copy_file(copy, from->st_blocks * 512 < from->st_size);
}

int file_copy_bytes(int from_fd, int to_fd, enum file_way way, bool ranges, uint64_t *ret_bytes)
{
	return file_copy_counted(from_fd, to_fd, way, ranges, NULL, ret_bytes);
}

int file_copy_counted(int from_fd, int to_fd, enum file_way way, bool ranges, uint64_t *done, uint64_t *ret_bytes)
{
	struct copy copy = {.from = from_fd, .to = to_fd, .done = done};
	struct stat from, to;

	if (fstat(from_fd, &from) < 0)
		return err_from_errno(errno);
	copy.size = from.st_size;
	if (fill(&copy, &from, way, ranges) < 0 || fstat(to_fd, &to) < 0)
		return err_from_errno(errno);
	if (to.st_size > copy.size || (to.st_size < copy.size && !copy.to_end)) {
		if (ftruncate(to_fd, copy.size) < 0 || fstat(to_fd, &to) < 0)
			return err_from_errno(errno);
	}
	*ret_bytes = (uint64_t)to.st_blocks * 512;
	return 0;
}

/* The names (name NULL) or one value, at *bytes: which is usual, of XATTR_USUAL bytes, or *ret_more, allocated. */
static ssize_t read_xattr(int fd, const char *name, char *usual, char **bytes, char **ret_more)
{
	ssize_t size = name ? fgetxattr(fd, name, usual, XATTR_USUAL) : flistxattr(fd, usual, XATTR_USUAL);

	*bytes = usual;
	if (size >= 0 || errno != ERANGE)
		return size;
	*ret_more = malloc(XATTR_MOST);
	if (!*ret_more)
		return -1;
	*bytes = *ret_more;
	return name ? fgetxattr(fd, name, *bytes, XATTR_MOST) : flistxattr(fd, *bytes, XATTR_MOST);
}

/* What a user gave to a file. The rest is the system's business: kept where that is allowed. */
static bool is_wanted(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strncmp(name, "system.posix_acl_", 17) == 0;
}

/* Is it a failure that says "not here" or "not for you", rather than "not now"? */
static bool is_for_good(int errno_value)
{
	return errno_value == EPERM || errno_value == EACCES || errno_value == EOPNOTSUPP || errno_value == EINVAL ||
	       errno_value == E2BIG || errno_value == ERANGE;
}

/* After ENOSPC: was it not the disk that is full, but what the file system has for one file's attributes? */
static bool has_room(int fd)
{
	struct statvfs fs;
	bool room = fstatvfs(fd, &fs) == 0 && fs.f_bavail * fs.f_frsize >= MUCH_ROOM;

	errno = ENOSPC;
	return room;
}

/* 0, or -1 with errno. */
static int copy_xattr(int from_fd, int to_fd, const char *name, unsigned *lost)
{
	char usual[XATTR_USUAL], *bytes;
	scope_free char *more = NULL;
	ssize_t size = read_xattr(from_fd, name, usual, &bytes, &more);

	/* It has gone meanwhile. */
	if (size < 0 && errno == ENODATA)
		return 0;
	if (size >= 0 && fsetxattr(to_fd, name, bytes, (size_t)size, 0) == 0)
		return 0;
	if (!is_for_good(errno) && !(errno == ENOSPC && has_room(to_fd)))
		return -1;
	if (is_wanted(name))
		*lost |= FILE_LOST_XATTR;
	return 0;
}

/* 1: some were set; 0: there are none; -1 with errno. */
static int copy_xattrs(int from_fd, int to_fd, unsigned *lost)
{
	char usual[XATTR_USUAL], *names;
	scope_free char *more = NULL;
	ssize_t size = read_xattr(from_fd, NULL, usual, &names, &more);

	if (size < 0 && errno != EOPNOTSUPP) {
		if (!is_for_good(errno))
			return -1;
		*lost |= FILE_LOST_XATTR;
	}
	for (const char *name = names; size > 0 && name < names + size; name += strlen(name) + 1) {
		if (copy_xattr(from_fd, to_fd, name, lost) < 0)
			return -1;
	}
	return size > 0;
}

/* 0, or -1 with errno. */
static int give_owner(int to_fd, const struct stat *st, const struct stat *to, unsigned *lost)
{
	if (st->st_uid == to->st_uid && st->st_gid == to->st_gid)
		return 0;
	if (fchown(to_fd, st->st_uid, st->st_gid) == 0)
		return 0;
	/* EINVAL: an owner that this user namespace does not know. */
	if (errno != EPERM && errno != EINVAL)
		return -1;
	*lost |= FILE_LOST_OWNER;
	return 0;
}

int file_copy_belongings(int from_fd, int to_fd, const struct stat *st, unsigned *ret_lost)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	mode_t mode = st->st_mode & 07777;
	unsigned lost = 0;
	struct stat to;
	int some;

	if (fstat(to_fd, &to) < 0 || give_owner(to_fd, st, &to, &lost) < 0)
		return err_from_errno(errno);
	some = copy_xattrs(from_fd, to_fd, &lost);
	if (some < 0)
		return err_from_errno(errno);
	if (lost & FILE_LOST_OWNER)
		mode &= S_IRWXU;
	/* A new owner has cost the setuid bit, an ACL has changed the group's bits. */
	if ((some > 0 || to.st_uid != st->st_uid || to.st_gid != st->st_gid || (to.st_mode & 07777) != mode) &&
	    fchmod(to_fd, mode) < 0)
		return err_from_errno(errno);
	if (futimens(to_fd, times) < 0)
		return err_from_errno(errno);
	*ret_lost = lost;
	return 0;
}
