/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What does not need root or a certain file system; the rest is in tests/system/test_tree_copy.py. */
#include "daemon/engine/tree_copy.h"

#include "common/err.h"
#include "daemon/engine/names.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static const struct tree_plan plain = {.way = FILE_EITHER};

/* A folder that is listed once more when it has been listed, and what is done before. */
static struct {
	int fd;
	ino_t inode; /* 0: none */
	void (*change)(void);
} again;

/* A folder whose listing is empty: as if what is there had another name that counts as the same. */
static ino_t hides;

/* The library's calls come here as well. */
struct dirent *readdir(DIR *dir)
{
	static struct dirent *(*real)(DIR *);
	struct dirent *entry;
	struct stat st;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	entry = real(dir);
	assert_int_equal(fstat(dirfd(dir), &st), 0);
	if (st.st_ino == hides)
		return NULL;
	if (entry || st.st_ino != again.inode)
		return entry;
	again.inode = 0;
	again.change();
	rewinddir(dir);
	return real(dir);
}

static void list_again(int fd, void (*change)(void))
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	again.fd = fd;
	again.inode = st.st_ino;
	again.change = change;
}

/* Folders "from" and "to" of the fixture's. */
static struct tree_root open_root(const struct folder *folder)
{
	struct tree_root root = {0};

