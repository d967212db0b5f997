/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policy files, each kind of mistake in them, and what a policy says. That all of it holds together is checked
 * by an evaluator of another make: scenario/test_policy_evaluator.py.
 */
#include "common/policy.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1767225600500) /* 2026-01-01T00:00:00.5Z */
#define ID(id) "acs:polardb:*:*:dbcluster/" id

static const char form[] = "principals: [%s]\npolicy:\n  Version: \"1\"\n  Statement:\n%s";

static int look_up(void *arg, const char *name, bool group, uint32_t *ret_id)
{
	(void)arg;
	if (strcmp(name, "down") == 0)
		return ERR_IO;
	if (strcmp(name, group ? "dba" : "alice") != 0)
		return ERR_NOT_FOUND;
	*ret_id = group ? 500 : 1000;
	return 0;
}

struct outcome {
	int error;
	struct conf_errors errors, warnings;
};

static void add_text(struct policy *policy, const char *text, size_t size, struct outcome *ret)
{
	*ret = (struct outcome){0};
	ret->error = policy_parse(policy, "/etc/p.d/10-a.yaml", text, size, look_up, NULL, &ret->errors, &ret->warnings);
}

static void clear(struct outcome *outcome)
{
	conf_errors_clear(&outcome->errors);
	conf_errors_clear(&outcome->warnings);
}

/* A policy of this file, which must be good. */
static struct policy *accept(const char *principals, const char *statements)
{
	struct policy *policy = policy_new();
	struct outcome outcome;
	char text[8192];

	assert_non_null(policy);
	snprintf(text, sizeof(text), form, principals, statements);
	add_text(policy, text, strlen(text), &outcome);
	if (outcome.error < 0)
		fail_msg("refused: %s", outcome.errors.lines[0]);
	clear(&outcome);
	return policy;
}

static struct policy_question question(const char *cluster, enum operation operation)
{
	return (struct policy_question){.caller = {.uid = 1000, .gid = 100}, .operation = operation,
					.region_id = "local", .account_id = "acme", .cluster = cluster, .now_ms = NOW};
}

static enum policy_answer ask(const struct policy *policy, const struct policy_question *asked)
{
	struct policy_decision decision = {0};

	policy_decide(policy, asked, &decision);
	assert_true((decision.by == NULL) == (decision.answer == POLICY_SILENT));
	return decision.answer;
}

/* What one statement with this line under the Allow or Deny answers about pc-a's create. */
static enum policy_answer ask_line(const char *line, const struct policy_question *asked)
{
	char statement[4096];
	struct policy *policy;
	enum policy_answer answer;

	snprintf(statement, sizeof(statement),
		 "  - Effect: Allow\n    Action: \"*\"\n    Resource: \"*\"\n    Condition: {%s}\n", line);
	policy = accept("\"*\"", statement);
	answer = ask(policy, asked);
	policy_free(policy);
	return answer;
}

static enum policy_answer ask_resource(const char *effect, const char *pattern, const char *cluster)
{
	char statements[4096];
	struct policy *policy;
	struct policy_question asked = question(cluster, OPERATION_CREATE_BACKUP);
	enum policy_answer answer;

	snprintf(statements, sizeof(statements),
		 "  - {Effect: %s, Action: \"*\", Resource: \"%s\"}\n", effect, pattern);
	policy = accept("\"*\"", statements);
	answer = ask(policy, &asked);
	policy_free(policy);
	return answer;
}

static bool ask_action(const char *field, const char *pattern, enum operation operation)
{
	char statements[1024];
	struct policy *policy;
	struct policy_question asked = question("pc-a", operation);
	enum policy_answer answer;

	snprintf(statements, sizeof(statements), "  - {Effect: Allow, %s: %s, Resource: \"*\"}\n", field, pattern);
	policy = accept("\"*\"", statements);
	answer = ask(policy, &asked);
	policy_free(policy);
	return answer == POLICY_ALLOWED;
}

