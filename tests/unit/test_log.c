/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines to a sink and to standard error: level, cutting, cleaning, what they are about. */
#include "common/log.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sink {
	int count;
	enum log_level level;
	char cluster[64];
	uint64_t job;
	char text[LOG_LINE_SIZE + 10];
};

static void keep_line(void *arg, enum log_level level, const struct log_about *about, const char *text)
{
	struct sink *sink = arg;

	sink->count++;
	sink->level = level;
	sink->job = about ? about->job : 0;
	snprintf(sink->cluster, sizeof(sink->cluster), "%s", about && about->cluster ? about->cluster : "");
	snprintf(sink->text, sizeof(sink->text), "%s", text);
}

static int set_sink(void **state)
{
	static struct sink sink;

	memset(&sink, 0, sizeof(sink));
	log_open("test");
	log_set_level(LOG_LEVEL_INFO);
	log_set_sink(keep_line, &sink);
	*state = &sink;
	return 0;
}

static int drop_sink(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	return 0;
}

static void test_levels(void **state)
{
	struct sink *sink = *state;

	log_debug("quiet");
	assert_int_equal(sink->count, 0);
	log_info("%s %d", "line", 1);
	assert_int_equal(sink->count, 1);
	assert_int_equal(sink->level, LOG_LEVEL_INFO);
	assert_string_equal(sink->text, "line 1");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("quiet");
	assert_int_equal(sink->count, 1);
	log_error("loud");
	assert_int_equal(sink->count, 2);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("loud");
	assert_int_equal(sink->count, 3);
}

static void test_about_is_handed_on(void **state)
{
	struct sink *sink = *state;

	log_about(LOG_LEVEL_NOTICE, &(struct log_about){.cluster = "pc-1", .job = 9}, "x");
	assert_string_equal(sink->cluster, "pc-1");
	assert_int_equal(sink->job, 9);
}

static void test_long_and_dirty_lines(void **state)
{
	struct sink *sink = *state;
	char text[3000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	assert_int_equal(strlen(sink->text), LOG_LINE_SIZE - 1);
	text[LOG_LINE_SIZE - 1] = '\0';
	log_info("%s", text);
	assert_string_equal(sink->text, text);
	log_info("a\nb\tc\033[31m\177d\303\244");
	assert_string_equal(sink->text, "a?b?c?[31m?d\303\244");
}

/* What goes to standard error, exactly. */
static void test_standard_error(void **state)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char line[256] = "";

	(void)state;
	log_set_sink(NULL, NULL);
	assert_int_equal(pipe(fds), 0);
	assert_true(saved >= 0);
	dup2(fds[1], STDERR_FILENO);
	log_about(LOG_LEVEL_WARNING, &(struct log_about){.cluster = "pc-1", .job = 9}, "late\n");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
	close(fds[0]);
	assert_string_equal(line, "test: warning: cluster pc-1: job 9: late?\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_levels, set_sink, drop_sink),
		cmocka_unit_test_setup_teardown(test_about_is_handed_on, set_sink, drop_sink),
		cmocka_unit_test_setup_teardown(test_long_and_dirty_lines, set_sink, drop_sink),
		cmocka_unit_test_setup_teardown(test_standard_error, set_sink, drop_sink),
	};

	unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
