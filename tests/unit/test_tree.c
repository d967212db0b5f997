/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/tree.h"

#include "common/err.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

#include <errno.h>

struct seen {
	char paths[1024];
};

static int note(void *arg, const struct tree_entry *entry, struct reason *why)
{
	struct seen *seen = arg;

	(void)why;
	snprintf(seen->paths + strlen(seen->paths), sizeof(seen->paths) - strlen(seen->paths), "[%s]", entry->path);
	return 0;
}

static int refuse_b(void *arg, const struct tree_entry *entry, struct reason *why)
{
	(void)arg;
	return strcmp(entry->name, "b") == 0 ? reason_set(why, ERR_FOREIGN, NULL, "b") : 0;
}

static void test_walks_everything_and_follows_nothing(void **state)
{
	struct folder *folder = *state;
	struct seen seen = {""};
	struct reason why = {0};

	mkdirat(folder->fd, "a", 0700);
	folder_write(folder, "a/b", "");
	assert_int_equal(symlinkat("/", folder->fd, "a/root"), 0);
	assert_int_equal(mkfifoat(folder->fd, "fifo", 0600), 0);
	for (int round = 0; round < 2; round++) {
		seen.paths[0] = '\0';
		assert_int_equal(tree_walk(folder->fd, note, &seen, &why), 0);
		assert_non_null(strstr(seen.paths, "[a]"));
		assert_non_null(strstr(seen.paths, "[a/b]"));
		assert_non_null(strstr(seen.paths, "[a/root]"));
		assert_non_null(strstr(seen.paths, "[fifo]"));
		assert_int_equal(strlen(seen.paths), strlen("[a][a/b][a/root][fifo]"));
		assert_true(strstr(seen.paths, "[a]") < strstr(seen.paths, "[a/b]"));
	}
	assert_int_equal(tree_walk(folder->fd, refuse_b, NULL, &why), ERR_FOREIGN);
	assert_string_equal(why.cause, "b");
}

static void test_a_tree_too_deep_ends(void **state)
{
	struct folder *folder = *state;
	struct reason why = {0};
	struct seen seen = {""};
	char path[1024] = "d";

	for (int depth = 0; depth <= TREE_DEPTH_MAX; depth++) {
		assert_int_equal(mkdirat(folder->fd, path, 0700), 0);
		strcat(path, "/d");
	}
	assert_int_equal(tree_walk(folder->fd, note, &seen, &why), ERR_TOO_LONG);
}

static void test_read(void **state)
{
	struct folder *folder = *state;
	char bytes[6], path[128];
	int sub;

	mkdirat(folder->fd, "sub", 0700);
	folder_write(folder, "sub/five", "12345");
	folder_write(folder, "six", "123456");
	assert_int_equal(symlinkat("six", folder->fd, "link"), 0);
	assert_int_equal(symlinkat("sub", folder->fd, "way"), 0);
	assert_int_equal(mkfifoat(folder->fd, "fifo", 0600), 0);
	assert_int_equal(tree_read(folder->fd, "sub/five", bytes, sizeof(bytes)), 5);
	assert_string_equal(bytes, "12345");
	assert_int_equal(tree_read(folder->fd, "six", bytes, sizeof(bytes)), ERR_TOO_LONG);
	assert_int_equal(tree_read(folder->fd, "link", bytes, sizeof(bytes)), ERR_INVALID);
	assert_int_equal(tree_read(folder->fd, "way/five", bytes, sizeof(bytes)), ERR_INVALID);
	assert_int_equal(tree_read(folder->fd, "fifo", bytes, sizeof(bytes)), ERR_INVALID);
	assert_int_equal(tree_read(folder->fd, "sub", bytes, sizeof(bytes)), ERR_INVALID);
	assert_int_equal(tree_read(folder->fd, "none", bytes, sizeof(bytes)), ERR_NOT_FOUND);
	sub = tree_open(folder->fd, "sub", O_RDONLY | O_DIRECTORY, 0);
	snprintf(path, sizeof(path), "%s/sub/five", folder->path);
	assert_true(sub >= 0);
	assert_int_equal(tree_read(sub, "five", bytes, sizeof(bytes)), 5);
	assert_true(tree_read(sub, "../sub/five", bytes, sizeof(bytes)) < 0);
	assert_true(tree_read(sub, path, bytes, sizeof(bytes)) < 0);
	close(sub);
}

