/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bare_commit DIR ROUNDS: what the acknowledgement of a create costs at least.
 * ROUNDS LMDB commits of as many puts as an accepted create makes, of the same
 * sizes, in an environment opened like the store's; beside each, one 4 KiB
 * overwrite with fdatasync. Prints one JSON object, microseconds.
 */
#include "common/clock.h"
#include "tests/bench/bare_puts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t median(int64_t *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0;
	char path[4096], block[4096] = {0};
	int64_t *commits, *syncs;
	struct bare_puts *puts;
	int fd;

	if (rounds < 1) {
		fprintf(stderr, "usage: bare_commit DIR ROUNDS\n");
		return 2;
	}
	puts = bare_puts_open(argv[1]);
	snprintf(path, sizeof(path), "%s/block", argv[1]);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	commits = calloc((size_t)rounds, sizeof(*commits));
	syncs = calloc((size_t)rounds, sizeof(*syncs));
	if (fd < 0 || !commits || !syncs) {
		perror("bare_commit");
		return 1;
	}
	for (int i = 0; i < rounds; i++) {
		int64_t begin = clock_measure_us(), middle;

		bare_puts_commit(puts, (uint64_t)i + 1);
		middle = clock_measure_us();
		memcpy(block, &i, sizeof(i));
		if (pwrite(fd, block, sizeof(block), 0) != sizeof(block) || fdatasync(fd) != 0) {
			perror("bare_commit");
			return 1;
		}
		commits[i] = middle - begin;
		syncs[i] = clock_measure_us() - middle;
	}
	printf("{\"commit_us\": %" PRId64 ", \"fdatasync_us\": %" PRId64 "}\n", median(commits, rounds),
	       median(syncs, rounds));
	close(fd);
	bare_puts_close(puts);
	free(commits);
	free(syncs);
	return 0;
}
