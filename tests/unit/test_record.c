/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each format byte for byte, and what a decoder makes of bytes that no encoder
 * wrote: cut off at each byte, one too many, another version, values that do not
 * exist, random damage. Whatever a decoder takes, the encoder gives back as it was.
 */
#include "daemon/front/record.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
#define PRINT NONCE NONCE
#define T(n) "\x00\x00\x00\x00\x00\x00" n /* a 64-bit number by its last two bytes */

#define NONCE_BYTES {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}

static const struct record_backup backup = {
	.state = BACKUP_DELETING,
	.mode = BACKUP_AUTOMATED,
	.held = true,
	.refunded = true,
	.end_state = BACKUP_LOST,
	.accepted_ms = 0x0101,
	.ended_ms = 0x0102,
	.nonce = NONCE_BYTES,
	.started_ms = 0x0103,
	.consistent_ms = 0x0104,
	.expires_ms = 0x0105,
	.deleting_ms = 0x0106,
	.size = 0x0107,
	.size_ms = 0x0108,
	.cut_us = 0x0109,
	.freeze_us = 0x010a,
	.backend = "btrfs",
	.procedure = "A",
	.promise = "atomic",
	.weakened = "w1\nw2",
	.path = "/s/7/data",
	.server = "PG 15",
	.position = "0/3",
	.origin = {.principal = "uid:0", .request_id = "R"},
	.failure = {.code = -2, .cause = "c", .remedy = "r"},
	.last_error = "e",
	.verified = {.at_ms = 0x010b, .by = "uid:1", .result = RECORD_VERIFIED_BAD, .checked = "all", .found = "f1\nf2"},
};
static const char backup_bytes[] =
	"\x01\x07\x02\x03\x06" T("\x01\x01") T("\x01\x02") NONCE T("\x01\x03") T("\x01\x04") T("\x01\x05")
	T("\x01\x06") T("\x01\x07") T("\x01\x08") T("\x01\x09") T("\x01\x0a")
	"\x00\x05" "btrfs" "\x00\x01" "A" "\x00\x06" "atomic" "\x00\x05" "w1\nw2" "\x00\x09" "/s/7/data"
	"\x00\x05" "PG 15" "\x00\x03" "0/3" "\x00\x05" "uid:0" "\x00\x01" "R"
	"\xff\xff\xff\xfe" "\x00\x01" "c" "\x00\x01" "r" "\x00\x01" "e" T("\x01\x0b") "\x00\x05" "uid:1" "\x02"
	"\x00\x03" "all" "\x00\x05" "f1\nf2";

static const struct record_job job = {
	.state = JOB_OPEN,
	.kind = JOB_KIND_CREATE,
	.mode = BACKUP_MANUAL,
	.accepted_ms = 1000,
	.backup = 7,
	.token = {.size = 1, .bytes = "k"},
	.attempts = 1,
	.failures = 1,
	.started_ms = 1500,
	.origin = {.principal = "uid:0", .request_id = "R"},
	.failure = {.code = -2, .cause = "c", .remedy = "r"},
};
/* The example in record.c. */
static const char job_bytes[] =
	"\x01\x01\x01\x01" T("\x03\xe8") T("\x00\x00") T("\x00\x07") "\x00\x00" "\x01k"
	"\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00" T("\x05\xdc") T("\x00\x00") "\x00"
	"\x00\x05" "uid:0" "\x00\x01" "R" "\xff\xff\xff\xfe" "\x00\x01" "c" "\x00\x01" "r";

static const struct record_job other_job = {
	.state = JOB_CANCELLED,
	.kind = JOB_KIND_DELETE_CLONE,
	.accepted_ms = 0x0101,
	.ended_ms = 0x0102,
	.backup = 0x0103,
	.clone = "cl",
	.attempts = 5,
	.failures = 6,
	.cutoffs = 7,
	.started_ms = 0x0104,
	.bytes = 0x0105,
	.percent = 100,
};
static const char other_job_bytes[] =
	"\x01\x04\x04\x00" T("\x01\x01") T("\x01\x02") T("\x01\x03") "\x00\x02" "cl" "\x00"
	"\x00\x00\x00\x05\x00\x00\x00\x06\x00\x00\x00\x07" T("\x01\x04") T("\x01\x05") "\x64"
	"\x00\x00\x00\x00" "\x00\x00\x00\x00" "\x00\x00\x00\x00";

