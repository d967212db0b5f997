/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The helper's cage. A list of what is allowed, not of what is forbidden;
 * everything else answers EPERM, so that a library that tries something
 * optional goes on without it. Built with the address sanitizer, whose run
 * time needs more, only the limits apply.
 */
#include "daemon/helper/sandbox.h"

#include "common/err.h"
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>

static int limit(int resource, rlim_t value)
{
	struct rlimit bound = {.rlim_cur = value, .rlim_max = value};

	return setrlimit(resource, &bound) < 0 ? err_from_errno(errno) : 0;
}

static int set_limits(void)
{
	int error = limit(RLIMIT_CORE, 0);

	if (error == 0)
		error = limit(RLIMIT_NOFILE, 64);
#ifndef WITH_SANITIZER
	/* A server may answer with more rows than there is memory: libpq keeps them all. */
	if (error == 0)
		error = limit(RLIMIT_AS, 512U << 20);
#endif
	return error;
}

#ifndef WITH_SANITIZER
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(close),
	SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64), SCMP_SYS(fcntl), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(connect), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(shutdown),
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(sysinfo),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier),
};

static int add_rules(scmp_filter_ctx filter)
{
	const unsigned writing = O_ACCMODE | O_CREAT | O_TRUNC;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		/* A call that this machine does not have is no loss. */
		int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);

		if (error < 0 && error != -EDOM && error != -EINVAL)
			return ERR_UNSUPPORTED;
	}
	if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX)) < 0 ||
	    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			     SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY)) < 0)
		return ERR_UNSUPPORTED;
	/* Only some machines have it: the C library prefers openat. */
	(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
			       SCMP_A1(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
	return 0;
}

static int load_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error;

	if (!filter)
		return ERR_NOMEM;
	error = add_rules(filter);
	if (error == 0 && seccomp_load(filter) < 0)
		error = ERR_UNSUPPORTED;
	seccomp_release(filter);
	return error;
}
#else
static int load_filter(void)
{
	return 0;
}
#endif

int sandbox_enter(void)
{
	int error = set_limits();

	return error < 0 ? error : load_filter();
}