static void test_actions(void **state)
{
	(void)state;
	assert_true(ask_action("Action", "polardb:CreateBackup", OPERATION_CREATE_BACKUP));
	assert_true(ask_action("Action", "POLARDB:createbackup", OPERATION_CREATE_BACKUP));
	assert_false(ask_action("Action", "dbsnap:CreateBackup", OPERATION_CREATE_BACKUP));
	assert_false(ask_action("Action", "polardb:CreateBackups", OPERATION_CREATE_BACKUP));
	assert_true(ask_action("Action", "\"polardb:Describe*\"", OPERATION_DESCRIBE_BACKUPS));
	assert_false(ask_action("Action", "\"polardb:Describe*\"", OPERATION_DESCRIBE_CLONES));
	assert_true(ask_action("Action", "\"*:Describe*\"", OPERATION_DESCRIBE_CLONES));
	assert_true(ask_action("Action", "\"polardb:CreateBacku?\"", OPERATION_CREATE_BACKUP));
	assert_false(ask_action("Action", "\"polardb:CreateBackup?\"", OPERATION_CREATE_BACKUP));
	assert_true(ask_action("Action", "[ecs:Start, \"dbsnap:*\"]", OPERATION_DESCRIBE_STATUS));
	assert_false(ask_action("NotAction", "[polardb:DeleteBackup, \"dbsnap:*\"]", OPERATION_DESCRIBE_STATUS));
	assert_false(ask_action("NotAction", "[polardb:DeleteBackup, \"dbsnap:*\"]", OPERATION_DELETE_BACKUP));
	assert_true(ask_action("NotAction", "[polardb:DeleteBackup, \"dbsnap:*\"]", OPERATION_CREATE_BACKUP));
}

static void test_resources(void **state)
{
	static const struct {
		const char *pattern, *cluster;
		bool matches;
	} rows[] = {
		{"*", "pc-a", true},
		{ID("pc-a"), "pc-a", true},
		{ID("pc-a"), "pc-ab", false},
		{ID("pc-ab"), "pc-a", false},
		{ID("pc-*"), "pc-a", true},
		{ID("pc-*"), "xc-a", false},
		{ID("*-a"), "pc-a", true},
		{ID("p?-a"), "pc-a", true},
		{ID("p?-a"), "pcc-a", false},
		{ID("PC-A"), "pc-a", false},
		{"acs:polardb:local:acme:dbcluster/pc-a", "pc-a", true},
		{"acs:polardb:local:acme:DBCluster/pc-a", "pc-a", true},
		{"acs:polardb:*:*:DBC*", "pc-a", true},
		{"acs:polardb:Local:acme:dbcluster/pc-a", "pc-a", false},
		{"acs:polardb:cn-hangzhou:*:dbcluster/pc-a", "pc-a", false},
		{"acs:polardb:*:other:dbcluster/pc-a", "pc-a", false},
		{"acs:rds:*:*:dbcluster/pc-a", "pc-a", false},
		{"acs:p*:*:*:db*/pc-a", "pc-a", true},
		{"acs:polardb:*", "pc-a", true},
		{"acs:polardb:*:dbcluster/pc-a", "pc-a", true},
		{"*/pc-?", "pc-a", true},
		{"*/pc-?", "pc-ab", false},
		{"acs:polardb:*:*:*:dbcluster/pc-a", "pc-a", false},
		{"acs:polardb:*:*:dbcluster/pc-a/x", "pc-a", false},
		{"acs:polardb:*:*:dbinstance/pc-a", "pc-a", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (ask_resource("Allow", rows[i].pattern, rows[i].cluster) !=
		    (rows[i].matches ? POLICY_ALLOWED : POLICY_SILENT))
			fail_msg("%s, %s", rows[i].pattern, rows[i].cluster);
		assert_int_equal(ask_resource("Deny", rows[i].pattern, rows[i].cluster),
				 rows[i].matches ? POLICY_DENIED : POLICY_SILENT);
	}
}

/* Nobody knows the cluster: allowed is what is allowed for all, denied what is denied for one. */
static void test_unknown_cluster(void **state)
{
	static const struct {
		const char *pattern;
		bool each, some;
	} rows[] = {
		{"*", true, true},
		{"***", true, true},
		{ID("*"), true, true},
		{ID("**"), true, true},
		{ID("?*"), false, true},
		{ID("pc-*"), false, true},
		{ID("pc-a"), false, true},
		{ID("PC-a"), false, false},
		{ID("pc_*"), false, false},
		{"*/pc-a/*", false, false},
		{"acs:polardb:*", true, true},
		{"*/*", true, true},
		{"*pc-a", false, true},
		{"acs:polardb:*/pc*", false, true},
		{"acs:polardb:local:acme:DBCLUSTER*", true, true},
		{"acs:polardb:other:*:dbcluster/*", false, false},
		{"acs:polardb:other*", false, false},
		{"acs:polardb:*:*:dbinstance/*", false, false},
	};
	char overlong[65];

	(void)state;
	memset(overlong, 'a', sizeof(overlong) - 1);
	overlong[64] = '\0';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int k = 0; k < 2; k++) {
			const char *unknown = k ? overlong : "";

			if ((ask_resource("Allow", rows[i].pattern, unknown) == POLICY_ALLOWED) != rows[i].each)
				fail_msg("Allow %s", rows[i].pattern);
			if ((ask_resource("Deny", rows[i].pattern, unknown) == POLICY_DENIED) != rows[i].some)
				fail_msg("Deny %s", rows[i].pattern);
		}
	}
}

