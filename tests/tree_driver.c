/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The copying and the clearing walk as a program, in a walker as a user, for
 * tests/system and tests/bench:
 *   tree_driver clone|ranges|copy|either FROM TO USER
 *   tree_driver clear FOLDER USER
 * ranges is clone with files in ranges. TO is an empty folder. Prints "key: value" lines (times in microseconds, the
 * walker's start included), then "lines:" and the report's lines; exit status 1, code, cause and remedy when it failed.
 */
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/tree_copy.h"
#include "daemon/engine/walker.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct answer {
	struct tree_report report;
	int64_t us, cpu_us;
	int64_t memory_kb;
};

static int open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		perror(path);
	return fd;
}

static int64_t us_of(struct timeval time)
{
	return time.tv_sec * INT64_C(1000000) + time.tv_usec;
}

static void measure(struct answer *answer, int64_t begin)
{
	struct rusage usage;

	answer->us = clock_measure_us() - begin;
	getrusage(RUSAGE_SELF, &usage);
	answer->cpu_us = us_of(usage.ru_utime) + us_of(usage.ru_stime);
	answer->memory_kb = usage.ru_maxrss;
}

static int copy(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct tree_root root = {.from = fds[0], .to = fds[1]};
	struct answer *out = answer;
	int64_t begin = clock_measure_us();
	int error = tree_copy(&root, 1, arg, &out->report, why);

	measure(out, begin);
	return error;
}

static int clear(const void *arg, const int *fds, void *answer, struct reason *why)
{
	int64_t begin = clock_measure_us();
	int error = tree_clear(fds[0], why);

	(void)arg;
	measure(answer, begin);
	return error;
}

static int fail(const struct reason *why)
{
	printf("code: %s\ncause: %s\nremedy: %s\nretry: %d\n", err_name(why->code), why->cause, why->remedy, why->retry);
	return 1;
}

/* A job as the engine makes them, but for the other end of its link. */
static bool prepare(struct worker_job *job, const char *user)
{
	static int pair[2];

	*job = (struct worker_job){.data_fd = -1, .lock_fd = -1, .as_root = geteuid() == 0, .pid = getpid()};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	job->link = pair[0];
	return proc_identity_of(user, &job->identity) == 0;
}

static int run(struct worker_job *job, walker_fn *fn, const struct tree_plan *plan, const int *fds, size_t count)
{
	static struct answer answer;
	struct reason why = {0};
	int64_t begin = clock_measure_us();
	int error = walker_run(job, fn, plan, fds, count, &answer, sizeof(answer), &why);

	if (error < 0)
		return fail(&why);
	printf("files: %" PRIu64 "\nbytes: %" PRIu64 "\nskipped: %" PRIu32 "\nus: %" PRId64 "\nwalk_us: %" PRId64
	       "\ncpu_us: %" PRId64 "\nmemory_kb: %" PRId64 "\nlines:\n%s\n",
	       answer.report.files, answer.report.bytes, answer.report.skipped, clock_measure_us() - begin, answer.us,
	       answer.cpu_us, answer.memory_kb, answer.report.lines);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *verb;
		struct tree_plan plan;
	} verbs[] = {
		{"clone", {.way = FILE_CLONE, .lives = true}},
		{"ranges", {.way = FILE_CLONE, .lives = true, .ranges = true}},
		{"copy", {.way = FILE_COPY, .lives = true}},
		{"either", {.way = FILE_EITHER, .lives = true, .ranges = true}},
	};
	struct worker_job job;
	int fds[2];

	if (argc == 4 && strcmp(argv[1], "clear") == 0 && prepare(&job, argv[3])) {
		fds[0] = open_folder(argv[2]);
		return fds[0] < 0 ? 2 : run(&job, clear, NULL, fds, 1);
	}
	for (size_t i = 0; argc == 5 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].verb) != 0 || !prepare(&job, argv[4]))
			continue;
		fds[0] = open_folder(argv[2]);
		fds[1] = open_folder(argv[3]);
		return fds[0] < 0 || fds[1] < 0 ? 2 : run(&job, copy, &verbs[i].plan, fds, 2);
	}
	return 2;
}