static const struct record_job quarantined_job = {
	.state = JOB_OPEN,
	.kind = JOB_KIND_DELETE_QUARANTINED,
	.accepted_ms = 0x0101,
	.backup = 0x0103,
	.item = 3,
	.nonce = NONCE_BYTES,
};
static const char quarantined_job_bytes[] =
	"\x01\x01\x07\x00" T("\x01\x01") T("\x00\x00") T("\x01\x03") "\x00\x00" "\x00"
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" T("\x00\x00") T("\x00\x00") "\x00"
	"\x00\x00\x00\x00" "\x00\x00\x00\x00" "\x00\x00\x00\x00" "\x03" NONCE;

static const struct record_job restore_job = {
	.state = JOB_DONE,
	.kind = JOB_KIND_RESTORE,
	.accepted_ms = 0x0101,
	.ended_ms = 0x0102,
	.backup = 0x0103,
	.nonce = NONCE_BYTES,
	.kept = "/d.before-7",
	.percent = 100,
};
static const char restore_job_bytes[] =
	"\x01\x02\x06\x00" T("\x01\x01") T("\x01\x02") T("\x01\x03") "\x00\x00" "\x00"
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" T("\x00\x00") T("\x00\x00") "\x64"
	"\x00\x00\x00\x00" "\x00\x00\x00\x00" "\x00\x00\x00\x00" NONCE "\x00\x0b/d.before-7";

static const struct record_clone clone = {
	.state = CLONE_FAILED,
	.cluster = "pc",
	.backup = 0x0101,
	.job = 0x0102,
	.nonce = NONCE_BYTES,
	.created_ms = 0x0103,
	.ended_ms = 0x0104,
	.expires_ms = 0x0105,
	.start = true,
	.port = 5432,
	.path = "/c",
	.socket_dir = "/s",
	.origin = {.principal = "uid:0", .request_id = "R"},
	.failure = {.code = -1, .cause = "c", .remedy = "r"},
	.last_error = "e",
};
static const char clone_bytes[] =
	"\x01\x03" "\x00\x02" "pc" T("\x01\x01") T("\x01\x02") NONCE T("\x01\x03") T("\x01\x04") T("\x01\x05")
	"\x15\x38" "\x00\x02" "/c" "\x00\x02" "/s" "\x00\x05" "uid:0" "\x00\x01" "R"
	"\xff\xff\xff\xff" "\x00\x01" "c" "\x00\x01" "r" "\x00\x01" "e" "\x01";

static const struct record_tomb tomb = {
	.end_state = BACKUP_AVAILABLE,
	.mode = BACKUP_MANUAL,
	.refunded = true,
	.accepted_ms = 1000,
	.deleted_ms = 2000,
	.nonce = NONCE_BYTES,
};
static const char tomb_bytes[] = "\x01\x03\x01\x02" T("\x03\xe8") T("\x07\xd0") NONCE;

static const struct record_token token = {
	.fingerprint = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
			 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
	.job = 0x0101,
	.created_ms = 0x0102,
};
static const char token_bytes[] = "\x01" PRINT T("\x01\x01") T("\x01\x02");

static const struct record_token_end token_end = {.start = NONCE_BYTES, .running_ms = -2};
static const char token_end_bytes[] = "\x01" NONCE "\xff\xff\xff\xff\xff\xff\xff\xfe";

