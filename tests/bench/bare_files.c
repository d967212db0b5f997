/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bare_files FROM TO: creates in the empty folder TO the folders and (empty) files
 * that FROM has, and one syncfs: what no copy of a tree can do without. Names
 * are collected before the time begins. Prints one JSON object, microseconds.
 */
#include "common/clock.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	char *path; /* below the root */
	bool folder;
};

static struct entry *entries;
static size_t count, room, prefix;

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static int note(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	if (walk->level == 0)
		return 0;
	if (count == room) {
		room = room ? room * 2 : 1024;
		entries = realloc(entries, room * sizeof(*entries));
		must(entries != NULL, "realloc");
	}
	entries[count] = (struct entry){.path = strdup(path + prefix), .folder = type == FTW_D};
	must(entries[count++].path != NULL, "strdup");
	return 0;
}

int main(int argc, char **argv)
{
	int64_t begin, made;
	int to;

	if (argc != 3) {
		fprintf(stderr, "usage: bare_files FROM TO\n");
		return 2;
	}
	prefix = strlen(argv[1]) + 1;
	must(nftw(argv[1], note, 64, FTW_PHYS) == 0, argv[1]);
	to = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(to >= 0, argv[2]);
	begin = clock_measure_us();
	for (size_t i = 0; i < count; i++) {
		int fd;

		if (entries[i].folder) {
			must(mkdirat(to, entries[i].path, 0700) == 0, entries[i].path);
			continue;
		}
		fd = openat(to, entries[i].path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		must(fd >= 0, entries[i].path);
		close(fd);
	}
	made = clock_measure_us();
	must(syncfs(to) == 0, "syncfs");
	printf("{\"create_us\": %" PRId64 ", \"sum_us\": %" PRId64 "}\n", made - begin, clock_measure_us() - begin);
	for (size_t i = 0; i < count; i++)
		free(entries[i].path);
	free(entries);
	return 0;
}
