/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/mounts.h"

#include "common/err.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

static const char sample[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"40 22 0:31 /pg /srv/pg rw - btrfs /dev/sdb rw,subvol=/pg\n"
	"41 22 0:31 /pg2 /srv/pg2/base rw - btrfs /dev/sdb rw\n"
	"42 22 0:40 / /srv/a\\040b/c\\134d rw - tmpfs none rw\n"
	"broken\n";

static void test_below(void **state)
{
	static const struct {
		const char *dir;
		const char *point; /* NULL: none */
	} rows[] = {
		{"/srv/pg", NULL},          {"/srv/pg2", "/srv/pg2/base"}, {"/srv/pg2/base", NULL},
		{"/srv", "/srv/pg"},        {"/srv/p", NULL},              {"/srv/a b", "/srv/a b/c\\d"},
		{"/srv/a b/c\\d", NULL},
	};
	struct folder *folder = *state;
	char path[128], point[64];

	folder_write(folder, "mountinfo", sample);
	snprintf(path, sizeof(path), "%s/mountinfo", folder->path);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int found = mounts_below(path, rows[i].dir, point, sizeof(point));

		assert_int_equal(found, rows[i].point != NULL);
		if (found)
			assert_string_equal(point, rows[i].point);
	}
	assert_int_equal(mounts_below("/nowhere/mountinfo", "/srv", point, sizeof(point)), ERR_NOT_FOUND);
}

static void test_point(void **state)
{
	struct folder *folder = *state;
	char path[128], point[64] = "";

	folder_write(folder, "mountinfo", sample);
	snprintf(path, sizeof(path), "%s/mountinfo", folder->path);
	assert_int_equal(mounts_point(path, 22, point, sizeof(point)), 0);
	assert_string_equal(point, "/");
	assert_int_equal(mounts_point(path, 42, point, sizeof(point)), 0);
	assert_string_equal(point, "/srv/a b/c\\d");
	assert_int_equal(mounts_point(path, 42, point, 12), ERR_TOO_LONG);
	assert_int_equal(mounts_point(path, 4, point, sizeof(point)), ERR_NOT_FOUND);
	assert_int_equal(mounts_point("/nowhere/mountinfo", 22, point, sizeof(point)), ERR_NOT_FOUND);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_below, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_point, folder_make, folder_remove),
	};

	return cmocka_run_group_tests_name("mounts", tests, NULL, NULL);
}
