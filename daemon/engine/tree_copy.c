/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The copying walk. The difficulty is that between two looks at a name anything may
 * stand there: so a name is looked at, opened, looked at again through what was opened, and only then is
 * anything made in the copy. Names are single components below an open folder, on both sides.
 */
#include "daemon/engine/tree_copy.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/tree_links.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* A name is no longer what it was a moment ago. Beside 0 and the codes. */
enum { LOOK_AGAIN = 1 };

enum { LOOKS_MAX = 3, LAST_MAX = 16, LAST_TRIES = 5, LAST_PAUSE_NS = 2000000, SAID_SIZE = 640, MORE_SIZE = 32 };

/* A file that waits for the end, as an empty file in the copy: so its folder is done before. */
struct last {
	size_t root;
	int from_dir, to_dir, to;
	char name[NAME_MAX + 1];
	char path[PATH_MAX];
};

struct walk {
	const struct tree_root *roots;
	const struct tree_plan *plan;
	struct tree_report *report;
	struct reason *why;
	struct tree_links links;
	size_t root;    /* that the walk is in */
	dev_t device;   /* of that root's folders */
	bool saw_mount; /* the name at hand could not be opened because it is one */
	uint32_t listed;
	size_t filled; /* regular files of the folder at hand that the copy now has */
	size_t last_count;
	struct last last[LAST_MAX];
	char path[PATH_MAX]; /* of the entry at hand, below its root; "" the root itself */
	char said[SAID_SIZE];
};

/* The entry at hand, for people. */
static const char *named(struct walk *walk)
{
	const char *root = walk->roots[walk->root].name;
	size_t length;

	snprintf(walk->said, sizeof(walk->said), "%s%s", root, root[0] ? "/" : "");
	length = strlen(walk->said);
	names_escape(walk->path[0] ? walk->path : ".", walk->said + length, sizeof(walk->said) - length);
	return walk->said;
}

static void list(struct walk *walk, const char *what)
{
	struct tree_report *report = walk->report;
	size_t used = strlen(report->lines), length = strlen(named(walk)) + strlen(what) + 3;

	report->skipped++;
	/* Once one did not fit, none does: the list is a beginning, no choice. */
	if (report->skipped > walk->listed + 1 || used + length + MORE_SIZE > sizeof(report->lines))
		return;
	snprintf(report->lines + used, sizeof(report->lines) - used, "%s%s: %s", used ? "\n" : "", walk->said, what);
	walk->listed++;
}

static void end_list(struct walk *walk)
{
	struct tree_report *report = walk->report;
	size_t used = strlen(report->lines);

	if (report->skipped > walk->listed)
		snprintf(report->lines + used, sizeof(report->lines) - used, "\nand %" PRIu32 " more",
			 report->skipped - walk->listed);
}

static void list_lost(struct walk *walk, unsigned lost)
{
	if (lost == (FILE_LOST_OWNER | FILE_LOST_XATTR))
		list(walk, "owner and attributes not kept");
	else if (lost == FILE_LOST_OWNER)
		list(walk, "owner not kept");
	else if (lost == FILE_LOST_XATTR)
		list(walk, "attributes not kept");
}

static int refuse_device(struct walk *walk)
{
	return reason_set(walk->why, ERR_LAYOUT,
			  "make it a plain folder or move it away; a mount or subvolume of its own cannot be copied",
			  "%s lies on another device than the folder around it (a mount or a nested subvolume)",
			  named(walk));
}

/* What it means that a name cannot be opened. 0: it has vanished. */
static int judge_open(struct walk *walk, int errno_value)
{
	switch (errno_value) {
	case ENOENT:
		return 0;
	case EXDEV:
		walk->saw_mount = true;
		return LOOK_AGAIN;
	case ELOOP:
	case ENOTDIR:
	case ENXIO:
	case ENODEV:
	case ESTALE:
	case EAGAIN:
	case EINTR:
		return LOOK_AGAIN;
	default:
		return reason_set_errno(walk->why, errno_value, "cannot open %s", named(walk));
	}
}

