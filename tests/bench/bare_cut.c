/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bare_cut SUBVOLUME FOLDER ROUNDS: the parts that a create on btrfs cannot do
 * without, done bare, in a create's order and with its syncs, and timed one by one.
 * FOLDER lies on the same file system and is left empty. Prints one JSON object,
 * medians in microseconds: intent, flush, cut, manifest, rename, and their sum.
 */
#include "common/clock.h"

#include <btrfsutil.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum part { INTENT, FLUSH, CUT, MANIFEST, RENAME, PARTS };
static const char *const part_names[PARTS] = {"intent", "flush", "cut", "manifest", "rename"};

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void write_aside(int dir, const char *name, size_t size, int sync)
{
	char bytes[4096];
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	memset(bytes, 'x', sizeof(bytes));
	must(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && (!sync || fsync(fd) == 0), name);
	close(fd);
}

/* As the daemon does: everything below a dot-name, which gives up its dot at the end. */
static void create_once(int source, int folder, int64_t times[PARTS])
{
	int64_t at[PARTS + 1];
	int dir;

	at[INTENT] = clock_measure_us();
	must(mkdirat(folder, ".1", 0700) == 0, "mkdir");
	dir = openat(folder, ".1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dir >= 0, "open");
	write_aside(dir, "intent.new", 200, 0);
	at[FLUSH] = clock_measure_us();
	must(syncfs(source) == 0 && renameat(dir, "intent.new", dir, "intent") == 0, "syncfs");
	at[CUT] = clock_measure_us();
	must(btrfs_util_create_snapshot_fd2(source, dir, "data", BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY, NULL, NULL) ==
		     BTRFS_UTIL_OK, "snapshot");
	at[MANIFEST] = clock_measure_us();
	write_aside(dir, "manifest.json.new", 2000, 1);
	must(renameat(dir, "manifest.json.new", dir, "manifest.json") == 0 && fsync(dir) == 0, "manifest");
	at[RENAME] = clock_measure_us();
	must(renameat(folder, ".1", folder, "1") == 0 && fsync(folder) == 0, "rename");
	at[PARTS] = clock_measure_us();
	for (int i = 0; i < PARTS; i++)
		times[i] = at[i + 1] - at[i];
	close(dir);
}

static void remove_once(int folder)
{
	int dir = openat(folder, "1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must(dir >= 0, "open");
	must(btrfs_util_delete_subvolume_fd(dir, "data", 0) == BTRFS_UTIL_OK, "delete");
	must(unlinkat(dir, "manifest.json", 0) == 0 && unlinkat(dir, "intent", 0) == 0, "unlink");
	must(unlinkat(folder, "1", AT_REMOVEDIR) == 0 && syncfs(folder) == 0, "rmdir");
	close(dir);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	int rounds = argc == 4 ? (int)strtol(argv[3], NULL, 10) : 0;
	int64_t *values[PARTS], sum = 0;
	int source, folder;

	if (rounds < 1) {
		fprintf(stderr, "usage: bare_cut SUBVOLUME FOLDER ROUNDS\n");
		return 2;
	}
	source = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(source >= 0 && folder >= 0, "open");
	for (int p = 0; p < PARTS; p++)
		must((values[p] = calloc((size_t)rounds, sizeof(int64_t))) != NULL, "calloc");
	for (int i = 0; i < rounds; i++) {
		int64_t times[PARTS];

		create_once(source, folder, times);
		remove_once(folder);
		for (int p = 0; p < PARTS; p++)
			values[p][i] = times[p];
	}
	printf("{");
	for (int p = 0; p < PARTS; p++) {
		qsort(values[p], (size_t)rounds, sizeof(int64_t), compare);
		printf("\"%s_us\": %" PRId64 ", ", part_names[p], values[p][rounds / 2]);
		sum += values[p][rounds / 2];
		free(values[p]);
	}
	printf("\"sum_us\": %" PRId64 "}\n", sum);
	close(source);
	close(folder);
	return 0;
}
