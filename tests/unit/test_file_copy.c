/* SPDX-License-Identifier: GPL-3.0-or-later */
/* By bytes; what only some file systems can is in tests/system/test_tree_copy.py. */
#include "daemon/engine/file_copy.h"

#include "common/err.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

#include <errno.h>
#include <sys/xattr.h>

struct pair {
	int from, to;
};

static struct pair open_pair(const struct folder *folder, const char *from)
{
	struct pair pair = {.from = openat(folder->fd, from, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};

	unlinkat(folder->fd, "to", 0);
	pair.to = openat(folder->fd, "to", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(pair.from >= 0 && pair.to >= 0);
	return pair;
}

static void close_pair(struct pair pair)
{
	close(pair.from);
	close(pair.to);
}

static off_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

static void assert_same(struct pair pair)
{
	static char a[1 << 16], b[1 << 16];
	off_t size = size_of(pair.from);

	assert_int_equal(size_of(pair.to), size);
	for (off_t at = 0; at < size;) {
		ssize_t got = pread(pair.from, a, sizeof(a), at);

		assert_true(got > 0);
		assert_int_equal(pread(pair.to, b, sizeof(b), at), got);
		assert_memory_equal(a, b, (size_t)got);
		at += got;
	}
}

static void write_at(int fd, off_t at, const char *text)
{
	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
}

static void test_bytes_and_holes(void **state)
{
	/* Where the data are; then the size. */
	static const off_t cases[][3] = {
		{-1, -1, 0}, {0, -1, 1}, {0, 4095, 4100}, {-1, -1, 5 << 20}, {0, 9 << 20, 9 << 20},
		{3 << 20, -1, 8 << 20}, {0, (4 << 20) - 2, 20 << 20}, {0, 17 << 20, (17 << 20) + 777},
	};
	struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair pair = open_pair(folder, "from");
		struct stat st;
		uint64_t bytes;

		assert_int_equal(ftruncate(pair.from, 0), 0);
		for (int at = 0; at < 2; at++) {
			if (cases[i][at] >= 0)
				write_at(pair.from, cases[i][at], "data");
		}
		assert_int_equal(ftruncate(pair.from, cases[i][2]), 0);
		assert_int_equal(file_copy_bytes(pair.from, pair.to, FILE_COPY, true, &bytes), 0);
		assert_same(pair);
		assert_int_equal(fstat(pair.to, &st), 0);
		/* A megabyte for what a file system allocates ahead. */
		assert_true(st.st_size < 4 << 20 || st.st_blocks * 512 < 1 << 20);
		assert_int_equal(bytes, (uint64_t)st.st_blocks * 512);
		close_pair(pair);
	}
}

static void test_either_copies_where_nothing_can_be_shared(void **state)
{
	struct folder *folder = *state;
	struct pair pair = open_pair(folder, "from");
	int other = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct pair across = {.from = pair.from, .to = other};
	uint64_t bytes = 77;

	if (other < 0)
		skip();
	write_at(pair.from, 100000, "data");
	write_at(pair.from, 3 << 20, "more");
	assert_true(file_copy_bytes(pair.from, other, FILE_CLONE, false, &bytes) < 0);
	assert_int_equal(errno, EXDEV);
	assert_true(file_copy_bytes(pair.from, other, FILE_CLONE, true, &bytes) < 0);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(bytes, 77);
	assert_int_equal(file_copy_bytes(pair.from, other, FILE_EITHER, true, &bytes), 0);
	assert_same(across);
	close(other);
	close_pair(pair);
}

/* fd has what the attribute says, or none when value is NULL. */
static void assert_xattr(int fd, const char *name, const char *value, size_t size)
{
	static char got[1 << 16];
	ssize_t length = fgetxattr(fd, name, got, sizeof(got));

	assert_int_equal(length, value ? (ssize_t)size : -1);
	if (value)
		assert_memory_equal(got, value, size);
}

static void test_mode_times_and_attributes(void **state)
{
	static const struct timespec times[2] = {{1, 2}, {1000000000, 999999999}};
	/* Version 2; owner rw-, user 1 r--, group r--, mask r--, other ---. */
	static const unsigned char acl[] = {
		2,  0, 0, 0,
		1,  0, 6, 0, 255, 255, 255, 255,
		2,  0, 4, 0, 1,   0,   0,   0,
		4,  0, 4, 0, 255, 255, 255, 255,
		16, 0, 4, 0, 255, 255, 255, 255,
		32, 0, 0, 0, 255, 255, 255, 255,
	};
	struct folder *folder = *state;
	struct pair pair = open_pair(folder, "from");
	char big[3000];
	struct stat st, to;
	unsigned lost = 77;

	memset(big, 'b', sizeof(big));
	assert_int_equal(fsetxattr(pair.from, "user.small", "s", 1, 0), 0);
	assert_int_equal(fsetxattr(pair.from, "user.empty", "", 0, 0), 0);
	assert_int_equal(fsetxattr(pair.from, "user.big", big, sizeof(big), 0), 0);
	assert_int_equal(fsetxattr(pair.from, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	assert_int_equal(fchmod(pair.from, 06640), 0);
	assert_int_equal(futimens(pair.from, times), 0);
	assert_int_equal(fstat(pair.from, &st), 0);
	assert_int_equal(file_copy_belongings(pair.from, pair.to, &st, &lost), 0);
	assert_int_equal(lost, 0);
	assert_int_equal(fstat(pair.to, &to), 0);
	assert_int_equal(to.st_mode, st.st_mode);
	assert_memory_equal(&to.st_mtim, &times[1], sizeof(times[1]));
	assert_int_equal(to.st_atim.tv_sec, 1);
	assert_xattr(pair.to, "user.small", "s", 1);
	assert_xattr(pair.to, "user.empty", "", 0);
	assert_xattr(pair.to, "user.big", big, sizeof(big));
	assert_xattr(pair.to, "system.posix_acl_access", (const char *)acl, sizeof(acl));
	assert_xattr(pair.to, "user.none", NULL, 0);
	close_pair(pair);
}

static void test_many_attributes(void **state)
{
	struct folder *folder = *state;
	struct pair pair = open_pair(folder, "from");
	struct stat st;
	unsigned lost;
	char name[64];

	/* Their names alone are more than the first buffer. */
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "user.an-attribute-with-a-name-that-is-long.%d", i);
		if (fsetxattr(pair.from, name, "v", 1, 0) < 0)
			skip();
	}
	assert_int_equal(fstat(pair.from, &st), 0);
	assert_int_equal(file_copy_belongings(pair.from, pair.to, &st, &lost), 0);
	assert_int_equal(lost, 0);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "user.an-attribute-with-a-name-that-is-long.%d", i);
		assert_xattr(pair.to, name, "v", 1);
	}
	close_pair(pair);
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)
	static const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_bytes_and_holes),
		WITH_FOLDER(test_either_copies_where_nothing_can_be_shared),
		WITH_FOLDER(test_mode_times_and_attributes),
		WITH_FOLDER(test_many_attributes),
	};

	return cmocka_run_group_tests_name("file_copy", tests, NULL, NULL);
}
