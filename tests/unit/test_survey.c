/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/survey.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/engine/expect.h"
#include "daemon/engine/extents.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

enum { LONG_MS = 60000, BLOCK = 65536 };

static struct layout *layout_of(const char *const *prefixes, size_t count)
{
	struct layout *layout = calloc(1, sizeof(*layout));

	assert_non_null(layout);
	layout->part_count = 1;
	snprintf(layout->parts[0].role, sizeof(layout->parts[0].role), "data");
	layout->parts[0].inside = true;
	for (size_t i = 0; i < count; i++)
		layout_add_inside(layout, "log", "/x", prefixes[i]);
	layout->snap = &snap_reflink;
	return layout;
}

static void test_whose_a_name_is(void **state)
{
	static const char *const prefixes[] = {"pg_wal/", "ib_logfile", "log/mysql-bin."};
	static const struct {
		const char *path;
		size_t part;
	} rows[] = {
		{"pg_wal/000000010000000000000001", 1}, {"pg_wal/archive_status/x.ready", 1}, {"pg_wal", 0}, {"pg_walk/x", 0},
		{"ib_logfile0", 2},  {"ib_logfile", 2},         {"ib_logfiles/t.ibd", 0},  {"log/ib_logfile0", 0},
		{"log/mysql-bin.000001", 3}, {"log/mysql-bin.index", 3}, {"mysql-bin.000001", 0}, {"base/1/1", 0},
	};
	struct layout *layout = layout_of(prefixes, 3);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(survey_part_of(layout, rows[i].path), rows[i].part);
	free(layout);
}

/* Leaves out "out", empties "empty", refuses a link named "bad". */
static enum tree_fate judge(const void *arg, size_t root, const char *path, const struct stat *st, struct reason *why)
{
	(void)arg;
	(void)root;
	if (strcmp(path, "out") == 0)
		return TREE_LEAVE_OUT;
	if (strcmp(path, "empty") == 0)
		return TREE_EMPTY;
	if (!S_ISLNK(st->st_mode) || strcmp(path, "bad") != 0)
		return TREE_TAKE;
	reason_set(why, ERR_LAYOUT, NULL, "%s is a link", path);
	return TREE_REFUSE;
}

static struct survey *look(const struct folder *folder, const struct layout *layout, int64_t limit_ms)
{
	struct survey_question question = {.layout = layout, .judge = judge, .count = 1, .roots = {{.taken = true}},
					   .deadline_ms = clock_running_ms() + limit_ms};
	struct survey *survey = malloc(sizeof(*survey));

	assert_non_null(survey);
	survey_walk(&question, &folder->fd, survey);
	return survey;
}

static void make_folder(const struct folder *folder, const char *name)
{
	assert_int_equal(mkdirat(folder->fd, name, 0700), 0);
}

static void test_sizes(void **state)
{
	static const char *const prefixes[] = {"pg_wal/"};
	struct folder *folder = *state;
	struct layout *layout = layout_of(prefixes, 1);
	struct survey *survey;
	char large[3 * BLOCK + 1], small[BLOCK + 1];

	memset(large, 'x', sizeof(large) - 1);
	memset(small, 'x', sizeof(small) - 1);
	large[sizeof(large) - 1] = small[sizeof(small) - 1] = '\0';
	make_folder(folder, "base");
	make_folder(folder, "pg_wal");
	folder_write(folder, "base/large \x1b", large);
	folder_write(folder, "small", small);
	folder_write(folder, "pg_wal/1", small);
	assert_int_equal(linkat(folder->fd, "base/large \x1b", folder->fd, "again", 0), 0);
	assert_int_equal(syncfs(folder->fd), 0);
	survey = look(folder, layout, LONG_MS);
	assert_int_equal(survey->parts[0].measured, PART_MEASURED);
	assert_int_equal(survey->parts[1].measured, PART_MEASURED);
	assert_int_equal(survey->parts[0].files, 3);
	assert_int_equal(survey->parts[1].files, 1);
	/* The folders take some, and the second name nothing. */
	assert_in_range(survey->parts[0].bytes, 4 * BLOCK, 5 * BLOCK);
	assert_in_range(survey->parts[1].bytes, BLOCK, BLOCK + BLOCK / 2);
	assert_true(strcmp(survey->parts[0].largest, "base/large \\x1b") == 0 || strcmp(survey->parts[0].largest, "again") == 0);
	assert_string_equal(survey->parts[1].largest, "pg_wal/1");
	assert_string_equal(survey->ended, "");
	for (int kind = 0; kind < SURVEY_KINDS; kind++)
		assert_int_equal(survey->found[kind].count, 0);
	free(survey);
	free(layout);
}

static void test_what_is_found(void **state)
{
	struct folder *folder = *state;
	struct layout *layout = layout_of(NULL, 0);
	struct reason why = {0};
	struct survey *survey;

	make_folder(folder, "out");
	make_folder(folder, "empty");
	assert_int_equal(symlinkat("/", folder->fd, "out/link"), 0);
	assert_int_equal(mkfifoat(folder->fd, "empty/fifo", 0600), 0);
	folder_write(folder, "empty/file", "x");
	survey = look(folder, layout, LONG_MS);
	assert_int_equal(survey->found[SURVEY_LINK].count + survey->found[SURVEY_SPECIAL].count, 0);
	assert_int_equal(survey->parts[0].files, 1);
	assert_int_equal(survey_judge(survey, layout, &why), 0);
	assert_string_equal(layout->warnings, "");
	free(survey);

	assert_int_equal(symlinkat("/", folder->fd, "link"), 0);
	assert_int_equal(mkfifoat(folder->fd, "fifo", 0600), 0);
	survey = look(folder, layout, LONG_MS);
	assert_string_equal(survey->found[SURVEY_LINK].first, "link");
	assert_string_equal(survey->found[SURVEY_SPECIAL].first, "fifo");
	assert_int_equal(survey_judge(survey, layout, &why), 0);
	assert_non_null(strstr(layout->warnings, "a clone is made without them: link\n"));
	assert_non_null(strstr(layout->warnings, "left out of a backup: fifo"));
	free(survey);

	assert_int_equal(symlinkat("/", folder->fd, "bad"), 0);
	survey = look(folder, layout, LONG_MS);
	assert_int_equal(survey_judge(survey, layout, &why), ERR_LAYOUT);
	assert_string_equal(why.cause, "bad is a link");
	layout->snap = &snap_btrfs;
	assert_int_equal(survey_judge(survey, layout, &why), 0);
	assert_non_null(strstr(layout->warnings, "no clone can be made of a backup: bad is a link"));
	free(survey);
	free(layout);
}

