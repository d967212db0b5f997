/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The default policy, and who the kernel says is at the other end. */
#include "daemon/front/authz.h"

#include "tests/unit/cmocka_all.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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
	struct msg_config conf = {.daemon_uid = 77, .socket_gid = 500};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		gid_t groups[] = {7, cases[i].group};
		struct peer peer = {cases[i].uid, cases[i].gid, groups, 2};

		if (authz_allows(&conf, &peer, "", cases[i].group_may) != cases[i].allowed)
			fail_msg("case %zu", i);
		if (authz_allows(&conf, &peer, "testid", cases[i].group_may))
			fail_msg("case %zu, signed", i);
	}
}

static void test_peer(void **state)
{
	struct peer peer = {0};
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
	free(mine);
	peer_clear(&peer);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_policy),
		cmocka_unit_test(test_peer),
	};

	return cmocka_run_group_tests_name("authz", tests, NULL, NULL);
}
