/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Children and privileges. The one difficulty is that every step of a drop can
 * fail silently or be undone by the next (a root process without capabilities
 * gets them back by exec, unless the bounding set is empty or new privileges
 * are off), so proc_become() and proc_keep_capabilities() read back what they
 * did and fail on the smallest difference.
 */
#include "common/proc.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers older than the kernel lack it; its number is that of all but two machines. */
#if !defined(SO_PASSRIGHTS) && !defined(__sparc__) && !defined(__hppa__)
#define SO_PASSRIGHTS 83
#endif

enum { GROUPS_MAX = sizeof(((struct proc_identity *)0)->groups) / sizeof(gid_t) };

static int resolve_groups(const char *user, struct proc_identity *identity)
{
	int count = GROUPS_MAX;

	if (getgrouplist(user, identity->gid, identity->groups, &count) < 0)
		return ERR_TOO_LONG;
	identity->group_count = (size_t)count;
	return 0;
}

int proc_identity_of(const char *user, struct proc_identity *ret_identity)
{
	struct proc_identity identity = {0};
	enum { BUFFER_SIZE = 65536 };
	scope_free char *buffer = malloc(BUFFER_SIZE);
	struct passwd entry, *found;
	int error;

	if (!buffer)
		return ERR_NOMEM;
	error = getpwnam_r(user, &entry, buffer, BUFFER_SIZE, &found);
	/* Name services differ in how they say "no such user"; getpwnam(3) lists these. */
	if (!found)
		return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM ?
			       ERR_NOT_FOUND : ERR_IO;
	identity.uid = entry.pw_uid;
	identity.gid = entry.pw_gid;
	error = resolve_groups(user, &identity);
	if (error < 0)
		return error;
	*ret_identity = identity;
	return 0;
}

void proc_identity_self(struct proc_identity *ret_identity)
{
	gid_t groups[NGROUPS_MAX];
	int count = getgroups(NGROUPS_MAX, groups);

	*ret_identity = (struct proc_identity){.uid = geteuid(), .gid = getegid()};
	for (int i = 0; i < count && i < GROUPS_MAX; i++)
		ret_identity->groups[ret_identity->group_count++] = groups[i];
}

struct capabilities {
	uint64_t effective, permitted, inheritable;
};

static int read_capabilities(struct capabilities *ret_caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return err_from_errno(errno);
	ret_caps->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	ret_caps->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	ret_caps->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

/* mask permitted and effective, nothing inheritable; ambient goes with inheritable. */
static int write_capabilities(uint64_t mask)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)mask, .permitted = (uint32_t)mask},
		{.effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32)},
	};

	return syscall(SYS_capset, &header, data) < 0 ? err_from_errno(errno) : 0;
}

static uint64_t read_bounding(void)
{
	uint64_t set = 0;

	for (int cap = 0; cap < 64; cap++) {
		int there = prctl(PR_CAPBSET_READ, cap);

		if (there < 0)
			break;
		set |= (uint64_t)there << cap;
	}
	return set;
}

/* Cuts the bounding set down to mask. ERR_DENIED if something is left that this process may not drop. */
static int cut_bounding(uint64_t mask)
{
	uint64_t excess = read_bounding() & ~mask;

	for (int cap = 0; cap < 64; cap++) {
		if (excess >> cap & 1 && prctl(PR_CAPBSET_DROP, cap) < 0)
			return err_from_errno(errno);
	}
	return (read_bounding() & ~mask) == 0 ? 0 : ERR_DENIED;
}

static bool may_cut_bounding(void)
{
	struct capabilities caps;

	return read_capabilities(&caps) == 0 && caps.effective >> CAP_SETPCAP & 1;
}

int proc_keep_capabilities(uint64_t mask)
{
	struct capabilities caps;
	uint64_t want;
	int error;

	if (geteuid() != 0)
		return 0;
	error = read_capabilities(&caps);
	if (error < 0)
		return error;
	want = caps.permitted & mask;
	error = cut_bounding(mask);
	if (error == 0)
		error = write_capabilities(want);
	if (error == 0)
		error = read_capabilities(&caps);
	if (error < 0)
		return error;
	return caps.permitted == want && caps.effective == want && caps.inheritable == 0 ? 0 : ERR_MISMATCH;
}

static bool has_group(const struct proc_identity *identity, gid_t gid)
{
	for (size_t i = 0; i < identity->group_count; i++) {
		if (identity->groups[i] == gid)
			return true;
	}
	return false;
}

/* The kernel sorts the list, so it is compared as a set of the same size. */
static bool has_these_groups(const struct proc_identity *identity)
{
	gid_t groups[GROUPS_MAX];
	int count = getgroups(GROUPS_MAX, groups);

	if (count < 0 || (size_t)count != identity->group_count)
		return false;
	for (int i = 0; i < count; i++) {
		if (!has_group(identity, groups[i]))
			return false;
	}
	return true;
}