static void test_empty_removes_what_is_below_and_nothing_else(void **state)
{
	struct folder *folder = *state;
	struct reason why = {0};
	struct seen seen = {""};

	folder_write(folder, "kept", "");
	mkdirat(folder->fd, "out", 0700);
	folder_write(folder, "out/kept", "");
	mkdirat(folder->fd, "go", 0700);
	mkdirat(folder->fd, "go/a", 0700);
	mkdirat(folder->fd, "go/a/b", 0700);
	folder_write(folder, "go/a/b/c", "");
	assert_int_equal(symlinkat("../out", folder->fd, "go/link"), 0);
	assert_int_equal(symlinkat("out", folder->fd, "link"), 0);
	assert_int_equal(tree_empty(folder->fd, "go", &why), 0);
	assert_int_equal(tree_empty(folder->fd, "go", &why), 0);
	assert_int_equal(tree_empty(folder->fd, "nothing", &why), 0);
	assert_true(tree_empty(folder->fd, "link", &why) < 0);
	assert_int_equal(tree_walk(folder->fd, note, &seen, &why), 0);
	assert_int_equal(strlen(seen.paths), strlen("[kept][out][out/kept][go][link]"));
}

static void test_measure_counts_an_inode_once(void **state)
{
	struct folder *folder = *state;
	struct reason why = {0};
	uint64_t before, one, two;
	char big[8193];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	folder_write(folder, "small", "x");
	assert_int_equal(tree_measure(folder->fd, 0, NULL, NULL, &before, &why), 0);
	for (int i = 0; i < 64; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		folder_write(folder, name, big);
	}
	assert_int_equal(syncfs(folder->fd), 0);
	assert_int_equal(tree_measure(folder->fd, 0, NULL, NULL, &one, &why), 0);
	assert_true(one >= before + 64 * 8192);
	for (int i = 0; i < 64; i++) {
		char name[16], other[16];

		snprintf(name, sizeof(name), "f%d", i);
		snprintf(other, sizeof(other), "g%d", i);
		assert_int_equal(linkat(folder->fd, name, folder->fd, other, 0), 0);
	}
	assert_int_equal(tree_measure(folder->fd, 0, NULL, NULL, &two, &why), 0);
	assert_true(two < one + 64 * 8192);
}

static enum tree_fate judge(const void *arg, size_t root, const char *path, const struct stat *st, struct reason *why)
{
	assert_string_equal(arg, "arg");
	assert_int_equal(root, 3);
	assert_true(S_ISDIR(st->st_mode) || S_ISREG(st->st_mode));
	if (strcmp(path, "emptied") == 0)
		return TREE_EMPTY;
	if (strcmp(path, "refused") == 0) {
		reason_set(why, ERR_LAYOUT, NULL, "that is for who copies it to say");
		return TREE_REFUSE;
	}
	return strcmp(path, "sub/out") == 0 ? TREE_LEAVE_OUT : TREE_TAKE;
}

static void test_measure_passes_by_what_is_left_out(void **state)
{
	struct folder *folder = *state;
	struct reason why = {0};
	uint64_t before, bytes;
	char big[65537];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	mkdirat(folder->fd, "sub", 0700);
	mkdirat(folder->fd, "sub/out", 0700);
	mkdirat(folder->fd, "emptied", 0700);
	assert_int_equal(tree_measure(folder->fd, 3, judge, "arg", &before, &why), 0);
	folder_write(folder, "sub/out/file", big);
	folder_write(folder, "emptied/file", big);
	folder_write(folder, "refused", big);
	assert_int_equal(syncfs(folder->fd), 0);
	assert_int_equal(tree_measure(folder->fd, 3, judge, "arg", &bytes, &why), 0);
	assert_true(bytes >= before + 2 * 65536 && bytes < before + 3 * 65536);
	assert_int_equal(why.code, 0);
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)
	static const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_walks_everything_and_follows_nothing),
		WITH_FOLDER(test_a_tree_too_deep_ends),
		WITH_FOLDER(test_read),
		WITH_FOLDER(test_empty_removes_what_is_below_and_nothing_else),
		WITH_FOLDER(test_measure_counts_an_inode_once),
		WITH_FOLDER(test_measure_passes_by_what_is_left_out),
	};

	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
