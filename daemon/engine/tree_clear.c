/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Removes what a hostile owner has made. Depth is his to choose, descriptors are
 * not ours without end: a folder below a certain depth is moved up to the top, where
 * it is shallow again. Moves do not cross subvolumes but for subvolumes themselves, so
 * one of them is a top of its own, and one inside that is moved to the first top.
 */
#include "daemon/engine/tree.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { LEVELS_MAX = 32, LOOKS_MAX = 3, SAID_SIZE = 640, SHOWN_SIZE = 2048 };

/* A folder on the way down. */
struct level {
	const struct level *up; /* NULL: the root */
	const struct level *top; /* the root or a subvolume */
	const char *name;
	int fd;
	int depth; /* below its top */
};

struct clear {
	const struct level *root;
	unsigned long progress; /* what was removed or moved */
	unsigned long moves;    /* for new names */
	struct reason *why;
	char said[SAID_SIZE];
};

static size_t add_path(const struct level *level, char *path, size_t size)
{
	size_t used = level->up ? add_path(level->up, path, size) : 0;
	size_t length = level->up ? strlen(level->name) + 1 : 0;

	if (used + length < size && length > 0)
		snprintf(path + used, size - used, "%s/", level->name);
	return used + length < size ? used + length : used;
}

/* The entry name of a level as far as it fits, for people. */
static const char *named(struct clear *clear, const struct level *level, const char *name)
{
	char path[SHOWN_SIZE];
	size_t used = add_path(level, path, sizeof(path));

	snprintf(path + used, sizeof(path) - used, "%s", name);
	names_escape(path, clear->said, sizeof(clear->said));
	return clear->said;
}

static int fail(struct clear *clear, const struct level *level, const char *name)
{
	int errno_value = errno;

	if (errno_value == EXDEV || errno_value == EBUSY)
		return reason_set_retry(clear->why, ERR_BUSY, "unmount it", "cannot remove %s: it is a mount",
					named(clear, level, name));
	return reason_set_errno(clear->why, errno_value, "cannot remove %s", named(clear, level, name));
}

/* By its own descriptor, so that no name is looked up twice. The folder cannot be opened for reading yet. */
static bool make_open(int path_fd)
{
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	return chmod(link, 0700) == 0;
}

/* A descriptor for reading, or -1 with errno. */
static int open_folder(int dir_fd, const char *name)
{
	scope_close int path_fd = -1;
	int fd = tree_open(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd >= 0 || errno != EACCES)
		return fd;
	path_fd = tree_open(dir_fd, name, O_PATH | O_DIRECTORY, 0);
	if (path_fd < 0)
		return -1;
	if (!make_open(path_fd)) {
		errno = EACCES;
		return -1;
	}
	return tree_open(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
}

static bool is_subvolume(int fd, const struct stat *st)
{
	struct statfs fs;

	return st->st_ino == BTRFS_FIRST_FREE_OBJECTID && fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
}

/*
 * Gives the owner of an open folder what he needs to remove what is in it. What cannot be given
 * shows when it is missing. Is it a subvolume's root?
 */
static bool make_removable(int fd)
{
	struct stat st;
	uint64_t flags;
	bool subvolume;

	if (fstat(fd, &st) < 0)
		return false;
	subvolume = is_subvolume(fd, &st);
	if (subvolume && ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) == 0 && flags & BTRFS_SUBVOL_RDONLY) {
		flags &= ~BTRFS_SUBVOL_RDONLY;
		ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags);
	}
	if ((st.st_mode & S_IRWXU) != S_IRWXU)
		(void)!fchmod(fd, 0700);
	return subvolume;
}

/* Moves a folder of a level to a top, under a name that nothing has there. 0 or -1 with errno. */
static int move_to(struct clear *clear, const struct level *top, const struct level *level, const char *name)
{
	char fresh[40];

	do {
		snprintf(fresh, sizeof(fresh), ".clear-%lu", clear->moves++);
		if (renameat2(level->fd, name, top->fd, fresh, RENAME_NOREPLACE) == 0)
			return 0;
	} while (errno == EEXIST);
	return -1;
}

static int clear_folder(struct clear *clear, const struct level *level);

/*
 * Empties an open folder and removes it; anew when somebody puts things into it meanwhile. 0; a code; or 1: the
 * name has to be looked at again.
 */
static int empty_and_remove(struct clear *clear, const struct level *level)
{
	for (;;) {
		unsigned long before = clear->progress;
		int error = clear_folder(clear, level);

		if (error < 0)
			return error;
		if (unlinkat(level->up->fd, level->name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
			clear->progress++;
			return 0;
		}
		if (errno != ENOTEMPTY && errno != ENOTDIR)
			return fail(clear, level->up, level->name);
		/* Something else has taken its name. */
		if (errno == ENOTDIR || clear->progress == before)
			return 1;
	}
}

/* 0; a code; or 1: what stands there is something else by now. */
static int remove_folder(struct clear *clear, const struct level *level, const char *name)
{
	scope_close int fd = open_folder(level->fd, name);
	struct level inner = {.up = level, .top = level->top, .name = name, .fd = fd, .depth = level->depth + 1};
	bool subvolume;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? 1 : fail(clear, level, name);
	subvolume = make_removable(fd);
	if (inner.depth > LEVELS_MAX || (subvolume && level->top != clear->root)) {
		const struct level *top = subvolume ? clear->root : level->top;

		clear->progress++;
		return move_to(clear, top, level, name) < 0 ? fail(clear, level, name) : 0;
	}
	if (subvolume) {
		inner.top = &inner;
		inner.depth = 0;
	}
	return empty_and_remove(clear, &inner);
}

static int remove_name(struct clear *clear, const struct level *level, const char *name)
{
	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		int result;

		if (unlinkat(level->fd, name, 0) == 0) {
			clear->progress++;
			return 0;
		}
		if (errno == ENOENT)
			return 0;
		if (errno != EISDIR)
			return fail(clear, level, name);
		result = remove_folder(clear, level, name);
		if (result <= 0)
			return result;
	}
	return reason_set_retry(clear->why, ERR_BUSY, NULL, "%s changes all the time what it is",
				named(clear, level, name));
}

/* Once through everything that is in it now. */
static int clear_folder(struct clear *clear, const struct level *level)
{
	scope_closedir DIR *dir = names_open(level->fd);
	const char *name;
	int error = 0, more = 0;

	if (!dir)
		return reason_set_errno(clear->why, errno, "cannot list %s", named(clear, level, "."));
	while (error == 0 && (more = names_next(dir, &name)) > 0)
		error = remove_name(clear, level, name);
	if (error == 0 && more < 0)
		error = reason_set_errno(clear->why, errno, "cannot list %s", named(clear, level, "."));
	return error;
}

int tree_clear(int root_fd, struct reason *why)
{
	struct level root = {.top = &root, .fd = root_fd};
	struct clear clear = {.root = &root, .why = why};
	unsigned long before;
	int error;

	make_removable(root_fd);
	/* What was moved up to it is found by the next pass; the last one finds nothing. */
	do {
		before = clear.progress;
		error = clear_folder(&clear, &root);
	} while (error == 0 && clear.progress != before);
	return error;
}