static bool allows_some(const char *statements)
{
	struct policy *policy = accept("\"*\"", statements);
	struct policy_question asked = question("pc-z", OPERATION_DESCRIBE_DB_CLUSTERS);
	bool some = policy_allows_some(policy, &asked);

	policy_free(policy);
	return some;
}

static void test_allows_some(void **state)
{
#define DO(effect, resource) "  - {Effect: " effect ", Action: \"*\", Resource: \"" resource "\"}\n"
	(void)state;
	assert_true(allows_some(DO("Allow", "*")));
	assert_true(allows_some(DO("Allow", ID("pc-a"))));
	assert_false(allows_some(DO("Allow", "acs:polardb:other:*:dbcluster/pc-a")));
	assert_false(allows_some(DO("Deny", ID("pc-a"))));
	assert_true(allows_some(DO("Allow", ID("pc-a")) DO("Deny", ID("pc-a"))));
	assert_false(allows_some(DO("Allow", ID("pc-a")) DO("Deny", ID("*"))));
	assert_false(allows_some(DO("Allow", "*") DO("Deny", "acs:polardb:*")));
	assert_false(allows_some("  - {Effect: Allow, Action: polardb:CreateBackup, Resource: \"*\"}\n"));
#undef DO
}

static void test_deny_wins(void **state)
{
	static const char statements[] =
		"  - {Effect: Allow, Action: \"*\", Resource: \"*\"}\n"
		"  - {Effect: Allow, Action: polardb:CreateBackup, Resource: \"*\"}\n"
		"  - {Effect: Deny, Action: polardb:DeleteBackup, Resource: \"" ID("pc-a") "\"}\n"
		"  - {Effect: Deny, Action: \"*\", Resource: \"" ID("pc-a") "\", Condition: {NumericEquals: {dbsnap:PeerUid: 1}}}\n";
	struct policy *policy = accept("user:alice", statements);
	struct policy_question create = question("pc-a", OPERATION_CREATE_BACKUP);
	struct policy_question delete = question("pc-a", OPERATION_DELETE_BACKUP);
	struct policy_decision decision;
	char text[64], small[8];

	(void)state;
	policy_decide(policy, &create, &decision);
	assert_int_equal(decision.answer, POLICY_ALLOWED);
	policy_statement_describe(decision.by, text, sizeof(text));
	assert_string_equal(text, "10-a.yaml, line 5: Allow");
	policy_statement_describe(decision.by, small, sizeof(small));
	assert_string_equal(small, "10-a.ya");
	policy_decide(policy, &delete, &decision);
	assert_int_equal(decision.answer, POLICY_DENIED);
	assert_ptr_equal(decision.by, policy_at(policy, 2));
	assert_string_equal(policy_statement_file(decision.by), "10-a.yaml");
	assert_int_equal(policy_statement_line(decision.by), 7);
	assert_false(policy_statement_allows(decision.by));
	delete.cluster = "pc-b";
	assert_int_equal(ask(policy, &delete), POLICY_ALLOWED);
	delete.caller.uid = 1;
	assert_int_equal(ask(policy, &delete), POLICY_SILENT);
	policy_free(policy);
}

static enum policy_answer ask_as(const char *principals, struct policy_caller caller)
{
	struct policy *policy = accept(principals, "  - {Effect: Allow, Action: \"*\", Resource: \"*\"}\n");
	struct policy_question asked = question("pc-a", OPERATION_CREATE_BACKUP);
	enum policy_answer answer;

	asked.caller = caller;
	answer = ask(policy, &asked);
	policy_free(policy);
	return answer;
}

static void test_principals(void **state)
{
	static const gid_t groups[] = {7, 500, 3};
	struct policy_caller none = {.uid = 9, .gid = 9}, alice = {.uid = 1000, .gid = 9};
	struct policy_caller first = {.uid = 9, .gid = 500}, member = {.uid = 9, .gid = 9, .groups = groups, .group_count = 3};
	struct policy_caller key = {.key_id = "AK1", .uid = 1000, .gid = 500};

	(void)state;
	assert_int_equal(ask_as("\"*\"", none), POLICY_ALLOWED);
	assert_int_equal(ask_as("\"*\"", key), POLICY_ALLOWED);
	assert_int_equal(ask_as("user:alice, group:dba, accesskey:AK1", none), POLICY_SILENT);
	assert_int_equal(ask_as("user:alice", alice), POLICY_ALLOWED);
	assert_int_equal(ask_as("uid:1000, uid:0, uid:77, uid:1000", alice), POLICY_ALLOWED);
	assert_int_equal(ask_as("uid:1000, uid:0, uid:77", none), POLICY_SILENT);
	assert_int_equal(ask_as("group:dba", first), POLICY_ALLOWED);
	assert_int_equal(ask_as("group:dba", member), POLICY_ALLOWED);
	assert_int_equal(ask_as("user:alice, group:dba", key), POLICY_SILENT);
	assert_int_equal(ask_as("accesskey:AK1", key), POLICY_ALLOWED);
	assert_int_equal(ask_as("accesskey:AK", key), POLICY_SILENT);
	assert_int_equal(ask_as("accesskey:AK1", alice), POLICY_SILENT);
}

