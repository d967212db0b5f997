/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes of the store. The input's first byte says which kind of record the rest is; what a decoder takes, the
 * encoder writes in the same bytes, and a peek sees the same as a whole reading.
 */
#include "daemon/front/record.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

static uint8_t bytes[RECORD_MAX];

/* decode, encode and compare for one kind of record; EQUAL: what else must hold of a record that was taken. */
#define KIND(name, equal) \
	static void check_##name(const uint8_t *data, size_t size) \
	{ \
		struct record_##name *record = fuzz_output(sizeof(*record)); \
		int error = record_##name##_decode(data, size, record); \
\
		if (error < 0) { \
			must(error == ERR_CORRUPT || error == ERR_VERSION); \
			must(fuzz_untouched(record, sizeof(*record))); \
		} else { \
			must(record_##name##_encode(record, bytes, sizeof(bytes)) == (int)size); \
			must(memcmp(bytes, data, size) == 0); \
			must(record_##name##_encode(record, bytes, size - 1) == ERR_TOO_LONG); \
			equal(record, data, size); \
		} \
		free(record); \
	}

static void backup_seen(const struct record_backup *backup, const uint8_t *data, size_t size)
{
	struct record_backup_peek peek;

	must(record_backup_peek(data, size, &peek) == 0);
	must(peek.state == backup->state && peek.mode == backup->mode);
	must(peek.held == backup->held && peek.refunded == backup->refunded && peek.accepted_ms == backup->accepted_ms);
	must(backup->state != BACKUP_RUNNING && backup->state < BACKUP_STATES);
	must(backup->cluster[0] == '\0' && backup->id == 0);
}

static void job_seen(const struct record_job *job, const uint8_t *data, size_t size)
{
	struct record_job_peek peek;

	must(record_job_peek(data, size, &peek) == 0);
	must(peek.state == job->state && peek.kind == job->kind && peek.mode == job->mode);
	must(peek.accepted_ms == job->accepted_ms && peek.ended_ms == job->ended_ms);
	must(job->percent <= 100 && job->token.size <= TOKEN_KEY_MAX);
	must(job->cluster[0] == '\0' && job->id == 0);
}

static void clone_seen(const struct record_clone *clone, const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	must(ident_is_cluster(clone->cluster) && clone->name[0] == '\0');
	must(clone->state > CLONE_NONE && clone->state < CLONE_DELETED);
}

static void day_seen(const struct record_day *day, const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	must(day->refunded <= day->accepted);
}

static void schedule_seen(const struct record_schedule *schedule, const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	must(schedule_is_valid(&schedule->policy) && schedule->cluster[0] == '\0');
}

#define record_guard schedule_guard
#define nothing(record, data, size) ((void)0)

KIND(backup, backup_seen)
KIND(job, job_seen)
KIND(clone, clone_seen)
KIND(tomb, nothing)
KIND(token, nothing)
KIND(token_end, nothing)
KIND(facts, nothing)
KIND(counts, nothing)
KIND(day, day_seen)
KIND(schedule, schedule_seen)
KIND(guard, nothing)

/* A peek that fails leaves its output alone as well: of shorter bytes than a whole record it may succeed. */
static void check_peeks(const uint8_t *data, size_t size)
{
	struct record_backup_peek backup;
	struct record_job_peek job;

	fuzz_fill(&backup, sizeof(backup));
	if (record_backup_peek(data, size, &backup) < 0)
		must(fuzz_untouched(&backup, sizeof(backup)));
	fuzz_fill(&job, sizeof(job));
	if (record_job_peek(data, size, &job) < 0)
		must(fuzz_untouched(&job, sizeof(job)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(const uint8_t *, size_t) = {
		check_backup, check_job,   check_clone,  check_tomb, check_token,
		check_token_end, check_facts, check_counts, check_day,
		check_schedule, check_guard,
	};
	uint8_t *rest;

	if (size == 0 || data[0] >= sizeof(kinds) / sizeof(kinds[0]))
		return 0;
	/* Of exactly this size, so that a sanitizer sees one byte too far. */
	rest = malloc(size - 1 ? size - 1 : 1);
	must(rest);
	memcpy(rest, data + 1, size - 1);
	kinds[data[0]](rest, size - 1);
	check_peeks(rest, size - 1);
	free(rest);
	return 0;
}
