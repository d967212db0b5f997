/* SPDX-License-Identifier: GPL-3.0-or-later */
/* marker.json, intent, manifest.json: what is written comes back, and nothing else is taken for it. */
#include "daemon/engine/manifest.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each byte that a string may hold. */
static void fill_bytes(char *text, size_t size)
{
	for (size_t i = 0; i + 1 < size; i++)
		text[i] = (char)(1 + i % 255);
	text[size - 1] = '\0';
}

static void make_manifest(struct manifest *m)
{
	memset(m, 0, sizeof(*m));
	nonce_make(&m->install);
	nonce_make(&m->facts.nonce);
	snprintf(m->cluster, sizeof(m->cluster), "%s", "pc-orders");
	m->backup = m->job = INT64_MAX;
	m->attempt = UINT32_MAX;
	m->facts.accepted_ms = INT64_MAX;
	m->facts.started_ms = -1;
	m->facts.consistent_ms = 1700000000123;
	m->facts.cut_us = UINT64_MAX;
	m->facts.size = 12345678901234;
	m->facts.size_known = true;
	m->facts.mode = MODE_AUTOMATED;
	snprintf(m->facts.backend, sizeof(m->facts.backend), "%s", "btrfs");
	snprintf(m->facts.procedure, sizeof(m->facts.procedure), "%s", "A");
	snprintf(m->facts.promise, sizeof(m->facts.promise), "%s", "atomic");
	snprintf(m->facts.weakened, sizeof(m->facts.weakened), "%s", "full_page_writes is off\nsecond \"line\" \\");
	snprintf(m->database, sizeof(m->database), "%s", "postgresql");
	fill_bytes(m->data_dir, sizeof(m->data_dir));
	fill_bytes(m->skipped, sizeof(m->skipped));
	snprintf(m->config, sizeof(m->config), "%s", "etc%postgresql.conf\netc%pg_hba.conf");
	m->uid = 104;
	m->gid = UINT32_MAX;
	m->part_count = MANIFEST_PARTS_MAX;
	for (size_t i = 0; i < m->part_count; i++) {
		snprintf(m->parts[i].role, sizeof(m->parts[i].role), "tablespace %zu", i);
		m->parts[i].oid = (uint32_t)i;
		fill_bytes(m->parts[i].path, sizeof(m->parts[i].path));
	}
}

