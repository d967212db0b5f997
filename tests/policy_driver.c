/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policies as a program, for tests/scenario and tests/bench. Reads lines, fields divided by tabs ("-": none):
 *   new                                  begins an empty policy
 *   file NAME SIZE                       SIZE bytes of a policy file follow. "ok", or "bad" and its errors
 *   ask KEY UID GID GIDS ACTION REGION ACCOUNT CLUSTER MODE NOW_MS
 *                                        "allowed|denied|silent FILE LINE some|none"
 *   time N                               judges the last question N times: nanoseconds of CPU each, how many were allowed
 * Each statement goes through its encoding into a second policy, which has to answer alike. The user uN has the
 * number N, and the group gN.
 */
#include "common/err.h"
#include "common/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIELDS = 11, GROUPS_MAX = 1024 };

struct driver {
	struct policy *policy, *copy;
	struct policy_question question;
	gid_t groups[GROUPS_MAX];
	char *line; /* what the question points into */
};

static void give_up(const char *why)
{
	fprintf(stderr, "policy_driver: %s\n", why);
	exit(EXIT_FAILURE);
}

static int look_up(void *arg, const char *name, bool group, uint32_t *ret_id)
{
	(void)arg;
	if (name[0] != (group ? 'g' : 'u'))
		return ERR_NOT_FOUND;
	*ret_id = (uint32_t)strtoul(name + 1, NULL, 10);
	return 0;
}

static void begin(struct driver *d)
{
	policy_free(d->policy);
	policy_free(d->copy);
	d->policy = policy_new();
	d->copy = policy_new();
	if (!d->policy || !d->copy)
		give_up("no memory");
}

static void copy_from(struct driver *d, size_t number)
{
	uint8_t bytes[POLICY_STATEMENT_SIZE_MAX];

	for (; number < policy_count(d->policy); number++) {
		int size = policy_statement_encode(policy_at(d->policy, number), bytes, sizeof(bytes));

		if (size < 0 || policy_add_encoded(d->copy, bytes, (size_t)size) < 0)
			give_up("a statement does not survive its encoding");
	}
}

static void read_policy(struct driver *d, const char *name, size_t size)
{
	struct conf_errors errors = {0}, warnings = {0};
	char *bytes = malloc(size + 1);
	size_t before = policy_count(d->policy);

	if (!bytes || fread(bytes, 1, size, stdin) != size)
		give_up("a file is shorter than said");
	if (policy_parse(d->policy, name, bytes, size, look_up, NULL, &errors, &warnings) == 0)
		puts("ok");
	else
		printf("bad\t%s\n", errors.count ? errors.lines[0] : "");
	copy_from(d, before);
	conf_errors_clear(&errors);
	conf_errors_clear(&warnings);
	free(bytes);
}

static const char *text_of(const char *field)
{
	return strcmp(field, "-") == 0 ? NULL : field;
}

static size_t read_groups(struct driver *d, char *field)
{
	size_t count = 0;
	char *rest = NULL;

	for (char *one = strtok_r(field, ",-", &rest); one && count < GROUPS_MAX; one = strtok_r(NULL, ",-", &rest))
		d->groups[count++] = (gid_t)strtoul(one, NULL, 10);
	return count;
}

static const char *answer_of(const struct policy *policy, const struct policy_question *question, char *text,
			     size_t size)
{
	static const char *const words[] = {"silent", "allowed", "denied"};
	struct policy_decision decision;

	policy_decide(policy, question, &decision);
	snprintf(text, size, "%s\t%s\t%u\t%s", words[decision.answer],
		 decision.by ? policy_statement_file(decision.by) : "-",
		 decision.by ? policy_statement_line(decision.by) : 0,
		 policy_allows_some(policy, question) ? "some" : "none");
	return text;
}

static void ask(struct driver *d, char **fields)
{
	const char *cluster = text_of(fields[8]);
	char text[512], again[512];

	d->question = (struct policy_question){
		.caller = {.key_id = text_of(fields[1]), .uid = (uint32_t)strtoul(fields[2], NULL, 10),
			   .gid = (uint32_t)strtoul(fields[3], NULL, 10), .groups = d->groups,
			   .group_count = read_groups(d, fields[4])},
		.operation = operation_find(fields[5]), .region_id = fields[6], .account_id = fields[7],
		.cluster = cluster ? cluster : "", .mode = text_of(fields[9]),
		.now_ms = strtoll(fields[10], NULL, 10)};
	if (d->question.operation == OPERATIONS)
		give_up("no such operation");
	if (strcmp(answer_of(d->policy, &d->question, text, sizeof(text)),
		   answer_of(d->copy, &d->question, again, sizeof(again))) != 0)
		give_up("the copy answers otherwise");
	puts(text);
}

static void measure(const struct driver *d, unsigned long count)
{
	struct policy_decision decision = {0};
	clock_t began = clock();
	unsigned allowed = 0;

	for (unsigned long i = 0; i < count; i++) {
		policy_decide(d->copy, &d->question, &decision);
		allowed += decision.answer == POLICY_ALLOWED;
	}
	printf("%.1f\t%u\n", (double)(clock() - began) * 1e9 / CLOCKS_PER_SEC / (double)count, allowed);
}

static void run(struct driver *d, char **fields, size_t count)
{
	if (count == 1 && strcmp(fields[0], "new") == 0)
		begin(d);
	else if (count == 3 && strcmp(fields[0], "file") == 0)
		read_policy(d, fields[1], strtoul(fields[2], NULL, 10));
	else if (count == FIELDS && strcmp(fields[0], "ask") == 0)
		ask(d, fields);
	else if (count == 2 && strcmp(fields[0], "time") == 0)
		measure(d, strtoul(fields[1], NULL, 10));
	else
		give_up("what is that?");
	fflush(stdout);
}

/* False at the end. Of "time" the line is another one: the question still needs its own. */
static bool take_line(struct driver *d)
{
	char *fields[FIELDS + 1], *rest = NULL, *line = NULL;
	size_t count = 0, room = 0;
	bool keeps;

	if (getline(&line, &room, stdin) < 0) {
		free(line);
		return false;
	}
	line[strcspn(line, "\n")] = '\0';
	for (char *field = strtok_r(line, "\t", &rest); field && count <= FIELDS; field = strtok_r(NULL, "\t", &rest))
		fields[count++] = field;
	keeps = count > 0 && strcmp(fields[0], "ask") == 0;
	if (keeps) {
		free(d->line);
		d->line = line;
	}
	run(d, fields, count);
	if (!keeps)
		free(line);
	return true;
}

int main(void)
{
	static struct driver driver;

	begin(&driver);
	while (take_line(&driver))
		continue;
	policy_free(driver.policy);
	policy_free(driver.copy);
	free(driver.line);
	return EXIT_SUCCESS;
}
