/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes wrong before a walker is there; walks are in tests/system/test_backends.py. */
#include "daemon/engine/snap_walk.h"

#include "common/err.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

#include <sys/resource.h>

/* The image's folder takes the last descriptor that there is. */
static void test_no_descriptor_for_the_source(void **state)
{
	struct folder *folder = *state;
	struct worker_job job = {.data_fd = folder->fd, .link = -1, .lock_fd = -1};
	struct snap_order order = {.job = &job, .to_fd = folder->fd};
	struct snap_made *made = test_calloc(1, sizeof(*made));
	struct rlimit before, few;
	struct reason why = {0};
	int next = dup(folder->fd), error;

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){(rlim_t)next + 1, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	error = snap_walk_cut(&order, FILE_COPY, made, &why);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(faccessat(folder->fd, "data", F_OK, 0), 0);
	assert_true(error < 0);
	assert_non_null(strstr(why.cause, "cannot keep the data directory open: Too many open files"));
	test_free(made);
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)
	static const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_no_descriptor_for_the_source),
	};

	return cmocka_run_group_tests_name("snap_walk", tests, NULL, NULL);
}
