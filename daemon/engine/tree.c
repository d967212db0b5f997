/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every lookup is one openat2 that the kernel keeps beneath the folder it starts from. */
#include "daemon/engine/tree.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/inodes.h"
#include "daemon/engine/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct walk {
	tree_visit_fn *visit;
	void *arg;
	dev_t device;
	char path[4096];
	struct reason *why;
};

int tree_open(int dir_fd, const char *path, int flags, mode_t mode)
{
	/* The kernel takes no flags with O_PATH that it has no use for. */
	int more = flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY;
	struct open_how how = {
		.flags = (uint64_t)(flags | more | O_CLOEXEC | O_NOFOLLOW),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

static int walk_folder(struct walk *walk, int dir_fd, int depth);

static int enter(struct walk *walk, const struct tree_entry *entry, int depth)
{
	scope_close int fd = -1;

	if (entry->st.st_dev != walk->device)
		return 0;
	if (depth >= TREE_DEPTH_MAX)
		return reason_set(walk->why, ERR_TOO_LONG, NULL, "%s: folders are nested too deeply", entry->path);
	fd = tree_open(entry->dir_fd, entry->name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : reason_set_errno(walk->why, errno, "cannot open %s", entry->path);
	return walk_folder(walk, fd, depth + 1);
}

static int visit_name(struct walk *walk, int dir_fd, const char *name, int depth)
{
	size_t before = strlen(walk->path);
	struct tree_entry entry = {.dir_fd = dir_fd, .name = name, .path = walk->path};
	int error;

	if (before + strlen(name) + 2 > sizeof(walk->path))
		return reason_set(walk->why, ERR_TOO_LONG, NULL, "%s/%s: the path is too long", walk->path, name);
	if (fstatat(dir_fd, name, &entry.st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? 0 : reason_set_errno(walk->why, errno, "cannot look at %s", name);
	snprintf(walk->path + before, sizeof(walk->path) - before, "%s%s", before ? "/" : "", name);
	error = walk->visit(walk->arg, &entry, walk->why);
	if (error == 0 && S_ISDIR(entry.st.st_mode))
		error = enter(walk, &entry, depth);
	walk->path[before] = '\0';
	return error == TREE_PASS_BY ? 0 : error;
}

static int walk_folder(struct walk *walk, int dir_fd, int depth)
{
	scope_closedir DIR *dir = names_open(dir_fd);
	const char *name;
	int error = 0, more = 0;

	if (!dir)
		return reason_set_errno(walk->why, errno, "cannot list %s", walk->path);
	while (error == 0 && (more = names_next(dir, &name)) > 0)
		error = visit_name(walk, dirfd(dir), name, depth);
	if (error == 0 && more < 0)
		error = reason_set_errno(walk->why, errno, "cannot list %s", walk->path);
	return error;
}

int tree_walk(int root_fd, tree_visit_fn *visit, void *arg, struct reason *why)
{
	struct walk walk = {.visit = visit, .arg = arg, .why = why};
	struct stat st;

	if (fstat(root_fd, &st) < 0)
		return reason_set_errno(why, errno, "cannot look at the folder");
	walk.device = st.st_dev;
	return walk_folder(&walk, root_fd, 0);
}

int tree_read(int dir_fd, const char *path, char *bytes, size_t size)
{
	scope_close int fd = tree_open(dir_fd, path, O_RDONLY, 0);
	size_t used = 0;
	struct stat st;

	if (fd < 0)
		return errno == ELOOP ? ERR_INVALID : err_from_errno(errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return ERR_INVALID;
	while (used < size) {
		ssize_t got = read(fd, bytes + used, size - used);

		if (got < 0)
			return err_from_errno(errno);
		if (got == 0)
			break;
		used += (size_t)got;
	}
	if (used == size)
		return ERR_TOO_LONG;
	bytes[used] = '\0';
	return (int)used;
}

int tree_empty(int dir_fd, const char *path, struct reason *why)
{
	scope_close int fd = tree_open(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return errno == ENOENT ? 0 : reason_set_errno(why, errno, "cannot open %s", path);
	return tree_clear(fd, why);
}

struct measure {
	size_t root;
	tree_judge_fn *judge;
	const void *arg; /* for judge */
	uint64_t bytes;
	struct inodes seen;
};

static bool is_left_out(const struct measure *measure, const struct tree_entry *entry)
{
	struct reason ignored = {0};

	return measure->judge &&
	       measure->judge(measure->arg, measure->root, entry->path, &entry->st, &ignored) == TREE_LEAVE_OUT;
}

static int measure_entry(void *arg, const struct tree_entry *entry, struct reason *why)
{
	struct measure *measure = arg;
	bool several = !S_ISDIR(entry->st.st_mode) && entry->st.st_nlink > 1;

	(void)why;
	if (is_left_out(measure, entry))
		return TREE_PASS_BY;
	if (!several || inodes_add(&measure->seen, entry->st.st_ino))
		measure->bytes += (uint64_t)entry->st.st_blocks * 512;
	return 0;
}

int tree_measure(int root_fd, size_t root, tree_judge_fn *judge, const void *arg, uint64_t *ret_bytes,
		 struct reason *why)
{
	struct measure measure = {.root = root, .judge = judge, .arg = arg};
	int error = tree_walk(root_fd, measure_entry, &measure, why);

	inodes_free(&measure.seen);
	if (error == 0)
		*ret_bytes = measure.bytes;
	return error;
}
