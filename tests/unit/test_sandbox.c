/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the front's filter lets through, refuses, and ends the process for. Each try in a child. */
#include "daemon/front/sandbox.h"

#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"

/* 0: it may; an errno: it was refused with that. */
typedef int try_fn(void);

/* The wait status of a child that enters the sandbox and tries. */
static int status_of(try_fn *try)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		if (sandbox_enter() < 0)
			_exit(200);
		_exit(try());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_exit(try_fn *try, int code)
{
	int status = status_of(try);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

static void assert_killed(try_fn *try)
{
	int status = status_of(try);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int memory_file;

static int try_files(void)
{
	char byte = 'x';
	struct statfs fs;

	if (write(memory_file, &byte, 1) != 1 || pread(memory_file, &byte, 1, 0) != 1 ||
	    fstatfs(memory_file, &fs) < 0 || fdatasync(memory_file) < 0 || ftruncate(memory_file, 4096) < 0 ||
	    flock(memory_file, LOCK_EX | LOCK_NB) < 0)
		return errno;
	return lseek(memory_file, 0, SEEK_END) == 4096 ? 0 : 201;
}

static int try_poll(void)
{
	struct pollfd p = {.fd = memory_file, .events = POLLIN};

	return poll(&p, 1, 0) == 1 ? 0 : errno;
}

static int try_open(void)
{
	return result(open("/etc/passwd", O_RDONLY));
}

static int try_create(void)
{
	return result(openat(AT_FDCWD, "/tmp/dbsnap-sandbox", O_RDWR | O_CREAT, 0600));
}

static int try_stat(void)
{
	struct stat st;

	return result(stat("/", &st));
}

/* The flag allows an empty path, and any other. */
static int try_stat_at(void)
{
	struct stat st;

	return result(fstatat(AT_FDCWD, "/etc/passwd", &st, AT_EMPTY_PATH));
}

static int try_access(void)
{
	return result(access("/", R_OK));
}

static int try_unlink(void)
{
	return result(unlink("/tmp/dbsnap-sandbox"));
}

static int try_rename(void)
{
	return result(rename("/tmp/dbsnap-sandbox", "/tmp/dbsnap-sandbox2"));
}

static int try_mkdir(void)
{
	return result(mkdir("/tmp/dbsnap-sandbox", 0700));
}

static int try_exec(void)
{
	char *argv[] = {"true", NULL};

	return result(execv("/bin/true", argv));
}

static int try_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int connected;

static int try_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/dbus/system_bus_socket"};

	return result(connect(connected, (struct sockaddr *)&address, sizeof(address)));
}

static int try_chdir(void)
{
	return result(chdir("/"));
}

static int try_setuid(void)
{
	return result(setuid(0));
}

static void test_allows_what_is_open(void **state)
{
	(void)state;
	assert_exit(try_files, 0);
	assert_exit(try_poll, 0);
}

static void test_refuses_lookups(void **state)
{
	(void)state;
	assert_exit(try_open, EPERM);
	assert_exit(try_create, EPERM);
	assert_exit(try_stat, EPERM);
	assert_exit(try_stat_at, EPERM);
	assert_exit(try_access, EPERM);
}

static void test_ends_for_paths(void **state)
{
	(void)state;
	assert_killed(try_unlink);
	assert_killed(try_rename);
	assert_killed(try_mkdir);
	assert_killed(try_chdir);
}

static void test_ends_for_programs_sockets_and_others(void **state)
{
	(void)state;
	assert_killed(try_exec);
	assert_killed(try_socket);
	assert_killed(try_connect);
	assert_killed(try_setuid);
}

#ifndef WITH_SANITIZER /* whose reports need both */
static int try_fork(void)
{
	return result(fork());
}

static int try_kill(void)
{
	return result(kill(getppid(), 0));
}

static void test_ends_for_processes(void **state)
{
	(void)state;
	assert_killed(try_fork);
	assert_killed(try_kill);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allows_what_is_open),
		cmocka_unit_test(test_refuses_lookups),
		cmocka_unit_test(test_ends_for_paths),
		cmocka_unit_test(test_ends_for_programs_sockets_and_others),
#ifndef WITH_SANITIZER
		cmocka_unit_test(test_ends_for_processes),
#endif
	};
	FILE *file = tmpfile();

	if (!file)
		return 1;
	memory_file = fileno(file);
	connected = socket(AF_UNIX, SOCK_STREAM, 0);
	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