	mkdirat(folder->fd, "from", 0700);
	mkdirat(folder->fd, "to", 0700);
	root.from = openat(folder->fd, "from", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	root.to = openat(folder->fd, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(root.from >= 0 && root.to >= 0);
	return root;
}

static void close_root(struct tree_root root)
{
	close(root.from);
	close(root.to);
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static bool holds(int dir, const char *path, const char *text)
{
	char bytes[256];
	int size = tree_read(dir, path, bytes, sizeof(bytes));

	return size >= 0 && strcmp(bytes, text) == 0;
}

static bool is_there(int dir, const char *path)
{
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_kinds_and_odd_names(void **state)
{
	static const char odd[] = "new\nline\xff\"\\";
	static const char *const same[] = {"sub", "sub/empty", "sub/file", "link", "."};
	struct folder *folder = *state;
	struct tree_root root = open_root(folder);
	struct tree_report report;
	struct reason why = {0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[128], text[64] = "", longest[256];
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), before = open_descriptors();
	struct stat a, b;

	memset(longest, 'n', 255);
	longest[255] = '\0';
	mkdirat(root.from, "sub", 0700);
	mkdirat(root.from, "sub/empty", 0711);
	folder_write(folder, "from/sub/file", "bytes");
	snprintf(path, sizeof(path), "from/%s", odd);
	folder_write(folder, path, "odd");
	assert_int_equal(mknodat(root.from, longest, S_IFREG | 0600, 0), 0);
	assert_int_equal(symlinkat("/nowhere/at all", root.from, "link"), 0);
	assert_int_equal(symlinkat("..", root.from, "sub/up"), 0);
	assert_int_equal(mkfifoat(root.from, "sub/fi\tfo", 0600), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/from/sock", folder->path);
	assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fchmodat(root.from, "sub", 0555, 0), 0);
	assert_int_equal(tree_copy(&root, 1, &plain, &report, &why), 0);
	assert_true(holds(root.to, "sub/file", "bytes"));
	assert_true(holds(root.to, odd, "odd"));
	assert_true(is_there(root.to, longest));
	assert_int_equal(readlinkat(root.to, "link", text, sizeof(text)), strlen("/nowhere/at all"));
	assert_string_equal(text, "/nowhere/at all");
	assert_true(is_there(root.to, "sub/up"));
	assert_false(is_there(root.to, "sub/fi\tfo") || is_there(root.to, "sock"));
	assert_int_equal(report.files, 3);
	assert_int_equal(report.skipped, 2);
	assert_non_null(strstr(report.lines, "sub/fi\\x09fo: FIFO, left out"));
	assert_non_null(strstr(report.lines, "sock: socket, left out"));
	assert_int_equal(strlen(report.lines), strlen("sub/fi\\x09fo: FIFO, left out\nsock: socket, left out"));
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_int_equal(fstatat(root.from, same[i], &a, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(fstatat(root.to, same[i], &b, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(a.st_mode, b.st_mode);
		assert_memory_equal(&a.st_mtim, &b.st_mtim, sizeof(a.st_mtim));
	}
	assert_int_equal(fchmodat(root.from, "sub", 0755, 0), 0);
	assert_int_equal(fchmodat(root.to, "sub", 0755, 0), 0);
	assert_int_equal(open_descriptors(), before);
	close(sock);
	close_root(root);
}

static void test_hard_links_within_and_across_roots(void **state)
{
	struct folder *folder = *state;
	struct tree_root roots[2] = {0};
	struct tree_report report;
	struct reason why = {0};
	struct stat a, b, c, d;
	char big[8193];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	roots[0] = open_root(folder);
	snprintf(roots[1].name, sizeof(roots[1].name), "pg_tblspc/16400");
	mkdirat(folder->fd, "from2", 0700);
	mkdirat(folder->fd, "to2", 0700);
	roots[1].from = openat(folder->fd, "from2", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	roots[1].to = openat(folder->fd, "to2", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(roots[0].from, "a", 0700);
	folder_write(folder, "from/a/one", big);
	folder_write(folder, "from/alone", "x");
	assert_int_equal(linkat(roots[0].from, "a/one", roots[0].from, "two", 0), 0);
	assert_int_equal(linkat(roots[0].from, "a/one", roots[1].from, "three", 0), 0);
	assert_int_equal(mkfifoat(roots[1].from, "fifo", 0600), 0);
	assert_int_equal(tree_copy(roots, 2, &plain, &report, &why), 0);
	assert_int_equal(fstatat(roots[0].to, "a/one", &a, 0), 0);
	assert_int_equal(fstatat(roots[0].to, "two", &b, 0), 0);
	assert_int_equal(fstatat(roots[1].to, "three", &c, 0), 0);
	assert_int_equal(fstatat(roots[0].to, "alone", &d, 0), 0);
	assert_int_equal(a.st_nlink, 3);
	assert_true(a.st_ino == b.st_ino && a.st_ino == c.st_ino && a.st_ino != d.st_ino);
	assert_int_equal(report.files, 4);
	assert_true(report.bytes < 2 * 8192 + 8192);
	assert_string_equal(report.lines, "pg_tblspc/16400/fifo: FIFO, left out");
	close_root(roots[0]);
	close_root(roots[1]);
}

static struct {
	int dir;
	ino_t inode;
	bool found;
} reused;

/* Both names of a copied file go, and of what is made next that becomes "new" which has its inode. */
static enum tree_fate judge_and_reuse(const void *arg, size_t root, const char *path, const struct stat *st,
				      struct reason *why)
{
	(void)arg;
	(void)st;
	(void)why;
	if (root == 0 || strcmp(path, "new") != 0)
		return TREE_TAKE;
	unlinkat(reused.dir, "from/one", 0);
	unlinkat(reused.dir, "from/two", 0);
	for (int i = 0; i < 200 && !reused.found; i++) {
		char name[32];
		struct stat made;
		int fd;

		snprintf(name, sizeof(name), "from/made-%d", i);
		fd = openat(reused.dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_int_equal(write(fd, "new", 3), 3);
		assert_int_equal(fstat(fd, &made), 0);
		close(fd);
		reused.found = made.st_ino == reused.inode;
		if (reused.found) {
			assert_int_equal(renameat(reused.dir, name, reused.dir, "from2/new"), 0);
			assert_int_equal(linkat(reused.dir, "from2/new", reused.dir, "other", 0), 0);
		}
	}
	return TREE_TAKE;
}

static void test_an_inode_used_again_is_another_file(void **state)
{
	struct folder *folder = *state;
	struct tree_root roots[2] = {0};
	struct tree_plan plan = {.way = FILE_COPY, .judge = judge_and_reuse};
	struct tree_report report;
	struct reason why = {0};
	struct stat st;

	roots[0] = open_root(folder);
	mkdirat(folder->fd, "from2", 0700);
	mkdirat(folder->fd, "to2", 0700);
	roots[1].from = openat(folder->fd, "from2", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	roots[1].to = openat(folder->fd, "to2", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder_write(folder, "from2/new", "x");
	folder_write(folder, "from/one", "old");
	assert_int_equal(linkat(roots[0].from, "one", roots[0].from, "two", 0), 0);
	assert_int_equal(fstatat(roots[0].from, "one", &st, 0), 0);
	reused.dir = folder->fd;
	reused.inode = st.st_ino;
	assert_int_equal(tree_copy(roots, 2, &plan, &report, &why), 0);
	assert_true(holds(roots[0].to, "two", "old"));
	assert_true(holds(roots[1].to, "new", reused.found ? "new" : "x"));
	close_root(roots[0]);
	close_root(roots[1]);
	/* A file system that does not use it again soon shows nothing. */
	if (!reused.found)
		skip();
}

struct last {
	int tries;
	int wanted; /* tries until a copy is whole */
};

static struct last last;

static bool is_whole(int fd)
{
	char byte;

	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'l');
	return ++last.tries >= last.wanted;
}

static enum tree_fate judge(const void *arg, size_t root, const char *path, const struct stat *st, struct reason *why)
{
	const char *refused = arg;

	assert_int_equal(root, 0);
	if (refused && strcmp(path, refused) == 0) {
		reason_set(why, ERR_FOREIGN, NULL, "not this one");
		return TREE_REFUSE;
	}
	if (strcmp(path, "out") == 0 || strcmp(path, "sub/out") == 0)
		return TREE_LEAVE_OUT;
	if (strcmp(path, "empty") == 0 || strcmp(path, "empty-file") == 0)
		return TREE_EMPTY;
	if (strcmp(path, "sub/last") == 0) {
		assert_true(S_ISREG(st->st_mode));
		return TREE_LAST;
	}
	return TREE_TAKE;
}

static void test_fates(void **state)
{
	struct folder *folder = *state;
	struct tree_root root = open_root(folder);
	struct tree_plan plan = {.way = FILE_EITHER, .judge = judge, .is_whole = is_whole};
	struct tree_report report = {0};
	struct reason why = {0};
	struct stat a, b;
	int before = open_descriptors();

	mkdirat(root.from, "out", 0700);
	folder_write(folder, "from/out/x", "x");
	mkdirat(root.from, "empty", 0750);
	folder_write(folder, "from/empty/x", "x");
	folder_write(folder, "from/empty-file", "x");
	mkdirat(root.from, "sub", 0700);
	assert_int_equal(mkfifoat(root.from, "sub/out", 0600), 0);
	folder_write(folder, "from/sub/last", "last");
	assert_int_equal(fchmodat(root.from, "sub", 0500, 0), 0);
	last = (struct last){.wanted = 3};
	assert_int_equal(tree_copy(&root, 1, &plan, &report, &why), 0);
	assert_int_equal(last.tries, 3);
	assert_false(is_there(root.to, "out") || is_there(root.to, "empty/x") || is_there(root.to, "empty-file"));
	assert_true(is_there(root.to, "empty"));
	assert_true(holds(root.to, "sub/last", "last"));
	assert_int_equal(report.files, 1);
	assert_string_equal(report.lines, "");
	assert_int_equal(fstatat(root.from, "sub", &a, 0), 0);
	assert_int_equal(fstatat(root.to, "sub", &b, 0), 0);
	assert_int_equal(a.st_mode, b.st_mode);
	assert_memory_equal(&a.st_mtim, &b.st_mtim, sizeof(a.st_mtim));
	assert_int_equal(tree_clear(root.to, &why), 0);
	last = (struct last){.wanted = 100};
	assert_int_equal(tree_copy(&root, 1, &plan, &report, &why), ERR_CORRUPT);
	assert_int_equal(last.tries, 5);
	assert_true(why.retry);
	assert_non_null(strstr(why.cause, "sub/last"));
	assert_int_equal(tree_clear(root.to, &why), 0);
	plan.arg = "empty";
	assert_int_equal(tree_copy(&root, 1, &plan, &report, &why), ERR_FOREIGN);
	assert_string_equal(why.cause, "not this one");
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(fchmodat(root.from, "sub", 0700, 0), 0);
	assert_int_equal(tree_clear(root.to, &why), 0);
	close_root(root);
}

enum { TWICE = 16 };

/* Also as names of one file, which others are as well: whichever comes first must not pass for the earlier one's copy. */
static void make_anew(void)
{
	const struct folder at = {.fd = again.fd};

	for (int i = 0; i < TWICE; i++) {
		char name[32], other[32];

		snprintf(name, sizeof(name), "file-%d", i);
		snprintf(other, sizeof(other), "new-%d", i);
		assert_int_equal(unlinkat(again.fd, name, 0), 0);
		folder_write(&at, name, "new");
		assert_int_equal(linkat(again.fd, name, again.fd, other, 0), 0);
	}
	assert_int_equal(unlinkat(again.fd, "link", 0), 0);
	assert_int_equal(symlinkat("new", again.fd, "link"), 0);
	folder_write(&at, "folder/late", "new");
	assert_int_equal(unlinkat(again.fd, "last", 0), 0);
	folder_write(&at, "last", "new");
	assert_int_equal(unlinkat(again.fd, "a-file", 0), 0);
	assert_int_equal(mkdirat(again.fd, "a-file", 0700), 0);
	folder_write(&at, "a-file/late", "new");
}

static void make_twice(const struct folder *folder)
{
	for (int i = 0; i < TWICE; i++) {
		char name[32];

		snprintf(name, sizeof(name), "from/file-%d", i);
		folder_write(folder, name, "old");
	}
	mkdirat(folder->fd, "from/folder", 0700);
	folder_write(folder, "from/folder/inner", "old");
	folder_write(folder, "from/last", "old");
	folder_write(folder, "from/a-file", "old");
	folder_write(folder, "from/one", "old");
	assert_int_equal(linkat(folder->fd, "from/one", folder->fd, "from/other", 0), 0);
	assert_int_equal(symlinkat("old", folder->fd, "from/link"), 0);
}

static enum tree_fate judge_last(const void *arg, size_t root, const char *path, const struct stat *st,
				 struct reason *why)
{
	(void)arg;
	(void)root;
	(void)st;
	(void)why;
	return strcmp(path, "last") == 0 ? TREE_LAST : TREE_TAKE;
}

static void test_what_is_listed_twice_is_copied_once(void **state)
{
	static const char *const kept[] = {"file-7: made anew", "folder: made anew", "link: made anew", "a-file: made anew"};
	struct folder *folder = *state;
	struct tree_root root = open_root(folder);
	struct tree_plan plan = {.way = FILE_COPY, .judge = judge_last, .lives = true};
	struct tree_report report;
	struct reason why = {0};
	struct stat a, b;
	char text[8] = "";

	make_twice(folder);
	list_again(root.from, make_anew);
	assert_int_equal(tree_copy(&root, 1, &plan, &report, &why), 0);
	for (int i = 0; i < TWICE; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file-%d", i);
		assert_true(holds(root.to, name, "old"));
		snprintf(name, sizeof(name), "new-%d", i);
		assert_true(holds(root.to, name, "new"));
	}
	assert_true(holds(root.to, "folder/inner", "old"));
	assert_false(is_there(root.to, "folder/late"));
	assert_true(holds(root.to, "a-file", "old"));
	/* It is copied only now. */
	assert_true(holds(root.to, "last", "new"));
	assert_int_equal(readlinkat(root.to, "link", text, sizeof(text)), 3);
	assert_string_equal(text, "old");
	assert_int_equal(fstatat(root.to, "one", &a, 0), 0);
	assert_int_equal(fstatat(root.to, "other", &b, 0), 0);
	assert_true(a.st_ino == b.st_ino && a.st_nlink == 2);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_non_null(strstr(report.lines, kept[i]));
	assert_non_null(strstr(report.lines, "link: made anew meanwhile: the earlier one kept"));
	assert_null(strstr(report.lines, "own"));
	/* The files, and the folder, the link, what became a folder, the two names. */
	assert_int_equal(report.skipped, TWICE + 5);
	assert_int_equal(report.files, 2 * TWICE + 5);
	close_root(root);
}

static void nothing(void)
{
}

static void test_a_name_that_was_there_before_is_refused(void **state)
{
	struct folder *folder = *state;
	struct tree_root root = open_root(folder);
	struct tree_plan alive = {.way = FILE_COPY, .lives = true};
	struct tree_report report;
	struct reason why = {0};
	struct stat st;

	folder_write(folder, "from/file", "x");
	folder_write(folder, "to/file", "another's");
	assert_int_equal(fstat(root.to, &st), 0);
	hides = st.st_ino;
	assert_int_equal(tree_copy(&root, 1, &alive, &report, &why), ERR_EXISTS);
	hides = 0;
	assert_int_equal(tree_copy(&root, 1, &plain, &report, &why), ERR_EXISTS);
	assert_int_equal(unlinkat(root.to, "file", 0), 0);
	list_again(root.from, nothing);
	assert_int_equal(tree_copy(&root, 1, &plain, &report, &why), ERR_EXISTS);
	assert_non_null(strstr(why.cause, "cannot make the copy of file"));
	close_root(root);
}

/* What stands at sub/last of the first root when the walk comes to the second one. */
enum then { VANISHED, BECAME_LINK, BECAME_FIFO };

static struct {
	int dir;
	enum then then;
} change;

static enum tree_fate judge_and_change(const void *arg, size_t root, const char *path, const struct stat *st,
				       struct reason *why)
{
	(void)arg;
	(void)why;
	if (root == 0)
		return S_ISREG(st->st_mode) ? TREE_LAST : TREE_TAKE;
	assert_string_equal(path, "now");
	assert_int_equal(unlinkat(change.dir, "sub/last", 0), 0);
	if (change.then == BECAME_LINK)
		assert_int_equal(symlinkat("/etc/passwd", change.dir, "sub/last"), 0);
	if (change.then == BECAME_FIFO)
		assert_int_equal(mkfifoat(change.dir, "sub/last", 0600), 0);
	return TREE_TAKE;
}

static void test_the_last_file_may_change(void **state)
{
	static const int expected[] = {[VANISHED] = 0, [BECAME_LINK] = ERR_CORRUPT, [BECAME_FIFO] = ERR_CORRUPT};
	struct folder *folder = *state;
	struct tree_root roots[2] = {0};
	struct tree_plan plan = {.way = FILE_COPY, .judge = judge_and_change};
	struct tree_report report;
	struct reason why = {0};

	roots[0] = open_root(folder);
	mkdirat(folder->fd, "from2", 0700);
	mkdirat(folder->fd, "to2", 0700);
	folder_write(folder, "from2/now", "");
	roots[1].from = openat(folder->fd, "from2", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	roots[1].to = openat(folder->fd, "to2", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(roots[0].from, "sub", 0700);
	change.dir = roots[0].from;
	for (change.then = VANISHED; change.then <= BECAME_FIFO; change.then++) {
		folder_write(folder, "from/sub/last", "last");
		assert_int_equal(tree_copy(roots, 2, &plan, &report, &why), expected[change.then]);
		assert_true(is_there(roots[0].to, "sub"));
		assert_false(holds(roots[0].to, "sub/last", "last"));
		assert_true(change.then != VANISHED || !is_there(roots[0].to, "sub/last"));
		assert_int_equal(tree_clear(roots[0].to, &why), 0);
		assert_int_equal(tree_clear(roots[1].to, &why), 0);
		unlinkat(roots[0].from, "sub/last", 0);
	}
	close_root(roots[0]);
	close_root(roots[1]);
}

static void make_deep(int root, int levels)
{
	int fd = dup(root);

	for (int i = 0; i < levels; i++) {
		int inner;

		assert_int_equal(mkdirat(fd, "d", 0700), 0);
		inner = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(inner >= 0);
		close(fd);
		fd = inner;
	}
	close(fd);
}

static void test_depth(void **state)
{
	struct folder *folder = *state;
	struct tree_root root = open_root(folder);
	struct tree_report report;
	struct reason why = {0};
	int before = open_descriptors();

	make_deep(root.from, TREE_DEPTH_MAX);
	assert_int_equal(tree_copy(&root, 1, &plain, &report, &why), 0);
	assert_int_equal(tree_clear(root.from, &why), 0);
	assert_int_equal(tree_clear(root.to, &why), 0);
	make_deep(root.from, 5000);
	assert_int_equal(tree_copy(&root, 1, &plain, &report, &why), ERR_TOO_LONG);
	assert_non_null(strstr(why.cause, "nested too deeply"));
	assert_int_equal(tree_clear(root.from, &why), 0);
	assert_int_equal(tree_clear(root.to, &why), 0);
	assert_int_equal(open_descriptors(), before);
	/* Both are empty: they can be removed. */
	close_root(root);
	assert_int_equal(unlinkat(folder->fd, "from", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(folder->fd, "to", AT_REMOVEDIR), 0);
}

static void test_the_list_of_what_was_left_out_ends(void **state)
{
	struct folder *folder = *state;
	struct tree_root root = open_root(folder);
	struct tree_report report;
	struct reason why = {0};
	unsigned more, shown = 0;
	const char *end;

	for (int i = 0; i < 1000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "a fifo with number %d", i);
		assert_int_equal(mkfifoat(root.from, name, 0600), 0);
	}
	assert_int_equal(tree_copy(&root, 1, &plain, &report, &why), 0);
	assert_int_equal(report.skipped, 1000);
	end = strrchr(report.lines, '\n');
	assert_int_equal(sscanf(end, "\nand %u more", &more), 1);
	for (const char *c = report.lines; *c; c++)
		shown += *c == '\n';
	assert_int_equal(shown + more, 1000);
	assert_true(shown > 50 && strlen(report.lines) < sizeof(report.lines));
	close_root(root);
}

static void test_names_are_shown_as_ascii(void **state)
{
	char text[16];

	(void)state;
	names_escape("plain/1.c", text, sizeof(text));
	assert_string_equal(text, "plain/1.c");
	names_escape("\n\xff\"", text, sizeof(text));
	assert_string_equal(text, "\\x0a\\xff\\x22");
	names_escape("a\\", text, sizeof(text));
	assert_string_equal(text, "a\\x5c");
	names_escape("a rather long name", text, sizeof(text));
	assert_string_equal(text, "a rather lon...");
	names_escape("\n\n\n\n", text, sizeof(text));
	assert_string_equal(text, "\\x0a\\x0a\\x0a...");
}

/* A cut in two: what is prepared while the source lives, and what is filled while it stands still. */
static void test_prepared_and_filled(void **state)
{
	static const struct tree_plan prepare = {.way = FILE_EITHER, .stage = TREE_PREPARE, .lives = true};
	static const struct tree_plan fill = {.way = FILE_EITHER, .stage = TREE_FILL, .lives = true};
	struct folder *folder = *state;
	struct tree_root root = open_root(folder);
	struct tree_report report;
	struct reason why = {0};
	struct stat st;
	int before;

	mkdirat(root.from, "sub", 0710);
	mkdirat(root.from, "gone", 0700);
	folder_write(folder, "from/sub/kept", "old");
	folder_write(folder, "from/gone/file", "gone");
	folder_write(folder, "from/dropped", "dropped");
	folder_write(folder, "from/moved", "moved");
	folder_write(folder, "from/shorter", "a long text");
	folder_write(folder, "from/locked", "locked");
	assert_int_equal(fchmodat(root.from, "locked", 0400, 0), 0);
	assert_int_equal(symlinkat("/nowhere", root.from, "link"), 0);
	assert_int_equal(mkfifoat(root.from, "fifo", 0600), 0);
	assert_int_equal(tree_copy(&root, 1, &prepare, &report, &why), 0);
	assert_int_equal(report.files, 6);
	assert_int_equal(report.bytes, 0);
	assert_int_equal(report.skipped, 0);
	assert_true(holds(root.to, "sub/kept", "") && holds(root.to, "locked", ""));
	folder_write(folder, "from/sub/kept", "new");
	folder_write(folder, "from/shorter", "short");
	folder_write(folder, "from/sub/made", "made");
	mkdirat(root.from, "young", 0700);
	folder_write(folder, "from/young/file", "young");
	assert_int_equal(renameat(root.from, "moved", root.from, "sub/moved"), 0);
	assert_int_equal(unlinkat(root.from, "dropped", 0), 0);
	assert_int_equal(unlinkat(root.from, "gone/file", 0), 0);
	assert_int_equal(unlinkat(root.from, "gone", AT_REMOVEDIR), 0);
	before = open_descriptors();
	assert_int_equal(tree_copy(&root, 1, &fill, &report, &why), 0);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(report.files, 6);
	assert_int_equal(report.skipped, 1);
	assert_true(holds(root.to, "sub/kept", "new") && holds(root.to, "sub/made", "made"));
	assert_true(holds(root.to, "shorter", "short") && holds(root.to, "sub/moved", "moved"));
	assert_true(holds(root.to, "locked", "locked") && holds(root.to, "young/file", "young"));
	assert_false(is_there(root.to, "gone") || is_there(root.to, "dropped") || is_there(root.to, "moved"));
	assert_true(is_there(root.to, "link"));
	assert_int_equal(fstatat(root.to, "sub", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0710);
	close_root(root);
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)
	/* What a process usually may have. */
	static const struct rlimit descriptors = {1024, 1024};
	static const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_kinds_and_odd_names),
		WITH_FOLDER(test_hard_links_within_and_across_roots),
		WITH_FOLDER(test_an_inode_used_again_is_another_file),
		WITH_FOLDER(test_fates),
		WITH_FOLDER(test_what_is_listed_twice_is_copied_once),
		WITH_FOLDER(test_a_name_that_was_there_before_is_refused),
		WITH_FOLDER(test_the_last_file_may_change),
		WITH_FOLDER(test_prepared_and_filled),
		WITH_FOLDER(test_depth),
		WITH_FOLDER(test_the_list_of_what_was_left_out_ends),
		cmocka_unit_test(test_names_are_shown_as_ascii),
	};

	setrlimit(RLIMIT_NOFILE, &descriptors);
	return cmocka_run_group_tests_name("tree_copy", tests, NULL, NULL);
}
