/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is mounted where. */
#ifndef DBSNAP_ENGINE_MOUNTS_H
#define DBSNAP_ENGINE_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is something mounted below dir (an absolute, clean path; dir itself does not count), as mountinfo,
 * a file like /proc/self/mountinfo, sees it? 1 with the first such mount point in point; 0; or a code from errno.
 */
int mounts_below(const char *mountinfo, const char *dir, char *point, size_t size);

#endif
