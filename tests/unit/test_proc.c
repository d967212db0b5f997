/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Children and privileges, each checked from inside a child of its own that
 * answers by its exit status (0: as it should be; otherwise the failed line).
 */
#include "common/proc.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: gives the line up to the parent. */
#define MUST(condition)                        \
	do {                                   \
		if (!(condition))              \
			_exit(__LINE__ % 255 + 1); \
	} while (0)

static int status_of(pid_t pid)
{
	int status = -1;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Runs check in a child; it must come back. */
static void in_child(void (*check)(void))
{
	pid_t pid = proc_fork(NULL, 0);

	if (pid == 0) {
		check();
		_exit(0);
	}
	assert_int_equal(status_of(pid), 0);
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* The lines of /proc/self/status that show what a process may do. */
static bool status_has(const char *line)
{
	char text[8192];
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t size = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[size > 0 ? size : 0] = '\0';
	return strstr(text, line);
}

static void test_identity_of(void **state)
{
	struct proc_identity identity = {.uid = 77};

	(void)state;
	assert_int_equal(proc_identity_of("no-such-user-here", &identity), ERR_NOT_FOUND);
	assert_int_equal(identity.uid, 77);
	assert_int_equal(proc_identity_of("nobody", &identity), 0);
	assert_int_equal(identity.uid, getpwnam("nobody")->pw_uid);
	assert_int_equal(identity.gid, getpwnam("nobody")->pw_gid);
	assert_true(identity.group_count >= 1); /* its own group is one of them */
	proc_identity_self(&identity);
	assert_int_equal(identity.uid, geteuid());
	assert_int_equal(identity.gid, getegid());
}

static void become_nobody(void)
{
	struct proc_identity identity;

	MUST(proc_identity_of("nobody", &identity) == 0);
	MUST(proc_become(&identity) == 0);
	MUST(getuid() == identity.uid && geteuid() == identity.uid && getgid() == identity.gid);
	MUST(getgroups(0, NULL) == (int)identity.group_count);
	MUST(setuid(0) < 0 && setgid(0) < 0);
	MUST(status_has("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"));
	MUST(status_has("CapInh:\t0000000000000000\n") && status_has("CapAmb:\t0000000000000000\n"));
	MUST(status_has("NoNewPrivs:\t1\n"));
	MUST(prctl(PR_GET_DUMPABLE) == 0);
	/* Again is fine: it is that identity already. */
	MUST(proc_become(&identity) == 0);
	identity.uid = 1;
	MUST(proc_become(&identity) == ERR_DENIED);
}

static void test_become(void **state)
{
	(void)state;
	need_root();
	in_child(become_nobody);
}

static void become_powerless_root(void)
{
	struct proc_identity identity = {.uid = 0, .gid = 0, .group_count = 1, .groups = {0}};

	MUST(proc_become(&identity) == 0);
	MUST(getuid() == 0);
	MUST(status_has("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"));
	MUST(setuid(1) < 0 && errno == EPERM);
}

static void test_become_root_without_capabilities(void **state)
{
	(void)state;
	need_root();
	in_child(become_powerless_root);
}

static void become_self(void)
{
	struct proc_identity identity;

	proc_identity_self(&identity);
	MUST(proc_become(&identity) == 0);
	MUST(prctl(PR_GET_DUMPABLE) == 0);
	MUST(status_has("NoNewPrivs:\t1\n") && status_has("CapEff:\t0000000000000000\n"));
}

static void test_become_self(void **state)
{
	(void)state;
	in_child(become_self);
}

/* After the drop of SETPCAP the bounding set cannot be emptied any more: still a good drop. */
static void keep_then_become(void)
{
	struct proc_identity identity;
	uint64_t mask = 1 << CAP_SETUID | 1 << CAP_SETGID | 1 << CAP_FOWNER;

	MUST(proc_keep_capabilities(mask) == 0);
	MUST(status_has("CapInh:\t0000000000000000\nCapPrm:\t00000000000000c8\nCapEff:\t00000000000000c8\n"
			"CapBnd:\t00000000000000c8\n"));
	MUST(chown("/proc/self", 1, 1) < 0);
	MUST(proc_keep_capabilities(1 << CAP_SETUID | 1 << CAP_CHOWN) == ERR_DENIED); /* may not cut any further */
	MUST(proc_identity_of("nobody", &identity) == 0);
	MUST(proc_become(&identity) == 0);
	MUST(status_has("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"));
}

static void test_keep_capabilities(void **state)
{
	(void)state;
	need_root();
	in_child(keep_then_become);
}

static void keep_nothing(void)
{
	MUST(proc_keep_capabilities(0) == 0);
	MUST(status_has("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"));
}

static void test_keep_nothing(void **state)
{
	(void)state;
	need_root();
	in_child(keep_nothing);
}

/* A child of the child: takes its identity first, then the signal; says so, and waits. */
static void wait_to_be_killed(pid_t parent, int ready)
{
	struct proc_identity identity;

	alarm(30); /* should it not be killed as it must be */
	if (geteuid() == 0)
		MUST(proc_identity_of("nobody", &identity) == 0 && proc_become(&identity) == 0);
	proc_die_with(parent);
	MUST(write(ready, "x", 1) == 1);
	for (;;)
		pause();
}

static void test_child_dies_with_its_parent(void **state)
{
	int fds[2];
	char byte;
	pid_t middle;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	middle = proc_fork(&fds[1], 1);
	if (middle == 0) {
		pid_t self = getpid();

		if (proc_fork(&fds[1], 1) == 0)
			wait_to_be_killed(self, fds[1]);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1); /* the grandchild is ready */
	kill(middle, SIGKILL);
	assert_int_equal(status_of(middle), 1000 + SIGKILL);
	/* The end of the pipe: whoever held it is gone, long before its alarm. */
	assert_int_equal(poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 10000), 1);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}

static void test_parent_dead_already(void **state)
{
	pid_t pid = proc_fork(NULL, 0);

	(void)state;
	if (pid == 0) {
		proc_die_with(1 << 30); /* nobody's number, so not our parent's */
		_exit(0);
	}
	assert_int_equal(status_of(pid), 1);
}

static void on_signal(int number)
{
	(void)number;
}

static void test_fork_gives_a_clean_child(void **state)
{
	int kept = open("/dev/null", O_RDONLY), lost = open("/dev/null", O_RDONLY), keep[3] = {-1, 0, kept};
	struct sigaction action;
	sigset_t mask, before;
	pid_t pid;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, on_signal);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &before);
	pid = proc_fork(keep, 3);
	if (pid == 0) {
		MUST(fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0);
		MUST(fcntl(kept, F_GETFD) >= 0);
		MUST(fcntl(lost, F_GETFD) < 0 && errno == EBADF);
		MUST(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
		MUST(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
		MUST(sigprocmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGTERM) == 0);
		_exit(0);
	}
	assert_int_equal(status_of(pid), 0);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	assert_int_equal(sigismember(&mask, SIGTERM), 1); /* the parent's is as it was */
	assert_int_equal(sigismember(&mask, SIGINT), 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	close(kept);
	close(lost);
}

static void close_all_but_some(void)
{
	int keep[] = {9, 3, 9, 5};

	for (int fd = 3; fd < 12; fd++)
		MUST(dup2(0, fd) == fd);
	proc_close_all_but(keep, 4);
	for (int fd = 0; fd < 12; fd++)
		MUST((fcntl(fd, F_GETFD) >= 0) == (fd <= 3 || fd == 5 || fd == 9));
	proc_close_all_but(NULL, 0);
	MUST(fcntl(3, F_GETFD) < 0 && fcntl(9, F_GETFD) < 0 && fcntl(2, F_GETFD) >= 0);
}

static void test_close_all_but(void **state)
{
	(void)state;
	in_child(close_all_but_some);
}

/* A shell that reads "two" from 3 and "one" from 4, has no 5, and only A in its environment. */
static void exec_reader(int first, int second)
{
	char *const argv[] = {"sh", "-c",
			      "test \"$A\" = 1 && test -z \"$HOME\" && read a <&3 && read b <&4 && test \"$a$b\" = twoone && "
			      "! { true <&5; } 2>/dev/null",
			      NULL};
	char *const env[] = {"A=1", NULL};
	int fds[2] = {first, second};

	proc_exec("/bin/sh", argv, env, fds, 2);
	_exit(99);
}

/* Both ways round: each source has the number that the other shall get, or the targets are free. */
static void place_and_exec(int one, int two, bool crosswise)
{
	MUST(dup2(one, 20) == 20 && dup2(two, 21) == 21);
	proc_close_all_but((int[]){20, 21}, 2);
	if (!crosswise)
		exec_reader(21, 20);
	MUST(dup2(20, 3) == 3 && dup2(21, 4) == 4 && dup2(20, 5) == 5);
	exec_reader(4, 3);
}

static void test_exec_places_descriptors(void **state)
{
	int one[2], two[2];
	pid_t pid;

	(void)state;
	for (int crosswise = 0; crosswise <= 1; crosswise++) {
		assert_int_equal(pipe(one) | pipe(two), 0);
		assert_int_equal(write(one[1], "one\n", 4) + write(two[1], "two\n", 4), 8);
		pid = fork();
		if (pid == 0)
			place_and_exec(one[0], two[0], crosswise);
		assert_int_equal(status_of(pid), 0);
		for (int i = 0; i < 2; i++) {
			close(one[i]);
			close(two[i]);
		}
	}
}

static void exec_failures(void)
{
	char *const argv[] = {"x", NULL};
	int many[17] = {0}, bad = 200;

	MUST(proc_exec("/nonexistent/x", argv, NULL, NULL, 0) == ERR_NOT_FOUND);
	MUST(proc_exec("/etc/passwd", argv, NULL, NULL, 0) == ERR_DENIED);
	MUST(proc_exec("/bin/true", argv, NULL, &bad, 1) < 0);
	MUST(proc_exec("/bin/true", argv, NULL, many, 17) == ERR_TOO_LONG);
}

static void test_exec_fails(void **state)
{
	(void)state;
	in_child(exec_failures);
}

static void test_socketpair(void **state)
{
	int fds[2] = {-1, -1}, type;
	socklen_t size = sizeof(type);
	char text[8];

	(void)state;
	assert_int_equal(proc_socketpair(fds), 0);
	assert_int_equal(getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &type, &size), 0);
	assert_int_equal(type, SOCK_SEQPACKET);
	assert_int_equal(fcntl(fds[0], F_GETFD) & fcntl(fds[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(send(fds[0], "ab", 2, 0) + send(fds[0], "c", 1, 0), 3);
	assert_int_equal(recv(fds[1], text, sizeof(text), 0), 2); /* one message at a time */
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity_of),
		cmocka_unit_test(test_become),
		cmocka_unit_test(test_become_root_without_capabilities),
		cmocka_unit_test(test_become_self),
		cmocka_unit_test(test_keep_capabilities),
		cmocka_unit_test(test_keep_nothing),
		cmocka_unit_test(test_child_dies_with_its_parent),
		cmocka_unit_test(test_parent_dead_already),
		cmocka_unit_test(test_fork_gives_a_clean_child),
		cmocka_unit_test(test_close_all_but),
		cmocka_unit_test(test_exec_places_descriptors),
		cmocka_unit_test(test_exec_fails),
		cmocka_unit_test(test_socketpair),
	};

	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
