/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bare_files FROM TO [clone]: creates in the empty folder TO the folders and (empty) files
 * that FROM has, and one syncfs: what no copy of a tree can do without. clone: then makes each file a clone of
 * FROM's, which is what no cut by reflink can do without. Names
 * are collected before the time begins. Prints one JSON object, microseconds.
 */
#include "common/clock.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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
	if (walk->level == 0 || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
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

static int64_t clone_all(const char *path, int to)
{
	int from = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t begin = clock_measure_us();

	must(from >= 0, path);
	for (size_t i = 0; i < count; i++) {
		int in, out;

		if (entries[i].folder)
			continue;
		in = openat(from, entries[i].path, O_RDONLY | O_CLOEXEC);
		out = openat(to, entries[i].path, O_WRONLY | O_CLOEXEC);
		must(in >= 0 && out >= 0 && ioctl(out, FICLONE, in) == 0, entries[i].path);
		close(in);
		close(out);
	}
	return clock_measure_us() - begin;
}

int main(int argc, char **argv)
{
	int64_t begin, made, sum, cloned = 0;
	int to;

	if (argc != 3 && (argc != 4 || strcmp(argv[3], "clone") != 0)) {
		fprintf(stderr, "usage: bare_files FROM TO [clone]\n");
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
	sum = clock_measure_us() - begin;
	if (argc == 4)
		cloned = clone_all(argv[1], to);
	printf("{\"create_us\": %" PRId64 ", \"sum_us\": %" PRId64 ", \"clone_us\": %" PRId64 "}\n", made - begin, sum,
	       cloned);
	for (size_t i = 0; i < count; i++)
		free(entries[i].path);
	free(entries);
	return 0;
}
