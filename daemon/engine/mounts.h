/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is mounted where. */
#ifndef DBSNAP_ENGINE_MOUNTS_H
#define DBSNAP_ENGINE_MOUNTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Is something mounted below dir (an absolute, clean path; dir itself does not count), as mountinfo,
 * a file like /proc/self/mountinfo, sees it? 1 with the first such mount point in point; 0; or a code from errno.
 */
int mounts_below(const char *mountinfo, const char *dir, char *point, size_t size);

/* Where the mount of that number (statx's) is mounted. 0; ERR_NOT_FOUND; ERR_TOO_LONG; or a code from errno. */
int mounts_point(const char *mountinfo, uint64_t mount, char *ret_point, size_t size);

#endif
