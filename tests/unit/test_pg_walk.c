/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/pg_walk.h"

#include "common/err.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

#include <string.h>

static enum tree_fate judge(bool takes_wal, size_t root, const char *path, mode_t kind)
{
	struct stat st = {.st_mode = kind};
	struct reason why = {0};
	struct pg_walk walk;
	enum tree_fate fate;

	pg_walk_init(15, 202209061, takes_wal, &walk);
	fate = pg_walk_judge(&walk, root, path, &st, &why);
	/* A refusal names the entry; nothing else says anything. */
	assert_int_equal(fate == TREE_REFUSE, why.code == ERR_LAYOUT);
	assert_int_equal(fate == TREE_REFUSE, strstr(why.cause, path) != NULL);
	return fate;
}

struct row {
	const char *path;
	mode_t kind;
	enum tree_fate running, stopped;
};

static const struct row rows[] = {
	{"base", S_IFDIR, TREE_TAKE, TREE_TAKE},
	{"base/5/1259", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"base/5/pg_filenode.map", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"base/5/pg_internal.init", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"global/pg_internal.init.4711", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"base/pgsql_tmp", S_IFDIR, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"global", S_IFDIR, TREE_TAKE, TREE_TAKE},
	{"global/pg_control", S_IFREG, TREE_LAST, TREE_LAST},
	{"global/pg_control", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
	{"global/pg_control.old", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"pg_wal", S_IFDIR, TREE_EMPTY, TREE_TAKE},
	{"pg_wal", S_IFLNK, TREE_EMPTY, TREE_REFUSE},
	{"pg_wal/000000010000000000000001", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"pg_replslot", S_IFDIR, TREE_EMPTY, TREE_EMPTY},
	{"pg_dynshmem", S_IFDIR, TREE_EMPTY, TREE_EMPTY},
	{"pg_notify", S_IFDIR, TREE_EMPTY, TREE_EMPTY},
	{"pg_serial", S_IFDIR, TREE_EMPTY, TREE_EMPTY},
	{"pg_snapshots", S_IFDIR, TREE_EMPTY, TREE_EMPTY},
	{"pg_stat_tmp", S_IFDIR, TREE_EMPTY, TREE_EMPTY},
	{"pg_stat_tmp", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
	{"pg_subtrans", S_IFDIR, TREE_EMPTY, TREE_EMPTY},
	{"pg_tblspc", S_IFDIR, TREE_EMPTY, TREE_EMPTY},
	{"pg_xact", S_IFDIR, TREE_TAKE, TREE_TAKE},
	{"pg_xact", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
	{"pg_xact/0000", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"pg_twophase/00000001", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"pg_logical/mappings/x", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
	{"pg_stat", S_IFDIR, TREE_TAKE, TREE_TAKE},
	{"base", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
	{"base/5", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
	{"base/5/16384", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
	{"global/1260", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
	{"basement", S_IFLNK, TREE_TAKE, TREE_TAKE},
	{"globals/1", S_IFLNK, TREE_TAKE, TREE_TAKE},
	{"pg_hba.conf", S_IFLNK, TREE_TAKE, TREE_TAKE},
	{"pg_hba.conf", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"server.key", S_IFLNK, TREE_TAKE, TREE_TAKE},
	{"postgresql.conf", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"postgresql.auto.conf", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"postgresql.auto.conf.tmp", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"postmaster.pid", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"postmaster.pid", S_IFLNK, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"postmaster.opts", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"postmaster.pidx", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"log/postmaster.pid", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"backup_label", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"backup_label.old", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"log/backup_label", S_IFREG, TREE_TAKE, TREE_TAKE},
	{"tablespace_map", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"tablespace_map.old", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"backup_manifest", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"current_logfiles", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"current_logfiles.tmp", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
	{"log", S_IFDIR, TREE_TAKE, TREE_TAKE},
	{"PG_VERSION", S_IFREG, TREE_TAKE, TREE_TAKE},
};

static void test_data_directory(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (judge(false, 0, rows[i].path, rows[i].kind) != rows[i].running ||
		    judge(true, 0, rows[i].path, rows[i].kind) != rows[i].stopped)
			fail_msg("%s", rows[i].path);
	}
}

static void test_tablespace(void **state)
{
	static const struct row spaces[] = {
		{"PG_15_202209061", S_IFDIR, TREE_TAKE, TREE_TAKE},
		{"PG_15_202209061", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
		{"PG_15_202209061/5/16384", S_IFREG, TREE_TAKE, TREE_TAKE},
		{"PG_15_202209061/5/16384", S_IFLNK, TREE_REFUSE, TREE_REFUSE},
		{"PG_15_202209061/pgsql_tmp", S_IFDIR, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
		{"PG_15_202209061/5/pg_internal.init", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
		{"PG_15_2022090611", S_IFDIR, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
		{"PG_15_20220906", S_IFDIR, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
		{"PG_14_202107181", S_IFDIR, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
		{"lost+found", S_IFDIR, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
		{"postmaster.pid", S_IFREG, TREE_LEAVE_OUT, TREE_LEAVE_OUT},
		{"PG_15_202209061/backup_label", S_IFREG, TREE_TAKE, TREE_TAKE},
		{"PG_15_202209061/pg_wal", S_IFDIR, TREE_TAKE, TREE_TAKE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		if (judge(false, 1, spaces[i].path, spaces[i].kind) != spaces[i].running)
			fail_msg("%s", spaces[i].path);
	}
}

/* What no server wrote to its end is not whole. */
static void test_control(void **state)
{
	struct folder *folder = *state;
	int fd = openat(folder->fd, "pg_control", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_false(pg_walk_is_whole(fd));
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_false(pg_walk_is_whole(fd));
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_directory),
		cmocka_unit_test(test_tablespace),
		cmocka_unit_test_setup_teardown(test_control, folder_make, folder_remove),
	};

	return cmocka_run_group_tests_name("pg_walk", tests, NULL, NULL);
}
