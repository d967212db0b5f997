/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Part of our programs only when they are built with the address sanitizer: where it may look for leaks. */
#include <sys/prctl.h>

int __lsan_is_turned_off(void);

/*
 * The search at a process's end attaches to that process with ptrace, and ends it in failure where it cannot: a
 * process that gave up being dumpable, and one under a filter of system calls, made itself unreachable on purpose.
 */
int __lsan_is_turned_off(void)
{
	return prctl(PR_GET_DUMPABLE) != 1 || prctl(PR_GET_SECCOMP) != 0;
}