static void test_conditions(void **state)
{
	static const struct {
		const char *line;
		bool matches;
	} rows[] = {
		{"NumericEquals: {dbsnap:PeerUid: 1000}", true},
		{"NumericEquals: {dbsnap:PeerUid: \"1000\"}", true},
		{"NumericEquals: {dbsnap:PeerUid: [1, 1000]}", true},
		{"NumericEquals: {dbsnap:PeerUid: [1, 2]}", false},
		{"NumericNotEquals: {dbsnap:PeerUid: [1, 1000]}", false},
		{"NumericNotEquals: {dbsnap:PeerUid: [1, 2]}", true},
		{"NumericLessThan: {dbsnap:PeerUid: 1000}", false},
		{"NumericLessThan: {dbsnap:PeerUid: [1, 1001]}", true},
		{"NumericLessThanEquals: {dbsnap:PeerUid: 1000}", true},
		{"NumericLessThanEquals: {dbsnap:PeerUid: -1}", false},
		{"NumericGreaterThan: {dbsnap:PeerUid: 1000}", false},
		{"NumericGreaterThan: {dbsnap:PeerUid: 999}", true},
		{"NumericGreaterThanEquals: {dbsnap:PeerUid: 1000}", true},
		{"NumericEquals: {dbsnap:PeerGid: 100}", true},
		{"NumericEquals: {dbsnap:PeerGid: 20}", true},
		{"NumericNotEquals: {dbsnap:PeerGid: 20}", false},
		{"NumericNotEquals: {dbsnap:PeerGid: 21}", true},
		{"StringEquals: {dbsnap:BackupMode: Manual}", true},
		{"StringEquals: {dbsnap:BackupMode: manual}", false},
		{"StringEquals: {dbsnap:BackupMode: \"M*\"}", false},
		{"StringNotEquals: {dbsnap:BackupMode: [Automated, Manual]}", false},
		{"StringNotEquals: {dbsnap:BackupMode: Automated}", true},
		{"StringEqualsIgnoreCase: {dbsnap:BackupMode: MANUAL}", true},
		{"StringEqualsIgnoreCase: {dbsnap:BackupMode: MANUA}", false},
		{"StringNotEqualsIgnoreCase: {dbsnap:BackupMode: MANUAL}", false},
		{"StringLike: {dbsnap:BackupMode: \"?an*\"}", true},
		{"StringLike: {dbsnap:BackupMode: \"m*\"}", false},
		{"StringNotLike: {dbsnap:BackupMode: [\"A*\", \"M*\"]}", false},
		{"DateEquals: {acs:CurrentTime: \"2026-01-01T00:00:00Z\"}", true},
		{"DateEquals: {acs:CurrentTime: 2026-01-01T02:00:00+02:00}", true},
		{"DateEquals: {acs:CurrentTime: 2025-12-31T18:30:00-05:30}", true},
		{"DateNotEquals: {acs:CurrentTime: 2026-01-01T00:00:00Z}", false},
		{"DateLessThan: {acs:CurrentTime: 2026-01-01T00:00:00Z}", false},
		{"DateLessThan: {acs:CurrentTime: 2026-01-01T00:00:01Z}", true},
		{"DateLessThanEquals: {acs:CurrentTime: 2026-01-01T00:00:00Z}", true},
		{"DateGreaterThan: {acs:CurrentTime: 2026-01-01T00:00:00Z}", false},
		{"DateGreaterThanEquals: {acs:CurrentTime: 2026-01-01T00:00:00Z}", true},
		{"DateGreaterThan: {acs:CurrentTime: 2025-12-31T23:59:59Z}, NumericEquals: {dbsnap:PeerUid: 1000}", true},
		{"DateGreaterThan: {acs:CurrentTime: 2025-12-31T23:59:59Z}, NumericEquals: {dbsnap:PeerUid: 1}", false},
		{"NumericEquals: {dbsnap:PeerUid: 1000, dbsnap:PeerGid: 1}", false},
		{"NumericEquals: {dbsnap:PeerUid: 1000, dbsnap:PeerGid: 10}", true},
	};
	static const gid_t groups[] = {10, 20};
	struct policy_question asked = question("pc-a", OPERATION_CREATE_BACKUP);

	(void)state;
	asked.caller.groups = groups;
	asked.caller.group_count = 2;
	asked.mode = "Manual";
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (ask_line(rows[i].line, &asked) != (rows[i].matches ? POLICY_ALLOWED : POLICY_SILENT))
			fail_msg("%s", rows[i].line);
	}
	asked.mode = NULL;
	assert_int_equal(ask_line("StringLike: {dbsnap:BackupMode: \"*\"}", &asked), POLICY_SILENT);
	assert_int_equal(ask_line("StringNotLike: {dbsnap:BackupMode: \"*\"}", &asked), POLICY_ALLOWED);
}