/* The rest of the tree is seen all the same. */
static void test_too_deep(void **state)
{
	struct folder *folder = *state;
	struct layout *layout = layout_of(NULL, 0);
	struct reason why = {0};
	struct survey *survey;
	char path[1024] = "";
	size_t used = 0;

	for (int depth = 0; depth <= TREE_DEPTH_MAX + 3; depth++) {
		used += (size_t)snprintf(path + used, sizeof(path) - used, "%sd", depth ? "/" : "");
		make_folder(folder, path);
	}
	folder_write(folder, "file", "x");
	survey = look(folder, layout, LONG_MS);
	assert_int_equal(survey->found[SURVEY_DEEP].count, 1);
	assert_int_equal(survey->parts[0].files, 1);
	assert_int_equal(survey->parts[0].measured, PART_AT_LEAST);
	assert_int_equal(survey_judge(survey, layout, &why), ERR_LAYOUT);
	layout->snap = &snap_btrfs;
	assert_int_equal(survey_judge(survey, layout, &why), 0);
	free(survey);
	free(layout);
}

static void test_no_time(void **state)
{
	struct folder *folder = *state;
	struct layout *layout = layout_of(NULL, 0);
	struct reason why = {0};
	struct survey *survey;

	folder_write(folder, "file", "x");
	survey = look(folder, layout, -LONG_MS);
	assert_int_equal(survey->parts[0].measured, PART_AT_LEAST);
	assert_int_equal(survey->parts[0].extents, 0);
	assert_int_equal(survey_judge(survey, layout, &why), 0);
	assert_non_null(strstr(layout->warnings, "not every name was looked at: there was no time for more"));
	free(survey);
	free(layout);
}

/* Blocks apart from each other are extents of their own everywhere. */
static void test_extents(void **state)
{
	enum { BLOCKS = 600 };
	struct folder *folder = *state;
	int64_t later_ms = clock_running_ms() + LONG_MS;
	uint64_t count = 7;
	bool more = true;
	int fd, error;

	folder_write(folder, "empty", "");
	folder_write(folder, "file", "");
	fd = openat(folder->fd, "file", O_RDWR);
	for (int i = 0; i < BLOCKS; i++)
		assert_int_equal(pwrite(fd, "x", 1, (off_t)i * 2 * BLOCK), 1);
	assert_int_equal(fsync(fd), 0);
	error = extents_count(fd, 100000, later_ms, &count, &more);
	if (error == ERR_UNSUPPORTED) {
		close(fd);
		skip();
	}
	assert_int_equal(error, 0);
	assert_int_equal(count, BLOCKS);
	assert_false(more);
	assert_int_equal(extents_count(fd, 300, later_ms, &count, &more), 0);
	assert_int_equal(count, 300);
	assert_true(more);
	assert_int_equal(extents_count(fd, 100000, 0, &count, &more), 0);
	assert_true(more && count < BLOCKS);
	close(fd);
	fd = openat(folder->fd, "empty", O_RDONLY);
	assert_int_equal(extents_count(fd, 100000, later_ms, &count, &more), 0);
	assert_true(count == 0 && !more);
	close(fd);
}

static void test_what_is_expected(void **state)
{
	struct expect_size size = {.known = true, .bytes = UINT64_C(5) << 20, .files = 1000, .extents = 1000};
	struct layout *layout = layout_of(NULL, 0);

	(void)state;
	layout->expected = (struct layout_expected){.cut_us = -1};
	expect_cut(layout, &size);
	assert_int_equal(layout->expected.cut_us, 116000);
	assert_int_equal(layout->expected.freeze_us, 0);
	assert_non_null(strstr(layout->expected.why, "1000 files"));
	layout->expected = (struct layout_expected){.cut_us = -1};
	layout->snap = &snap_copy;
	expect_cut(layout, &size);
	assert_int_equal(layout->expected.cut_us, -1);
	assert_non_null(strstr(layout->expected.why, "copy 5 MiB; nobody is held"));
	layout->expected = (struct layout_expected){.cut_us = -1, .freeze_us = -1};
	layout->snap = &snap_btrfs;
	expect_cut(layout, &size);
	assert_non_null(strstr(layout->expected.why, "writers are held meanwhile"));
	/* What the database has said stays. */
	layout->expected = (struct layout_expected){.cut_us = 7, .freeze_us = 7, .why = "it said so"};
	expect_cut(layout, &size);
	assert_int_equal(layout->expected.cut_us, 7);
	assert_string_equal(layout->expected.why, "it said so");
	free(layout);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_a_name_is),
		cmocka_unit_test_setup_teardown(test_sizes, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_what_is_found, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_too_deep, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_no_time, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_extents, folder_make, folder_remove),
		cmocka_unit_test(test_what_is_expected),
	};

	return cmocka_run_group_tests_name("survey", tests, NULL, NULL);
}
