/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A retired cluster's note: what is written comes back, and nothing else is taken for it. */
#include "daemon/engine/note.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct nonce install = {.bytes = {1, 2, 3, [15] = 255}};

static void make_cluster(struct conf_cluster *c)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->id, sizeof(c->id), "%s", "pc-orders");
	snprintf(c->description, sizeof(c->description), "%s", "Orders \"1\" \\ \xc3\xa9");
	snprintf(c->data_dir, sizeof(c->data_dir), "%s", "/srv/pg/\xff\t/main");
	memset(c->snapshot_dir, 's', sizeof(c->snapshot_dir) - 1);
	c->snapshot_dir[0] = '/';
	c->backend = CONF_BACKEND_BTRFS;
	c->database.type = CONF_DATABASE_POSTGRESQL;
	c->min_free = (struct schema_floor){.percent = 5, .bytes = INT64_MAX};
	c->identity_known = true;
	c->identity = (struct proc_identity){.uid = 104, .gid = UINT32_MAX - 1, .group_count = 64};
	for (unsigned i = 0; i < 64; i++)
		c->identity.groups[i] = 1000 + i;
}

static int decode(const char *text, struct conf_cluster *ret_cluster)
{
	struct nonce nonce;
	int error = note_decode(text, strlen(text), ret_cluster, &nonce);

	if (error == 0)
		assert_true(nonce_equal(&nonce, &install));
	return error;
}

static void comes_back(void **state)
{
	static struct conf_cluster in, out;
	char *text;

	(void)state;
	make_cluster(&in);
	for (int owner = 0; owner < 3; owner++) {
		in.identity_from_owner = owner == 1;
		in.identity_known = owner == 0;
		if (owner)
			memset(&in.identity, 0, sizeof(in.identity));
		text = note_encode(&in, &install);
		assert_non_null(text);
		assert_int_equal(decode(text, &out), 0);
		assert_memory_equal(&in, &out, sizeof(in));
		free(text);
	}
}

/* Secrets, and what only a registered cluster has, are not in it. */
static void says_no_more_than_needed(void **state)
{
	static struct conf_cluster in, out;
	char *text;

	(void)state;
	make_cluster(&in);
	snprintf(in.database.conninfo, sizeof(in.database.conninfo), "%s", "password=geheim");
	snprintf(in.refusal, sizeof(in.refusal), "%s", "there is no user");
	snprintf(in.file, sizeof(in.file), "%s", "/etc/dbsnap/clusters.d/x.yaml");
	text = note_encode(&in, &install);
	assert_null(strstr(text, "geheim"));
	assert_int_equal(decode(text, &out), 0);
	assert_int_equal(out.database.conninfo[0] + out.refusal[0] + out.file[0], 0);
	free(text);
}

/* The text with one value replaced. */
static int decode_with(const char *from, const char *to)
{
	static struct conf_cluster in, out;
	char *text, *at, changed[8192];
	int error;

	make_cluster(&in);
	text = note_encode(&in, &install);
	at = strstr(text, from);
	assert_non_null(at);
	snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	free(text);
	memset(&out, 0x5a, sizeof(out));
	error = decode(changed, &out);
	if (error < 0)
		assert_int_equal(((unsigned char *)&out)[sizeof(out) / 2], 0x5a);
	return error;
}

static void refuses_what_is_not_a_note(void **state)
{
	static struct conf_cluster out;

	(void)state;
	assert_int_equal(decode_with("\"pc-orders\"", "\"pc-orders2\""), 0);
	assert_int_equal(decode_with("\"pc-orders\"", "\"../orders\""), ERR_CORRUPT);
	assert_int_equal(decode_with("\"/srv", "\"srv"), ERR_CORRUPT);
	assert_int_equal(decode_with("\"/sss", "\"sss"), ERR_CORRUPT);
	assert_int_equal(decode_with("\"btrfs\"", "\"zfs\""), ERR_CORRUPT);
	assert_int_equal(decode_with("\"postgresql\"", "\"oracle\""), ERR_CORRUPT);
	assert_int_equal(decode_with("\"min_free_percent\": 5", "\"min_free_percent\": 101"), ERR_CORRUPT);
	assert_int_equal(decode_with("\"uid\": 104", "\"uid\": -1"), ERR_CORRUPT);
	assert_int_equal(decode_with("\"uid\"", "\"uidx\""), ERR_CORRUPT);
	assert_int_equal(decode_with("{\"gid\": 1000},", "{\"gid\": 1000}, {\"gid\": 1000},"), ERR_CORRUPT);
	assert_int_equal(decode_with("\"version\": 1", "\"version\": 2"), ERR_VERSION);
	assert_int_equal(decode_with("\"kind\": \"cluster\"", "\"kind\": \"marker\""), ERR_CORRUPT);
	assert_int_equal(decode("", &out), ERR_CORRUPT);
	assert_int_equal(decode("{}", &out), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(says_no_more_than_needed),
		cmocka_unit_test(refuses_what_is_not_a_note),
	};

	return cmocka_run_group_tests_name("note", tests, NULL, NULL);
}
