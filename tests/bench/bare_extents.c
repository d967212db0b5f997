/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bare_extents FOLDER MEGABYTES OVERWRITES ROUNDS: how long a writer of a fragmented
 * file stands still while the file is cloned, whole and in ranges. The file is
 * written, cloned and overwritten in so many random blocks of 4 KiB; then in each round both ways clone it once while
 * a thread does 8 KiB + fdatasync. Prints one JSON object of lists, microseconds: clone, worst latency of what
 * overlapped it, and worst latency in half a second before.
 */
#include "common/clock.h"
#include "daemon/engine/file_copy.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, WRITE = 8192, MEGABYTE = 1 << 20, BEFORE_MS = 500, ROUNDS_MAX = 64 };

struct writer {
	int fd;
	off_t size;
	atomic_bool stop;
	atomic_int_least64_t worst_us; /* since it was taken last */
	atomic_int_least64_t begun_us; /* of the write at hand */
};

struct result {
	int64_t clone_us, worst_us, before_us;
};

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void *write_on(void *arg)
{
	struct writer *writer = arg;
	uint64_t random = UINT64_C(0x9E3779B97F4A7C15);
	char bytes[WRITE];

	memset(bytes, 'w', sizeof(bytes));
	while (!writer->stop) {
		off_t at = (off_t)(next_random(&random) % (uint64_t)(writer->size / WRITE)) * WRITE;
		int64_t begin = clock_measure_us(), took;

		writer->begun_us = begin;
		must(pwrite(writer->fd, bytes, sizeof(bytes), at) == WRITE && fdatasync(writer->fd) == 0, "write");
		took = clock_measure_us() - begin;
		if (took > writer->worst_us)
			writer->worst_us = took;
	}
	return NULL;
}

/* The write at hand belongs to what ends now: waits for its end. */
static int64_t take_worst(struct writer *writer)
{
	static const struct timespec pause = {.tv_nsec = 1000000};
	int64_t begun = writer->begun_us;

	while (writer->begun_us == begun)
		nanosleep(&pause, NULL);
	return atomic_exchange(&writer->worst_us, 0);
}

static void make_file(int folder, off_t size, int overwrites)
{
	int fd = openat(folder, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int copy = openat(folder, "first", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *bytes = malloc(MEGABYTE);
	uint64_t random = 88172645463325252u;

	must(fd >= 0 && copy >= 0 && bytes != NULL, "file");
	memset(bytes, 'f', MEGABYTE);
	for (off_t at = 0; at < size; at += MEGABYTE)
		must(pwrite(fd, bytes, MEGABYTE, at) == MEGABYTE, "fill");
	must(fsync(fd) == 0 && ioctl(copy, FICLONE, fd) == 0, "FICLONE");
	for (int i = 0; i < overwrites; i++)
		must(pwrite(fd, bytes, BLOCK, (off_t)(next_random(&random) % (uint64_t)(size / BLOCK)) * BLOCK) == BLOCK,
		     "overwrite");
	must(fsync(fd) == 0, "fsync");
	free(bytes);
	close(fd);
	close(copy);
}

static unsigned count_extents(int fd)
{
	struct fiemap map = {.fm_length = FIEMAP_MAX_OFFSET};

	must(ioctl(fd, FS_IOC_FIEMAP, &map) == 0, "FIEMAP");
	return map.fm_mapped_extents;
}

static struct result clone_once(int folder, bool ranges)
{
	static const struct timespec before = {.tv_nsec = BEFORE_MS * 1000000L};
	int from = openat(folder, "file", O_RDWR | O_CLOEXEC);
	int to = openat(folder, "copy", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct writer writer = {.fd = openat(folder, "file", O_RDWR | O_CLOEXEC), .size = lseek(from, 0, SEEK_END)};
	struct result result;
	pthread_t thread;
	uint64_t bytes;
	int64_t begin;

	must(from >= 0 && to >= 0 && writer.fd >= 0, "open");
	must(pthread_create(&thread, NULL, write_on, &writer) == 0, "thread");
	nanosleep(&before, NULL);
	result.before_us = take_worst(&writer);
	begin = clock_measure_us();
	must(file_copy_bytes(from, to, FILE_CLONE, ranges, &bytes) == 0, "clone");
	result.clone_us = clock_measure_us() - begin;
	result.worst_us = take_worst(&writer);
	writer.stop = true;
	pthread_join(thread, NULL);
	must(unlinkat(folder, "copy", 0) == 0, "unlink");
	close(to);
	must(syncfs(folder) == 0, "syncfs");
	close(from);
	close(writer.fd);
	return result;
}

static void print_list(const char *name, const struct result *results, int rounds)
{
	printf(", \"%s\": [", name);
	for (int i = 0; i < rounds; i++)
		printf("%s{\"clone_us\": %" PRId64 ", \"worst_us\": %" PRId64 ", \"before_us\": %" PRId64 "}", i ? ", " : "",
		       results[i].clone_us, results[i].worst_us, results[i].before_us);
	printf("]");
}

int main(int argc, char **argv)
{
	static struct result whole[ROUNDS_MAX], ranges[ROUNDS_MAX];
	int rounds = argc == 5 ? (int)strtol(argv[4], NULL, 10) : 0;
	int folder, fd;

	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bare_extents FOLDER MEGABYTES OVERWRITES ROUNDS\n");
		return 2;
	}
	folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(folder >= 0, argv[1]);
	make_file(folder, (off_t)strtol(argv[2], NULL, 10) * MEGABYTE, (int)strtol(argv[3], NULL, 10));
	for (int i = 0; i < rounds; i++) {
		whole[i] = clone_once(folder, false);
		ranges[i] = clone_once(folder, true);
	}
	fd = openat(folder, "file", O_RDONLY | O_CLOEXEC);
	printf("{\"extents\": %u", count_extents(fd));
	print_list("whole", whole, rounds);
	print_list("ranges", ranges, rounds);
	printf("}\n");
	close(fd);
	close(folder);
	return 0;
}
