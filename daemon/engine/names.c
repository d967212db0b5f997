/* SPDX-License-Identifier: GPL-3.0-or-later */
/* readdir(3) tells its end from its failure by errno alone. */
#include "daemon/engine/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

DIR *names_open(int fd)
{
	/* An open of its own: a duplicate would share the position in the folder. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);

	if (!dir && own >= 0)
		close(own);
	return dir;
}

int names_next(DIR *dir, const char **ret_name)
{
	unsigned char ignored;

	return names_next_kind(dir, ret_name, &ignored);
}

int names_next_kind(DIR *dir, const char **ret_name, unsigned char *ret_kind)
{
	const struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(dir);
	} while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	if (!entry)
		return errno == 0 ? 0 : -1;
	*ret_name = entry->d_name;
	*ret_kind = entry->d_type;
	return 1;
}

void names_escape(const char *path, char *text, size_t size)
{
	size_t used = 0;

	for (; *path; path++) {
		unsigned char byte = (unsigned char)*path;
		bool plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';

		/* Always room for the dots. */
		if (used + (plain ? 1 : 4) + sizeof("...") > size) {
			snprintf(text + used, size - used, "...");
			return;
		}
		used += (size_t)snprintf(text + used, size - used, plain ? "%c" : "\\x%02x", byte);
	}
	text[used] = '\0';
}
