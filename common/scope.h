/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cleanup attributes: a local that owns something gives it up when it leaves
 * its scope. Every helper tolerates the "nothing owned" value (NULL, -1).
 */
#ifndef DBSNAP_SCOPE_H
#define DBSNAP_SCOPE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void scope_free_p(void *p)
{
	free(*(void **)p);
}

static inline void scope_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void scope_fclose_p(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define scope_free __attribute__((cleanup(scope_free_p)))
#define scope_close __attribute__((cleanup(scope_close_p)))
#define scope_fclose __attribute__((cleanup(scope_fclose_p)))

/* Hands an owned pointer or descriptor to the caller: the local owns nothing afterwards. */
#define scope_take_ptr(p) ({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })
#define scope_take_fd(fd) ({ int taken_ = (fd); (fd) = -1; taken_; })

#endif
