/* SPDX-License-Identifier: GPL-3.0-or-later */
/* file_copy_bytes() is wrapped: what a server does amid a copy, it does there. */
#include "daemon/engine/pg_wal.h"

#include "common/err.h"
#include "daemon/engine/file_copy.h"
#include "daemon/engine/pg_label.h"
#include "daemon/engine/tree.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

#include <string.h>

enum { SEGMENT = 1 << 20, TIMELINE = 2, SYSTEM = 4711 };

/* Three segments, 5 to 7; the end lies in the second page of the last one. */
static const struct pg_wal wal = {
	.major = 15, .system_identifier = SYSTEM, .segment_size = SEGMENT, .timeline = TIMELINE,
	.start = 5 * SEGMENT + 40, .stop = 7 * SEGMENT + PG_WAL_PAGE + 100, .label = "label\n", .map = "",
};

/* While this is copied, amid() happens. */
static const char *amid_name;
static void (*amid)(int wal_fd);
static int amid_fd;

int __real_file_copy_bytes(int from_fd, int to_fd, enum file_way way, bool ranges, uint64_t *ret_bytes);
int __wrap_file_copy_bytes(int from_fd, int to_fd, enum file_way way, bool ranges, uint64_t *ret_bytes);

int __wrap_file_copy_bytes(int from_fd, int to_fd, enum file_way way, bool ranges, uint64_t *ret_bytes)
{
	int error = __real_file_copy_bytes(from_fd, to_fd, way, ranges, ret_bytes);
	struct stat st, named;

	if (amid_name && fstat(from_fd, &st) == 0 && fstatat(amid_fd, amid_name, &named, 0) == 0 &&
	    st.st_ino == named.st_ino)
		amid(amid_fd);
	return error;
}

static void put_page(int fd, off_t at, uint64_t address, uint32_t timeline)
{
	struct {
		uint16_t magic, info;
		uint32_t timeline;
		uint64_t address;
		uint32_t remaining, unused;
		uint64_t system_identifier;
		uint32_t segment_size, page_size;
	} page = {
		.magic = 0xD110, .info = at == 0 ? 2 : 0, .timeline = timeline, .address = address,
		.system_identifier = SYSTEM, .segment_size = SEGMENT, .page_size = PG_WAL_PAGE,
	};

	assert_int_equal(sizeof(page), PG_WAL_HEADER);
	assert_int_equal(pwrite(fd, &page, sizeof(page), at), sizeof(page));
}

static void put_segment(int dir_fd, const char *name, uint64_t number, uint32_t timeline)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SEGMENT), 0);
	put_page(fd, 0, number * SEGMENT, timeline);
	put_page(fd, PG_WAL_PAGE, number * SEGMENT + PG_WAL_PAGE, timeline);
	close(fd);
}

