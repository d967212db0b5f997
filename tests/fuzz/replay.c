/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The main() of a fuzz target in an ordinary build: replays its corpus as three tests in TAP. Every file as it is;
 * cut off at every byte; with single bits turned (both evenly thinned out where the corpus has more of them than
 * fit into a second or two, always the same). Each test runs in a child, which shares the input that it is at, so
 * that the one that breaks it can be kept.
 *
 *   fuzz_msg [FILE...]    without files: those of $DBSNAP_SRCDIR/tests/fuzz/corpus/msg
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CUTS_MAX = 8192, FLIPS_MAX = 4096, INPUT_MAX = 1 << 20, FILES_MAX = 4096 };

struct files {
	char *paths[FILES_MAX];
	size_t count;
	size_t bytes; /* in all of them */
};

/* What the child is at. */
struct input {
	size_t size;
	uint8_t bytes[INPUT_MAX];
};

/* In memory of exactly its size, so that a sanitizer sees one byte too far. */
static void run(const struct input *input)
{
	uint8_t *copy = malloc(input->size ? input->size : 1);

	must(copy);
	memcpy(copy, input->bytes, input->size);
	LLVMFuzzerTestOneInput(copy, input->size);
	free(copy);
}

/* at: a counter over all files, of which every step-th place is taken. */
static void run_whole(struct input *input, size_t *at, size_t step)
{
	(void)at;
	(void)step;
	run(input);
}

static void run_cut(struct input *input, size_t *at, size_t step)
{
	size_t size = input->size;

	for (input->size = 0; input->size < size; input->size++) {
		if ((*at)++ % step == 0)
			run(input);
	}
}

static void run_flipped(struct input *input, size_t *at, size_t step)
{
	for (size_t bit = 0; bit < 8 * input->size; bit++) {
		if ((*at)++ % step != 0)
			continue;
		input->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		run(input);
		input->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

static const struct replay {
	const char *name;
	void (*each)(struct input *input, size_t *at, size_t step);
	size_t places; /* a byte */
	size_t max;
} replays[] = {
	{"whole", run_whole, 1, SIZE_MAX},
	{"cut off", run_cut, 1, CUTS_MAX},
	{"one bit turned", run_flipped, 8, FLIPS_MAX},
};

static void replay_all(const struct files *files, const struct replay *replay, struct input *input)
{
	size_t at = 0, step = replay->places * files->bytes / replay->max + 1;

	for (size_t i = 0; i < files->count; i++) {
		int fd = open(files->paths[i], O_RDONLY | O_CLOEXEC);
		ssize_t size = fd < 0 ? -1 : read(fd, input->bytes, sizeof(input->bytes));

		must(size >= 0);
		close(fd);
		input->size = (size_t)size;
		replay->each(input, &at, step);
	}
}

static void keep(const struct input *input, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, input->bytes, input->size) != (ssize_t)input->size)
		perror(path);
	else
		fprintf(stderr, "the input is in %s\n", path);
	if (fd >= 0)
		close(fd);
}

static bool test(const struct files *files, const struct replay *replay, const char *program)
{
	struct input *input = mmap(NULL, sizeof(*input), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char path[PATH_MAX];
	int status;
	pid_t child;

	must(input != MAP_FAILED);
	fflush(stdout);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		replay_all(files, replay, input);
		exit(0); /* through the search for leaks, where there is one */
	}
	must(waitpid(child, &status, 0) == child);
	snprintf(path, sizeof(path), "%s.crash", program);
	if (status != 0)
		keep(input, path);
	munmap(input, sizeof(*input));
	return status == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_file(struct files *files, const char *path)
{
	struct stat st;

	must(files->count < FILES_MAX && stat(path, &st) == 0);
	must(files->paths[files->count++] = strdup(path));
	files->bytes += (size_t)st.st_size;
}

static void add_corpus(struct files *files, const char *target)
{
	const char *source = getenv("DBSNAP_SRCDIR");
	char folder[PATH_MAX / 2], path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", source ? source : ".", target);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] != '.')
			add_file(files, path);
	}
	if (dir)
		closedir(dir);
	qsort(files->paths, files->count, sizeof(files->paths[0]), by_name);
}

int main(int argc, char *argv[])
{
	static struct files files;
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	const size_t count = sizeof(replays) / sizeof(replays[0]);
	bool failed = false;

	for (int i = 1; i < argc; i++)
		add_file(&files, argv[i]);
	if (argc == 1)
		add_corpus(&files, name + strlen("fuzz_"));
	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		/* An empty corpus tests nothing. */
		bool good = files.count > 0 && test(&files, &replays[i], argv[0]);

		printf("%sok %zu - %s: %zu inputs, %s\n", good ? "" : "not ", i + 1, name, files.count, replays[i].name);
		failed = failed || !good;
	}
	for (size_t i = 0; i < files.count; i++)
		free(files.paths[i]);
	return failed;
}
