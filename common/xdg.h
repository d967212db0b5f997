/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a user's own files lie: the XDG base directory specification. */
#ifndef DBSNAP_XDG_H
#define DBSNAP_XDG_H

#include <stddef.h>

/*
 * $variable/tail if that variable is an absolute path (the specification has others ignored), else
 * fallback/tail in the caller's home; a fallback that is absolute gets the caller's number: fallback/UID/tail.
 * May ask a name service for the home. 0 or ERR_TOO_LONG.
 */
int xdg_path(const char *variable, const char *fallback, const char *tail, char *path, size_t size);

/* Of dbsnap's own, the first three arguments. */
#define XDG_SOCKET "XDG_RUNTIME_DIR", "/run/user", "dbsnap/dbsnapd.sock"
#define XDG_CONFIG(tail) "XDG_CONFIG_HOME", ".config", "dbsnap/" tail

#endif
