/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's side of a hold; the worker's end of the link is the test's, and the server a child that pauses. */
#include "daemon/engine/hold.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/engine/engine.h"
#include "tests/unit/folder_fixture.h"

#include "cmocka_all.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MAX_FREEZE_MS = 300, PATIENCE_MS = 10000 };

struct stage {
	struct folder *folder;
	struct conf conf;
	struct conf_cluster cluster;
	struct engine engine;
	struct worker worker;
	int link; /* the worker's end */
	pid_t pid;
};

static int set_up(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	int pair[2];

	if (!stage || folder_make((void **)&stage->folder) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	stage->pid = fork();
	for (; stage->pid == 0;)
		pause();
	snprintf(stage->cluster.id, sizeof(stage->cluster.id), "c1");
	stage->cluster.database.max_freeze_ms = MAX_FREEZE_MS;
	stage->cluster.identity_known = true;
	stage->cluster.identity.uid = geteuid();
	stage->conf.clusters = &stage->cluster;
	stage->conf.cluster_count = 1;
	snprintf(stage->engine.listens.at[0].path, sizeof(stage->engine.listens.at[0].path), "%s/sock", stage->folder->path);
	stage->worker = (struct worker){.type = MSG_JOB, .kind = JOB_CREATE, .job = 7, .link = pair[0], .cluster = "c1"};
	stage->link = pair[1];
	stage->engine.conf = &stage->conf;
	stage->engine.as_root = geteuid() == 0;
	stage->engine.workers = &stage->worker;
	stage->engine.listens.count = 1;
	*state = stage;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *stage = *state;

	hold_end(&stage->worker, ERR_CLOSED);
	kill(stage->pid, SIGKILL);
	waitpid(stage->pid, NULL, 0);
	close(stage->worker.link);
	close(stage->link);
	folder_remove((void **)&stage->folder);
	free(stage);
	return 0;
}

/* As the loop does until there is something for the worker. */
static enum msg_type wait_answer(struct stage *stage, struct msg *ret_msg)
{
	int64_t end = clock_running_ms() + PATIENCE_MS;

	while (msg_receive(stage->link, MSG_DONTWAIT, ret_msg) < 0) {
		int64_t next = hold_next_ms(&stage->engine);

		assert_true(clock_running_ms() < end && next != INT64_MAX);
		poll(NULL, 0, (int)next);
		hold_check_time(&stage->engine);
	}
	return ret_msg->type;
}

static void ask(struct stage *stage, uint32_t max_ms)
{
	struct msg_hold wanted = {.job = 7, .pid = (uint32_t)stage->pid, .pid_start = freeze_start_of(stage->pid),
				  .max_ms = max_ms};

	hold_begin(&stage->engine, &stage->worker, &wanted);
}

static void hold(struct stage *stage, uint32_t max_ms)
{
	struct msg msg;

	ask(stage, max_ms);
	assert_int_equal(wait_answer(stage, &msg), MSG_HOLD);
	assert_int_equal(msg.u.hold.job, 7);
}

static void assert_released(struct stage *stage, int code, uint64_t *ret_us)
{
	siginfo_t info = {0};
	struct msg msg;

	assert_int_equal(wait_answer(stage, &msg), MSG_RELEASE);
	assert_int_equal(msg.u.release.code, code);
	*ret_us = msg.u.release.held_us;
	assert_int_equal(stage->worker.freeze.state, FREEZE_NONE);
	assert_true(faccessat(stage->folder->fd, "frozen/c1", F_OK, 0) < 0);
	assert_int_equal(waitid(P_PID, (id_t)stage->pid, &info, WCONTINUED | WEXITED | WNOWAIT), 0);
}

static void test_given_up(void **state)
{
	struct stage *stage = *state;
	uint64_t held_us;

	hold(stage, MAX_FREEZE_MS);
	hold_release(&stage->worker);
	assert_released(stage, 0, &held_us);
	assert_true(held_us > 0);
	/* That crossed with an end by the engine. */
	hold_release(&stage->worker);
	assert_int_equal(hold_next_ms(&stage->engine), INT64_MAX);
}

/* The configuration's time, whatever a worker wants; and the worker's, if that is less. */
static void test_over_max_freeze(void **state)
{
	static const uint32_t wanted[] = {100 * MAX_FREEZE_MS, MAX_FREEZE_MS / 3};
	struct stage *stage = *state;
	uint64_t held_us, most_us;

	for (size_t i = 0; i < 2; i++) {
		most_us = 1000 * (wanted[i] < MAX_FREEZE_MS ? wanted[i] : MAX_FREEZE_MS);
		hold(stage, wanted[i]);
		assert_released(stage, ERR_TIMEOUT, &held_us);
		assert_in_range(held_us, most_us, 10 * most_us);
		hold_release(&stage->worker);
	}
}

/* Its time is over, but nobody has looked at the clock yet. */
static void test_given_up_too_late(void **state)
{
	struct stage *stage = *state;
	uint64_t held_us;

	hold(stage, MAX_FREEZE_MS);
	stage->worker.freeze.until_us = clock_measure_us();
	hold_release(&stage->worker);
	assert_released(stage, ERR_TIMEOUT, &held_us);
}

static void test_stray_cont(void **state)
{
	struct stage *stage = *state;
	siginfo_t info;
	uint64_t held_us;

	hold(stage, MAX_FREEZE_MS);
	kill(stage->pid, SIGCONT);
	assert_int_equal(waitid(P_PID, (id_t)stage->pid, &info, WCONTINUED | WNOWAIT), 0);
	hold_release(&stage->worker);
	assert_released(stage, ERR_STATE, &held_us);
}

static void test_server_killed(void **state)
{
	struct stage *stage = *state;
	siginfo_t info;
	uint64_t held_us;

	hold(stage, MAX_FREEZE_MS);
	kill(stage->pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)stage->pid, &info, WEXITED | WNOWAIT), 0);
	hold_release(&stage->worker);
	assert_released(stage, ERR_NOT_FOUND, &held_us);
}

static void assert_refused(struct stage *stage, int code)
{
	struct msg msg;

	ask(stage, MAX_FREEZE_MS);
	assert_int_equal(wait_answer(stage, &msg), MSG_RELEASE);
	assert_int_equal(msg.u.release.code, code);
}

static void test_refused(void **state)
{
	struct stage *stage = *state;
	struct worker other = {.type = MSG_JOB, .kind = JOB_CREATE, .job = 8, .cluster = "c1", .link = -1};
	pid_t pid = stage->pid;

	stage->pid = getpid();
	assert_refused(stage, ERR_INVALID);
	stage->pid = pid;
	stage->cluster.identity.uid = geteuid() + 1;
	if (geteuid() == 0)
		assert_refused(stage, ERR_UNTRUSTED);
	stage->cluster.identity.uid = geteuid();
	stage->worker.next = &other;
	other.freeze.state = FREEZE_STILL;
	assert_refused(stage, ERR_EXISTS);
	stage->worker.next = NULL;
	snprintf(stage->worker.cluster, sizeof(stage->worker.cluster), "c2");
	assert_refused(stage, ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_over_max_freeze, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_given_up_too_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stray_cont, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_server_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