/* The file has exactly one error, which says this, and nothing of it is in the policy. */
static void refuse_text(const char *text, const char *said)
{
	struct policy *policy = accept("\"*\"", "  - {Effect: Allow, Action: \"*\", Resource: \"*\"}\n");
	struct outcome outcome;

	add_text(policy, text, strlen(text), &outcome);
	if (outcome.error != ERR_INVALID)
		fail_msg("taken: %s", text);
	if (outcome.errors.count != 1 || !strstr(outcome.errors.lines[0], said))
		fail_msg("%s\n%zu errors, the first: %s\nexpected: %s", text, outcome.errors.count,
			 outcome.errors.lines[0], said);
	assert_int_equal(strncmp(outcome.errors.lines[0], "/etc/p.d/10-a.yaml:", 19), 0);
	assert_int_equal(policy_count(policy), 1);
	clear(&outcome);
	policy_free(policy);
}

static void refuse(const char *principals, const char *statements, const char *said)
{
	char text[4096];

	snprintf(text, sizeof(text), form, principals, statements);
	refuse_text(text, said);
}

static void refuse_condition(const char *condition, const char *said)
{
	char statement[2048];

	snprintf(statement, sizeof(statement),
		 "  - Effect: Allow\n    Action: \"*\"\n    Resource: \"*\"\n    Condition: %s\n", condition);
	refuse("\"*\"", statement, said);
}

#define GOOD "  - {Effect: Allow, Action: \"*\", Resource: \"*\"}\n"
#define HEAD "principals: [uid:1]\n"

static void test_bad_files(void **state)
{
	(void)state;
	refuse_text("", "an empty file");
	refuse_text("# nothing\n", "an empty file");
	refuse_text("- a\n", "expected a map of keys, got a list");
	refuse_text("just text\n", "expected a map of keys, got a single value");
	refuse_text(HEAD "policy: {Version: \"1\"", ":3: expected YAML: ");
	refuse_text("principals: [*]\n", "what begins with * is written in quotes");
	refuse_text(HEAD "policy: &a {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n",
		    ":2: expected a value without anchors, aliases and tags, got one with an anchor");
	refuse_text(HEAD "policy: !x {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n",
		    "an explicit tag");
	refuse_text("a: 1\n" HEAD "policy: {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n",
		    ":1: unknown key \"a\"; expected one of principals, policy");
	refuse_text(HEAD HEAD "policy: {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n",
		    ":2: principals: given twice, expected once; it stands in line 1 already");
	refuse_text("policy: {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n",
		    "principals: missing");
	refuse_text(HEAD, "policy: missing");
	refuse_text(HEAD "policy: {Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n", ":2: Version: missing");
	refuse_text(HEAD "policy: {Version: \"2\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n",
		    ":2: Version: expected \"1\", got \"2\"");
	refuse_text(HEAD "policy: {Version: \"1\"}\n", "Statement: missing");
	refuse_text(HEAD "policy: {Version: \"1\", Statement: []}\n", "got an empty list");
	refuse_text(HEAD "policy: {Version: \"1\", Statement: {}}\n", "expected a list of statements, got a map");
	refuse_text(HEAD "policy: {Version: \"1\", Statement: [[]]}\n", "Statement: expected a map of keys, got a list");
	refuse_text(HEAD "policy: {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n---\na: 1\n",
		    ":3: expected the end of the file after one document");
	refuse_text(HEAD "policy: {Version: \"1\", Statement: [{Effect: Allow, Action: \"a\\0:*\", Resource: \"*\"}]}\n",
		    "text without NUL characters");
	refuse_text("policy: [[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]\n", "fewer lists and maps inside each other");
}

static void test_bad_principals(void **state)
{
	(void)state;
	refuse("", GOOD, ":1: principals: expected a list of principals, got an empty list");
	refuse("alice", GOOD, "expected user:NAME, group:NAME, uid:NUMBER, accesskey:ID or \"*\", got \"alice\"");
	refuse("user:bob", GOOD, "there is no user \"bob\"");
	refuse("\"user:\"", GOOD, "there is no user \"\"");
	refuse("group:alice", GOOD, "there is no group \"alice\"");
	refuse("group:down", GOOD, "the group \"down\" cannot be looked up");
	refuse("uid:4294967295", GOOD, "expected a number from 0 to 4294967294 after uid:");
	refuse("uid:01", GOOD, "expected a number");
	refuse("uid:-1", GOOD, "expected a number");
	refuse("\"accesskey:\"", GOOD, "expected 1 to 64 of");
	refuse("\"accesskey:a b\"", GOOD, "expected 1 to 64 of");
	refuse("accesskey:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", GOOD, "expected 1 to 64 of");
	refuse("[a]", GOOD, "got a list");
	refuse("~", GOOD, "got nothing");
	refuse_text("principals: uid:1\npolicy: {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n",
		    "principals: expected a list of principals, got a single value");
	refuse_text("principals: {}\npolicy: {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n",
		    "principals: expected a list of principals, got a map");
}

