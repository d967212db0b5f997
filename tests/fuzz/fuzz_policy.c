/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A policy file, or, when the first byte is 0 or 1 (which no YAML begins with), an encoded statement. What is taken is
 * encoded to the same bytes and judges alike afterwards. What an unknown cluster is allowed every one is, and where
 * one is allowed some is.
 */
#include "common/policy.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

static int look_up(void *arg, const char *name, bool group, uint32_t *ret_id)
{
	(void)arg;
	if (name[0] == 'x')
		return ERR_NOT_FOUND;
	*ret_id = group ? 500 : 1000;
	return 0;
}

static enum policy_answer decide(const struct policy *policy, struct policy_question question, const char *cluster)
{
	struct policy_decision decision;

	question.cluster = cluster;
	policy_decide(policy, &question, &decision);
	must((decision.by == NULL) == (decision.answer == POLICY_SILENT));
	must(!decision.by || policy_statement_allows(decision.by) == (decision.answer == POLICY_ALLOWED));
	return decision.answer;
}

static void check_question(const struct policy *policy, const struct policy *copy, struct policy_question question)
{
	static const char *const clusters[] = {"pc-a", "pc-orders", "zz-9"};
	enum policy_answer unknown = decide(policy, question, "");
	bool some = policy_allows_some(policy, &question);

	must(decide(copy, question, "") == unknown);
	must(policy_allows_some(copy, &question) == some);
	must(unknown != POLICY_ALLOWED || some);
	for (size_t i = 0; i < sizeof(clusters) / sizeof(clusters[0]); i++) {
		enum policy_answer answer = decide(policy, question, clusters[i]);

		must(decide(copy, question, clusters[i]) == answer);
		must(unknown != POLICY_ALLOWED || answer == POLICY_ALLOWED);
		must(answer != POLICY_ALLOWED || some);
		must(answer != POLICY_DENIED || unknown == POLICY_DENIED);
	}
}

static void check_answers(const struct policy *policy, const struct policy *copy)
{
	static const char *const modes[] = {NULL, "Manual", "Automated"};
	static const gid_t groups[] = {500, 7};
	struct policy_question question = {.caller = {.gid = 9, .groups = groups}, .region_id = "local",
					   .account_id = "acme", .cluster = "pc-a", .now_ms = INT64_C(1767225600500)};

	for (unsigned i = 0; i < 24; i++) {
		question.caller.key_id = i & 1 ? "AK" : NULL;
		question.caller.uid = i & 2 ? 1000 : 0;
		question.caller.group_count = i & 4 ? 2 : 0;
		question.mode = modes[i % 3];
		question.operation = (enum operation)(i % OPERATIONS);
		check_question(policy, copy, question);
	}
}

static void copy_statement(const struct policy_statement *statement, struct policy *copy)
{
	static uint8_t bytes[POLICY_STATEMENT_SIZE_MAX], again[POLICY_STATEMENT_SIZE_MAX];
	int size = policy_statement_encode(statement, bytes, sizeof(bytes));
	const struct policy_statement *last;

	must(size > 0);
	must(policy_add_encoded(copy, bytes, (size_t)size) == 0);
	last = policy_at(copy, policy_count(copy) - 1);
	must(policy_statement_encode(last, again, sizeof(again)) == size && memcmp(bytes, again, (size_t)size) == 0);
	must(policy_statement_encode(last, again, (size_t)size - 1) == ERR_TOO_LONG);
	must(strcmp(policy_statement_file(last), policy_statement_file(statement)) == 0);
	must(policy_statement_line(last) == policy_statement_line(statement));
	(void)policy_statement_can_match(last, "local", "acme");
}

static void check_lines(const struct conf_errors *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		must(strlen(lines->lines[i]) < CONF_ERROR_SIZE);
		must(strncmp(lines->lines[i], "/p/a.yaml:", 10) == 0);
		for (const char *c = lines->lines[i]; *c; c++)
			must((unsigned char)*c >= ' ' && *c != 0x7f);
	}
}

static void check_file(struct policy *policy, const uint8_t *data, size_t size)
{
	struct conf_errors errors = {0}, warnings = {0};
	int error = policy_parse(policy, "/p/a.yaml", (const char *)data, size, look_up, NULL, &errors, &warnings);

	must(error == 0 || error == ERR_INVALID);
	must((error < 0) == (errors.count > 0));
	must((error < 0) == (policy_count(policy) == 0));
	check_lines(&errors);
	check_lines(&warnings);
	conf_errors_clear(&errors);
	conf_errors_clear(&warnings);
}

static void check_statement(struct policy *policy, const uint8_t *data, size_t size)
{
	int error = policy_add_encoded(policy, data, size);

	must(error == 0 || error == ERR_INVALID);
	must(policy_count(policy) == (error == 0));
	/* Once more: with the same principals as the one before. */
	if (error == 0)
		must(policy_add_encoded(policy, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy *policy = policy_new(), *copy = policy_new();

	must(policy && copy);
	(size > 0 && data[0] <= 1 ? check_statement : check_file)(policy, data, size);
	for (size_t i = 0; i < policy_count(policy); i++)
		copy_statement(policy_at(policy, i), copy);
	check_answers(policy, copy);
	policy_free(policy);
	policy_free(copy);
	return 0;
}
