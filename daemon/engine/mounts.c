/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads mountinfo(5): the fifth field is the mount point, blanks and the like in octal. */
#include "daemon/engine/mounts.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <stdio.h>
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

static char *mount_point(char *line)
{
	char *state = NULL, *field = strtok_r(line, " ", &state);

	for (int i = 0; field && i < 4; i++)
		field = strtok_r(NULL, " ", &state);
	if (field)
		unescape(field);
	return field;
}

int mounts_below(const char *mountinfo, const char *dir, char *point, size_t size)
{
	scope_free char *line = NULL;
	scope_fclose FILE *file = fopen(mountinfo, "re");
	size_t room = 0, length = strlen(dir);

	if (!file)
		return err_from_errno(errno);
	while (getline(&line, &room, file) > 0) {
		char *found = mount_point(line);

		if (found && strncmp(found, dir, length) == 0 && found[length] == '/') {
			snprintf(point, size, "%s", found);
			return 1;
		}
	}
	return ferror(file) ? ERR_IO : 0;
}