static void test_bad_statements(void **state)
{
	(void)state;
	refuse("uid:1", "  - {Action: \"*\", Resource: \"*\"}\n", ":5: Effect: missing");
	refuse("uid:1", "  - {Effect: allow, Action: \"*\", Resource: \"*\"}\n", "expected Allow or Deny, got \"allow\"");
	refuse("uid:1", "  - {Effect: [Allow], Action: \"*\", Resource: \"*\"}\n", "expected Allow or Deny, got a list");
	refuse("uid:1", "  - {Effect: Allow, Resource: \"*\"}\n", "Action: missing, expected Action or NotAction");
	refuse("uid:1", "  - {Effect: Allow, Action: \"*\", NotAction: \"*\", Resource: \"*\"}\n",
	       "expected Action or NotAction, got both");
	refuse("uid:1", "  - {Effect: Allow, Action: [], Resource: \"*\"}\n", "Action: expected an action, got an empty list");
	refuse("uid:1", "  - {Effect: Allow, NotAction: [], Resource: \"*\"}\n", "NotAction: expected an action");
	refuse("uid:1", "  - {Effect: Allow, Action: CreateBackup, Resource: \"*\"}\n", "got \"CreateBackup\"");
	refuse("uid:1", "  - {Effect: Allow, Action: \"\", Resource: \"*\"}\n", "got nothing");
	refuse("uid:1", "  - {Effect: Allow, Action: {}, Resource: \"*\"}\n", "a list of them, got a map");
	refuse("uid:1", "  - {Effect: Allow, Action: \"*\"}\n", "Resource: missing");
	refuse("uid:1", "  - {Effect: Allow, Action: \"*\", Resource: []}\n", "Resource: expected a resource, got an empty");
	refuse("uid:1", "  - {Effect: Allow, Action: \"*\", Resource: pc-a}\n", "got \"pc-a\"");
	refuse("uid:1", "  - {Effect: Allow, Action: \"*\", Resource: \"ACS:polardb:*\"}\n", "got \"ACS:polardb:*\"");
	refuse("uid:1", "  - {Effect: Allow, Action: \"*\", Resource: [\"*\", ~]}\n", "got nothing");
	refuse("uid:1", "  - {Effect: Allow, Action: \"*\", Resource: \"*\", NotResource: \"*\"}\n",
	       "unknown key \"NotResource\"; expected one of Effect, Action, NotAction, Resource, Condition");
	refuse("uid:1", "  - {Effect: Allow, Action: \"*\", Action: \"*\", Resource: \"*\"}\n", "Action: given twice");
	refuse("uid:1", "  - {Effect: Allow, [a]: b, Action: \"*\", Resource: \"*\"}\n", "expected a plain key, got a list");
}

