/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/xdg.h"

#include "common/err.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int xdg_path(const char *variable, const char *fallback, const char *tail, char *path, size_t size)
{
	const char *top = getenv(variable), *home = getenv("HOME");
	const struct passwd *entry;
	int length;

	if (top && top[0] == '/')
		length = snprintf(path, size, "%s/%s", top, tail);
	else if (fallback[0] == '/')
		length = snprintf(path, size, "%s/%lu/%s", fallback, (unsigned long)geteuid(), tail);
	else {
		entry = home && home[0] == '/' ? NULL : getpwuid(geteuid());
		length = snprintf(path, size, "%s/%s/%s", entry ? entry->pw_dir : home ? home : "/", fallback, tail);
	}
	return length > 0 && (size_t)length < size ? 0 : ERR_TOO_LONG;
}
