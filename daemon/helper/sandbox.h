/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a helper may still do after its start. */
#ifndef DBSNAP_HELPER_SANDBOX_H
#define DBSNAP_HELPER_SANDBOX_H

/*
 * For good: bounded memory and descriptors, no core file; system calls only of a short
 * list, sockets only AF_UNIX, files only for reading. 0 or a code: the caller must exit.
 */
int sandbox_enter(void);

#endif
