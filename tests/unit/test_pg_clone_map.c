/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/pg_clone.h"

#include "common/err.h"
#include "daemon/engine/tree.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

#include <malloc.h>

static struct reason why;

static int settle(struct folder *folder, bool recovered, const char *path)
{
	struct pg_clone clone = {
		.path = path, .major = 15, .recovered = recovered, .control = {.catalog_version = 202209061}};

	why = (struct reason){0};
	return pg_clone_map(folder->fd, &clone, &why);
}

static void make_space(const struct folder *folder, const char *oid)
{
	char path[64];

	mkdirat(folder->fd, "tblspc", 0700);
	snprintf(path, sizeof(path), "tblspc/%s", oid);
	assert_int_equal(mkdirat(folder->fd, path, 0700), 0);
	snprintf(path, sizeof(path), "tblspc/%s/PG_15_202209061", oid);
	assert_int_equal(mkdirat(folder->fd, path, 0700), 0);
}

static bool is_there(const struct folder *folder, const char *name)
{
	return faccessat(folder->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_map_leads_to_the_clone(void **state)
{
	struct folder *folder = *state;
	char text[256];

	folder_write(folder, "backup_label", "x");
	folder_write(folder, "tablespace_map", "16385 /srv/some/where that is longer than the clone\n16390 /srv/b\n");
	make_space(folder, "16385");
	make_space(folder, "16390");
	assert_int_equal(settle(folder, true, "/c"), 0);
	assert_true(tree_read(folder->fd, "tablespace_map", text, sizeof(text)) > 0);
	assert_string_equal(text, "16385 /c/tblspc/16385\n16390 /c/tblspc/16390\n");
	assert_true(is_there(folder, "backup_label"));
}

static void test_without_tablespaces(void **state)
{
	struct folder *folder = *state;

	folder_write(folder, "backup_label", "x");
	assert_int_equal(settle(folder, true, "/c"), 0);
	assert_false(is_there(folder, "tablespace_map"));
}

/* The server writes none of that kind, but what it did write is what a clone gets. */
static void test_map_without_a_line(void **state)
{
	struct folder *folder = *state;
	struct stat st;

	folder_write(folder, "backup_label", "x");
	folder_write(folder, "tablespace_map", "");
	/* What malloc() gives has other people's bytes in it. */
	mallopt(M_PERTURB, 0x5a);
	assert_int_equal(settle(folder, true, "/c"), 0);
	mallopt(M_PERTURB, 0);
	assert_int_equal(fstatat(folder->fd, "tablespace_map", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
}

static void test_lost_label(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(settle(folder, true, "/c"), ERR_CORRUPT);
	assert_non_null(strstr(why.cause, "backup_label"));
}

static void test_image_of_one_moment(void **state)
{
	struct folder *folder = *state;

	folder_write(folder, "tablespace_map", "16385 /srv/a\n");
	assert_int_equal(settle(folder, false, "/c"), 0);
	assert_false(is_there(folder, "tablespace_map"));
	assert_int_equal(settle(folder, false, "/c"), 0);
	folder_write(folder, "backup_label", "x");
	assert_int_equal(settle(folder, false, "/c"), ERR_CORRUPT);
}

static void test_refused_and_left_alone(void **state)
{
	struct folder *folder = *state;
	char text[256], long_path[1024];

	folder_write(folder, "backup_label", "x");
	folder_write(folder, "tablespace_map", "16385 /srv/a\n16390 /srv/b\n");
	make_space(folder, "16385");
	assert_int_equal(settle(folder, true, "/c"), ERR_NOT_FOUND);
	assert_non_null(strstr(why.cause, "16390"));
	assert_int_equal(settle(folder, true, "/c\\d"), ERR_INVALID);
	memset(long_path, '/', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(settle(folder, true, long_path), ERR_INVALID);
	folder_write(folder, "tablespace_map", "16385 /srv/a\nnonsense");
	assert_int_equal(settle(folder, true, "/c"), ERR_CORRUPT);
	assert_true(tree_read(folder->fd, "tablespace_map", text, sizeof(text)) > 0);
	assert_string_equal(text, "16385 /srv/a\nnonsense");
	unlinkat(folder->fd, "tablespace_map", 0);
	assert_int_equal(symlinkat("backup_label", folder->fd, "tablespace_map"), 0);
	assert_int_equal(settle(folder, true, "/c"), ERR_INVALID);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_map_leads_to_the_clone),
		WITH_FOLDER(test_without_tablespaces),
		WITH_FOLDER(test_map_without_a_line),
		WITH_FOLDER(test_lost_label),
		WITH_FOLDER(test_image_of_one_moment),
		WITH_FOLDER(test_refused_and_left_alone),
	};

	return cmocka_run_group_tests_name("pg_clone_map", tests, NULL, NULL);
}
