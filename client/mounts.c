/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mountinfo(5): blanks in paths are octal escapes; optional fields end with a lone "-". */
#include "client/mounts.h"

#include "common/err.h"
#include "common/scope.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_octal(const char *digits)
{
	for (int i = 0; i < 3; i++) {
		if (digits[i] < '0' || digits[i] > '7')
			return false;
	}
	return true;
}

static bool copy_field(const char *from, char *to, size_t size)
{
	size_t used = 0;

	for (; from && *from && used + 1 < size; used++) {
		if (*from == '\\' && is_octal(from + 1)) {
			to[used] = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			to[used] = *from++;
		}
	}
	to[used] = '\0';
	return from && !*from;
}

/* line is taken apart. False: not a line that we understand. */
static bool parse_line(char *line, struct mount *mount)
{
	char *rest = line;
	char *id = strsep(&rest, " "), *parent = strsep(&rest, " "), *device = strsep(&rest, " ");
	char *root = strsep(&rest, " "), *point = strsep(&rest, " "), *flags = strsep(&rest, " "), *field;

	while ((field = strsep(&rest, " ")) && strcmp(field, "-") != 0)
		;
	if (!parent || !flags || !rest)
		return false;
	mount->id = strtoull(id, NULL, 10);
	mount->read_only = strcmp(flags, "ro") == 0 || strncmp(flags, "ro,", 3) == 0;
	return copy_field(device, mount->device, sizeof(mount->device)) &&
	       copy_field(root, mount->root, sizeof(mount->root)) &&
	       copy_field(point, mount->point, sizeof(mount->point)) &&
	       copy_field(strsep(&rest, " "), mount->type, sizeof(mount->type)) &&
	       copy_field(strsep(&rest, " "), mount->source, sizeof(mount->source));
}

typedef bool match_fn(const struct mount *mount, const void *arg);

static int find(match_fn *match, const void *arg, struct mount *ret_mount)
{
	scope_fclose FILE *file = fopen("/proc/self/mountinfo", "re");
	scope_free char *line = NULL;
	struct mount mount;
	size_t size = 0;
	ssize_t length;

	if (!file)
		return ERR_IO;
	while ((length = getline(&line, &size, file)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		if (parse_line(line, &mount) && match(&mount, arg)) {
			*ret_mount = mount;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

static bool has_id(const struct mount *mount, const void *arg)
{
	return mount->id == *(const unsigned long long *)arg;
}

int mounts_find(const char *path, struct mount *ret_mount)
{
	struct statx stx;
	unsigned long long id;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &stx) < 0 ||
	    !(stx.stx_mask & STATX_MNT_ID))
		return ERR_IO;
	id = stx.stx_mnt_id;
	return find(has_id, &id, ret_mount);
}

bool mounts_is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

static bool is_other(const struct mount *mount, const void *arg)
{
	const struct mount *like = arg;

	return strcmp(mount->device, like->device) == 0 && strcmp(mount->type, like->type) == 0 &&
	       !mount->read_only && !mounts_is_below(mount->root, like->root) &&
	       !mounts_is_below(mount->point, like->point);
}

int mounts_find_other(const struct mount *mount, struct mount *ret_other)
{
	return find(is_other, mount, ret_other);
}
