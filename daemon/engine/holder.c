/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Paths do not tell: a process may see the tree by another mount. Device and inode do; only a walk of the tree says
 * which inodes are in it, unless the tree has a device of its own, as a subvolume of btrfs has.
 */
#include "daemon/engine/holder.h"

#include "common/err.h"
#include "common/grow.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/server.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/volume.h"
#include "daemon/engine/walker.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Something that a process holds on the tree's device. */
struct held {
	pid_t pid;
	ino_t inode;
	bool works; /* it is the folder that it works in */
};

struct search {
	struct stat root;
	struct stat self;   /* our own executable: whatever it reads there, it is no server */
	bool whole_device;  /* nothing but the tree has its device */
	bool writers;       /* only who may write to a file is meant */
	pid_t except;
	pid_t unseen;       /* one that could not be looked at; 0 none */
	bool sure;          /* the last of the list is in the tree, and is called: */
	char named[MSG_PATH_SIZE / 2];
	struct held *list;
	size_t count, room;
};

/* What has no executable any more is ending: it does nothing, though its files may be open for a moment yet. */
static bool is_harmless(const struct search *search, int proc_fd)
{
	struct stat exe;

	if (server_stat(proc_fd, "exe", &exe) < 0)
		return errno == ENOENT || errno == ESRCH;
	return exe.st_dev == search->self.st_dev && exe.st_ino == search->self.st_ino;
}

/* As the process itself sees it. */
static void read_name(struct search *search, int fd, const char *link)
{
	char name[MSG_PATH_SIZE / 2];
	ssize_t length = readlinkat(fd, link, name, sizeof(name) - 1);

	name[length < 0 ? 0 : length] = '\0';
	names_escape(name, search->named, sizeof(search->named));
}