static void test_bad_conditions(void **state)
{
	(void)state;
	refuse_condition("~", "Condition: expected a map of operators, got nothing");
	refuse_condition("{}", "Condition: expected a map of operators, got an empty map");
	refuse_condition("[]", "Condition: expected a map of operators, got a list");
	refuse_condition("{StringEquals: {}}", "StringEquals: expected a map of condition keys, got an empty map");
	refuse_condition("{StringEquals: x}", "StringEquals: expected a map of condition keys, got a single value");
	refuse_condition("{IpAddress: {acs:SourceIp: 1}}", "unknown operator \"IpAddress\"");
	refuse_condition("{stringEquals: {dbsnap:BackupMode: Manual}}", "unknown operator \"stringEquals\"");
	refuse_condition("{StringEquals: {acs:SourceIp: a}}", "unknown condition key \"acs:SourceIp\"");
	refuse_condition("{StringEquals: {dbsnap:peeruid: a}}", "unknown condition key \"dbsnap:peeruid\"");
	refuse_condition("{StringEquals: {dbsnap:PeerUid: a}}", "expected one of the operators Numeric... with dbsnap:PeerUid");
	refuse_condition("{NumericEquals: {acs:CurrentTime: 1}}", "expected one of the operators Date... with acs:CurrentTime");
	refuse_condition("{DateEquals: {dbsnap:BackupMode: Manual}}", "expected one of the operators String...");
	refuse_condition("{Bool: {dbsnap:BackupMode: true}}", "expected one of the operators String...");
	refuse_condition("{NumericEquals: {dbsnap:PeerUid: []}}", "got an empty list");
	refuse_condition("{NumericEquals: {dbsnap:PeerUid: x}}", "NumericEquals: expected a whole number, got \"x\"");
	refuse_condition("{NumericEquals: {dbsnap:PeerUid: 1.5}}", "expected a whole number");
	refuse_condition("{NumericEquals: {dbsnap:PeerUid: [1, 9223372036854775808]}}", "expected a whole number");
	refuse_condition("{NumericEquals: {dbsnap:PeerUid: +1}}", "expected a whole number");
	refuse_condition("{NumericEquals: {dbsnap:PeerUid: }}", "expected a whole number, got nothing");
	refuse_condition("{DateEquals: {acs:CurrentTime: 2026-02-30T00:00:00Z}}", "expected a time such as");
	refuse_condition("{DateEquals: {acs:CurrentTime: 2026-02-03}}", "expected a time such as");
	refuse_condition("{DateEquals: {acs:CurrentTime: 2026-02-03T00:00:00}}", "expected a time such as");
	refuse_condition("{DateEquals: {acs:CurrentTime: 2026-02-03T00:00:00+0200}}", "expected a time such as");
	refuse_condition("{DateEquals: {acs:CurrentTime: 2026-02-03T00:00:00+24:00}}", "expected a time such as");
	refuse_condition("{DateEquals: {acs:CurrentTime: 2026-02-03T00:00:00ZZ}}", "expected a time such as");
	refuse_condition("{NumericEquals: {dbsnap:PeerUid: 1, dbsnap:PeerUid: 2}}", "dbsnap:PeerUid: given twice");
	refuse_condition("{NumericEquals: {dbsnap:PeerUid: 1}, NumericEquals: {dbsnap:PeerGid: 1}}",
			 "NumericEquals: given twice");
}

static void test_all_errors_are_told(void **state)
{
	static const char text[] = "principals: [bob, user:bob, *x]\npolicy:\n  Version: 2\n  Statement:\n"
				   "  - {Effect: x, Resource: y, z: 1}\n  - {Effect: Deny, Action: a, NotAction: [], Resource: []}\n";
	struct policy *policy = policy_new();
	struct outcome outcome;

	(void)state;
	add_text(policy, text, sizeof(text) - 1, &outcome);
	assert_int_equal(outcome.error, ERR_INVALID);
	for (size_t i = 0; i < outcome.errors.count; i++)
		assert_null(strstr(outcome.errors.lines[i], "(null)"));
	assert_int_equal(outcome.errors.count, 11);
	clear(&outcome);
	policy_free(policy);
}

static void test_warnings(void **state)
{
	static const char statements[] =
		"  - {Effect: Allow, Action: [\"*\", \"ecs:*\", polardb:CloneBackup, polardb:CreatBackup], Resource: \"*\"}\n";
	struct policy *policy = policy_new();
	struct outcome outcome;
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text), form, "uid:1", statements);
	add_text(policy, text, strlen(text), &outcome);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(outcome.warnings.count, 3);
	assert_string_equal(outcome.warnings.lines[0],
			    "/etc/p.d/10-a.yaml:5: Action: \"ecs:*\" is no action of this daemon: it does nothing");
	assert_string_equal(outcome.warnings.lines[1], "/etc/p.d/10-a.yaml:5: Action: \"polardb:CloneBackup\" is no action "
						       "of this daemon: it does nothing; it is called dbsnap:CloneBackup");
	clear(&outcome);
	policy_free(policy);
}

static void test_json(void **state)
{
	static const char text[] =
		"{\n\t\"principals\": [\"*\"],\n\t\"policy\": {\n\t\t\"Version\": \"1\",\n\t\t\"Statement\": [\n\t\t\t{\n"
		"\t\t\t\t\"Effect\": \"Allow\",\n\t\t\t\t\"Action\": [\"polardb:\\u0043reateBackup\"],\n"
		"\t\t\t\t\"Resource\": \"acs:polardb:*:*:dbcluster\\/pc-a\",\n"
		"\t\t\t\t\"Condition\": {\"NumericEquals\": {\"dbsnap:PeerUid\": [\"1000\", 7]}}\n\t\t\t}\n\t\t]\n\t}\n}\n";
	struct policy *policy = policy_new();
	struct policy_question asked = question("pc-a", OPERATION_CREATE_BACKUP);
	struct outcome outcome;

	(void)state;
	add_text(policy, text, sizeof(text) - 1, &outcome);
	if (outcome.error < 0)
		fail_msg("%s", outcome.errors.lines[0]);
	assert_int_equal(ask(policy, &asked), POLICY_ALLOWED);
	asked.caller.uid = 8;
	assert_int_equal(ask(policy, &asked), POLICY_SILENT);
	clear(&outcome);
	policy_free(policy);
}

