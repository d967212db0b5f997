/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child is held, let go, and tampered with meanwhile. */
#include "daemon/engine/freeze.h"

#include "common/clock.h"
#include "common/err.h"
#include "tests/unit/folder_fixture.h"

#include "cmocka_all.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { PATIENCE_US = 10 * 1000 * 1000, THREADS = 3 };

struct stage {
	struct folder *folder;
	char socket[96];
	pid_t pid;
};

static void *turn(void *arg)
{
	static const struct timespec pause = {.tv_nsec = 100 * 1000};

	(void)arg;
	while (nanosleep(&pause, NULL) == 0 || errno == EINTR)
		;
	return NULL;
}

/* Several threads that run all the time, and tell when they do. */
static _Noreturn void live(int ready)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, turn, NULL))
			_exit(1);
	}
	if (write(ready, "r", 1) != 1)
		_exit(1);
	turn(NULL);
	_exit(0);
}

static int set_up(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	int ready[2];
	char byte;

	if (!stage || folder_make((void **)&stage->folder) || pipe(ready) < 0)
		return -1;
	snprintf(stage->socket, sizeof(stage->socket), "%s/sock", stage->folder->path);
	stage->pid = fork();
	if (stage->pid == 0)
		live(ready[1]);
	*state = stage;
	return read(ready[0], &byte, 1) == 1 && close(ready[0]) == 0 && close(ready[1]) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct stage *stage = *state;

	kill(stage->pid, SIGKILL);
	waitpid(stage->pid, NULL, 0);
	folder_remove((void **)&stage->folder);
	free(stage);
	return 0;
}

static struct freeze_order order_of(const struct stage *stage)
{
	return (struct freeze_order){.cluster = "c1", .pid = stage->pid, .start = freeze_start_of(stage->pid),
				     .uid = geteuid(), .max_ms = 5000};
}

static bool is_noted(const struct stage *stage)
{
	return faccessat(stage->folder->fd, "frozen/c1", F_OK, 0) == 0;
}

/* Of all threads: does one run, or wait for anything but SIGCONT? */
static bool is_still(pid_t pid)
{
	char path[64], line[256];
	DIR *dir;
	bool still = true;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", (int)pid, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(line, sizeof(line), file))
			still &= strstr(line, ") T ") != NULL;
		fclose(file);
	}
	closedir(dir);
	return still;
}

static int wait_still(struct freeze *freeze)
{
	int64_t end = clock_measure_us() + PATIENCE_US;
	int said = 0;

	while (said == 0 && clock_measure_us() < end)
		said = freeze_look(freeze);
	return said;
}

static void hold(const struct stage *stage, struct freeze *freeze)
{
	struct freeze_order order = order_of(stage);

	assert_int_equal(freeze_begin(freeze, stage->socket, &order), 0);
	assert_true(is_noted(stage));
	assert_int_equal(wait_still(freeze), 1);
	assert_int_equal(freeze->state, FREEZE_STILL);
}

static void wait_runs(pid_t pid)
{
	int64_t end = clock_measure_us() + PATIENCE_US;

	while (is_still(pid) && clock_measure_us() < end)
		;
	assert_false(is_still(pid));
}

static void let_go(const struct stage *stage, struct freeze *freeze)
{
	uint64_t held_us = 0;
	int64_t since = freeze->since_us;

	assert_int_equal(freeze_end(freeze, &held_us), 0);
	assert_int_equal(freeze->state, FREEZE_NONE);
	assert_true(held_us > 0 && (int64_t)held_us <= clock_measure_us() - since);
	assert_false(is_noted(stage));
}

static void test_hold(void **state)
{
	const struct stage *stage = *state;
	struct freeze freeze;
	char text[64], expected[64];
	int fd;

	hold(stage, &freeze);
	assert_true(is_still(stage->pid));
	assert_int_equal(freeze_look(&freeze), 1);
	fd = openat(stage->folder->fd, "frozen/c1", O_RDONLY | O_CLOEXEC);
	text[read(fd, text, sizeof(text) - 1)] = '\0';
	close(fd);
	snprintf(expected, sizeof(expected), "%d %" PRIu64 "\n", (int)stage->pid, freeze_start_of(stage->pid));
	assert_string_equal(text, expected);
	let_go(stage, &freeze);
	wait_runs(stage->pid);
}

/* Nothing is stopped that is not what was meant. */
static void test_refused(void **state)
{
	const struct stage *stage = *state;
	struct freeze_order order = order_of(stage);
	struct freeze freeze;

	order.start++;
	assert_int_equal(freeze_begin(&freeze, stage->socket, &order), ERR_MISMATCH);
	order = order_of(stage);
	order.uid++;
	assert_int_equal(freeze_begin(&freeze, stage->socket, &order), ERR_UNTRUSTED);
	assert_false(is_noted(stage));
	order = order_of(stage);
	assert_int_equal(mkdirat(stage->folder->fd, "frozen", 0700) == 0 || errno == EEXIST, 1);
	folder_write(stage->folder, "frozen/c1", "of an earlier one");
	assert_int_equal(freeze_begin(&freeze, stage->socket, &order), ERR_EXISTS);
	assert_false(is_still(stage->pid));
	kill(stage->pid, SIGKILL);
	waitpid(stage->pid, NULL, 0);
	assert_int_equal(freeze_begin(&freeze, stage->socket, &order), ERR_NOT_FOUND);
}