/* What the link below fd leads to, of which st is. */
static int add(struct search *search, pid_t pid, int fd, const char *link, const struct stat *st)
{
	bool works = strcmp(link, "cwd") == 0;
	struct held *list;

	if (st->st_dev != search->root.st_dev || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		return 0;
	list = grow(search->list, search->count, &search->room, sizeof(*list));
	if (!list)
		return ERR_NOMEM;
	search->list = list;
	list[search->count++] = (struct held){.pid = pid, .inode = st->st_ino, .works = works};
	search->sure = search->whole_device || st->st_ino == search->root.st_ino;
	if (search->sure)
		read_name(search, fd, link);
	return 0;
}

static bool may_write(int proc_fd, const char *number)
{
	char path[64], text[512];
	scope_close int fd = -1;
	const char *flags;
	ssize_t got;

	snprintf(path, sizeof(path), "fdinfo/%.20s", number);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[got < 0 ? 0 : got] = '\0';
	flags = strstr(text, "flags:");
	return flags && (strtoul(flags + 6, NULL, 8) & O_ACCMODE) != O_RDONLY;
}

/* What has no name any more is in no backup. */
static bool is_meant(const struct search *search, int proc_fd, const char *number, const struct stat *st)
{
	return !search->writers || (S_ISREG(st->st_mode) && st->st_nlink > 0 && st->st_dev == search->root.st_dev &&
				    may_write(proc_fd, number));
}

static bool is_denied(int errno_value)
{
	return errno_value == EACCES || errno_value == EPERM;
}

/* After a failed look. A file may be for its user alone, as those of FUSE are; a process that may be looked at says its name. */
static bool is_closed(int fd, const char *number)
{
	char name[1];

	return is_denied(errno) && readlinkat(fd, number, name, sizeof(name)) < 0 && is_denied(errno);
}

/* What cannot be read has ended, or is not for us to see. */
static int look_at(struct search *search, int proc_fd, pid_t pid)
{
	scope_close int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	const char *number;
	struct stat st;
	int error = 0;

	if (!dir && is_denied(errno))
		search->unseen = pid;
	if (!search->writers && server_stat(proc_fd, "cwd", &st) == 0)
		error = add(search, pid, proc_fd, "cwd", &st);
	while (error == 0 && !search->sure && dir && names_next(dir, &number) > 0) {
		if (server_stat(fd, number, &st) < 0)
			search->unseen = is_closed(fd, number) ? pid : search->unseen;
		else if (is_meant(search, proc_fd, number, &st))
			error = add(search, pid, fd, number, &st);
	}
	return error;
}

static int look_at_all(struct search *search, struct reason *why)
{
	scope_closedir DIR *proc = opendir("/proc");
	const char *name;
	int error = 0, more = -1;

	while (proc && error == 0 && !search->sure && (more = names_next(proc, &name)) > 0) {
		scope_close int proc_fd = -1;
		pid_t pid = (pid_t)strtol(name, NULL, 10);

		if (!isdigit((unsigned char)name[0]) || pid == search->except)
			continue;
		proc_fd = openat(dirfd(proc), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (proc_fd >= 0 && !is_harmless(search, proc_fd))
			error = look_at(search, proc_fd, pid);
	}
	if (error < 0)
		return reason_set_retry(why, error, NULL, "out of memory");
	return more < 0 ? reason_set_errno(why, errno, "cannot look through the running processes") : 0;
}

/* ---- in the walker ---- */

struct match {
	bool found;
	struct held held;
	char path[MSG_PATH_SIZE / 2];
};

struct visit {
	const struct search *search;
	struct match *match;
};

static int by_inode(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static int compare_entry(void *arg, const struct tree_entry *entry, struct reason *why)
{
	const struct visit *visit = arg;
	const struct held key = {.inode = entry->st.st_ino};
	const struct held *held;

	(void)why;
	if (entry->st.st_dev != visit->search->root.st_dev)
		return 0;
	held = bsearch(&key, visit->search->list, visit->search->count, sizeof(key), by_inode);
	if (!held)
		return 0;
	visit->match->held = *held;
	names_escape(entry->path, visit->match->path, sizeof(visit->match->path));
	visit->match->found = true;
	return ERR_EXISTS; /* ends the walk */
}

static int walk(const void *arg, const int *fds, void *answer, struct reason *why)
{
	struct visit visit = {.search = arg, .match = answer};
	int error = tree_walk(fds[0], compare_entry, &visit, why);

	return visit.match->found ? 0 : error;
}

/* ---- */

static int search_tree(struct worker_job *job, struct search *search, int root_fd, struct match *match, struct reason *why)
{
	if (search->sure) {
		match->found = true;
		match->held = search->list[search->count - 1];
		return 0;
	}
	if (search->count == 0)
		return 0;
	qsort(search->list, search->count, sizeof(*search->list), by_inode);
	return walker_run(job, walk, search, &root_fd, 1, match, sizeof(*match), why);
}

static void describe(const struct search *search, struct match *match, const char *path, char *text, size_t size)
{
	bool walked = !search->named[0];
	char who[128];

	/* The database user's word. */
	match->path[sizeof(match->path) - 1] = '\0';
	server_describe_pid(match->held.pid, who, sizeof(who));
	snprintf(text, size, "%s, %s %s%s%s%s", who, match->held.works ? "works in" : "has", walked ? path : search->named,
		 walked && match->path[0] ? "/" : "", walked ? match->path : "", match->held.works ? "" : " open");
}

/* Somebody who is found is found, whoever else cannot be seen; without root most of others cannot. */
static int refuse_unseen(const struct worker_job *job, const struct search *search, struct reason *why)
{
	char who[128];

	if (!search->unseen || !job->as_root)
		return 0;
	server_describe_pid(search->unseen, who, sizeof(who));
	return reason_set(why, ERR_DENIED, "let dbsnapd look into /proc of other users (CAP_SYS_PTRACE, a security module's rules)",
			  "%s, cannot be looked at: what it has open is not known", who);
}

static int find(struct worker_job *job, struct search *search, int root_fd, struct match *match, struct reason *why)
{
	enum { TOP_INODE = 256 };
	struct volume volume;
	int error;

	if (fstat(root_fd, &search->root) < 0 || stat("/proc/self/exe", &search->self) < 0)
		return reason_set_errno(why, errno, "cannot look at who works in the data directory");
	search->whole_device = search->root.st_ino == TOP_INODE && volume_of(root_fd, &volume) == 0 && volume_is_btrfs(&volume);
	error = look_at_all(search, why);
	if (error == 0)
		error = search_tree(job, search, root_fd, match, why);
	if (error == 0 && !match->found)
		error = refuse_unseen(job, search, why);
	free(search->list);
	return error < 0 ? error : match->found;
}

int holder_find(struct worker_job *job, int root_fd, const char *path, char *text, size_t size, struct reason *why)
{
	struct search search = {0};
	struct match match = {0};
	int found = find(job, &search, root_fd, &match, why);

	if (found > 0)
		describe(&search, &match, path, text, size);
	return found;
}

int holder_find_writer(struct worker_job *job, pid_t except, pid_t *ret_pid, struct reason *why)
{
	struct search search = {.writers = true, .except = except};
	struct match match = {0};
	int found = find(job, &search, job->data_fd, &match, why);

	if (found > 0)
		*ret_pid = match.held.pid;
	return found;
}