static int fail_to_copy(struct walk *walk, int errno_value)
{
	bool cannot = errno_value == EXDEV || errno_value == EOPNOTSUPP || errno_value == EINVAL ||
		      errno_value == ENOTTY;

	if (walk->plan->way == FILE_CLONE && cannot)
		return reason_set(walk->why, ERR_LAYOUT,
				  "put snapshot_dir on data_dir's file system, or choose the backend copy",
				  "%s cannot share its blocks with a copy: %s", named(walk), strerror(errno_value));
	return reason_set_errno(walk->why, errno_value, "cannot copy %s", named(walk));
}

static int fail_to_make(struct walk *walk, int errno_value)
{
	return reason_set_errno(walk->why, errno_value, "cannot make the copy of %s", named(walk));
}

/* Is that very name in the folder, not one that only counts as the same there? */
static bool is_made(int to_dir, const char *name)
{
	scope_closedir DIR *dir = names_open(to_dir);
	const char *each;

	while (dir && names_next(dir, &each) > 0) {
		if (strcmp(each, name) == 0)
			return true;
	}
	return false;
}

/*
 * What it means that a name cannot be made. 0: it is there already, as a listing names one twice that went and came
 * back meanwhile. The copy of the earlier one is as good as one made just before that.
 */
static int judge_make(struct walk *walk, int to_dir, const char *name, int errno_value)
{
	if (errno_value == EEXIST && walk->plan->stage == TREE_FILL)
		return 0;
	if (errno_value != EEXIST || !walk->plan->lives || !is_made(to_dir, name))
		return fail_to_make(walk, errno_value);
	list(walk, "made anew meanwhile: the earlier one kept");
	return 0;
}

static int give_belongings(struct walk *walk, int from, int to, const struct stat *st)
{
	unsigned lost = 0;

	if (file_copy_belongings(from, to, st, &lost) < 0)
		return reason_set_errno(walk->why, errno, "cannot keep owner, attributes, mode and times of %s",
					named(walk));
	if (lost)
		list_lost(walk, lost);
	return 0;
}