static void stop_again(pid_t pid)
{
	siginfo_t info;

	kill(pid, SIGCONT);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WCONTINUED), 0);
	kill(pid, SIGSTOP);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
}

static void test_runs_again(void **state)
{
	const struct stage *stage = *state;
	struct freeze freeze;

	hold(stage, &freeze);
	kill(stage->pid, SIGCONT);
	wait_runs(stage->pid);
	assert_int_equal(freeze_look(&freeze), ERR_STATE);
	let_go(stage, &freeze);
	/* It is not seen that it has run, but counted. */
	hold(stage, &freeze);
	stop_again(stage->pid);
	assert_true(is_still(stage->pid));
	assert_int_equal(freeze_look(&freeze), ERR_STATE);
	let_go(stage, &freeze);
}

static void test_killed(void **state)
{
	const struct stage *stage = *state;
	struct freeze freeze;

	hold(stage, &freeze);
	kill(stage->pid, SIGKILL);
	waitpid(stage->pid, NULL, 0);
	assert_int_equal(freeze_look(&freeze), ERR_NOT_FOUND);
	let_go(stage, &freeze);
}

/* A thread in the middle of a vfork() waits for the child in the kernel: SIGSTOP does not reach it. */
static void test_one_that_does_not_stop(void **state)
{
	const struct stage *stage = *state;
	struct stage busy = *stage;
	struct freeze freeze;
	struct freeze_order order;
	int64_t end = clock_measure_us() + 50 * 1000;
	int pipes[2];
	char byte;

	assert_int_equal(pipe(pipes), 0);
	busy.pid = fork();
	if (busy.pid == 0) {
		setpgid(0, 0);
		if (syscall(SYS_vfork) == 0) {
			(void)!write(pipes[1], "v", 1);
			for (;;)
				pause();
		}
		_exit(0);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	order = order_of(&busy);
	assert_int_equal(freeze_begin(&freeze, stage->socket, &order), 0);
	while (clock_measure_us() < end)
		assert_int_equal(freeze_look(&freeze), 0);
	let_go(stage, &freeze);
	kill(-busy.pid, SIGKILL);
	waitpid(busy.pid, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
}

/* What an engine leaves that was killed: a note, or one that it had only begun. */
static void test_thaw_all(void **state)
{
	const struct stage *stage = *state;
	struct freeze freeze, lost;
	uint64_t held_us;

	assert_int_equal(freeze_thaw_all(stage->socket), 0);
	hold(stage, &freeze);
	lost = freeze;
	folder_write(stage->folder, "frozen/.c2", "");
	assert_int_equal(freeze_thaw_all(stage->socket), 1);
	wait_runs(stage->pid);
	assert_false(is_noted(stage));
	assert_int_equal(faccessat(stage->folder->fd, "frozen/.c2", F_OK, 0), -1);
	assert_int_equal(freeze_look(&lost), ERR_STATE);
	assert_int_equal(freeze_end(&lost, &held_us), 0);
}

/* Nobody looks at it any more. */
static void test_its_time_ends_by_itself(void **state)
{
	const struct stage *stage = *state;
	struct freeze_order order = order_of(stage);
	struct freeze freeze;

	order.max_ms = 200;
	assert_int_equal(freeze_begin(&freeze, stage->socket, &order), 0);
	assert_int_equal(wait_still(&freeze), 1);
	wait_runs(stage->pid);
	assert_true(clock_measure_us() >= freeze.until_us);
	assert_true(is_noted(stage));
	assert_int_equal(freeze_look(&freeze), ERR_STATE);
	let_go(stage, &freeze);
}

/* A folder in which somebody else could remove a note, or write one. */
static void test_folder_of_others(void **state)
{
	const struct stage *stage = *state;
	struct freeze_order order = order_of(stage);
	struct freeze freeze;

	assert_int_equal(mkdirat(stage->folder->fd, "frozen", 0700), 0);
	assert_int_equal(fchmodat(stage->folder->fd, "frozen", 0770, 0), 0);
	assert_int_equal(freeze_begin(&freeze, stage->socket, &order), ERR_UNTRUSTED);
	assert_int_equal(freeze_thaw_all(stage->socket), ERR_UNTRUSTED);
	assert_int_equal(renameat(stage->folder->fd, "frozen", stage->folder->fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", stage->folder->fd, "frozen"), 0);
	assert_int_equal(fchmodat(stage->folder->fd, "elsewhere", 0700, 0), 0);
	assert_int_equal(freeze_thaw_all(stage->socket), ERR_UNTRUSTED);
	assert_true(freeze_begin(&freeze, stage->socket, &order) < 0);
	assert_false(is_still(stage->pid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_runs_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_does_not_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_thaw_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_folder_of_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_its_time_ends_by_itself, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
