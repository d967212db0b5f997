/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads mountinfo(5): the fifth field is the mount point, blanks and the like in octal. */
#include "daemon/engine/mounts.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "\040" and so on, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] && text[3]) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* The fifth field; the line is cut up. */
static char *mount_point(char *line)
{
	char *state = NULL, *field = strtok_r(line, " ", &state);

	for (int i = 0; field && i < 4; i++)
		field = strtok_r(NULL, " ", &state);
	if (field)
		unescape(field);
	return field;
}

/* The first mount that is wanted. 1, 0 (none), ERR_TOO_LONG, or a code from errno. */
static int find(const char *mountinfo, bool (*wanted)(unsigned long long number, const char *point, const void *arg),
		const void *arg, char *ret_point, size_t size)
{
	scope_free char *line = NULL;
	scope_fclose FILE *file = fopen(mountinfo, "re");
	size_t room = 0;

	if (!file)
		return err_from_errno(errno);
	while (getline(&line, &room, file) > 0) {
		unsigned long long number = strtoull(line, NULL, 10);
		const char *point = mount_point(line);

		if (!point || !wanted(number, point, arg))
			continue;
		return (size_t)snprintf(ret_point, size, "%s", point) < size ? 1 : ERR_TOO_LONG;
	}
	return ferror(file) ? ERR_IO : 0;
}

static bool is_below(unsigned long long number, const char *point, const void *arg)
{
	const char *dir = arg;
	size_t length = strlen(dir);

	(void)number;
	return strncmp(point, dir, length) == 0 && point[length] == '/';
}

int mounts_below(const char *mountinfo, const char *dir, char *point, size_t size)
{
	int found = find(mountinfo, is_below, dir, point, size);

	/* Shown only: the beginning will do. */
	return found == ERR_TOO_LONG ? 1 : found;
}

static bool has_number(unsigned long long number, const char *point, const void *arg)
{
	(void)point;
	return number == *(const uint64_t *)arg;
}

int mounts_point(const char *mountinfo, uint64_t mount, char *ret_point, size_t size)
{
	int found = find(mountinfo, has_number, &mount, ret_point, size);

	return found == 0 ? ERR_NOT_FOUND : found < 0 ? found : 0;
}
