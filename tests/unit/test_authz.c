/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policies put to use, the default one, and who the kernel says is at the other end. */
#include "daemon/front/authz.h"

#include "common/policy.h"
#include "daemon/front/front.h"

#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_allowed(const struct call *call, const char *cluster, const char *mode)
{
	struct policy_decision decision;

	return authz_allows(call, cluster, mode, &decision);
}

static void test_default_policy(void **state)
{
	static const struct {
		uint32_t uid, gid, group;
		bool group_may, allowed;
	} cases[] = {
		{0, 0, 0, false, true},	     {0, 500, 0, true, true},	   {77, 1, 1, false, true},   {77, 1, 1, true, true},
		{1000, 1000, 1, true, false}, {1000, 1000, 1, false, false}, {1000, 500, 1, true, true}, {1000, 500, 1, false, false},
		{1000, 1000, 500, true, true}, {1000, 1000, 500, false, false}, {500, 1000, 501, true, false},
	};
	struct front front = {.conf = {.daemon_uid = 77, .socket_gid = 500}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		gid_t groups[] = {7, cases[i].group};
		struct peer peer = {cases[i].uid, cases[i].gid, groups, 2};
		struct api_row row = {.operation = cases[i].group_may ? OPERATION_CREATE_BACKUP : OPERATION_CLONE_BACKUP};
		struct call call = {.front = &front, .peer = &peer, .row = &row};

		if (is_allowed(&call, "pc-a", NULL) != cases[i].allowed || is_allowed(&call, "", NULL) != cases[i].allowed ||
		    authz_allows_some(&call, NULL) != cases[i].allowed)
			fail_msg("case %zu", i);
		snprintf(call.key_id, sizeof(call.key_id), "testid");
		if (is_allowed(&call, "pc-a", NULL) || authz_allows_some(&call, NULL))
			fail_msg("case %zu, signed", i);
	}
}

static struct policy *read_policy(const char *text)
{
	struct policy *policy = policy_new();
	struct conf_errors errors = {0}, warnings = {0};

	assert_non_null(policy);
	assert_int_equal(policy_parse(policy, "10-test.yaml", text, strlen(text), NULL, NULL, &errors, &warnings), 0);
	conf_errors_clear(&errors);
	conf_errors_clear(&warnings);
	return policy;
}

/* What of a call goes into a policy's question. */
static void test_policies(void **state)
{
	struct front front = {.conf = {.region_id = "here", .account_id = "us", .daemon_uid = 77, .socket_gid = 500}};
	struct api_row row = {.operation = OPERATION_CREATE_BACKUP};
	gid_t groups[] = {7, 500};
	struct peer peer = {1000, 1, groups, 2}, root = {0, 0, groups, 0}, daemon = {77, 77, groups, 0};
	struct call call = {.front = &front, .peer = &peer, .row = &row};
	struct policy_decision decision;

	(void)state;
	front.policy = read_policy("principals: [\"uid:1000\"]\n"
				   "policy:\n"
				   "  Version: \"1\"\n"
				   "  Statement:\n"
				   "    - {Effect: Allow, Action: \"polardb:CreateBackup\", Resource: \"acs:polardb:here:us:dbcluster/pc-a\"}\n"
				   "    - {Effect: Allow, Action: \"dbsnap:*\", Resource: \"*\", Condition: {StringEquals: {dbsnap:BackupMode: Manual}}}\n");
	assert_true(authz_allows(&call, "pc-a", "Manual", &decision));
	authz_note(&call, &decision);
	assert_string_equal(call.decided, "10-test.yaml, line 5: Allow");
	assert_false(authz_allows(&call, "pc-b", "Manual", &decision));
	authz_note(&call, &decision);
	assert_string_equal(call.decided, "no statement allows it");
	assert_false(is_allowed(&call, "", NULL));
	assert_true(authz_allows_some(&call, NULL));
	row.operation = OPERATION_CLONE_BACKUP;
	assert_true(is_allowed(&call, "pc-b", "Manual"));
	assert_false(is_allowed(&call, "pc-b", "Automated"));
	assert_false(authz_allows_some(&call, NULL));
	assert_true(authz_allows_some(&call, "Manual"));
	snprintf(call.key_id, sizeof(call.key_id), "testid");
	assert_false(is_allowed(&call, "pc-b", "Manual"));
	call.key_id[0] = '\0';
	call.peer = &root;
	assert_false(is_allowed(&call, "pc-b", "Manual"));
	call.peer = &daemon;
	assert_false(is_allowed(&call, "pc-b", "Manual"));
	front.policy = policy_free(front.policy);
	front.policy = read_policy("principals: [\"accesskey:testid\"]\n"
				   "policy: {Version: \"1\", Statement: [{Effect: Allow, Action: \"*\", Resource: \"*\"}]}\n");
	assert_false(is_allowed(&call, "pc-b", "Manual"));
	snprintf(call.key_id, sizeof(call.key_id), "testid");
	assert_true(is_allowed(&call, "pc-b", "Manual"));
	front.policy = policy_free(front.policy);
}

static void test_peer(void **state)
{
	struct peer peer = {0}, copy;
	int pair[2];
	gid_t *mine;
	int count = getgroups(0, NULL);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(peer_read(pair[0], &peer), 0);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	assert_int_equal(peer.group_count, count);
	mine = calloc((size_t)count + 1, sizeof(*mine));
	assert_int_equal(getgroups(count, mine), count);
	for (int i = 0; i < count; i++)
		assert_true(peer_in_group(&peer, mine[i]));
	assert_true(peer_in_group(&peer, getegid()));
	assert_false(peer_in_group(&peer, 4000000000u));
	assert_int_equal(peer_copy(&peer, &copy), 0);
	peer_clear(&peer);
	assert_int_equal(copy.uid, geteuid());
	assert_int_equal(copy.gid, getegid());
	assert_int_equal(copy.group_count, count);
	for (int i = 0; i < count; i++)
		assert_true(peer_in_group(&copy, mine[i]));
	free(mine);
	peer_clear(&copy);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_policy),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_peer),
	};

	return cmocka_run_group_tests_name("authz", tests, NULL, NULL);
}