static int open_dir(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

struct places {
	int data, wal, image;
};

static void make_places(struct folder *folder, struct places *places)
{
	static const char *const names[] = {"data", "data/pg_wal", "image", "image/pg_wal"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(mkdirat(folder->fd, names[i], 0700), 0);
	places->data = open_dir(folder->fd, "data");
	places->wal = open_dir(folder->fd, "data/pg_wal");
	places->image = open_dir(folder->fd, "image");
	put_segment(places->wal, "000000020000000000000005", 5, TIMELINE);
	put_segment(places->wal, "000000020000000000000006", 6, TIMELINE);
	put_segment(places->wal, "000000020000000000000007", 7, TIMELINE);
	put_segment(places->wal, "000000020000000000000008", 8, TIMELINE);
	put_segment(places->wal, "000000020000000000000004", 4, TIMELINE);
	amid_fd = places->wal;
	amid_name = NULL;
}

static void close_places(const struct places *places)
{
	close(places->data);
	close(places->wal);
	close(places->image);
}

static bool is_there(const struct places *places, const char *path)
{
	return faccessat(places->image, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_all_of_it(void **state)
{
	struct folder *folder = *state;
	struct pg_wal mapped = wal;
	struct reason why = {0};
	struct places places;
	char text[64];

	make_places(folder, &places);
	folder_write(folder, "data/pg_wal/00000002.history", "1 0/1 no reason\n");
	folder_write(folder, "data/pg_wal/00000002.history.old", "x");
	folder_write(folder, "data/pg_wal/0000002.history", "x");
	mapped.map = "1 /a\n";
	assert_int_equal(pg_wal_add(&mapped, places.data, places.image, &why), 0);
	assert_int_equal(pg_wal_check(&mapped, places.image, &why), 0);
	assert_true(is_there(&places, "pg_wal/000000020000000000000005"));
	assert_true(is_there(&places, "pg_wal/000000020000000000000006"));
	assert_true(is_there(&places, "pg_wal/000000020000000000000007"));
	assert_false(is_there(&places, "pg_wal/000000020000000000000004"));
	assert_false(is_there(&places, "pg_wal/000000020000000000000008"));
	assert_false(is_there(&places, "pg_wal/00000002.history.old"));
	assert_false(is_there(&places, "pg_wal/0000002.history"));
	assert_int_equal(tree_read(places.image, "pg_wal/00000002.history", text, sizeof(text)), 16);
	assert_int_equal(tree_read(places.image, "backup_label", text, sizeof(text)), 6);
	assert_int_equal(tree_read(places.image, "tablespace_map", text, sizeof(text)), 5);
	close_places(&places);
}

static void test_no_map_and_a_link(void **state)
{
	struct folder *folder = *state;
	struct reason why = {0};
	struct places places;

	make_places(folder, &places);
	assert_int_equal(renameat(folder->fd, "data/pg_wal", folder->fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("../elsewhere", folder->fd, "data/pg_wal"), 0);
	assert_int_equal(unlinkat(places.image, "pg_wal", AT_REMOVEDIR), 0);
	assert_int_equal(pg_wal_add(&wal, places.data, places.image, &why), 0);
	assert_int_equal(pg_wal_check(&wal, places.image, &why), 0);
	assert_false(is_there(&places, "tablespace_map"));
	close_places(&places);
}

/* The end exactly at a segment's end: the next one is not needed, which the server may not have made yet. */
static void test_end_at_a_boundary(void **state)
{
	struct pg_wal whole = wal;
	struct reason why = {0};
	struct places places;
	int fd;

	make_places(*state, &places);
	assert_int_equal(unlinkat(places.wal, "000000020000000000000007", 0), 0);
	whole.stop = 7 * SEGMENT;
	fd = openat(places.wal, "000000020000000000000006", O_RDWR | O_CLOEXEC);
	put_page(fd, SEGMENT - PG_WAL_PAGE, whole.stop - PG_WAL_PAGE, TIMELINE);
	close(fd);
	assert_int_equal(pg_wal_add(&whole, places.data, places.image, &why), 0);
	close_places(&places);
}

static void refuse(const struct places *places, const struct pg_wal *range, int code, const char *cause)
{
	struct reason why = {0};

	assert_int_equal(pg_wal_add(range, places->data, places->image, &why), code);
	if (!strstr(why.cause, cause))
		fail_msg("%s", why.cause);
	assert_int_equal(why.retry, code == ERR_STATE);
	assert_int_equal(why.remedy[0] != '\0', code == ERR_STATE);
	/* It is the last thing that is written: what lacks anything cannot be started by it. */
	assert_false(is_there(places, "backup_label"));
	close_places(places);
}

static void test_missing(void **state)
{
	struct places places;

	make_places(*state, &places);
	unlinkat(places.wal, "000000020000000000000006", 0);
	refuse(&places, &wal, ERR_STATE, "000000020000000000000006");
}

static void recycle_first(int wal_fd)
{
	renameat(wal_fd, "000000020000000000000005", wal_fd, "000000020000000000000009");
}

static void test_recycled_amid_its_copy(void **state)
{
	struct places places;

	make_places(*state, &places);
	amid_name = "000000020000000000000005";
	amid = recycle_first;
	refuse(&places, &wal, ERR_STATE, "000000020000000000000005");
}

static void recycle_and_write(int wal_fd)
{
	recycle_first(wal_fd);
	put_segment(wal_fd, "000000020000000000000005", 5, TIMELINE);
}

static void test_another_took_its_name(void **state)
{
	struct places places;

	make_places(*state, &places);
	amid_name = "000000020000000000000005";
	amid = recycle_and_write;
	refuse(&places, &wal, ERR_STATE, "000000020000000000000005");
}

static void test_used_again_already(void **state)
{
	struct places places;

	make_places(*state, &places);
	put_segment(places.wal, "000000020000000000000006", 99, TIMELINE);
	refuse(&places, &wal, ERR_STATE, "000000020000000000000006");
}

static void test_end_not_written(void **state)
{
	struct places places;
	int fd;

	make_places(*state, &places);
	fd = openat(places.wal, "000000020000000000000007", O_RDWR | O_CLOEXEC);
	put_page(fd, PG_WAL_PAGE, 3 * SEGMENT + PG_WAL_PAGE, TIMELINE);
	close(fd);
	refuse(&places, &wal, ERR_STATE, "000000020000000000000007");
}

static void test_size(void **state)
{
	struct places places;
	int fd;

	make_places(*state, &places);
	fd = openat(places.wal, "000000020000000000000006", O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, SEGMENT - 1), 0);
	close(fd);
	refuse(&places, &wal, ERR_MISMATCH, "another size");
}

static void test_older_timeline(void **state)
{
	struct reason why = {0};
	struct places places;

	/* Where the timeline began, in the first segment: fine. */
	make_places(*state, &places);
	put_segment(places.wal, "000000020000000000000005", 5, TIMELINE - 1);
	assert_int_equal(pg_wal_add(&wal, places.data, places.image, &why), 0);
	close_places(&places);
}

static void test_older_timeline_later(void **state)
{
	struct places places;

	make_places(*state, &places);
	put_segment(places.wal, "000000020000000000000006", 6, TIMELINE - 1);
	refuse(&places, &wal, ERR_MISMATCH, "another timeline");
}

static void test_newer_timeline(void **state)
{
	struct places places;

	make_places(*state, &places);
	put_segment(places.wal, "000000020000000000000005", 5, TIMELINE + 1);
	refuse(&places, &wal, ERR_MISMATCH, "another timeline");
}

static void test_end_of_an_older_timeline(void **state)
{
	struct pg_wal one = wal;
	struct places places;

	make_places(*state, &places);
	put_segment(places.wal, "000000020000000000000005", 5, TIMELINE - 1);
	one.stop = 5 * SEGMENT + PG_WAL_PAGE + 100;
	refuse(&places, &one, ERR_MISMATCH, "another timeline");
}

static void test_another_cluster(void **state)
{
	struct pg_wal other = wal;
	struct places places;

	make_places(*state, &places);
	other.system_identifier++;
	refuse(&places, &other, ERR_MISMATCH, "another cluster");
}

static void test_another_release(void **state)
{
	struct pg_wal other = wal;
	struct places places;

	make_places(*state, &places);
	other.major = 16;
	refuse(&places, &other, ERR_MISMATCH, "of this release");
}

static void test_link_for_a_segment(void **state)
{
	struct reason why = {0};
	struct places places;

	make_places(*state, &places);
	unlinkat(places.wal, "000000020000000000000006", 0);
	assert_int_equal(symlinkat("000000020000000000000007", places.wal, "000000020000000000000006"), 0);
	assert_true(pg_wal_add(&wal, places.data, places.image, &why) < 0);
	assert_non_null(strstr(why.cause, "000000020000000000000006"));
	close_places(&places);
}

/* The check of the image sees by itself what is missing or changed. */
static void test_image_is_checked(void **state)
{
	struct reason why = {0};
	struct places places;
	int copy;

	make_places(*state, &places);
	assert_int_equal(pg_wal_add(&wal, places.data, places.image, &why), 0);
	copy = open_dir(places.image, "pg_wal");
	put_segment(copy, "000000020000000000000006", 66, TIMELINE);
	assert_int_equal(pg_wal_check(&wal, places.image, &why), ERR_STATE);
	unlinkat(copy, "000000020000000000000006", 0);
	assert_int_equal(pg_wal_check(&wal, places.image, &why), ERR_STATE);
	assert_non_null(strstr(why.cause, "000000020000000000000006 is not in the image"));
	close(copy);
	close_places(&places);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_all_of_it),
		WITH_FOLDER(test_no_map_and_a_link),
		WITH_FOLDER(test_end_at_a_boundary),
		WITH_FOLDER(test_missing),
		WITH_FOLDER(test_recycled_amid_its_copy),
		WITH_FOLDER(test_another_took_its_name),
		WITH_FOLDER(test_used_again_already),
		WITH_FOLDER(test_end_not_written),
		WITH_FOLDER(test_size),
		WITH_FOLDER(test_older_timeline),
		WITH_FOLDER(test_older_timeline_later),
		WITH_FOLDER(test_newer_timeline),
		WITH_FOLDER(test_end_of_an_older_timeline),
		WITH_FOLDER(test_another_cluster),
		WITH_FOLDER(test_another_release),
		WITH_FOLDER(test_link_for_a_segment),
		WITH_FOLDER(test_image_is_checked),
	};

	return cmocka_run_group_tests_name("pg_wal", tests, NULL, NULL);
}
