/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Formats, all in version 1 (the first byte). "str" is a u16 length and the bytes,
 * integers are big-endian, times i64 milliseconds.
 *
 * backup   0 version, 1 state, 2 mode, 3 flags (1 held, 2 refunded, 4 adopted), 4 end_state,
 *          5 accepted, 13 ended, 21 nonce (16), 37 started, 45 consistent, 53 expires,
 *          61 deleting, 69 size u64, 77 size_ms, 85 cut_us u64, 93 freeze_us u64,
 *          101 str backend, procedure, promise, weakened, path, server, position,
 *          principal, request_id, failure, str last_error, verified at, str by, u8 result,
 *          str checked, found
 * failure  code u32 (two's complement), str cause, remedy
 * job      0 version, 1 state, 2 kind, 3 mode, 4 accepted, 12 ended, 20 backup u64,
 *          28 str clone, u8 size and bytes of the token's key, u32 attempts, failures,
 *          cutoffs, started, bytes u64, percent u8, str principal, request_id, failure;
 *          of kind 7 also item u8, nonce (16); of kind 6 nonce (16), str kept
 * clone    0 version, 1 state, 2 str cluster, u64 backup, job, nonce (16), created,
 *          ended, expires, port u16, str path, socket_dir, principal, request_id,
 *          failure, str last_error, u8 start
 * tomb     0 version, 1 end_state, 2 mode, 3 flags (2 refunded, 4 adopted), 4 accepted,
 *          12 deleted, 20 nonce (16)
 * token    0 version, 1 fingerprint (32), 33 job u64, 41 created
 * end      0 version, 1 start (16), 17 running i64
 * facts    0 version, 1 layout, 2 checked, 10 size u64, 18 size_ms, 26 str db_type,
 *          db_version, backend, procedure, promise, refusal, remedy, description,
 *          data_dir, snapshot_dir
 * counts   0 version, 1 u32 backups by state 1..8 and mode 1..2, 65 u32 jobs by kind
 *          1..7 and state 1..4, 177 u32 clones by state 1..5, 197 u32 tombs, adopted
 * day      0 version, 1 accepted u32, 5 refunded u32
 * schedule 0 version, 1 enabled, 2 days, 3 hour, 4 every_hours, 5 on_removal, 6 level1,
 *          7 level2 u16 (two's complement), 9 served, 17 create u64, 25 tries u32
 * guard    0 version, 1 wall, 9 running, 17 ahead, 25 left
 *
 * Examples: a tomb of a manual AVAILABLE backup, refunded, accepted at 1000, deleted
 * at 2000, nonce 00 01 .. 0f:
 *   01 03 01 02  00 00 00 00 00 00 03 e8  00 00 00 00 00 00 07 d0
 *   00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f
 * a day with 3 accepted, 1 refunded:
 *   01  00 00 00 03  00 00 00 01
 * a policy that is in force, on all days at 02:00, kept 7 days and then for ever (level 2),
 * NONE, whose slot of 1000 was served by job 7 at the first try:
 *   01 01 7f 02 18 03 07 ff ff  00 00 00 00 00 00 03 e8  00 00 00 00 00 00 00 07
 *   00 00 00 01
 * an OPEN manual CREATE job accepted at 1000 for backup 7, token key "k", one failed attempt of
 * one begun at 1500, from uid:0 in request "R", error -2, "c", "r":
 *   01 01 01 01  00 00 00 00 00 00 03 e8  00 00 00 00 00 00 00 00
 *   00 00 00 00 00 00 00 07  00 00  01 6b  00 00 00 01  00 00 00 01  00 00 00 00
 *   00 00 00 00 00 00 05 dc  00 00 00 00 00 00 00 00  00
 *   00 05 75 69 64 3a 30  00 01 52  ff ff ff fe  00 01 63  00 01 72
 * The others are in tests/unit/test_record.c, in the same manner.
 */
#include "daemon/front/record.h"

#include "common/cursor.h"
#include "common/err.h"
#include "common/msg.h"

#include <string.h>

enum {
	FORMAT_VERSION = 1,
	FLAG_HELD = 1,
	FLAG_REFUNDED = 2,
	FLAG_ADOPTED = 4,
	FLAGS = FLAG_HELD | FLAG_REFUNDED | FLAG_ADOPTED
};

/* ---- what the formats share ---- */

static int begin(struct reader *r, const void *bytes, size_t size)
{
	reader_init(r, bytes, size);
	/* No version is 0: zeros are what a damaged disk gives. */
	if (size == 0 || *(const uint8_t *)bytes == 0)
		return ERR_CORRUPT;
	return get_u8(r) == FORMAT_VERSION ? 0 : ERR_VERSION;
}

static void put_text(struct writer *w, const char *text, size_t size)
{
	if (memchr(text, '\0', size))
		put_str(w, text);
	else
		w->failed = true;
}

#define PUT_TEXT(w, array) put_text(w, array, sizeof(array))
#define GET_TEXT(r, array) get_str(r, array, sizeof(array))

static void put_nonce(struct writer *w, const struct nonce *nonce)
{
	put_bytes(w, nonce->bytes, sizeof(nonce->bytes));
}

static void get_nonce(struct reader *r, struct nonce *nonce)
{
	get_bytes(r, nonce->bytes, sizeof(nonce->bytes));
}

static void put_origin(struct writer *w, const struct record_origin *origin)
{
	PUT_TEXT(w, origin->principal);
	PUT_TEXT(w, origin->request_id);
}

static void get_origin(struct reader *r, struct record_origin *origin)
{
	GET_TEXT(r, origin->principal);
	GET_TEXT(r, origin->request_id);
}

static void put_failure(struct writer *w, const struct record_failure *failure)
{
	put_u32(w, (uint32_t)failure->code);
	PUT_TEXT(w, failure->cause);
	PUT_TEXT(w, failure->remedy);
}

static void get_failure(struct reader *r, struct record_failure *failure)
{
	failure->code = (int32_t)get_u32(r);
	GET_TEXT(r, failure->cause);
	GET_TEXT(r, failure->remedy);
}

static bool mode_is_valid(unsigned mode)
{
	return mode == BACKUP_MANUAL || mode == BACKUP_AUTOMATED;
}

/* ---- backup ---- */

/* RUNNING is never committed, DELETED is a tomb; only what is being deleted remembers what it was. */
static bool backup_is_valid(unsigned state, unsigned mode, unsigned end_state)
{
	if (!mode_is_valid(mode) || state == BACKUP_NONE || state == BACKUP_RUNNING || state > BACKUP_DELETING)
		return false;
	return state == BACKUP_DELETING ? backup_is_final(end_state) : end_state == BACKUP_NONE;
}

static void put_backup_numbers(struct writer *w, const struct record_backup *backup)
{
	put_u8(w, FORMAT_VERSION);
	put_u8(w, (uint8_t)backup->state);
	put_u8(w, (uint8_t)backup->mode);
	put_u8(w, (backup->held ? FLAG_HELD : 0) | (backup->refunded ? FLAG_REFUNDED : 0) |
			  (backup->adopted ? FLAG_ADOPTED : 0));
	put_u8(w, (uint8_t)backup->end_state);
	put_i64(w, backup->accepted_ms);
	put_i64(w, backup->ended_ms);
	put_nonce(w, &backup->nonce);
	put_i64(w, backup->started_ms);
	put_i64(w, backup->consistent_ms);
	put_i64(w, backup->expires_ms);
	put_i64(w, backup->deleting_ms);
	put_u64(w, backup->size);
	put_i64(w, backup->size_ms);
	put_u64(w, backup->cut_us);
	put_u64(w, backup->freeze_us);
}

int record_backup_encode(const struct record_backup *backup, void *bytes, size_t size)
{
	struct writer w;

	if (!backup_is_valid(backup->state, backup->mode, backup->end_state) ||
	    (unsigned)backup->verified.result >= RECORD_VERDICTS)
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_backup_numbers(&w, backup);
	PUT_TEXT(&w, backup->backend);
	PUT_TEXT(&w, backup->procedure);
	PUT_TEXT(&w, backup->promise);
	PUT_TEXT(&w, backup->weakened);
	PUT_TEXT(&w, backup->path);
	PUT_TEXT(&w, backup->server);
	PUT_TEXT(&w, backup->position);
	put_origin(&w, &backup->origin);
	put_failure(&w, &backup->failure);
	PUT_TEXT(&w, backup->last_error);
	put_i64(&w, backup->verified.at_ms);
	PUT_TEXT(&w, backup->verified.by);
	put_u8(&w, (uint8_t)backup->verified.result);
	PUT_TEXT(&w, backup->verified.checked);
	PUT_TEXT(&w, backup->verified.found);
	return writer_end(&w);
}

/* After the version. Gives end_state apart: a peek has no place for it. */
static void get_backup_head(struct reader *r, struct record_backup_peek *peek, unsigned *end_state)
{
	uint8_t flags;

	peek->state = get_u8(r);
	peek->mode = get_u8(r);
	flags = get_enum(r, FLAGS);
	peek->held = flags & FLAG_HELD;
	peek->refunded = flags & FLAG_REFUNDED;
	peek->adopted = flags & FLAG_ADOPTED;
	*end_state = get_u8(r);
	peek->accepted_ms = get_i64(r);
}

static void get_backup_numbers(struct reader *r, struct record_backup *backup)
{
	backup->ended_ms = get_i64(r);
	get_nonce(r, &backup->nonce);
	backup->started_ms = get_i64(r);
	backup->consistent_ms = get_i64(r);
	backup->expires_ms = get_i64(r);
	backup->deleting_ms = get_i64(r);
	backup->size = get_u64(r);
	backup->size_ms = get_i64(r);
	backup->cut_us = get_u64(r);
	backup->freeze_us = get_u64(r);
}

static void get_backup_texts(struct reader *r, struct record_backup *backup)
{
	GET_TEXT(r, backup->backend);
	GET_TEXT(r, backup->procedure);
	GET_TEXT(r, backup->promise);
	GET_TEXT(r, backup->weakened);
	GET_TEXT(r, backup->path);
	GET_TEXT(r, backup->server);
	GET_TEXT(r, backup->position);
	get_origin(r, &backup->origin);
	get_failure(r, &backup->failure);
	GET_TEXT(r, backup->last_error);
	backup->verified.at_ms = get_i64(r);
	GET_TEXT(r, backup->verified.by);
	backup->verified.result = get_enum(r, RECORD_VERDICTS - 1);
	GET_TEXT(r, backup->verified.checked);
	GET_TEXT(r, backup->verified.found);
}

int record_backup_decode(const void *bytes, size_t size, struct record_backup *ret_backup)
{
	struct record_backup backup = {0};
	struct record_backup_peek head;
	unsigned end_state;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	get_backup_head(&r, &head, &end_state);
	get_backup_numbers(&r, &backup);
	get_backup_texts(&r, &backup);
	if (reader_end(&r) < 0 || !backup_is_valid(head.state, head.mode, end_state))
		return ERR_CORRUPT;
	backup.state = head.state;
	backup.mode = head.mode;
	backup.held = head.held;
	backup.refunded = head.refunded;
	backup.adopted = head.adopted;
	backup.accepted_ms = head.accepted_ms;
	backup.end_state = end_state;
	*ret_backup = backup;
	return 0;
}

int record_backup_peek(const void *bytes, size_t size, struct record_backup_peek *ret_peek)
{
	struct record_backup_peek peek;
	unsigned end_state;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	get_backup_head(&r, &peek, &end_state);
	if (reader_state(&r) < 0 || !backup_is_valid(peek.state, peek.mode, end_state))
		return ERR_CORRUPT;
	*ret_peek = peek;
	return 0;
}

/* ---- job ---- */

/* Only a removal from the quarantine has no record to say what it removes. */
static void put_quarantined(struct writer *w, const struct record_job *job)
{
	if (job->kind != JOB_KIND_DELETE_QUARANTINED)
		return;
	put_u8(w, job->item);
	put_nonce(w, &job->nonce);
}

static void get_quarantined(struct reader *r, struct record_job *job)
{
	job->item = get_enum(r, ITEM_CLONE_PARTIAL);
	get_nonce(r, &job->nonce);
}

/* A restore's own nonce tells its folders from others of that name. */
static void put_restore(struct writer *w, const struct record_job *job)
{
	if (job->kind != JOB_KIND_RESTORE)
		return;
	put_nonce(w, &job->nonce);
	PUT_TEXT(w, job->kept);
}

static void get_restore(struct reader *r, struct record_job *job)
{
	get_nonce(r, &job->nonce);
	GET_TEXT(r, job->kept);
}

static bool job_is_valid(unsigned state, unsigned kind, unsigned mode)
{
	if (state == 0 || state >= JOB_STATES || kind == 0 || kind >= JOB_KINDS)
		return false;
	return kind == JOB_KIND_CREATE ? mode_is_valid(mode) : mode == 0;
}

int record_job_encode(const struct record_job *job, void *bytes, size_t size)
{
	struct writer w;

	if (!job_is_valid(job->state, job->kind, job->mode) || job->token.size > TOKEN_KEY_MAX || job->percent > 100)
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_u8(&w, (uint8_t)job->state);
	put_u8(&w, (uint8_t)job->kind);
	put_u8(&w, (uint8_t)job->mode);
	put_i64(&w, job->accepted_ms);
	put_i64(&w, job->ended_ms);
	put_u64(&w, job->backup);
	PUT_TEXT(&w, job->clone);
	put_u8(&w, job->token.size);
	put_bytes(&w, job->token.bytes, job->token.size);
	put_u32(&w, job->attempts);
	put_u32(&w, job->failures);
	put_u32(&w, job->cutoffs);
	put_i64(&w, job->started_ms);
	put_u64(&w, job->bytes);
	put_u8(&w, job->percent);
	put_origin(&w, &job->origin);
	put_failure(&w, &job->failure);
	put_quarantined(&w, job);
	put_restore(&w, job);
	return writer_end(&w);
}

static void get_job_head(struct reader *r, struct record_job_peek *peek)
{
	peek->state = get_u8(r);
	peek->kind = get_u8(r);
	peek->mode = get_u8(r);
	peek->accepted_ms = get_i64(r);
	peek->ended_ms = get_i64(r);
}

static void get_job_rest(struct reader *r, struct record_job *job)
{
	job->backup = get_u64(r);
	GET_TEXT(r, job->clone);
	job->token.size = get_enum(r, TOKEN_KEY_MAX);
	get_bytes(r, job->token.bytes, job->token.size);
	job->attempts = get_u32(r);
	job->failures = get_u32(r);
	job->cutoffs = get_u32(r);
	job->started_ms = get_i64(r);
	job->bytes = get_u64(r);
	job->percent = get_enum(r, 100);
	get_origin(r, &job->origin);
	get_failure(r, &job->failure);
}

int record_job_decode(const void *bytes, size_t size, struct record_job *ret_job)
{
	struct record_job job = {0};
	struct record_job_peek head;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	get_job_head(&r, &head);
	get_job_rest(&r, &job);
	if (head.kind == JOB_KIND_DELETE_QUARANTINED)
		get_quarantined(&r, &job);
	if (head.kind == JOB_KIND_RESTORE)
		get_restore(&r, &job);
	if (reader_end(&r) < 0 || !job_is_valid(head.state, head.kind, head.mode))
		return ERR_CORRUPT;
	job.state = head.state;
	job.kind = head.kind;
	job.mode = head.mode;
	job.accepted_ms = head.accepted_ms;
	job.ended_ms = head.ended_ms;
	*ret_job = job;
	return 0;
}

int record_job_peek(const void *bytes, size_t size, struct record_job_peek *ret_peek)
{
	struct record_job_peek peek;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	get_job_head(&r, &peek);
	if (reader_state(&r) < 0 || !job_is_valid(peek.state, peek.kind, peek.mode))
		return ERR_CORRUPT;
	*ret_peek = peek;
	return 0;
}

/* ---- clone ---- */

static bool clone_is_valid(const struct record_clone *clone)
{
	return clone->state > CLONE_NONE && clone->state < CLONE_DELETED && ident_is_cluster(clone->cluster);
}

int record_clone_encode(const struct record_clone *clone, void *bytes, size_t size)
{
	struct writer w;

	if (!clone_is_valid(clone))
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_u8(&w, (uint8_t)clone->state);
	PUT_TEXT(&w, clone->cluster);
	put_u64(&w, clone->backup);
	put_u64(&w, clone->job);
	put_nonce(&w, &clone->nonce);
	put_i64(&w, clone->created_ms);
	put_i64(&w, clone->ended_ms);
	put_i64(&w, clone->expires_ms);
	put_u16(&w, clone->port);
	PUT_TEXT(&w, clone->path);
	PUT_TEXT(&w, clone->socket_dir);
	put_origin(&w, &clone->origin);
	put_failure(&w, &clone->failure);
	PUT_TEXT(&w, clone->last_error);
	put_u8(&w, clone->start);
	return writer_end(&w);
}

int record_clone_decode(const void *bytes, size_t size, struct record_clone *ret_clone)
{
	struct record_clone clone = {0};
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	clone.state = get_u8(&r);
	GET_TEXT(&r, clone.cluster);
	clone.backup = get_u64(&r);
	clone.job = get_u64(&r);
	get_nonce(&r, &clone.nonce);
	clone.created_ms = get_i64(&r);
	clone.ended_ms = get_i64(&r);
	clone.expires_ms = get_i64(&r);
	clone.port = get_u16(&r);
	GET_TEXT(&r, clone.path);
	GET_TEXT(&r, clone.socket_dir);
	get_origin(&r, &clone.origin);
	get_failure(&r, &clone.failure);
	GET_TEXT(&r, clone.last_error);
	clone.start = get_bool(&r);
	if (reader_end(&r) < 0 || !clone_is_valid(&clone))
		return ERR_CORRUPT;
	*ret_clone = clone;
	return 0;
}

/* ---- tomb ---- */

int record_tomb_encode(const struct record_tomb *tomb, void *bytes, size_t size)
{
	struct writer w;

	if (!backup_is_final(tomb->end_state) || !mode_is_valid(tomb->mode))
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_u8(&w, (uint8_t)tomb->end_state);
	put_u8(&w, (uint8_t)tomb->mode);
	put_u8(&w, (tomb->refunded ? FLAG_REFUNDED : 0) | (tomb->adopted ? FLAG_ADOPTED : 0));
	put_i64(&w, tomb->accepted_ms);
	put_i64(&w, tomb->deleted_ms);
	put_nonce(&w, &tomb->nonce);
	return writer_end(&w);
}

int record_tomb_decode(const void *bytes, size_t size, struct record_tomb *ret_tomb)
{
	struct record_tomb tomb = {0};
	uint8_t flags;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	tomb.end_state = get_u8(&r);
	tomb.mode = get_u8(&r);
	flags = get_u8(&r);
	tomb.refunded = flags & FLAG_REFUNDED;
	tomb.adopted = flags & FLAG_ADOPTED;
	tomb.accepted_ms = get_i64(&r);
	tomb.deleted_ms = get_i64(&r);
	get_nonce(&r, &tomb.nonce);
	if (reader_end(&r) < 0 || !backup_is_final(tomb.end_state) || !mode_is_valid(tomb.mode) ||
	    (flags & ~(FLAG_REFUNDED | FLAG_ADOPTED)))
		return ERR_CORRUPT;
	*ret_tomb = tomb;
	return 0;
}

/* ---- token and its end ---- */

int record_token_encode(const struct record_token *token, void *bytes, size_t size)
{
	struct writer w;

	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_bytes(&w, token->fingerprint.bytes, sizeof(token->fingerprint.bytes));
	put_u64(&w, token->job);
	put_i64(&w, token->created_ms);
	return writer_end(&w);
}

int record_token_decode(const void *bytes, size_t size, struct record_token *ret_token)
{
	struct record_token token;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	get_bytes(&r, token.fingerprint.bytes, sizeof(token.fingerprint.bytes));
	token.job = get_u64(&r);
	token.created_ms = get_i64(&r);
	if (reader_end(&r) < 0)
		return ERR_CORRUPT;
	*ret_token = token;
	return 0;
}

int record_token_end_encode(const struct record_token_end *end, void *bytes, size_t size)
{
	struct writer w;

	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_nonce(&w, &end->start);
	put_i64(&w, end->running_ms);
	return writer_end(&w);
}

int record_token_end_decode(const void *bytes, size_t size, struct record_token_end *ret_end)
{
	struct record_token_end end;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	get_nonce(&r, &end.start);
	end.running_ms = get_i64(&r);
	if (reader_end(&r) < 0)
		return ERR_CORRUPT;
	*ret_end = end;
	return 0;
}

/* ---- facts ---- */

int record_facts_encode(const struct record_facts *facts, void *bytes, size_t size)
{
	struct writer w;

	if ((unsigned)facts->layout >= RECORD_LAYOUTS)
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_u8(&w, (uint8_t)facts->layout);
	put_i64(&w, facts->checked_ms);
	put_u64(&w, facts->size);
	put_i64(&w, facts->size_ms);
	PUT_TEXT(&w, facts->db_type);
	PUT_TEXT(&w, facts->db_version);
	PUT_TEXT(&w, facts->backend);
	PUT_TEXT(&w, facts->procedure);
	PUT_TEXT(&w, facts->promise);
	PUT_TEXT(&w, facts->refusal);
	PUT_TEXT(&w, facts->remedy);
	PUT_TEXT(&w, facts->description);
	PUT_TEXT(&w, facts->data_dir);
	PUT_TEXT(&w, facts->snapshot_dir);
	return writer_end(&w);
}

int record_facts_decode(const void *bytes, size_t size, struct record_facts *ret_facts)
{
	struct record_facts facts = {0};
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	facts.layout = get_enum(&r, RECORD_LAYOUTS - 1);
	facts.checked_ms = get_i64(&r);
	facts.size = get_u64(&r);
	facts.size_ms = get_i64(&r);
	GET_TEXT(&r, facts.db_type);
	GET_TEXT(&r, facts.db_version);
	GET_TEXT(&r, facts.backend);
	GET_TEXT(&r, facts.procedure);
	GET_TEXT(&r, facts.promise);
	GET_TEXT(&r, facts.refusal);
	GET_TEXT(&r, facts.remedy);
	GET_TEXT(&r, facts.description);
	GET_TEXT(&r, facts.data_dir);
	GET_TEXT(&r, facts.snapshot_dir);
	if (reader_end(&r) < 0)
		return ERR_CORRUPT;
	*ret_facts = facts;
	return 0;
}

/* ---- counts and days ---- */

int record_counts_encode(const struct record_counts *counts, void *bytes, size_t size)
{
	struct writer w;

	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	for (int state = 1; state < BACKUP_STATES; state++) {
		for (int mode = 1; mode < BACKUP_MODES; mode++)
			put_u32(&w, counts->backups[state][mode]);
	}
	for (int kind = 1; kind < JOB_KINDS; kind++) {
		for (int state = 1; state < JOB_STATES; state++)
			put_u32(&w, counts->jobs[kind][state]);
	}
	for (int state = 1; state < CLONE_STATES; state++)
		put_u32(&w, counts->clones[state]);
	put_u32(&w, counts->tombs);
	put_u32(&w, counts->adopted);
	return writer_end(&w);
}

int record_counts_decode(const void *bytes, size_t size, struct record_counts *ret_counts)
{
	struct record_counts counts = {0};
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	for (int state = 1; state < BACKUP_STATES; state++) {
		for (int mode = 1; mode < BACKUP_MODES; mode++)
			counts.backups[state][mode] = get_u32(&r);
	}
	for (int kind = 1; kind < JOB_KINDS; kind++) {
		for (int state = 1; state < JOB_STATES; state++)
			counts.jobs[kind][state] = get_u32(&r);
	}
	for (int state = 1; state < CLONE_STATES; state++)
		counts.clones[state] = get_u32(&r);
	counts.tombs = get_u32(&r);
	counts.adopted = get_u32(&r);
	if (reader_end(&r) < 0)
		return ERR_CORRUPT;
	*ret_counts = counts;
	return 0;
}

int record_day_encode(const struct record_day *day, void *bytes, size_t size)
{
	struct writer w;

	if (day->refunded > day->accepted)
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_u32(&w, day->accepted);
	put_u32(&w, day->refunded);
	return writer_end(&w);
}

int record_day_decode(const void *bytes, size_t size, struct record_day *ret_day)
{
	struct record_day day;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	day.accepted = get_u32(&r);
	day.refunded = get_u32(&r);
	if (reader_end(&r) < 0 || day.refunded > day.accepted)
		return ERR_CORRUPT;
	*ret_day = day;
	return 0;
}

/* ---- schedules ---- */

int record_schedule_encode(const struct record_schedule *schedule, void *bytes, size_t size)
{
	const struct schedule *policy = &schedule->policy;
	struct writer w;

	if (!schedule_is_valid(policy))
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_u8(&w, policy->enabled);
	put_u8(&w, policy->days);
	put_u8(&w, policy->hour);
	put_u8(&w, policy->every_hours);
	put_u8(&w, policy->on_removal);
	put_u8(&w, policy->level1_days);
	put_u16(&w, (uint16_t)policy->level2_days);
	put_i64(&w, schedule->served_ms);
	put_u64(&w, schedule->create);
	put_u32(&w, schedule->tries);
	return writer_end(&w);
}

int record_schedule_decode(const void *bytes, size_t size, struct record_schedule *ret_schedule)
{
	struct record_schedule schedule = {0};
	struct schedule *policy = &schedule.policy;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	policy->enabled = get_bool(&r);
	policy->days = get_u8(&r);
	policy->hour = get_u8(&r);
	policy->every_hours = get_u8(&r);
	policy->on_removal = get_u8(&r);
	policy->level1_days = get_u8(&r);
	policy->level2_days = (int16_t)get_u16(&r);
	schedule.served_ms = get_i64(&r);
	schedule.create = get_u64(&r);
	schedule.tries = get_u32(&r);
	if (reader_end(&r) < 0 || !schedule_is_valid(policy))
		return ERR_CORRUPT;
	*ret_schedule = schedule;
	return 0;
}

int record_guard_encode(const struct schedule_guard *guard, void *bytes, size_t size)
{
	struct writer w;

	if (guard->left_ms < 0 || guard->left_ms > SCHEDULE_DAY_MS)
		return ERR_INVALID;
	writer_init(&w, bytes, size);
	put_u8(&w, FORMAT_VERSION);
	put_i64(&w, guard->wall_ms);
	put_i64(&w, guard->running_ms);
	put_i64(&w, guard->ahead_ms);
	put_i64(&w, guard->left_ms);
	return writer_end(&w);
}

int record_guard_decode(const void *bytes, size_t size, struct schedule_guard *ret_guard)
{
	struct schedule_guard guard;
	struct reader r;
	int rc = begin(&r, bytes, size);

	if (rc < 0)
		return rc;
	guard.wall_ms = get_i64(&r);
	guard.running_ms = get_i64(&r);
	guard.ahead_ms = get_i64(&r);
	guard.left_ms = get_i64(&r);
	if (reader_end(&r) < 0 || guard.left_ms < 0 || guard.left_ms > SCHEDULE_DAY_MS)
		return ERR_CORRUPT;
	*ret_guard = guard;
	return 0;
}