static const struct record_facts facts = {
	.layout = RECORD_LAYOUT_REFUSED,
	.checked_ms = 0x0101,
	.size = 0x0102,
	.size_ms = 0x0103,
	.db_type = "none",
	.db_version = "v",
	.backend = "copy",
	.procedure = "A",
	.promise = "p",
	.refusal = "no",
	.remedy = "do",
	.description = "Orders",
	.data_dir = "/d",
	.snapshot_dir = "/s",
};
static const char facts_bytes[] =
	"\x01\x02" T("\x01\x01") T("\x01\x02") T("\x01\x03") "\x00\x04" "none" "\x00\x01" "v" "\x00\x04" "copy"
	"\x00\x01" "A" "\x00\x01" "p" "\x00\x02" "no" "\x00\x02" "do" "\x00\x06" "Orders" "\x00\x02" "/d"
	"\x00\x02" "/s";

static const struct record_day day = {.accepted = 3, .refunded = 1};
static const char day_bytes[] = "\x01\x00\x00\x00\x03\x00\x00\x00\x01";

static const struct record_schedule schedule = {
	.policy = {.enabled = true, .days = 0x7f, .hour = 2, .every_hours = 24, .on_removal = 3, .level1_days = 7,
		   .level2_days = -1},
	.served_ms = 1000,
	.create = 7,
	.tries = 1,
};
static const char schedule_bytes[] =
	"\x01\x01\x7f\x02\x18\x03\x07\xff\xff" T("\x03\xe8") T("\x00\x07") "\x00\x00\x00\x01";

static const struct schedule_guard guard = {.wall_ms = -2, .running_ms = 0x0101, .ahead_ms = 0x0102, .left_ms = 0x0103};
static const char guard_bytes[] = "\x01\xff\xff\xff\xff\xff\xff\xff\xfe" T("\x01\x01") T("\x01\x02") T("\x01\x03");
#define record_guard schedule_guard

/* ---- one shape for all records: decode, and if that works give the bytes anew ---- */

#define CODEC(name) \
	static int again_##name(const void *bytes, size_t size, void *copy) \
	{ \
		struct record_##name record; \
		int rc = record_##name##_decode(bytes, size, &record); \
\
		return rc < 0 ? rc : record_##name##_encode(&record, copy, RECORD_MAX); \
	}
CODEC(backup)
CODEC(job)
CODEC(clone)
CODEC(tomb)
CODEC(token)
CODEC(token_end)
CODEC(facts)
CODEC(counts)
CODEC(day)
CODEC(schedule)
CODEC(guard)

typedef int again_fn(const void *bytes, size_t size, void *copy);

struct sample {
	const char *name;
	again_fn *again;
	const void *bytes;
	size_t size;
};

