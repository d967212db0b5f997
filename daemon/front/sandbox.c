/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One list of calls by number; what takes arguments that matter stands below it. */
#include "daemon/front/sandbox.h"

#include "common/err.h"
#include "config.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>

static const int allowed[] = {
	/* bytes of what is open */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
	SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(fstat),
	SCMP_SYS(fstatfs), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
	SCMP_SYS(flock), SCMP_SYS(fcntl),
	/* memory */
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(msync), SCMP_SYS(madvise), SCMP_SYS(brk),
	/* sockets that are open, and what their peers connect */
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg), SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* waiting */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(futex), SCMP_SYS(sched_yield),
	SCMP_SYS(timerfd_settime), SCMP_SYS(restart_syscall),
	/* time, chance, itself */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(rseq), SCMP_SYS(membarrier),
	/* signals to itself, and the end */
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/*
 * Libraries look for things (a time zone, a locale, their own program) and live without them.
 * Some C libraries' fstat() is newfstatat() of an empty path, which a filter cannot tell from another: refused with it.
 */
static const int refused[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
	SCMP_SYS(newfstatat), SCMP_SYS(statfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(prlimit64), SCMP_SYS(getrlimit), SCMP_SYS(uname),
	SCMP_SYS(sched_getaffinity),
};

#ifdef WITH_SANITIZER
/* What the sanitizers' own threads and reports need: they may not hide a finding by dying. */
static const int for_sanitizer[] = {
	SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(wait4), SCMP_SYS(ptrace), SCMP_SYS(prctl), SCMP_SYS(mprotect),
	SCMP_SYS(getppid), SCMP_SYS(set_robust_list), SCMP_SYS(pipe2), SCMP_SYS(pipe), SCMP_SYS(getdents64),
	SCMP_SYS(kill), SCMP_SYS(arch_prctl),
};
#endif

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = seccomp_rule_add(filter, action, calls[i], 0);

		/* A call that this machine does not have needs no rule. */
		if (r < 0 && r != -EDOM)
			return r;
	}
	return 0;
}

static int add_special(scmp_filter_ctx filter)
{
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD));

	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONBIO));
	return r == 0 ? seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
					 SCMP_A1(SCMP_CMP_EQ, TCGETS)) : r;
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

int sandbox_enter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!filter)
		return ERR_UNSUPPORTED;
	r = add_all(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));
	if (r == 0)
		r = add_all(filter, SCMP_ACT_ERRNO(EPERM), refused, COUNT(refused));
#ifdef WITH_SANITIZER
	if (r == 0)
		r = add_all(filter, SCMP_ACT_ALLOW, for_sanitizer, COUNT(for_sanitizer));
#endif
	if (r == 0)
		r = add_special(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r == 0 ? 0 : ERR_UNSUPPORTED;
}
