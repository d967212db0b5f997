/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starts a child that dies with its parent, drops privileges and proves the
 * drop. The parent-death signal is cleared by every later change of uid, gid or
 * fsuid, so it is set last (and the parent is looked at once more after it).
 */
#ifndef DBSNAP_PROC_H
#define DBSNAP_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Who a process becomes: numbers only, resolved when the configuration was read. */
struct proc_identity {
	uid_t uid;
	gid_t gid;
	size_t group_count;
	gid_t groups[64];
};

/*
 * Resolves a user name with its supplementary groups (as initgroups would).
 * 0, ERR_NOT_FOUND (no such user), ERR_TOO_LONG (more groups than fit), ERR_IO, ERR_NOMEM.
 * Blocks on name services: engine start and reload only.
 */
int proc_identity_of(const char *user, struct proc_identity *ret_identity);
/* The numbers of this process itself (for the mode without root). */
void proc_identity_self(struct proc_identity *ret_identity);

/*
 * Becomes identity for good: groups, gid, uid, no capabilities (bounding set
 * emptied where this process may), not dumpable, no-new-privileges; then reads
 * all of it back. In a process that is not root and already is identity only
 * the last three are done. An exec makes a process dumpable again: the new program
 * calls this once more. 0, or a negative code: the caller must exit.
 */
int proc_become(const struct proc_identity *identity);

/*
 * Keeps of its capabilities exactly these (a bit mask of 1 << CAP_x) in the permitted,
 * effective and bounding sets; none inheritable or ambient; verified. Without root: nothing to do, 0.
 */
int proc_keep_capabilities(uint64_t mask);

/*
 * SIGKILL for this process when parent dies. Call after the last change of
 * identity; parent: getpid() of the parent before its fork. Exits at once (status 1) if it is dead already.
 */
void proc_die_with(pid_t parent);

/*
 * Fork for a child of ours: the child has default signal dispositions, an empty signal
 * mask, and none of the parent's descriptors but 0 to 2 and those in keep[] (count of them).
 * Returns as fork() does; -1 with errno set.
 */
pid_t proc_fork(const int *keep, size_t count);

/*
 * The same, the child being number 1 of a PID namespace of its own: nothing that it starts outlives it. namespaces: other
 * CLONE_NEW* flags. In the child getppid() is 0, so proc_die_with() does not do for it.
 */
pid_t proc_fork_apart(const int *keep, size_t count, int namespaces);

/* Closes every descriptor from 3 up but those in keep[]. */
void proc_close_all_but(const int *keep, size_t count);

/*
 * In a child: execs path with argv, an empty environment but the NULL-ended env
 * list, and descriptor fds[i] as number 3 + i (close-on-exec
 * cleared; every other one from 3 up is closed). At most 16. Returns only on failure.
 */
int proc_exec(const char *path, char *const argv[], char *const env[], const int *fds, size_t count);

/* A SEQPACKET pair, close-on-exec. 0 or ERR_IO. */
int proc_socketpair(int ret_fds[2]);
/*
 * Nobody may pass descriptors along to this Unix socket, or to what it will accept: the last
 * descriptor of a socket that lingers, or of a file whose server hangs, blocks whoever reads what it
 * came with. Since Linux 6.16; before, nothing keeps a peer from it.
 */
void proc_refuse_descriptors(int fd);

#endif