/* From memory of exactly that size, so that a sanitizer sees one byte too far. */
static int again_exact(again_fn *again, const void *bytes, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	uint8_t copy[RECORD_MAX];
	int rc;

	memcpy(exact, bytes, size);
	rc = again(exact, size, copy);
	if (rc >= 0) {
		assert_int_equal(rc, size);
		assert_memory_equal(copy, exact, size);
	}
	free(exact);
	return rc;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

static void check_damage(const struct sample *sample)
{
	uint8_t bytes[RECORD_MAX];
	uint64_t seed = 20261124;

	memcpy(bytes, sample->bytes, sample->size);
	assert_int_equal(again_exact(sample->again, bytes, sample->size), sample->size);
	for (size_t size = 0; size < sample->size; size++)
		assert_int_equal(again_exact(sample->again, bytes, size), ERR_CORRUPT);
	bytes[sample->size] = 0;
	assert_int_equal(again_exact(sample->again, bytes, sample->size + 1), ERR_CORRUPT);
	for (int version = 0; version < 256; version++) {
		bytes[0] = (uint8_t)version;
		assert_int_equal(again_exact(sample->again, bytes, sample->size),
				 version == 1 ? (int)sample->size : version == 0 ? ERR_CORRUPT : ERR_VERSION);
	}
	for (int i = 0; i < 20000; i++) {
		int rc;

		memcpy(bytes, sample->bytes, sample->size);
		for (uint64_t flips = next_random(&seed) % 3 + 1; flips > 0; flips--)
			bytes[1 + next_random(&seed) % (sample->size - 1)] = (uint8_t)next_random(&seed);
		rc = again_exact(sample->again, bytes, sample->size);
		assert_true(rc == (int)sample->size || rc == ERR_CORRUPT);
	}
}

#define SAMPLE(type, bytes) {#bytes, again_##type, bytes, sizeof(bytes) - 1}

static void damage(void **state)
{
	static const struct sample samples[] = {
		SAMPLE(backup, backup_bytes), SAMPLE(job, job_bytes),     SAMPLE(job, other_job_bytes),
		SAMPLE(job, quarantined_job_bytes), SAMPLE(job, restore_job_bytes),
		SAMPLE(clone, clone_bytes),   SAMPLE(tomb, tomb_bytes),   SAMPLE(token, token_bytes),
		SAMPLE(token_end, token_end_bytes), SAMPLE(facts, facts_bytes), SAMPLE(day, day_bytes),
		SAMPLE(schedule, schedule_bytes), SAMPLE(guard, guard_bytes),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		print_message("# %s\n", samples[i].name); /* which one, if it fails */
		check_damage(&samples[i]);
	}
}

/* The bytes, and that a buffer one byte shorter is refused. */
#define CHECK_BYTES(type, record, want) \
	do { \
		uint8_t bytes_[RECORD_MAX]; \
\
		assert_int_equal(record_##type##_encode(record, bytes_, sizeof(bytes_)), sizeof(want) - 1); \
		assert_memory_equal(bytes_, want, sizeof(want) - 1); \
		assert_int_equal(record_##type##_encode(record, bytes_, sizeof(want) - 2), ERR_TOO_LONG); \
	} while (0)

static void worked_examples(void **state)
{
	(void)state;
	CHECK_BYTES(backup, &backup, backup_bytes);
	CHECK_BYTES(job, &job, job_bytes);
	CHECK_BYTES(job, &other_job, other_job_bytes);
	CHECK_BYTES(job, &quarantined_job, quarantined_job_bytes);
	CHECK_BYTES(job, &restore_job, restore_job_bytes);
	CHECK_BYTES(clone, &clone, clone_bytes);
	CHECK_BYTES(tomb, &tomb, tomb_bytes);
	CHECK_BYTES(token, &token, token_bytes);
	CHECK_BYTES(token_end, &token_end, token_end_bytes);
	CHECK_BYTES(facts, &facts, facts_bytes);
	CHECK_BYTES(day, &day, day_bytes);
	CHECK_BYTES(schedule, &schedule, schedule_bytes);
	CHECK_BYTES(guard, &guard, guard_bytes);
}

static void decoded_members(void **state)
{
	struct record_backup got;
	struct record_job got_job;

	(void)state;
	assert_int_equal(record_backup_decode(backup_bytes, sizeof(backup_bytes) - 1, &got), 0);
	assert_int_equal(got.state, BACKUP_DELETING);
	assert_int_equal(got.end_state, BACKUP_LOST);
	assert_true(got.held && got.refunded);
	assert_int_equal(got.consistent_ms, 0x0104);
	assert_string_equal(got.weakened, "w1\nw2");
	assert_string_equal(got.failure.remedy, "r");
	assert_int_equal(got.failure.code, -2);
	assert_int_equal(got.verified.result, RECORD_VERIFIED_BAD);
	assert_string_equal(got.verified.checked, "all");
	assert_string_equal(got.verified.found, "f1\nf2");
	assert_string_equal(got.cluster, "");
	assert_int_equal(record_job_decode(job_bytes, sizeof(job_bytes) - 1, &got_job), 0);
	assert_int_equal(got_job.kind, JOB_KIND_CREATE);
	assert_int_equal(got_job.token.size, 1);
	assert_int_equal(got_job.failures, 1);
}

static void peeks(void **state)
{
	struct record_backup_peek peek = {.accepted_ms = 77};
	struct record_job_peek job_peek = {.accepted_ms = 77};

	(void)state;
	assert_int_equal(record_backup_peek(backup_bytes, 13, &peek), 0);
	assert_int_equal(peek.state, BACKUP_DELETING);
	assert_int_equal(peek.mode, BACKUP_AUTOMATED);
	assert_true(peek.held && peek.refunded);
	assert_int_equal(peek.accepted_ms, 0x0101);
	assert_int_equal(record_job_peek(other_job_bytes, 20, &job_peek), 0);
	assert_int_equal(job_peek.state, JOB_CANCELLED);
	assert_int_equal(job_peek.kind, JOB_KIND_DELETE_CLONE);
	assert_int_equal(job_peek.mode, 0);
	assert_int_equal(job_peek.accepted_ms, 0x0101);
	assert_int_equal(job_peek.ended_ms, 0x0102);
	for (size_t size = 0; size < 13; size++)
		assert_int_equal(record_backup_peek(backup_bytes, size, &peek), ERR_CORRUPT);
	for (size_t size = 0; size < 20; size++)
		assert_int_equal(record_job_peek(job_bytes, size, &job_peek), ERR_CORRUPT);
	assert_int_equal(record_backup_peek("\x02", 1, &peek), ERR_VERSION);
	assert_int_equal(record_job_peek("\x02", 1, &job_peek), ERR_VERSION);
	assert_int_equal(peek.accepted_ms, 0x0101); /* untouched */
	assert_int_equal(job_peek.accepted_ms, 0x0101);
}

/* Every value of the bytes that stand for an enum: only what an encoder writes is taken. */
static void enums_out_of_range(void **state)
{
	uint8_t bytes[RECORD_MAX];

	(void)state;
	for (int value = 0; value < 256; value++) {
		/* with end_state none: PENDING, AVAILABLE, FAILED, CANCELLED, LOST */
		bool stored = value == 1 || (value >= 3 && value <= 6);

		memcpy(bytes, backup_bytes, sizeof(backup_bytes));
		bytes[4] = 0;
		bytes[1] = (uint8_t)value;
		assert_int_equal(again_backup(bytes, sizeof(backup_bytes) - 1, bytes) > 0, stored);
		memcpy(bytes, backup_bytes, sizeof(backup_bytes));
		bytes[4] = (uint8_t)value; /* with DELETING: a final state */
		assert_int_equal(again_backup(bytes, sizeof(backup_bytes) - 1, bytes) > 0, value >= 3 && value <= 6);
		memcpy(bytes, backup_bytes, sizeof(backup_bytes));
		bytes[2] = (uint8_t)value;
		assert_int_equal(again_backup(bytes, sizeof(backup_bytes) - 1, bytes) > 0, value == 1 || value == 2);
		memcpy(bytes, backup_bytes, sizeof(backup_bytes));
		bytes[3] = (uint8_t)value;
		assert_int_equal(again_backup(bytes, sizeof(backup_bytes) - 1, bytes) > 0, value <= 7);
		memcpy(bytes, job_bytes, sizeof(job_bytes));
		bytes[1] = (uint8_t)value;
		assert_int_equal(again_job(bytes, sizeof(job_bytes) - 1, bytes) > 0, value >= 1 && value <= 4);
		memcpy(bytes, other_job_bytes, sizeof(other_job_bytes));
		bytes[2] = (uint8_t)value; /* a create would need a mode */
		assert_int_equal(again_job(bytes, sizeof(other_job_bytes) - 1, bytes) > 0, value >= 2 && value <= 5);
		memcpy(bytes, quarantined_job_bytes, sizeof(quarantined_job_bytes));
		bytes[2] = (uint8_t)value; /* what it removes has no place in others */
		assert_int_equal(again_job(bytes, sizeof(quarantined_job_bytes) - 1, bytes) > 0, value == 7);
		memcpy(bytes, job_bytes, sizeof(job_bytes));
		bytes[3] = (uint8_t)value;
		assert_int_equal(again_job(bytes, sizeof(job_bytes) - 1, bytes) > 0, value == 1 || value == 2);
		memcpy(bytes, clone_bytes, sizeof(clone_bytes));
		bytes[1] = (uint8_t)value;
		assert_int_equal(again_clone(bytes, sizeof(clone_bytes) - 1, bytes) > 0, value >= 1 && value <= 4);
		memcpy(bytes, tomb_bytes, sizeof(tomb_bytes));
		bytes[1] = (uint8_t)value;
		assert_int_equal(again_tomb(bytes, sizeof(tomb_bytes) - 1, bytes) > 0, value >= 3 && value <= 6);
		memcpy(bytes, tomb_bytes, sizeof(tomb_bytes));
		bytes[3] = (uint8_t)value;
		assert_int_equal(again_tomb(bytes, sizeof(tomb_bytes) - 1, bytes) > 0,
				 value == 0 || value == 2 || value == 4 || value == 6);
		memcpy(bytes, quarantined_job_bytes, sizeof(quarantined_job_bytes));
		bytes[sizeof(quarantined_job_bytes) - 1 - 17] = (uint8_t)value; /* everything but a stranger */
		assert_int_equal(again_job(bytes, sizeof(quarantined_job_bytes) - 1, bytes) > 0, value <= 5);
		memcpy(bytes, facts_bytes, sizeof(facts_bytes));
		bytes[1] = (uint8_t)value;
		assert_int_equal(again_facts(bytes, sizeof(facts_bytes) - 1, bytes) > 0, value <= 2);
		memcpy(bytes, schedule_bytes, sizeof(schedule_bytes));
		bytes[1] = (uint8_t)value;
		assert_int_equal(again_schedule(bytes, sizeof(schedule_bytes) - 1, bytes) > 0, value <= 1);
		memcpy(bytes, schedule_bytes, sizeof(schedule_bytes));
		bytes[5] = (uint8_t)value;
		assert_int_equal(again_schedule(bytes, sizeof(schedule_bytes) - 1, bytes) > 0, value >= 1 && value <= 3);
	}
}

static void encoders_refuse(void **state)
{
	struct record_backup bad = backup;
	struct record_job bad_job = job;
	struct record_clone bad_clone = clone;
	struct record_schedule bad_schedule = schedule;
	struct schedule_guard bad_guard = guard;
	uint8_t bytes[RECORD_MAX];

	(void)state;
	bad.state = BACKUP_RUNNING; /* never committed */
	bad.end_state = BACKUP_NONE;
	assert_int_equal(record_backup_encode(&bad, bytes, sizeof(bytes)), ERR_INVALID);
	bad.state = BACKUP_DELETED;
	assert_int_equal(record_backup_encode(&bad, bytes, sizeof(bytes)), ERR_INVALID);
	bad = backup;
	memset(bad.path, 'x', sizeof(bad.path)); /* no end in its array */
	assert_int_equal(record_backup_encode(&bad, bytes, sizeof(bytes)), ERR_TOO_LONG);
	bad_job.percent = 101;
	assert_int_equal(record_job_encode(&bad_job, bytes, sizeof(bytes)), ERR_INVALID);
	bad_job = job;
	bad_job.token.size = TOKEN_KEY_MAX + 1;
	assert_int_equal(record_job_encode(&bad_job, bytes, sizeof(bytes)), ERR_INVALID);
	bad_clone.state = CLONE_DELETED;
	assert_int_equal(record_clone_encode(&bad_clone, bytes, sizeof(bytes)), ERR_INVALID);
	assert_int_equal(record_day_encode(&(struct record_day){.accepted = 1, .refunded = 2}, bytes, sizeof(bytes)),
			 ERR_INVALID);
	bad_schedule.policy.level1_days = 2;
	assert_int_equal(record_schedule_encode(&bad_schedule, bytes, sizeof(bytes)), ERR_INVALID);
	bad_guard.left_ms = -1;
	assert_int_equal(record_guard_encode(&bad_guard, bytes, sizeof(bytes)), ERR_INVALID);
	bad_clone = clone;
	memcpy(bad_clone.cluster, "../etc", 7);
	assert_int_equal(record_clone_encode(&bad_clone, bytes, sizeof(bytes)), ERR_INVALID);
}

static void fill(char *text, size_t size)
{
	memset(text, 'x', size - 1);
	text[size - 1] = '\0';
}

/* The longest of each fits RECORD_MAX and comes back. */
static void longest_records(void **state)
{
	struct record_backup b = backup, b2;
	struct record_clone c = clone;
	struct record_facts f = facts;
	uint8_t bytes[RECORD_MAX], copy[RECORD_MAX];
	int size;

	(void)state;
	fill(b.backend, sizeof(b.backend));
	fill(b.procedure, sizeof(b.procedure));
	fill(b.promise, sizeof(b.promise));
	fill(b.weakened, sizeof(b.weakened));
	fill(b.path, sizeof(b.path));
	fill(b.server, sizeof(b.server));
	fill(b.position, sizeof(b.position));
	fill(b.origin.principal, sizeof(b.origin.principal));
	fill(b.origin.request_id, sizeof(b.origin.request_id));
	fill(b.failure.cause, sizeof(b.failure.cause));
	fill(b.failure.remedy, sizeof(b.failure.remedy));
	fill(b.last_error, sizeof(b.last_error));
	fill(b.verified.by, sizeof(b.verified.by));
	fill(b.verified.checked, sizeof(b.verified.checked));
	fill(b.verified.found, sizeof(b.verified.found));
	size = record_backup_encode(&b, bytes, sizeof(bytes));
	assert_true(size > 0);
	assert_int_equal(record_backup_decode(bytes, (size_t)size, &b2), 0);
	assert_string_equal(b2.weakened, b.weakened);
	assert_int_equal(again_backup(bytes, (size_t)size, copy), size);
	assert_memory_equal(bytes, copy, (size_t)size);
	fill(c.path, sizeof(c.path));
	fill(c.socket_dir, sizeof(c.socket_dir));
	fill(c.failure.cause, sizeof(c.failure.cause));
	fill(c.failure.remedy, sizeof(c.failure.remedy));
	fill(c.last_error, sizeof(c.last_error));
	assert_true(record_clone_encode(&c, bytes, sizeof(bytes)) > 0);
	fill(f.refusal, sizeof(f.refusal));
	fill(f.remedy, sizeof(f.remedy));
	fill(f.description, sizeof(f.description));
	fill(f.data_dir, sizeof(f.data_dir));
	fill(f.snapshot_dir, sizeof(f.snapshot_dir));
	assert_true(record_facts_encode(&f, bytes, sizeof(bytes)) > 0);
}

/* Each count has its own place, in the order that record.c names. */
static void counts_bytes(void **state)
{
	struct record_counts counts = {0}, got;
	uint8_t bytes[RECORD_MAX];
	uint32_t n = 0;
	int size;

	(void)state;
	for (int s = 1; s <= 8; s++) {
		for (int m = 1; m <= 2; m++)
			counts.backups[s][m] = ++n;
	}
	for (int k = 1; k <= 7; k++) {
		for (int s = 1; s <= 4; s++)
			counts.jobs[k][s] = ++n;
	}
	for (int s = 1; s <= 5; s++)
		counts.clones[s] = ++n;
	counts.tombs = ++n;
	counts.adopted = ++n;
	size = record_counts_encode(&counts, bytes, sizeof(bytes));
	assert_int_equal(size, 205);
	assert_int_equal(bytes[0], 1);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t want[] = {0, 0, 0, (uint8_t)(i + 1)};

		assert_memory_equal(bytes + 1 + 4 * i, want, 4);
	}
	assert_int_equal(record_counts_decode(bytes, (size_t)size, &got), 0);
	assert_memory_equal(&got, &counts, sizeof(got));
	check_damage(&(struct sample){"counts", again_counts, bytes, (size_t)size});
	assert_int_equal(record_day_decode("\x01\x00\x00\x00\x01\x00\x00\x00\x02", 9, &(struct record_day){0}),
			 ERR_CORRUPT); /* more refunded than accepted */
}

int main(void)
{
	const struct CMUnitTest record[] = {
		cmocka_unit_test(worked_examples),
		cmocka_unit_test(decoded_members),
		cmocka_unit_test(peeks),
		cmocka_unit_test(damage),
		cmocka_unit_test(enums_out_of_range),
		cmocka_unit_test(encoders_refuse),
		cmocka_unit_test(longest_records),
		cmocka_unit_test(counts_bytes),
	};

	return cmocka_run_group_tests(record, NULL, NULL);
}
