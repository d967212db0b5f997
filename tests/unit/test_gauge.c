/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's end of the link is the test's, and so is the walker's count. */
#include "daemon/engine/gauge.h"

#include "daemon/engine/job.h"

#include "cmocka_all.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct link {
	struct worker_job job;
	int engine;
};

static int set_up(void **state)
{
	static struct link link;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	link = (struct link){.job = {.link = pair[0], .order.job = 7}, .engine = pair[1]};
	*state = &link;
	return 0;
}

static int tear_down(void **state)
{
	struct link *link = *state;

	gauge_end(&link->job);
	close(link->job.link);
	close(link->engine);
	return 0;
}

static void assert_told(const struct link *link, unsigned percent, uint64_t done, uint64_t total)
{
	struct msg msg;

	assert_int_equal(msg_receive(link->engine, MSG_DONTWAIT, &msg), 0);
	assert_int_equal(msg.type, MSG_PROGRESS);
	assert_int_equal(msg.u.progress.job, 7);
	assert_int_equal(msg.u.progress.percent, percent);
	assert_int_equal(msg.u.progress.bytes_done, done);
	assert_int_equal(msg.u.progress.bytes_total, total);
}

static void assert_silent(const struct link *link)
{
	struct msg msg;

	assert_true(msg_receive(link->engine, MSG_DONTWAIT, &msg) < 0);
}

static void count(struct link *link, uint64_t done)
{
	*link->job.gauge.done = done;
	gauge_tell(&link->job);
}

static void test_moves_between_its_bounds(void **state)
{
	struct link *link = *state;

	gauge_begin(&link->job, PHASE_CUTTING, 10, 90, 1000);
	assert_told(link, 10, 0, 1000);
	count(link, 0);
	assert_silent(link);
	count(link, 500);
	assert_told(link, 50, 500, 1000);
	/* A walker is not believed: neither back nor beyond. */
	count(link, 499);
	assert_silent(link);
	count(link, UINT64_MAX);
	assert_told(link, 90, 1000, 1000);
	count(link, UINT64_MAX - 1);
	assert_silent(link);
	gauge_end(&link->job);
	job_progress(&link->job, PHASE_CHECKING, 95);
	assert_told(link, 95, 1000, 1000);
}

static void test_a_size_that_is_not_known(void **state)
{
	struct link *link = *state;

	gauge_begin(&link->job, PHASE_CUTTING, 30, 60, 0);
	assert_told(link, 30, 0, 0);
	count(link, 500);
	assert_told(link, 30, 500, 0);
	gauge_end(&link->job);
	gauge_begin(&link->job, PHASE_CUTTING, 30, 60, UINT64_MAX);
	assert_told(link, 30, 0, UINT64_MAX);
	count(link, UINT64_MAX / 2);
	assert_told(link, 45, UINT64_MAX / 2, UINT64_MAX);
}

static void test_another_process_counts(void **state)
{
	struct link *link = *state;
	pid_t pid;

	gauge_begin(&link->job, PHASE_CUTTING, 0, 100, 10);
	assert_told(link, 0, 0, 10);
	pid = fork();
	if (pid == 0) {
		*link->job.gauge.done = 3;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	gauge_tell(&link->job);
	assert_told(link, 30, 3, 10);
}

int main(void)
{
#define WITH_LINK(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		WITH_LINK(test_moves_between_its_bounds),
		WITH_LINK(test_a_size_that_is_not_known),
		WITH_LINK(test_another_process_counts),
	};

	return cmocka_run_group_tests_name("gauge", tests, NULL, NULL);
}