static void test_encoding(void **state)
{
	static const char statements[] =
		"  - {Effect: Allow, Action: \"*\", Resource: [\"*\", \"" ID("pc-a") "\"], Condition: "
		"{NumericEquals: {dbsnap:PeerUid: [1000, -7]}, StringLike: {dbsnap:BackupMode: \"*\"}}}\n"
		"  - {Effect: Deny, Action: polardb:DeleteBackup, Resource: \"*\"}\n";
	static const uint8_t worked[] = {1, 0, 1, 'a', 0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
					 0, 0, 0, 1, 0, 1, 0, 1, '*', 0, 0};
	struct policy *policy = accept("user:alice, uid:3, group:dba, accesskey:AK", statements);
	struct policy *copy = policy_new();
	uint8_t bytes[POLICY_STATEMENT_SIZE_MAX], again[POLICY_STATEMENT_SIZE_MAX];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int size = policy_statement_encode(policy_at(policy, i), bytes, sizeof(bytes));

		assert_true(size > 0);
		assert_int_equal(policy_statement_encode(policy_at(policy, i), again, (size_t)size - 1), ERR_TOO_LONG);
		assert_int_equal(policy_add_encoded(copy, bytes, (size_t)size), 0);
		assert_int_equal(policy_statement_encode(policy_at(copy, i), again, sizeof(again)), size);
		assert_memory_equal(bytes, again, (size_t)size);
		for (int cut = 0; cut < size; cut++)
			assert_int_equal(policy_add_encoded(copy, bytes, (size_t)cut), ERR_INVALID);
		bytes[size] = 0;
		assert_int_equal(policy_add_encoded(copy, bytes, (size_t)size + 1), ERR_INVALID);
	}
	assert_int_equal(policy_count(copy), 2);
	assert_int_equal(policy_add_encoded(copy, worked, sizeof(worked)), 0);
	assert_string_equal(policy_statement_file(policy_at(copy, 2)), "a");
	assert_null(policy_at(copy, 3));
	policy_free(copy);
	policy_free(policy);
}

/* A statement that fits, and one byte more; as many statements as there may be, and one more. */
static void test_limits(void **state)
{
	enum { ROOM = 1 << 20 };
	struct policy *policy = policy_new();
	char *text = malloc(ROOM), *resource = malloc(POLICY_STATEMENT_SIZE_MAX + 1);
	struct outcome outcome;
	int used;

	(void)state;
	assert_true(text && resource);
	memset(resource, '*', POLICY_STATEMENT_SIZE_MAX);
	for (int over = 0; over <= 1; over++) {
		/* effect, file, line, who, actions, counts: what the worked example has, without the resource and "a" */
		int length = POLICY_STATEMENT_SIZE_MAX - (30 - 2 + (int)strlen("10-a.yaml")) + over;

		snprintf(text, ROOM, "principals: [\"*\"]\npolicy:\n  Version: \"1\"\n  Statement:\n"
				     "  - {Effect: Allow, Action: \"*\", Resource: \"%.*s\"}\n", length, resource);
		add_text(policy, text, strlen(text), &outcome);
		assert_int_equal(outcome.error, over ? ERR_INVALID : 0);
		if (over)
			assert_non_null(strstr(outcome.errors.lines[0], ":5: Statement: expected a smaller statement"));
		clear(&outcome);
	}
	used = snprintf(text, ROOM, "principals: [\"*\"]\npolicy:\n  Version: \"1\"\n  Statement:\n");
	for (int i = 1; i < POLICY_STATEMENTS_MAX; i++)
		used += snprintf(text + used, (size_t)(ROOM - used), GOOD);
	add_text(policy, text, (size_t)used, &outcome);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(policy_count(policy), POLICY_STATEMENTS_MAX);
	clear(&outcome);
	snprintf(text, ROOM, form, "uid:1", GOOD);
	add_text(policy, text, strlen(text), &outcome);
	assert_int_equal(outcome.error, ERR_INVALID);
	assert_non_null(strstr(outcome.errors.lines[0], "expected at most 4096 statements"));
	assert_int_equal(policy_count(policy), POLICY_STATEMENTS_MAX);
	clear(&outcome);
	policy_free(policy);
	free(resource);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_unknown_cluster),
		cmocka_unit_test(test_allows_some),
		cmocka_unit_test(test_deny_wins),
		cmocka_unit_test(test_principals),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_bad_principals),
		cmocka_unit_test(test_bad_statements),
		cmocka_unit_test(test_bad_conditions),
		cmocka_unit_test(test_all_errors_are_told),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