static void comes_back(void **state)
{
	static struct manifest in, out;
	char *text;

	(void)state;
	make_manifest(&in);
	text = manifest_encode(&in);
	assert_non_null(text);
	for (const char *c = text; *c; c++)
		assert_true(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
	assert_int_equal(manifest_decode(text, strlen(text), &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_true(strlen(text) < MANIFEST_BYTES_MAX);
	free(text);
}

/* A crash can leave any beginning of a file: none of them is one. */
static void no_beginning_is_taken(void **state)
{
	static struct manifest m, out;
	char *text;
	size_t length;

	(void)state;
	make_manifest(&m);
	m.part_count = 2;
	m.data_dir[20] = m.skipped[20] = m.parts[0].path[20] = m.parts[1].path[20] = '\0';
	text = manifest_encode(&m);
	length = strlen(text);
	for (size_t cut = 0; cut < length - 2; cut++)
		assert_int_equal(manifest_decode(text, cut, &out), ERR_CORRUPT);
	free(text);
}

#define HEAD "{\n  \"version\": 1,\n  \"kind\": \"intent\",\n  \"install\": \"0123456789abcdef0123456789abcdef\",\n"
#define BODY "  \"cluster\": \"pc-orders\",\n  \"backup\": 7,\n  \"nonce\": \"fedcba9876543210fedcba9876543210\",\n" \
	     "  \"job\": 7,\n  \"attempt\": 1"

static int decode(const char *text, struct intent *ret_intent)
{
	return intent_decode(text, strlen(text), ret_intent);
}

static void worked_example(void **state)
{
	struct intent intent;
	char hex[IDENT_HEX_SIZE];

	(void)state;
	assert_int_equal(decode(HEAD BODY "\n}\n", &intent), 0);
	assert_string_equal(intent.cluster, "pc-orders");
	assert_int_equal(intent.backup, 7);
	assert_int_equal(intent.attempt, 1);
	nonce_format(&intent.nonce, hex);
	assert_string_equal(hex, "fedcba9876543210fedcba9876543210");
	assert_int_equal(intent.made_ms, 0);
}

static void unknown_keys_are_ignored(void **state)
{
	struct intent intent;

	(void)state;
	assert_int_equal(decode(HEAD BODY ", \"later\": {\"a\": [1, {\"b\": \"c\"}], \"d\": null}, \"more\": []\n}\n", &intent), 0);
	assert_int_equal(intent.backup, 7);
}

static void refusals(void **state)
{
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{"", ERR_CORRUPT},
		{"{}", ERR_CORRUPT},
		{"[]", ERR_CORRUPT},
		{HEAD BODY ", \"backup\": 8}", ERR_CORRUPT},
		{HEAD BODY ", \"version\": 1}", ERR_CORRUPT},
		{HEAD BODY ", \"port\": 4294967296}", ERR_CORRUPT},
		{HEAD BODY ", \"port\": -1}", ERR_CORRUPT},
		{HEAD BODY ", \"port\": \"1\"}", ERR_CORRUPT},
		{HEAD BODY ", \"port\": 0x10}", ERR_CORRUPT},
		{HEAD BODY ", \"port\": }", ERR_CORRUPT},
		{HEAD BODY ", \"port\": [1]}", ERR_CORRUPT},
		{HEAD BODY ", \"clone\": \"../etc\"}", ERR_CORRUPT},
		{HEAD BODY ", \"clone\": plain}", ERR_CORRUPT},
		{HEAD BODY ", \"clone\": \"a\\u0000b\"}", ERR_CORRUPT},
		{HEAD BODY ", \"backend\": \"longer-than-sixteen\"}", ERR_CORRUPT},
		{HEAD BODY ", \"backend\": \"\\u0100\"}", ERR_CORRUPT},
		{HEAD BODY ", \"backend\": \"\\u0141\"}", ERR_CORRUPT},
		{HEAD BODY ", \"x\": &a 1, \"y\": *a}", ERR_CORRUPT},
		{HEAD BODY "}\n---\n{}", ERR_CORRUPT},
		{HEAD BODY "} trailing", ERR_CORRUPT},
		{"{\"version\": 1, \"kind\": \"backup\"}", ERR_CORRUPT},
		{"{\"version\": 2, \"kind\": \"intent\"}", ERR_VERSION},
		{"{\"version\": 0, \"kind\": \"intent\"}", ERR_CORRUPT},
		{HEAD "  \"cluster\": \"PC\", \"backup\": 7, \"nonce\": \"fedcba9876543210fedcba9876543210\", \"job\": 7, "
		      "\"attempt\": 1}", ERR_CORRUPT},
		{HEAD "  \"cluster\": \"pc-orders\", \"backup\": 7, \"nonce\": \"fedc\", \"job\": 7, \"attempt\": 1}", ERR_CORRUPT},
		{HEAD "  \"cluster\": \"pc-orders\", \"backup\": 7, \"job\": 7, \"attempt\": 1}", ERR_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct intent intent = {.backup = 99};
		int error = decode(cases[i].text, &intent);

		if (error != cases[i].error)
			print_error("case %zu: %s\n", i, cases[i].text);
		assert_int_equal(error, cases[i].error);
		assert_int_equal(intent.backup, 99); /* untouched */
	}
}

static void one_part_too_many(void **state)
{
	static struct manifest m, out;
	char *text, *more, *end;
	size_t size;

	(void)state;
	make_manifest(&m);
	text = manifest_encode(&m);
	end = strrchr(text, ']');
	size = strlen(text) + 200;
	more = malloc(size);
	snprintf(more, size, "%.*s, {\"role\": \"\", \"oid\": 0, \"path\": \"\", \"fs_uuid\": \"\", \"subvolume_uuid\": \"\", "
		 "\"source_uuid\": \"\"}%s", (int)(end - text), text, end);
	assert_int_equal(manifest_decode(more, strlen(more), &out), ERR_CORRUPT);
	free(more);
	free(text);
}

static void marker_comes_back(void **state)
{
	struct marker in = {.cluster = "pc-orders", .data_dir = "/srv/p\xc3\xa4/\xff", .fs_uuid = "u"}, out;
	char *text;

	(void)state;
	nonce_make(&in.install);
	text = marker_encode(&in);
	assert_int_equal(marker_decode(text, strlen(text), &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(no_beginning_is_taken),
		cmocka_unit_test(worked_example),
		cmocka_unit_test(unknown_keys_are_ignored),
		cmocka_unit_test(refusals),
		cmocka_unit_test(one_part_too_many),
		cmocka_unit_test(marker_comes_back),
	};

	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