static int copy_link(struct walk *walk, int from_dir, int to_dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	char text[PATH_MAX + 1];
	ssize_t length = readlinkat(from_dir, name, text, sizeof(text));

	if (length < 0)
		return errno == EINVAL ? LOOK_AGAIN : judge_open(walk, errno);
	if ((size_t)length >= sizeof(text))
		return reason_set(walk->why, ERR_TOO_LONG, NULL, "%s: the link's text is too long", named(walk));
	text[length] = '\0';
	if (symlinkat(text, to_dir, name) < 0)
		return judge_make(walk, to_dir, name, errno);
	if ((st->st_uid != geteuid() || st->st_gid != getegid()) &&
	    fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		list_lost(walk, FILE_LOST_OWNER);
	if (utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_to_make(walk, errno);
	return 0;
}

/* A second name for the copy at path below root. 0, or -1 with errno. */
static int link_to(struct walk *walk, size_t root, const char *path, int to_dir, const char *name)
{
	const char *slash = strrchr(path, '/'), *first = slash ? slash + 1 : path;
	char folder[PATH_MAX];
	scope_close int fd = -1;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	fd = tree_open(walk->roots[root].to, folder, O_PATH | O_DIRECTORY, 0);
	return fd < 0 ? -1 : linkat(fd, first, to_dir, name, 0);
}

/* 1: it was a further name of something copied, and is done; 0: copy it; or a code. */
static int copy_further_name(struct walk *walk, const struct tree_links_key *key, int to_dir, const char *name)
{
	size_t root;
	const char *path = tree_links_find(&walk->links, key, &root);
	int error;

	if (!path)
		return 0;
	if (link_to(walk, root, path, to_dir, name) == 0) {
		walk->report->files++;
		return 1;
	}
	if (errno != EEXIST)
		return 0;
	error = judge_make(walk, to_dir, name, EEXIST);
	return error < 0 ? error : 1;
}

/* Only what has been made is a copy to link to. */
static void note_first_name(struct walk *walk, const struct tree_links_key *key)
{
	size_t root;

	if (tree_links_find(&walk->links, key, &root) || !tree_links_add(&walk->links, key, walk->root, walk->path))
		list(walk, "a further name, made a file of its own");
}

static int make_file(int to_dir, const char *name, int flags, mode_t mode)
{
	/* Never more than the owner's bits before owner, group and ACL are what they shall be. */
	return openat(to_dir, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & S_IRWXU);
}

/* What was prepared for it, open for writing; or made now, *ret_new, if it was not, or the source has become another kind of file. */
static int open_prepared(int to_dir, const char *name, mode_t mode, bool *ret_new)
{
	int to = openat(to_dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	*ret_new = to < 0;
	if (to >= 0)
		return to;
	if (errno != ENOENT && unlinkat(to_dir, name, 0) < 0)
		return -1;
	return make_file(to_dir, name, O_WRONLY, mode);
}

/* A further name is filled as well: where it is one of the copy's too, with the same again. */
static int fill_file(struct walk *walk, int from_dir, int to_dir, const char *name)
{
	scope_close int from = tree_open(from_dir, name, O_RDONLY, 0), to = -1;
	uint64_t bytes = 0;
	struct stat st;
	bool is_new;

	if (from < 0)
		return judge_open(walk, errno);
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return LOOK_AGAIN;
	to = open_prepared(to_dir, name, st.st_mode, &is_new);
	if (to < 0)
		return fail_to_make(walk, errno);
	if (file_copy_counted(from, to, walk->plan->way, false, walk->plan->done, &bytes) < 0)
		return fail_to_copy(walk, errno);
	walk->report->files++;
	walk->report->bytes += bytes;
	walk->filled++;
	return is_new ? give_belongings(walk, from, to, &st) : 0;
}

/*
 * What nearly every file is while a server stands still: prepared, and nothing else now. No more calls than the
 * bytes need, and no look at it. 0, or a code; LOOK_AGAIN: it is something else, or cannot be had so.
 */
static int fill_unseen(struct walk *walk, int from_dir, int to_dir, const char *name)
{
	scope_close int from = tree_open(from_dir, name, O_RDONLY, 0);
	scope_close int to = from < 0 ? -1 : openat(to_dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (to < 0)
		return LOOK_AGAIN;
	if (file_clone(from, to) < 0)
		return errno == EINVAL || errno == EISDIR ? LOOK_AGAIN : fail_to_copy(walk, errno);
	if (fstat(to, &st) < 0)
		return fail_to_make(walk, errno);
	walk->report->files++;
	walk->report->bytes += (uint64_t)st.st_blocks * 512;
	walk->filled++;
	if (walk->plan->done)
		__atomic_add_fetch(walk->plan->done, (uint64_t)st.st_size, __ATOMIC_RELAXED);
	return 0;
}

static bool may_fill_unseen(const struct walk *walk, unsigned char kind)
{
	const struct tree_plan *plan = walk->plan;

	return kind == DT_REG && plan->stage == TREE_FILL && plan->way == FILE_CLONE && !plan->judge;
}

static int prepare_file(struct walk *walk, int from, int to, const struct stat *st)
{
	walk->report->files++;
	return give_belongings(walk, from, to, st);
}

static int copy_file(struct walk *walk, int from_dir, int to_dir, const char *name)
{
	scope_close int from = tree_open(from_dir, name, O_RDONLY, 0), to = -1;
	struct tree_links_key key;
	uint64_t bytes = 0;
	struct stat st;
	int done = 0;

	if (from < 0)
		return judge_open(walk, errno);
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return LOOK_AGAIN;
	if (st.st_nlink > 1 && tree_links_key_of(from, &key) < 0)
		return reason_set_errno(walk->why, errno, "cannot look at %s", named(walk));
	if (st.st_nlink > 1)
		done = copy_further_name(walk, &key, to_dir, name);
	if (done != 0)
		return done < 0 ? done : 0;
	to = make_file(to_dir, name, O_WRONLY, st.st_mode);
	if (to < 0)
		return judge_make(walk, to_dir, name, errno);
	if (st.st_nlink > 1)
		note_first_name(walk, &key);
	if (walk->plan->stage == TREE_PREPARE)
		return prepare_file(walk, from, to, &st);
	walk->report->files++;
	if (file_copy_counted(from, to, walk->plan->way, walk->plan->ranges, walk->plan->done, &bytes) < 0)
		return fail_to_copy(walk, errno);
	walk->report->bytes += bytes;
	return give_belongings(walk, from, to, &st);
}

/* Has a file by that path been kept for the end? What is copied then is whatever stands there then. */
static bool waits(const struct walk *walk)
{
	for (size_t i = 0; i < walk->last_count; i++) {
		if (walk->last[i].root == walk->root && strcmp(walk->last[i].path, walk->path) == 0)
			return true;
	}
	return false;
}

static int keep_for_last(struct walk *walk, int from_dir, int to_dir, const char *name, const struct stat *st)
{
	struct last *last = &walk->last[walk->last_count];

	if (waits(walk))
		return 0;
	if (walk->last_count >= LAST_MAX)
		return reason_set(walk->why, ERR_TOO_LONG, NULL, "%s: too many files have to be the last", named(walk));
	*last = (struct last){.root = walk->root, .to = make_file(to_dir, name, O_RDWR, st->st_mode)};
	if (last->to < 0)
		return judge_make(walk, to_dir, name, errno);
	last->from_dir = fcntl(from_dir, F_DUPFD_CLOEXEC, 0);
	last->to_dir = fcntl(to_dir, F_DUPFD_CLOEXEC, 0);
	walk->last_count++;
	if (last->from_dir < 0 || last->to_dir < 0)
		return reason_set_errno(walk->why, errno, "cannot keep a folder open");
	snprintf(last->name, sizeof(last->name), "%s", name);
	snprintf(last->path, sizeof(last->path), "%s", walk->path);
	return 0;
}

/* One try at a file that waited. 0; LOOK_AGAIN: the copy is not whole. */
static int try_last(struct walk *walk, const struct last *last, bool *ret_vanished)
{
	scope_close int from = tree_open(last->from_dir, last->name, O_RDONLY, 0);
	uint64_t bytes = 0;
	struct stat st;

	*ret_vanished = from < 0 && errno == ENOENT;
	if (from < 0)
		return judge_open(walk, errno);
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return LOOK_AGAIN;
	if (ftruncate(last->to, 0) < 0)
		return fail_to_make(walk, errno);
	if (file_copy_bytes(from, last->to, walk->plan->way, false, &bytes) < 0)
		return fail_to_copy(walk, errno);
	if (walk->plan->is_whole && !walk->plan->is_whole(last->to))
		return LOOK_AGAIN;
	walk->report->files++;
	walk->report->bytes += bytes;
	return give_belongings(walk, from, last->to, &st);
}

static int copy_last(struct walk *walk, const struct last *last)
{
	static const struct timespec pause = {.tv_nsec = LAST_PAUSE_NS};
	bool vanished = false;

	walk->root = last->root;
	snprintf(walk->path, sizeof(walk->path), "%s", last->path);
	for (int tries = 0; tries < LAST_TRIES; tries++) {
		int result = try_last(walk, last, &vanished);

		if (vanished && unlinkat(last->to_dir, last->name, 0) < 0)
			return fail_to_make(walk, errno);
		if (result <= 0)
			return result;
		nanosleep(&pause, NULL);
	}
	return reason_set_retry(walk->why, ERR_CORRUPT, NULL,
				"no copy of %s was whole: it is being written, or damaged", named(walk));
}

static int copy_contents(struct walk *walk, DIR *dir, int to, int depth);

static int remove_prepared(struct walk *walk, int to_dir, const char *name)
{
	scope_close int fd = tree_open(to_dir, name, O_RDONLY | O_DIRECTORY, 0);
	int error = fd >= 0 ? tree_clear(fd, walk->why) : 0;

	if (error == 0 && unlinkat(to_dir, name, fd >= 0 ? AT_REMOVEDIR : 0) < 0)
		error = fail_to_make(walk, errno);
	return error;
}

static int remove_if_gone(struct walk *walk, int from_dir, int to_dir, const char *name)
{
	struct stat st;

	if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 || errno != ENOENT)
		return 0;
	return remove_prepared(walk, to_dir, name);
}

/* Of the names in the copy, those that are, or that are not, regular files, which are counted. */
static int remove_gone_kind(struct walk *walk, int from_dir, int to_dir, bool regular, size_t *ret_files)
{
	scope_closedir DIR *dir = names_open(to_dir);
	size_t files = 0;
	const char *name;
	unsigned char kind;
	int error = 0, more = -1;

	while (dir && error == 0 && (more = names_next_kind(dir, &name, &kind)) > 0) {
		files += kind == DT_REG;
		if ((kind == DT_REG) == regular)
			error = remove_if_gone(walk, from_dir, to_dir, name);
	}
	if (error == 0 && more < 0)
		return reason_set_errno(walk->why, errno, "cannot list the copy of %s", named(walk));
	*ret_files = files;
	return error;
}

/* What was prepared of the folder and has gone since then. As many files as were filled are those that were. */
static int remove_gone(struct walk *walk, int from_dir, int to_dir)
{
	size_t files = 0;
	int error = remove_gone_kind(walk, from_dir, to_dir, false, &files);

	if (error == 0 && files != walk->filled)
		error = remove_gone_kind(walk, from_dir, to_dir, true, &files);
	return error;
}

static int copy_folder(struct walk *walk, int from_dir, int to_dir, const char *name, bool empty, int depth)
{
	scope_close int from = tree_open(from_dir, name, O_RDONLY | O_DIRECTORY, 0), to = -1;
	scope_closedir DIR *dir = NULL;
	struct stat st;
	int error = 0;

	if (from < 0)
		return judge_open(walk, errno);
	if (fstat(from, &st) < 0)
		return reason_set_errno(walk->why, errno, "cannot look at %s", named(walk));
	if (st.st_dev != walk->device)
		return refuse_device(walk);
	if (depth > TREE_DEPTH_MAX)
		return reason_set(walk->why, ERR_TOO_LONG, "move some of it up, or away",
				  "%s: folders are nested too deeply (more than %d)", named(walk), TREE_DEPTH_MAX);
	if (mkdirat(to_dir, name, 0700) < 0 && (errno != EEXIST || walk->plan->stage != TREE_FILL))
		return judge_make(walk, to_dir, name, errno);
	to = tree_open(to_dir, name, O_RDONLY | O_DIRECTORY, 0);
	if (to < 0)
		return fail_to_make(walk, errno);
	dir = fdopendir(from);
	if (!dir)
		return reason_set_errno(walk->why, errno, "cannot list %s", named(walk));
	(void)scope_take_fd(from);
	if (!empty)
		error = copy_contents(walk, dir, to, depth);
	return error < 0 ? error : give_belongings(walk, dirfd(dir), to, &st);
}

static int leave_out(struct walk *walk, mode_t mode)
{
	if (walk->plan->stage == TREE_PREPARE)
		return 0;
	list(walk, S_ISSOCK(mode) ? "socket, left out" : S_ISFIFO(mode) ? "FIFO, left out" : "device, left out");
	return 0;
}

/* As what was seen at the name. 0, a code, or LOOK_AGAIN. */
static int copy_seen(struct walk *walk, int from_dir, int to_dir, const char *name, const struct stat *st, int depth)
{
	enum tree_fate fate = TREE_TAKE;

	if (walk->plan->judge)
		fate = walk->plan->judge(walk->plan->arg, walk->root, walk->path, st, walk->why);
	if (fate == TREE_REFUSE)
		return walk->why->code < 0 ? walk->why->code : ERR_LAYOUT;
	if (fate == TREE_LEAVE_OUT || (fate == TREE_EMPTY && !S_ISDIR(st->st_mode)))
		return 0;
	if (S_ISDIR(st->st_mode))
		return copy_folder(walk, from_dir, to_dir, name, fate == TREE_EMPTY, depth + 1);
	if (S_ISREG(st->st_mode))
		return fate == TREE_LAST		? keep_for_last(walk, from_dir, to_dir, name, st) :
		       walk->plan->stage == TREE_FILL ? fill_file(walk, from_dir, to_dir, name) :
							copy_file(walk, from_dir, to_dir, name);
	if (S_ISLNK(st->st_mode))
		return copy_link(walk, from_dir, to_dir, name, st);
	return leave_out(walk, st->st_mode);
}

static int look_and_copy(struct walk *walk, int from_dir, int to_dir, const char *name, int depth)
{
	struct stat st;

	walk->saw_mount = false;
	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		int result;

		if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
			return judge_open(walk, errno);
		result = copy_seen(walk, from_dir, to_dir, name, &st, depth);
		if (result <= 0)
			return result;
	}
	if (walk->saw_mount)
		return refuse_device(walk);
	return reason_set_retry(walk->why, ERR_BUSY, NULL, "%s changes all the time what it is", named(walk));
}

/* kind: what the folder said that it is. */
static int copy_name(struct walk *walk, int from_dir, int to_dir, const char *name, unsigned char kind, int depth)
{
	size_t before = strlen(walk->path);
	int error = LOOK_AGAIN;

	if (before + strlen(name) + 2 > sizeof(walk->path))
		return reason_set(walk->why, ERR_TOO_LONG, "move some of it up, or away",
				  "%s: the paths below are too long", named(walk));
	snprintf(walk->path + before, sizeof(walk->path) - before, "%s%s", before ? "/" : "", name);
	if (may_fill_unseen(walk, kind))
		error = fill_unseen(walk, from_dir, to_dir, name);
	if (error == LOOK_AGAIN)
		error = look_and_copy(walk, from_dir, to_dir, name, depth);
	walk->path[before] = '\0';
	return error;
}

static int copy_contents(struct walk *walk, DIR *dir, int to, int depth)
{
	size_t around = walk->filled;
	const char *name;
	unsigned char kind;
	int error = 0, more = 0;

	walk->filled = 0;
	while (error == 0 && (more = names_next_kind(dir, &name, &kind)) > 0)
		error = copy_name(walk, dirfd(dir), to, name, kind, depth);
	if (error == 0 && more < 0)
		error = reason_set_errno(walk->why, errno, "cannot list %s", named(walk));
	if (error == 0 && walk->plan->stage == TREE_FILL)
		error = remove_gone(walk, dirfd(dir), to);
	walk->filled = around;
	return error;
}

static int copy_root(struct walk *walk, size_t number)
{
	const struct tree_root *root = &walk->roots[number];
	scope_closedir DIR *dir = names_open(root->from);
	struct stat st;
	int error;

	walk->root = number;
	walk->path[0] = '\0';
	if (!dir)
		return reason_set_errno(walk->why, errno, "cannot list %s", named(walk));
	if (fstat(dirfd(dir), &st) < 0)
		return reason_set_errno(walk->why, errno, "cannot look at %s", named(walk));
	walk->device = st.st_dev;
	/* An ACL that the folder around it has bequeathed would go on to everything made in it. */
	fremovexattr(root->to, "system.posix_acl_default");
	fremovexattr(root->to, "system.posix_acl_access");
	error = copy_contents(walk, dir, root->to, 0);
	return error < 0 ? error : give_belongings(walk, dirfd(dir), root->to, &st);
}

static void end_walk(struct walk *walk)
{
	for (size_t i = 0; i < walk->last_count; i++) {
		const struct last *last = &walk->last[i];

		close(last->to);
		if (last->from_dir >= 0)
			close(last->from_dir);
		if (last->to_dir >= 0)
			close(last->to_dir);
	}
	tree_links_free(&walk->links);
	free(walk);
}

int tree_copy(const struct tree_root *roots, size_t count, const struct tree_plan *plan, struct tree_report *ret_report,
	      struct reason *why)
{
	struct tree_report report = {0};
	struct walk *walk = calloc(1, sizeof(*walk));
	int error = 0;

	if (!walk)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	walk->roots = roots;
	walk->plan = plan;
	walk->report = &report;
	walk->why = why;
	for (size_t i = 0; error == 0 && i < count; i++)
		error = copy_root(walk, i);
	for (size_t i = 0; error == 0 && i < walk->last_count; i++)
		error = copy_last(walk, &walk->last[i]);
	end_list(walk);
	end_walk(walk);
	if (error == 0)
		*ret_report = report;
	return error;
}
