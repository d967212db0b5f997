/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store in a folder of its own, and the few steps that every test of it takes. */
#ifndef DBSNAP_TESTS_STORE_FIXTURE_H
#define DBSNAP_TESTS_STORE_FIXTURE_H

#include "common/err.h"
#include "daemon/front/store_internal.h"
#include "tests/unit/cmocka_all.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)
#define NOON (20000 * DAY_MS + DAY_MS / 2) /* of day 20,000 */

struct fixture {
	char dir[64];
	uint64_t map_size;
	int64_t running_ms; /* of the next start */
	struct store *store;
};

static inline int fixture_try_open(struct fixture *f, char *why)
{
	const struct store_options options = {f->dir, f->map_size, 0, f->running_ms};

	return store_open(&options, why, &f->store);
}

static inline void fixture_open(struct fixture *f)
{
	struct store_report report;
	char why[STORE_WHY_SIZE];

	assert_int_equal(fixture_try_open(f, why), 0);
	assert_string_equal(why, "");
	assert_int_equal(store_recount(f->store, 0, &report), 0);
}

static inline void fixture_reopen(struct fixture *f)
{
	f->store = store_close(f->store);
	fixture_open(f);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/dbsnap-store-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->map_size = UINT64_C(64) << 20;
	*state = f;
	return 0;
}

static inline int fixture_setup_open(void **state)
{
	int rc = fixture_setup(state);

	if (rc == 0)
		fixture_open(*state);
	return rc;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	char path[512];
	struct dirent *entry;
	DIR *dir;

	/* A test that failed left its transaction open. */
	if (f->store)
		store_abort(&f->store->txn);
	store_close(f->store);
	dir = opendir(f->dir);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(f->dir);
	free(f);
	return 0;
}

static inline struct store_txn *fixture_begin(struct fixture *f)
{
	struct store_txn *txn;

	assert_int_equal(store_begin(f->store, &txn), 0);
	return txn;
}

static inline struct store_txn *fixture_read(struct fixture *f)
{
	struct store_txn *txn;

	assert_int_equal(store_read(f->store, &txn), 0);
	return txn;
}

static inline struct record_backup fixture_backup(const char *cluster, enum backup_mode mode, int64_t accepted_ms)
{
	struct record_backup backup = {.mode = mode, .accepted_ms = accepted_ms};

	snprintf(backup.cluster, sizeof(backup.cluster), "%s", cluster);
	snprintf(backup.origin.principal, sizeof(backup.origin.principal), "uid:0");
	nonce_make(&backup.nonce);
	return backup;
}

/* Accepts one within txn. */
static inline int fixture_accept(struct store_txn *txn, const char *cluster, enum backup_mode mode, int64_t accepted_ms,
				 const struct store_token *token, uint64_t *ret_id)
{
	struct record_backup backup = fixture_backup(cluster, mode, accepted_ms);
	struct record_job job = {.accepted_ms = accepted_ms};
	int rc = store_backup_accept(txn, &backup, &job, token);

	if (rc == 0) {
		assert_int_equal(backup.id, job.id);
		*ret_id = backup.id;
	}
	return rc;
}

/* Moves a backup to state within txn; a create's job ends with it. */
static inline int fixture_move(struct store_txn *txn, const char *cluster, uint64_t id, enum backup_state to,
			       const struct store_now *now)
{
	struct record_backup backup;
	struct record_job job;
	int rc = store_backup_get(txn, cluster, id, &backup);
	enum backup_state from;

	if (rc < 0)
		return rc;
	from = backup.state;
	backup.state = to;
	rc = store_backup_update(txn, &backup);
	if (rc < 0 || from != BACKUP_PENDING || to == BACKUP_PENDING)
		return rc;
	rc = store_job_get(txn, cluster, id, &job);
	if (rc < 0)
		return rc;
	job.state = to == BACKUP_AVAILABLE ? JOB_DONE : to == BACKUP_FAILED ? JOB_FAILED : JOB_CANCELLED;
	return store_job_finish(txn, &job, now);
}

/* Accepts and brings to state, committed. */
static inline uint64_t fixture_make(struct fixture *f, const char *cluster, enum backup_mode mode, int64_t accepted_ms,
				    enum backup_state to)
{
	const struct store_now now = {accepted_ms, 0};
	struct store_txn *txn = fixture_begin(f);
	uint64_t id = 0;

	assert_int_equal(fixture_accept(txn, cluster, mode, accepted_ms, NULL, &id), 0);
	if (to == BACKUP_LOST)
		assert_int_equal(fixture_move(txn, cluster, id, BACKUP_AVAILABLE, &now), 0);
	if (to != BACKUP_PENDING)
		assert_int_equal(fixture_move(txn, cluster, id, to, &now), 0);
	assert_int_equal(store_commit(txn), 0);
	return id;
}

static inline int fixture_accept_delete(struct store_txn *txn, const char *cluster, uint64_t id, int64_t now_ms,
					bool refund_deleted, uint64_t *ret_job)
{
	struct record_job job = {.backup = id, .accepted_ms = now_ms};
	int rc;

	snprintf(job.cluster, sizeof(job.cluster), "%s", cluster);
	rc = store_backup_accept_delete(txn, &job, refund_deleted);
	if (rc == 0 && ret_job)
		*ret_job = job.id;
	return rc;
}

static inline int fixture_finish_job(struct store_txn *txn, uint64_t id, enum job_state to, const struct store_now *now)
{
	struct record_job job;
	int rc = store_job_find(txn, id, &job);

	if (rc < 0)
		return rc;
	job.state = to;
	return store_job_finish(txn, &job, now);
}

static inline struct store_token fixture_token(const char *text, uint8_t print, int64_t wall_ms, int64_t running_ms)
{
	const struct token_owner owner = {.kind = TOKEN_OWNER_UID, .uid = 1000};
	struct store_token token = {.ttl_ms = 1000, .now = {wall_ms, running_ms}};

	assert_int_equal(token_key_make(&owner, TOKEN_CREATE_BACKUP, text, &token.key), 0);
	memset(token.fingerprint.bytes, print, sizeof(token.fingerprint.bytes));
	return token;
}

static inline struct quota_counts fixture_quota(struct fixture *f, const char *cluster, int64_t wall_ms)
{
	struct store_txn *txn = fixture_read(f);
	struct quota_counts counts;

	assert_int_equal(store_quota_counts(txn, cluster, wall_ms, &counts), 0);
	store_abort(txn);
	return counts;
}

static inline void fixture_check_quota(struct fixture *f, const char *cluster, int64_t wall_ms, uint32_t retained,
				       uint32_t accepted, uint32_t refunded)
{
	struct quota_counts counts = fixture_quota(f, cluster, wall_ms);

	assert_int_equal(counts.retained, retained);
	assert_int_equal(counts.accepted, accepted);
	assert_int_equal(counts.refunded, refunded);
}

/* The counters are what the records say. */
static inline void fixture_check_counters(struct fixture *f)
{
	struct store_report report;

	assert_int_equal(store_recount(f->store, 0, &report), 0);
	assert_int_equal(report.counts, 0);
	assert_int_equal(report.days, 0);
	assert_false(report.offset_changed);
	assert_false(report.repaired);
}

#endif
