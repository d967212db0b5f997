/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order matters: the folder's mount is copied before everything becomes read-only, and put
 * in its place after that. Sockets that have a path are no network: the usual places of them are covered.
 */
#include "config.h"

#include "daemon/engine/cell.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NICE = 10 };

/* Address space of one process: a database's own settings are not used, so none of them needs more. */
#define SPACE_MAX (UINT64_C(8) << 30)

int cell_find_path(int fd, char path[static MSG_PATH_SIZE], struct reason *why)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, MSG_PATH_SIZE - 1);
	if (length < 0 || length == MSG_PATH_SIZE - 1)
		return reason_set_errno(why, length < 0 ? errno : ENAMETOOLONG, "cannot tell where the clone is");
	path[length] = '\0';
	return 0;
}

int cell_namespaces(bool as_root)
{
	int all = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	return as_root ? all : all | CLONE_NEWUSER;
}

int cell_refuse(int errno_value, bool as_root, struct reason *why)
{
	return reason_set(why, ERR_UNSUPPORTED,
			  as_root ? "let dbsnapd make namespaces (RestrictNamespaces= of its unit, the kernel's configuration)" :
				    "allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
				    "kernel.apparmor_restrict_unprivileged_userns), or let root's dbsnapd verify it",
			  "the kernel gives no namespaces to verify in: %s", strerror(errno_value));
}

static bool write_text(const char *path, const char *text)
{
	scope_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

int cell_map_user(const struct proc_identity *identity, struct reason *why)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "%u %u 1\n", (unsigned)identity->uid, (unsigned)identity->uid);
	snprintf(gids, sizeof(gids), "%u %u 1\n", (unsigned)identity->gid, (unsigned)identity->gid);
	/* The files of a process that cannot be dumped are root's. */
	if (prctl(PR_SET_DUMPABLE, 1) < 0 || !write_text("/proc/self/uid_map", uids) ||
	    !write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/gid_map", gids))
		return reason_set_errno(why, errno, "cannot set up a user namespace");
	return 0;
}

static int do_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
	return (int)syscall(SYS_mount, source, target, type, flags, data);
}

/* The folder as a mount of its own, still writable. The descriptor, or a code. */
static int take_folder(const struct cell *cell, struct reason *why)
{
	/* By its path: the descriptor's mount is not of this namespace. */
	scope_close int fd = open(cell->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat here, there;
	int tree;

	if (fd < 0 || fstat(fd, &here) < 0 || fstat(cell->root_fd, &there) < 0)
		return reason_set_errno(why, errno, "cannot open %.900s", cell->path);
	if (here.st_dev != there.st_dev || here.st_ino != there.st_ino)
		return reason_set(why, ERR_MISMATCH, NULL, "%.900s is another folder than a moment ago", cell->path);
	tree = (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	return tree >= 0 ? tree : reason_set_errno(why, errno, "cannot mount the clone");
}

static int make_read_only(struct reason *why)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};

	if (do_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof(attributes)) < 0)
		return reason_set_errno(why, errno, "cannot make a read-only view of this machine");
	return 0;
}

/* What is not there, or under a cover already, needs none. */
static int cover(const char *path, struct reason *why)
{
	if (do_mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=64k") == 0 ||
	    errno == ENOENT || errno == ENOTDIR)
		return 0;
	return reason_set_errno(why, errno, "cannot cover %.900s", path);
}

static int cover_all(const struct cell *cell, struct reason *why)
{
	static const char *const usual[] = {"/proc", "/run", "/var/run", "/dev/shm", "/var/tmp", "/tmp"};
	int error = 0;

	for (size_t i = 0; error == 0 && i < CELL_HIDDEN_MAX && cell->hidden[i]; i++)
		error = cover(cell->hidden[i], why);
	for (size_t i = 0; error == 0 && i < sizeof(usual) / sizeof(usual[0]); i++)
		error = cover(usual[i], why);
	return error;
}

static int put_folder(int tree, struct reason *why)
{
	if (mkdir(CELL_ROOT, 0755) < 0 ||
	    syscall(SYS_move_mount, tree, "", AT_FDCWD, CELL_ROOT, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return reason_set_errno(why, errno, "cannot mount the clone");
	return 0;
}

static int limit(struct reason *why)
{
	struct rlimit none = {0, 0}, space = {SPACE_MAX, SPACE_MAX};

#ifdef WITH_SANITIZER
	space.rlim_cur = space.rlim_max = RLIM_INFINITY; /* its shadow takes terabytes of addresses */
#endif
	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_AS, &space) < 0)
		return reason_set_errno(why, errno, "cannot set limits");
	/* A courtesy, not a safeguard: the service's own filter forbids it. */
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	return 0;
}

int cell_enter(const struct cell *cell, const struct proc_identity *identity, bool as_root, struct reason *why)
{
	scope_close int tree = -1;
	int error = as_root ? 0 : cell_map_user(identity, why);

	if (error == 0)
		tree = take_folder(cell, why);
	if (error == 0 && tree < 0)
		error = tree;
	if (error == 0)
		error = make_read_only(why);
	if (error == 0)
		error = cover_all(cell, why);
	if (error == 0)
		error = put_folder(tree, why);
	return error == 0 ? limit(why) : error;
}
