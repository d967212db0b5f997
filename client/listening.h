/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Unix socket that a process listens on, by the kernel's own lists. */
#ifndef DBSNAP_CLIENT_LISTENING_H
#define DBSNAP_CLIENT_LISTENING_H

#include <stddef.h>
#include <sys/types.h>

/*
 * The first one that has a path, which may be relative to the process's working directory. 0; ERR_NOT_FOUND: there is none,
 * or it is not ours to look at.
 */
int listening_path(pid_t pid, char *ret_path, size_t size);

#endif
