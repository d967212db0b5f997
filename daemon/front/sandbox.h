/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the front may still do once everything is open: no call that takes a path,
 * starts a program or makes a socket. For good, checked by the kernel.
 */
#ifndef DBSNAP_FRONT_SANDBOX_H
#define DBSNAP_FRONT_SANDBOX_H

/*
 * Lookups that libraries make for themselves (open, stat, readlink) fail with EPERM; anything
 * else that is not on the list ends the process. 0, or ERR_UNSUPPORTED: the filter could not be put on.
 */
int sandbox_enter(void);

#endif