static bool has_these_ids(const struct proc_identity *identity)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
		return false;
	return ruid == identity->uid && euid == identity->uid && suid == identity->uid && rgid == identity->gid &&
	       egid == identity->gid && sgid == identity->gid;
}

/* A caller without root keeps its groups: it may not set them and gains nothing by them. */
static int change_ids(const struct proc_identity *identity, bool as_root)
{
	if (has_these_ids(identity) && (!as_root || has_these_groups(identity)))
		return 0;
	if (!as_root)
		return ERR_DENIED;
	if (setgroups(identity->group_count, identity->groups) < 0 ||
	    setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
	    setresuid(identity->uid, identity->uid, identity->uid) < 0)
		return err_from_errno(errno);
	return has_these_ids(identity) && has_these_groups(identity) ? 0 : ERR_MISMATCH;
}

static int give_up_power(void)
{
	struct capabilities caps;
	int error = write_capabilities(0);

	if (error < 0)
		return error;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_from_errno(errno);
	error = read_capabilities(&caps);
	if (error < 0)
		return error;
	if (caps.permitted || caps.effective || caps.inheritable || prctl(PR_GET_DUMPABLE) != 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return ERR_MISMATCH;
	return 0;
}

int proc_become(const struct proc_identity *identity)
{
	bool as_root = geteuid() == 0;
	int error = may_cut_bounding() ? cut_bounding(0) : 0;

	if (error == 0)
		error = change_ids(identity, as_root);
	if (error == 0)
		error = give_up_power();
	/* The way back must be shut, whatever the calls above answered. */
	if (error == 0 && identity->uid != 0 && setresuid(0, 0, 0) == 0)
		return ERR_MISMATCH;
	return error;
}

void proc_die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
}

/* The lowest descriptor of keep[] that is at least from; -1 if there is none. */
static int next_kept(const int *keep, size_t count, int from)
{
	int found = -1;

	for (size_t i = 0; i < count; i++) {
		if (keep[i] >= from && (found < 0 || keep[i] < found))
			found = keep[i];
	}
	return found;
}

void proc_close_all_but(const int *keep, size_t count)
{
	int from = STDERR_FILENO + 1;

	while (from >= 0) {
		int kept = next_kept(keep, count, from);
		unsigned last = kept < 0 ? ~0U : (unsigned)kept - 1;

		/* A descriptor that stays open by mistake is a hole in a sandbox: give up. */
		if (kept != from && close_range((unsigned)from, last, 0) < 0)
			abort();
		from = kept < 0 || kept == INT_MAX ? -1 : kept + 1;
	}
}

static void reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL); /* those that cannot be set have their default anyway */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static pid_t fork_with(int namespaces)
{
	/* As fork(), which takes no flags: the same memory, no stack of its own. This process has one thread. */
	return namespaces ? (pid_t)syscall(SYS_clone, (unsigned long)namespaces | SIGCHLD, 0, 0, 0, 0) : fork();
}

static pid_t fork_clean(const int *keep, size_t count, int namespaces)
{
	sigset_t all, before;
	pid_t pid;
	int saved;

	/* No handler of the parent may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork_with(namespaces);
	if (pid == 0) {
		reset_signals();
		proc_close_all_but(keep, count);
		return 0;
	}
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}

pid_t proc_fork(const int *keep, size_t count)
{
	return fork_clean(keep, count, 0);
}

pid_t proc_fork_apart(const int *keep, size_t count, int namespaces)
{
	return fork_clean(keep, count, namespaces | CLONE_NEWPID);
}

/*
 * fds[] to 3, 4, ... Two rounds, because a source may have the number that
 * another one's target needs.
 */
static int place_descriptors(const int *fds, size_t count)
{
	enum { FIRST = STDERR_FILENO + 1, MAX = 16 };
	int aside[MAX];

	if (count > MAX)
		return ERR_TOO_LONG;
	for (size_t i = 0; i < count; i++) {
		aside[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST + (int)count);
		if (aside[i] < 0)
			return err_from_errno(errno);
	}
	for (size_t i = 0; i < count; i++) {
		if (dup2(aside[i], FIRST + (int)i) < 0)
			return err_from_errno(errno);
	}
	return close_range(FIRST + (unsigned)count, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? err_from_errno(errno) : 0;
}

int proc_exec(const char *path, char *const argv[], char *const env[], const int *fds, size_t count)
{
	static char *const empty[] = {NULL};
	int error = place_descriptors(fds, count);

	if (error < 0)
		return error;
	execve(path, argv, env ? env : empty);
	return err_from_errno(errno);
}

int proc_socketpair(int ret_fds[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return ERR_IO;
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

void proc_refuse_descriptors(int fd)
{
#ifdef SO_PASSRIGHTS
	static const int off;

	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
#else
	(void)fd;
#endif
}
