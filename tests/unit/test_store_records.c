/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Backups, jobs, clones, tokens and lists: every move, every refusal, and that a refusal changes nothing. */
#include "tests/unit/store_fixture.h"

static const struct store_now noon = {NOON, 1000};

static struct record_backup get_backup(struct fixture *f, const char *cluster, uint64_t id)
{
	struct store_txn *txn = fixture_read(f);
	struct record_backup backup;

	assert_int_equal(store_backup_get(txn, cluster, id, &backup), 0);
	store_abort(txn);
	return backup;
}

static struct record_job get_job(struct fixture *f, uint64_t id)
{
	struct store_txn *txn = fixture_read(f);
	struct record_job job;

	assert_int_equal(store_job_find(txn, id, &job), 0);
	store_abort(txn);
	return job;
}

static struct record_counts get_counts(struct fixture *f, const char *cluster)
{
	struct store_txn *txn = fixture_read(f);
	struct record_counts counts;

	assert_int_equal(store_counts_get(txn, cluster, &counts), 0);
	store_abort(txn);
	return counts;
}

/* ---- accept ---- */

static void accepted_is_complete(void **state)
{
	struct fixture *f = *state;
	struct store_token token = fixture_token("t", 1, NOON, 0);
	struct record_backup backup = fixture_backup("pc-a", BACKUP_MANUAL, NOON), got;
	struct record_job job = {.accepted_ms = NOON, .kind = JOB_KIND_DELETE}, got_job;
	struct store_txn *txn = fixture_begin(f);
	char cluster[IDENT_CLUSTER_SIZE];

	assert_int_equal(store_backup_accept(txn, &backup, &job, &token), 0);
	assert_int_equal(store_commit(txn), 0);
	got = get_backup(f, "pc-a", backup.id);
	assert_int_equal(got.state, BACKUP_PENDING);
	assert_int_equal(got.mode, BACKUP_MANUAL);
	assert_int_equal(got.accepted_ms, NOON);
	assert_true(nonce_equal(&got.nonce, &backup.nonce));
	assert_string_equal(got.cluster, "pc-a");
	assert_int_equal(got.id, backup.id);
	got_job = get_job(f, backup.id);
	assert_int_equal(got_job.kind, JOB_KIND_CREATE);
	assert_int_equal(got_job.mode, BACKUP_MANUAL);
	assert_int_equal(got_job.state, JOB_OPEN);
	assert_int_equal(got_job.backup, backup.id);
	assert_int_equal(got_job.token.size, token.key.size);
	txn = fixture_read(f);
	assert_int_equal(store_id_cluster(txn, backup.id, cluster), 0);
	assert_string_equal(cluster, "pc-a");
	assert_int_equal(store_id_cluster(txn, backup.id + 1, cluster), ERR_NOT_FOUND);
	store_abort(txn);
	fixture_check_quota(f, "pc-a", NOON, 1, 1, 0);
	fixture_check_quota(f, "pc-a", NOON + DAY_MS, 1, 0, 0);
	fixture_check_quota(f, "pc-b", NOON, 0, 0, 0);
}

static void refused_accepts_change_nothing(void **state)
{
	static const char *const bad[] = {"", "a", "../etc", "PC-A",
					  "a234567890123456789012345678901234567890123456789012345678901234"};
	struct fixture *f = *state;
	struct store_token token = fixture_token("t", 1, NOON, 0);
	struct record_counts before, after;
	struct record_backup backup;
	struct record_job job = {.accepted_ms = NOON};
	struct store_txn *txn = fixture_begin(f);
	uint64_t id;

	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, &token, &id), 0);
	assert_int_equal(store_commit(txn), 0);
	before = get_counts(f, "pc-a");
	txn = fixture_begin(f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		backup = fixture_backup("pc-a", BACKUP_MANUAL, NOON);
		snprintf(backup.cluster, sizeof(backup.cluster), "%.63s", bad[i]);
		if (i == 4)
			memset(backup.cluster, 'a', sizeof(backup.cluster)); /* no end */
		assert_int_equal(store_backup_accept(txn, &backup, &job, NULL), ERR_INVALID);
		assert_int_equal(backup.id, 0);
	}
	assert_int_equal(fixture_accept(txn, "pc-a", 0, NOON, NULL, &id), ERR_INVALID);
	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MODES, NOON, NULL, &id), ERR_INVALID);
	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, &token, &id), ERR_EXISTS);
	backup = fixture_backup("pc-a", BACKUP_MANUAL, NOON);
	memset(backup.path, 'x', sizeof(backup.path));
	assert_int_equal(store_backup_accept(txn, &backup, &job, NULL), ERR_TOO_LONG);
	assert_int_equal(store_commit(txn), 0);
	after = get_counts(f, "pc-a");
	assert_memory_equal(&before, &after, sizeof(before));
	fixture_check_quota(f, "pc-a", NOON, 1, 1, 0);
	assert_int_equal(fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING), 2); /* no id was lost */
}

/* ---- moves ---- */

static const int stored_states[] = {BACKUP_PENDING, BACKUP_AVAILABLE, BACKUP_FAILED, BACKUP_CANCELLED, BACKUP_LOST,
				    BACKUP_DELETING};
#define STORED (sizeof(stored_states) / sizeof(stored_states[0]))

/* A backup in that state; the deleting one was AVAILABLE. */
static uint64_t make_in(struct fixture *f, const char *cluster, enum backup_state in)
{
	struct store_txn *txn;
	uint64_t id = fixture_make(f, cluster, BACKUP_AUTOMATED, NOON, in == BACKUP_DELETING ? BACKUP_AVAILABLE : in);

	if (in == BACKUP_DELETING) {
		txn = fixture_begin(f);
		assert_int_equal(fixture_accept_delete(txn, cluster, id, NOON, true, NULL), 0);
		assert_int_equal(store_commit(txn), 0);
	}
	return id;
}

static void updates_follow_the_arrows(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < STORED; i++) {
		for (int to = 0; to <= BACKUP_STATES; to++) {
			enum backup_state from = stored_states[i];
			uint64_t id = make_in(f, "pc-a", from);
			struct record_backup backup = get_backup(f, "pc-a", id);
			struct store_txn *txn = fixture_begin(f);
			bool deletes = to == BACKUP_DELETED || (to == BACKUP_DELETING && from != BACKUP_DELETING);
			int want = backup_committable(from, to) && !deletes ? 0 : ERR_STATE;

			backup.state = to;
			assert_int_equal(store_backup_update(txn, &backup), want);
			assert_int_equal(store_commit(txn), 0);
			assert_int_equal(get_backup(f, "pc-a", id).state, want == 0 ? to : (int)from);
		}
	}
	fixture_check_counters(f);
}

static void updates_keep_what_is_fixed(void **state)
{
	struct fixture *f = *state;
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	const struct record_backup backup = get_backup(f, "pc-a", id);
	struct record_backup other;
	struct store_txn *txn = fixture_begin(f);

	other = backup;
	other.mode = BACKUP_AUTOMATED;
	assert_int_equal(store_backup_update(txn, &other), ERR_INVALID);
	other = backup;
	other.accepted_ms++;
	assert_int_equal(store_backup_update(txn, &other), ERR_INVALID);
	other = backup;
	other.nonce.bytes[0] ^= 1;
	assert_int_equal(store_backup_update(txn, &other), ERR_INVALID);
	other = backup;
	other.end_state = BACKUP_LOST;
	assert_int_equal(store_backup_update(txn, &other), ERR_INVALID);
	other = backup;
	other.id++;
	assert_int_equal(store_backup_update(txn, &other), ERR_NOT_FOUND);
	other = backup;
	other.refunded = true; /* not the caller's to say */
	other.held = true;
	other.size = 77;
	assert_int_equal(store_backup_update(txn, &other), 0);
	assert_false(other.refunded);
	assert_int_equal(store_commit(txn), 0);
	other = get_backup(f, "pc-a", id);
	assert_true(other.held);
	assert_int_equal(other.size, 77);
	assert_false(other.refunded);
	fixture_check_quota(f, "pc-a", NOON, 1, 1, 0);
}

/* ---- refunds ---- */

static void ends_refund_once(void **state)
{
	struct fixture *f = *state;
	uint64_t failed = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_FAILED), automated;
	struct record_backup backup = get_backup(f, "pc-a", failed);
	struct store_txn *txn;

	/* Another of that day: a count too many is not cut off. */
	fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	assert_true(backup.refunded);
	fixture_check_quota(f, "pc-a", NOON, 1, 2, 1);
	txn = fixture_begin(f);
	backup.held = true;
	assert_int_equal(store_backup_update(txn, &backup), 0); /* FAILED again */
	backup.held = false;
	assert_int_equal(store_backup_update(txn, &backup), 0);
	assert_int_equal(store_commit(txn), 0);
	fixture_check_quota(f, "pc-a", NOON, 1, 2, 1);
	txn = fixture_begin(f);
	assert_int_equal(fixture_accept_delete(txn, "pc-a", failed, NOON, true, NULL), 0);
	assert_int_equal(store_commit(txn), 0);
	fixture_check_quota(f, "pc-a", NOON, 1, 2, 1);
	fixture_make(f, "pc-a", BACKUP_MANUAL, NOON - DAY_MS, BACKUP_CANCELLED);
	fixture_check_quota(f, "pc-a", NOON - DAY_MS, 1, 1, 1); /* the day of acceptance */
	fixture_check_quota(f, "pc-a", NOON, 1, 2, 1);
	automated = fixture_make(f, "pc-a", BACKUP_AUTOMATED, NOON, BACKUP_FAILED);
	assert_false(get_backup(f, "pc-a", automated).refunded);
	fixture_check_quota(f, "pc-a", NOON, 1, 2, 1);
	fixture_check_counters(f);
}

static void deletes_refund_with_the_commit_of_deleting(void **state)
{
	static const struct {
		int64_t accepted_ms, deleted_ms;
		bool refund_deleted, refunds;
	} rows[] = {
		{NOON, NOON, true, true},
		{NOON, NOON, false, false},
		{NOON, NOON + DAY_MS / 2 - 1, true, true},
		{NOON, NOON + DAY_MS / 2, true, false},
		{NOON, NOON - DAY_MS, true, false}, /* the clock was set back */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char cluster[8];
		struct store_txn *txn;
		uint64_t id;

		snprintf(cluster, sizeof(cluster), "pc-%zu", i);
		id = fixture_make(f, cluster, BACKUP_MANUAL, rows[i].accepted_ms, BACKUP_AVAILABLE);
		fixture_check_quota(f, cluster, NOON, 1, 1, 0);
		txn = fixture_begin(f);
		assert_int_equal(fixture_accept_delete(txn, cluster, id, rows[i].deleted_ms, rows[i].refund_deleted, NULL), 0);
		assert_int_equal(store_commit(txn), 0);
		fixture_check_quota(f, cluster, NOON, 0, 1, rows[i].refunds);
		assert_int_equal(get_backup(f, cluster, id).refunded, rows[i].refunds);
		txn = fixture_begin(f);
		assert_int_equal(store_backup_deleted(txn, cluster, id, NOON), 0);
		assert_int_equal(store_commit(txn), 0);
		fixture_check_quota(f, cluster, NOON, 0, 1, rows[i].refunds);
	}
	fixture_check_counters(f);
}

static void days_at_another_offset(void **state)
{
	struct fixture *f = *state;
	struct store_report report;

	fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	fixture_make(f, "pc-a", BACKUP_MANUAL, NOON + DAY_MS / 2 - 1, BACKUP_AVAILABLE);
	fixture_check_quota(f, "pc-a", NOON, 2, 2, 0);
	assert_int_equal(store_recount(f->store, 60, &report), 0);
	assert_true(report.offset_changed);
	assert_false(report.repaired);
	assert_int_equal(report.days, 0);
	fixture_check_quota(f, "pc-a", NOON, 2, 1, 0); /* 23:59:59.999 is the next day there */
	fixture_check_quota(f, "pc-a", NOON + DAY_MS / 2 - 1, 2, 1, 0);
	f->store = store_close(f->store);
	{
		char why[STORE_WHY_SIZE];

		assert_int_equal(fixture_try_open(f, why), 0);
	}
	assert_int_equal(store_recount(f->store, 60, &report), 0);
	assert_false(report.offset_changed || report.repaired);
	fixture_check_quota(f, "pc-a", NOON, 2, 1, 0);
}

/* ---- delete ---- */

static void only_final_ones_are_deleted(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < STORED; i++) {
		enum backup_state from = stored_states[i];
		uint64_t id = make_in(f, "pc-a", from), job = 0;
		int want = from == BACKUP_PENDING ? ERR_STATE : from == BACKUP_DELETING ? ERR_NOT_FOUND : 0;
		struct store_txn *txn = fixture_begin(f);
		enum store_refusal refusal = 0;

		assert_int_equal(store_backup_check_delete(txn, "pc-a", id, &refusal), want);
		assert_int_equal(refusal, want == ERR_STATE ? STORE_REFUSAL_RUNNING : 0);
		assert_int_equal(fixture_accept_delete(txn, "pc-a", id, NOON, true, &job), want);
		assert_int_equal(store_commit(txn), 0);
		if (want == 0) {
			assert_int_equal(get_backup(f, "pc-a", id).end_state, from);
			assert_int_equal(get_job(f, job).kind, JOB_KIND_DELETE);
			assert_int_equal(get_job(f, job).backup, id);
			assert_int_not_equal(job, id);
		}
	}
	fixture_check_counters(f);
}

static void unknown_and_foreign_are_not_found(void **state)
{
	struct fixture *f = *state;
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	struct store_txn *txn = fixture_begin(f);
	enum store_refusal refusal;

	assert_int_equal(store_backup_check_delete(txn, "pc-a", id + 1, &refusal), ERR_NOT_FOUND);
	assert_int_equal(store_backup_check_delete(txn, "pc-b", id, &refusal), ERR_NOT_FOUND);
	assert_int_equal(store_backup_check_delete(txn, "../etc", id, &refusal), ERR_NOT_FOUND);
	assert_int_equal(fixture_accept_delete(txn, "pc-b", id, NOON, true, NULL), ERR_NOT_FOUND);
	assert_int_equal(store_backup_deleted(txn, "pc-a", id, NOON), ERR_STATE); /* no delete was accepted */
	store_abort(txn);
}

static int accept_clone(struct store_txn *txn, const char *cluster, uint64_t backup, const char *name,
			struct record_clone *ret_clone)
{
	struct record_clone clone = {.backup = backup, .created_ms = NOON};
	struct record_job job = {.accepted_ms = NOON};
	bool taken;
	int rc;

	snprintf(clone.cluster, sizeof(clone.cluster), "%s", cluster);
	snprintf(clone.name, sizeof(clone.name), "%s", name);
	nonce_make(&clone.nonce);
	rc = store_clone_accept(txn, &clone, &job, NULL, &taken);
	assert_int_equal(taken, rc == ERR_EXISTS);
	if (rc == 0) {
		assert_int_equal(job.id, clone.job);
		*ret_clone = clone;
	}
	return rc;
}

static void held_and_pinned_are_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	uint64_t other = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	struct record_backup backup = get_backup(f, "pc-a", id);
	enum store_refusal refusal = 0;
	struct record_clone clone;
	struct store_txn *txn = fixture_begin(f);

	backup.held = true;
	assert_int_equal(store_backup_update(txn, &backup), 0);
	assert_int_equal(store_backup_check_delete(txn, "pc-a", id, &refusal), ERR_STATE);
	assert_int_equal(refusal, STORE_REFUSAL_HELD);
	assert_int_equal(fixture_accept_delete(txn, "pc-a", id, NOON, true, NULL), ERR_STATE);
	backup.held = false;
	assert_int_equal(store_backup_update(txn, &backup), 0);
	assert_int_equal(accept_clone(txn, "pc-a", id, "c1", &clone), 0);
	assert_int_equal(store_backup_check_delete(txn, "pc-a", id, &refusal), ERR_STATE);
	assert_int_equal(refusal, STORE_REFUSAL_PINNED);
	assert_int_equal(fixture_accept_delete(txn, "pc-a", id, NOON, true, NULL), ERR_STATE);
	assert_int_equal(store_backup_check_delete(txn, "pc-a", other, &refusal), 0); /* not its neighbour */
	assert_int_equal(fixture_finish_job(txn, clone.job, JOB_DONE, &noon), 0);
	assert_int_equal(store_backup_check_delete(txn, "pc-a", id, &refusal), 0);
	assert_int_equal(fixture_accept_delete(txn, "pc-a", id, NOON, true, NULL), 0);
	assert_int_equal(store_commit(txn), 0);
}

static struct record_backup found_on_disk(uint64_t id, enum backup_mode mode)
{
	struct record_backup backup = fixture_backup("pc-a", mode, NOON);

	backup.id = id;
	backup.adopted = true;
	backup.state = BACKUP_AVAILABLE;
	return backup;
}

/* No quota knows of it, from the first to the last of its states, and no number is given twice. */
static void adopted_is_counted_nowhere(void **state)
{
	struct fixture *f = *state;
	uint64_t own = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	struct record_backup backup = found_on_disk(40, BACKUP_MANUAL), taken = found_on_disk(own, BACKUP_MANUAL);
	struct store_txn *txn = fixture_begin(f);

	assert_int_equal(store_backup_adopt(txn, &taken), ERR_EXISTS);
	assert_int_equal(store_backup_adopt(txn, &backup), 0);
	assert_int_equal(store_backup_adopt(txn, &backup), ERR_EXISTS);
	assert_int_equal(store_commit(txn), 0);
	fixture_check_quota(f, "pc-a", NOON, 1, 1, 0);
	fixture_check_counters(f);
	assert_int_equal(fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE), 41);
	txn = fixture_begin(f);
	backup.state = BACKUP_LOST;
	assert_int_equal(store_backup_update(txn, &backup), 0);
	assert_int_equal(store_commit(txn), 0);
	fixture_check_quota(f, "pc-a", NOON, 2, 2, 0);
	fixture_check_counters(f);
	txn = fixture_begin(f);
	assert_int_equal(fixture_accept_delete(txn, "pc-a", 40, NOON, true, NULL), 0);
	assert_int_equal(store_backup_deleted(txn, "pc-a", 40, NOON), 0);
	assert_int_equal(store_commit(txn), 0);
	fixture_check_quota(f, "pc-a", NOON, 2, 2, 0);
	fixture_check_counters(f);
	assert_false(get_backup(f, "pc-a", own).adopted);
}

static struct record_job removal_of(uint64_t backup, const struct nonce *nonce)
{
	return (struct record_job){.cluster = "pc-a", .backup = backup, .nonce = *nonce, .accepted_ms = NOON};
}

/* Only what no record speaks of, and by one job at a time. */
static void quarantined_is_removed_once(void **state)
{
	struct fixture *f = *state;
	uint64_t own = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE), found = 0;
	struct record_backup backup = get_backup(f, "pc-a", own), stray = found_on_disk(40, BACKUP_AUTOMATED);
	struct store_txn *txn = fixture_begin(f);
	struct record_job job = removal_of(own, &backup.nonce);

	assert_int_equal(store_quarantine_accept_delete(txn, &job), ERR_STATE);
	job = removal_of(40, &stray.nonce);
	assert_int_equal(store_quarantine_job(txn, &stray.nonce, &found), ERR_NOT_FOUND);
	assert_int_equal(store_quarantine_accept_delete(txn, &job), 0);
	assert_int_equal(store_quarantine_job(txn, &stray.nonce, &found), 0);
	assert_int_equal(found, job.id);
	assert_int_equal(store_quarantine_accept_delete(txn, &job), ERR_EXISTS);
	assert_int_equal(store_backup_adopt(txn, &stray), ERR_EXISTS);
	assert_int_equal(store_commit(txn), 0);
	fixture_check_counters(f);
	txn = fixture_begin(f);
	assert_int_equal(fixture_finish_job(txn, job.id, JOB_FAILED, &noon), 0);
	assert_int_equal(store_backup_adopt(txn, &stray), 0);
	assert_int_equal(store_commit(txn), 0);
	fixture_check_counters(f);
}

/* The last job that reads a backup sets it free, also after a restart. */
static void pinned_by_each_clone(void **state)
{
	struct fixture *f = *state;
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	uint64_t next = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	enum store_refusal refusal = 0;
	struct record_clone one, two, other;
	struct store_txn *txn = fixture_begin(f);

	assert_int_equal(accept_clone(txn, "pc-a", id, "c1", &one), 0);
	assert_int_equal(accept_clone(txn, "pc-a", id, "c2", &two), 0);
	assert_int_equal(accept_clone(txn, "pc-a", next, "c3", &other), 0);
	assert_int_equal(fixture_finish_job(txn, one.job, JOB_DONE, &noon), 0);
	assert_int_equal(store_commit(txn), 0);
	fixture_reopen(f);
	txn = fixture_begin(f);
	assert_int_equal(store_backup_check_delete(txn, "pc-a", id, &refusal), ERR_STATE);
	assert_int_equal(refusal, STORE_REFUSAL_PINNED);
	assert_int_equal(fixture_finish_job(txn, two.job, JOB_FAILED, &noon), 0);
	assert_int_equal(store_backup_check_delete(txn, "pc-a", id, &refusal), 0);
	assert_int_equal(store_backup_check_delete(txn, "pc-a", next, &refusal), ERR_STATE);
	assert_int_equal(store_commit(txn), 0);
}

static void deleted_leaves_a_tombstone(void **state)
{
	struct fixture *f = *state;
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_LOST);
	struct nonce nonce = get_backup(f, "pc-a", id).nonce;
	struct store_txn *txn = fixture_begin(f);
	struct record_backup backup;
	struct record_tomb tomb;

	assert_int_equal(fixture_accept_delete(txn, "pc-a", id, NOON + 5, true, NULL), 0);
	assert_int_equal(store_tomb_get(txn, "pc-a", id, &tomb), ERR_NOT_FOUND);
	assert_int_equal(store_backup_deleted(txn, "pc-a", id, NOON + 9), 0);
	assert_int_equal(store_backup_deleted(txn, "pc-a", id, NOON + 9), ERR_NOT_FOUND);
	assert_int_equal(store_backup_get(txn, "pc-a", id, &backup), ERR_NOT_FOUND);
	assert_int_equal(store_tomb_get(txn, "pc-a", id, &tomb), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_int_equal(tomb.end_state, BACKUP_LOST);
	assert_int_equal(tomb.mode, BACKUP_MANUAL);
	assert_true(tomb.refunded);
	assert_int_equal(tomb.accepted_ms, NOON);
	assert_int_equal(tomb.deleted_ms, NOON + 9);
	assert_true(nonce_equal(&tomb.nonce, &nonce));
	assert_string_equal(tomb.cluster, "pc-a");
	assert_int_equal(tomb.id, id);
	assert_int_equal(get_counts(f, "pc-a").tombs, 1);
	assert_int_equal(get_job(f, id).kind, JOB_KIND_CREATE); /* its job is history */
}

/* ---- jobs ---- */

static void jobs_end_once(void **state)
{
	struct fixture *f = *state;
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING);
	struct store_now later = {NOON + 77, 0};
	struct record_job job = get_job(f, id), other;
	struct store_txn *txn = fixture_begin(f);

	job.attempts = 2;
	job.failures = 1;
	assert_int_equal(store_job_update(txn, &job), 0);
	assert_int_equal(store_job_finish(txn, &job, &later), ERR_STATE); /* still OPEN */
	other = job;
	other.kind = JOB_KIND_DELETE;
	other.mode = 0;
	assert_int_equal(store_job_update(txn, &other), ERR_INVALID);
	other = job;
	other.backup++;
	assert_int_equal(store_job_update(txn, &other), ERR_INVALID);
	other = job;
	other.id++;
	assert_int_equal(store_job_update(txn, &other), ERR_NOT_FOUND);
	job.state = JOB_FAILED;
	assert_int_equal(store_job_update(txn, &job), ERR_STATE);
	job.percent = 101;
	assert_int_equal(store_job_finish(txn, &job, &later), ERR_INVALID);
	assert_int_equal(job.ended_ms, 0);
	job.percent = 40;
	assert_int_equal(store_job_finish(txn, &job, &later), 0);
	assert_int_equal(store_job_finish(txn, &job, &later), ERR_STATE);
	assert_int_equal(store_job_update(txn, &job), ERR_STATE);
	assert_int_equal(store_commit(txn), 0);
	job = get_job(f, id);
	assert_int_equal(job.state, JOB_FAILED);
	assert_int_equal(job.ended_ms, NOON + 77);
	assert_int_equal(job.attempts, 2);
	fixture_check_counters(f);
}

struct seen {
	uint64_t ids[64];
	char names[64][IDENT_CLONE_SIZE];
	size_t count;
	size_t stop_after; /* 0: never */
	int stop_with;
};

static int see(struct seen *seen, uint64_t id)
{
	assert_true(seen->count < 64);
	seen->ids[seen->count++] = id;
	return seen->count == seen->stop_after ? seen->stop_with : 0;
}

static int see_job(void *arg, const struct record_job *job)
{
	return see(arg, job->id);
}

static int see_backup(void *arg, const struct record_backup *backup)
{
	return see(arg, backup->id);
}

static int see_clone(void *arg, const struct record_clone *clone)
{
	struct seen *seen = arg;

	snprintf(seen->names[seen->count], IDENT_CLONE_SIZE, "%s", clone->name);
	return see(seen, clone->backup);
}

static void open_jobs_oldest_first(void **state)
{
	struct fixture *f = *state;
	uint64_t a = fixture_make(f, "pc-b", BACKUP_MANUAL, NOON, BACKUP_PENDING);
	uint64_t b = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	uint64_t c = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING);
	struct seen seen = {0}, later = {0}, none = {0}, stopped = {.stop_after = 1, .stop_with = ERR_NOT_FOUND};
	struct store_txn *txn = fixture_read(f);

	(void)b;
	assert_int_equal(store_job_each_open(txn, 0, see_job, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.ids[0], a);
	assert_int_equal(seen.ids[1], c);
	assert_int_equal(store_job_each_open(txn, 0, see_job, &stopped), ERR_NOT_FOUND); /* the callback's own number */
	assert_int_equal(stopped.count, 1);
	assert_int_equal(store_job_each_open(txn, a + 1, see_job, &later), 0); /* b is over */
	assert_int_equal(later.count, 1);
	assert_int_equal(later.ids[0], c);
	assert_int_equal(store_job_each_open(txn, c + 1, see_job, &none), 0);
	assert_int_equal(none.count, 0);
	store_abort(txn);
}

/* ---- clones ---- */

static void clones_and_their_names(void **state)
{
	struct fixture *f = *state;
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	uint64_t pending = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING);
	uint64_t gone = make_in(f, "pc-a", BACKUP_DELETING);
	struct record_job job = {.clone = "c1", .accepted_ms = NOON};
	struct record_clone clone, other;
	struct store_txn *txn = fixture_begin(f);

	assert_int_equal(accept_clone(txn, "pc-a", pending, "c1", &clone), ERR_STATE);
	assert_int_equal(accept_clone(txn, "pc-a", gone, "c1", &clone), ERR_NOT_FOUND);
	assert_int_equal(accept_clone(txn, "pc-a", 999, "c1", &clone), ERR_NOT_FOUND);
	assert_int_equal(accept_clone(txn, "pc-b", id, "c1", &clone), ERR_NOT_FOUND);
	assert_int_equal(accept_clone(txn, "pc-a", id, "../c1", &clone), ERR_INVALID);
	assert_int_equal(accept_clone(txn, "pc-a", id, "", &clone), ERR_INVALID);
	assert_int_equal(accept_clone(txn, "pc-a", id, "c1", &clone), 0);
	assert_int_equal(accept_clone(txn, "pc-a", id, "c1", &other), ERR_EXISTS);
	assert_int_equal(store_clone_accept_delete(txn, &job), ERR_STATE); /* creating */
	clone.state = CLONE_AVAILABLE;
	clone.port = 5433;
	assert_int_equal(store_clone_update(txn, &clone), 0);
	clone.state = CLONE_CREATING;
	assert_int_equal(store_clone_update(txn, &clone), ERR_STATE);
	clone.state = CLONE_DELETING;
	assert_int_equal(store_clone_update(txn, &clone), ERR_STATE); /* has its own function */
	clone.state = CLONE_AVAILABLE;
	clone.nonce.bytes[0] ^= 1;
	assert_int_equal(store_clone_update(txn, &clone), ERR_INVALID);
	assert_int_equal(store_clone_deleted(txn, "c1"), ERR_STATE);
	assert_int_equal(store_clone_accept_delete(txn, &job), 0);
	assert_int_equal(job.kind, JOB_KIND_DELETE_CLONE);
	assert_int_equal(job.backup, id);
	assert_string_equal(job.cluster, "pc-a");
	assert_int_equal(accept_clone(txn, "pc-a", id, "c1", &other), ERR_EXISTS); /* until it is gone */
	assert_int_equal(store_clone_accept_delete(txn, &job), ERR_STATE);
	assert_int_equal(store_clone_deleted(txn, "c1"), 0);
	assert_int_equal(store_clone_deleted(txn, "c1"), ERR_NOT_FOUND);
	assert_int_equal(accept_clone(txn, "pc-a", id, "c1", &other), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_int_equal(get_counts(f, "pc-a").clones[CLONE_CREATING], 1);
	fixture_check_counters(f);
}

static void clones_listed_by_name(void **state)
{
	static const struct store_page all = {0, 10}, second = {1, 1}, none = {0, 0};
	struct fixture *f = *state;
	uint64_t a = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	uint64_t b = fixture_make(f, "pc-b", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	struct seen seen = {0};
	struct record_clone clone;
	uint64_t total = 0;
	struct store_txn *txn = fixture_begin(f);

	assert_int_equal(accept_clone(txn, "pc-a", a, "z", &clone), 0);
	assert_int_equal(accept_clone(txn, "pc-b", b, "m", &clone), 0);
	assert_int_equal(accept_clone(txn, "pc-a", a, "b", &clone), 0);
	assert_int_equal(store_clone_list(txn, NULL, 0, &all, see_clone, &seen, &total), 0);
	assert_int_equal(total, 3);
	assert_string_equal(seen.names[0], "b");
	assert_string_equal(seen.names[1], "m");
	assert_string_equal(seen.names[2], "z");
	seen.count = 0;
	assert_int_equal(store_clone_list(txn, "pc-a", 0, &second, see_clone, &seen, &total), 0);
	assert_int_equal(total, 2);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.names[0], "z");
	seen.count = 0;
	assert_int_equal(store_clone_list(txn, NULL, b, &all, see_clone, &seen, &total), 0);
	assert_int_equal(total, 1);
	assert_int_equal(store_clone_list(txn, "pc-c", 0, &none, see_clone, &seen, &total), 0);
	assert_int_equal(total, 0);
	assert_int_equal(store_commit(txn), 0);
}

/* ---- lists ---- */

static uint64_t list(struct store_txn *txn, const struct store_backup_filter *filter, uint64_t skip, uint32_t count,
		     struct seen *seen)
{
	const struct store_page page = {skip, count};
	uint64_t total = 4711;

	*seen = (struct seen){0};
	assert_int_equal(store_backup_list(txn, filter, &page, see_backup, seen, &total), 0);
	return total;
}

/* Against a list made the slow way, for every filter and page. */
static void backups_every_filter_and_page(void **state)
{
	struct fixture *f = *state;
	struct {
		uint64_t id;
		int state, mode;
		int64_t at;
	} made[24];
	struct store_txn *txn;
	struct seen seen;

	for (size_t i = 0; i < 24; i++) {
		made[i].state = stored_states[i % STORED];
		made[i].mode = i % 5 < 3 ? BACKUP_AUTOMATED : BACKUP_MANUAL;
		made[i].at = NOON + (int64_t)(i * 7 % 24) * 1000;
		made[i].id = fixture_make(f, "pc-a", made[i].mode, made[i].at,
					  made[i].state == BACKUP_DELETING ? BACKUP_AVAILABLE : made[i].state);
		if (made[i].state == BACKUP_DELETING) {
			txn = fixture_begin(f);
			assert_int_equal(fixture_accept_delete(txn, "pc-a", made[i].id, NOON, false, NULL), 0);
			assert_int_equal(store_commit(txn), 0);
		}
		/* neighbours in the order of keys */
		fixture_make(f, i % 2 ? "pc-a-b" : "pc-", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	}
	txn = fixture_read(f);
	for (int groups = 0; groups < 16; groups++) {
		for (int mode = 0; mode <= 2; mode++) {
			for (int time = 0; time < 4; time++) {
				struct store_backup_filter filter = {
					.cluster = "pc-a", .groups = (uint8_t)groups, .mode = (uint8_t)mode,
					.from_ms = time & 1 ? NOON + 5000 : 0, .until_ms = time & 2 ? NOON + 15000 : 0,
				};
				uint64_t want[24];
				size_t count = 0;

				for (int i = 23; i >= 0; i--) {
					int mask = (groups ? groups : 7) & 7;

					if ((mask & (int)backup_group(made[i].state)) && (!mode || mode == made[i].mode) &&
					    (!filter.from_ms || made[i].at >= filter.from_ms) &&
					    (!filter.until_ms || made[i].at < filter.until_ms))
						want[count++] = made[i].id;
				}
				for (uint64_t skip = 0; skip < 24; skip += 5) {
					size_t left = skip < count ? count - skip : 0;

					assert_int_equal(list(txn, &filter, skip, 5, &seen), count);
					assert_int_equal(seen.count, left < 5 ? left : 5);
					assert_memory_equal(seen.ids, want + skip, seen.count * sizeof(want[0]));
				}
				assert_int_equal(list(txn, &filter, 0, 0, &seen), count);
				assert_int_equal(seen.count, 0);
			}
		}
	}
	store_abort(txn);
}

static void one_backup_by_id(void **state)
{
	struct fixture *f = *state;
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	uint64_t gone = make_in(f, "pc-a", BACKUP_DELETING);
	struct store_txn *txn = fixture_read(f);
	struct store_page page = {0, 30};
	struct seen seen, stopped = {.stop_after = 1, .stop_with = ERR_NOT_FOUND};

	assert_int_equal(list(txn, &(struct store_backup_filter){.cluster = "pc-a", .id = id}, 0, 30, &seen), 1);
	assert_int_equal(seen.ids[0], id);
	assert_int_equal(list(txn, &(struct store_backup_filter){.cluster = "pc-a", .id = id}, 1, 30, &seen), 1);
	assert_int_equal(seen.count, 0);
	assert_int_equal(list(txn, &(struct store_backup_filter){.cluster = "pc-a", .id = id, .groups = 4}, 0, 30, &seen), 0);
	assert_int_equal(list(txn, &(struct store_backup_filter){.cluster = "pc-a", .id = gone}, 0, 30, &seen), 0);
	assert_int_equal(list(txn, &(struct store_backup_filter){.cluster = "pc-b", .id = id}, 0, 30, &seen), 0);
	assert_int_equal(store_backup_list(txn, &(struct store_backup_filter){.cluster = "pc-a", .id = id}, &page,
					   see_backup, &stopped, NULL), ERR_NOT_FOUND);
	assert_int_equal(store_backup_list(txn, &(struct store_backup_filter){.cluster = "../etc"}, &page, see_backup,
					   &seen, NULL), ERR_INVALID);
	store_abort(txn);
}

static uint64_t list_jobs(struct store_txn *txn, const struct store_job_filter *filter, uint32_t count, struct seen *seen)
{
	const struct store_page page = {0, count};
	uint64_t total = 4711;

	*seen = (struct seen){0};
	assert_int_equal(store_job_list(txn, filter, &page, see_job, seen, &total), 0);
	return total;
}

static void jobs_by_kind_state_and_mode(void **state)
{
	struct fixture *f = *state;
	uint64_t a = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	uint64_t b = fixture_make(f, "pc-a", BACKUP_AUTOMATED, NOON, BACKUP_PENDING);
	uint64_t c = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_FAILED), del = 0;
	struct store_txn *txn = fixture_begin(f);
	struct store_job_filter filter = {.cluster = "pc-a"};
	struct seen seen;

	assert_int_equal(fixture_accept_delete(txn, "pc-a", a, NOON, true, &del), 0);
	assert_int_equal(list_jobs(txn, &filter, 10, &seen), 4);
	assert_int_equal(seen.count, 4);
	assert_int_equal(seen.ids[0], del);
	assert_int_equal(seen.ids[3], a);
	filter.kinds = 1 << JOB_KIND_CREATE;
	assert_int_equal(list_jobs(txn, &filter, 2, &seen), 3);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.ids[0], c);
	filter.states = 1 << JOB_OPEN;
	assert_int_equal(list_jobs(txn, &filter, 10, &seen), 1);
	assert_int_equal(seen.ids[0], b);
	filter.states = 0;
	filter.mode = BACKUP_MANUAL;
	assert_int_equal(list_jobs(txn, &filter, 1, &seen), 2);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.ids[0], c);
	filter = (struct store_job_filter){.cluster = "pc-a", .id = b};
	assert_int_equal(list_jobs(txn, &filter, 10, &seen), 1);
	filter.kinds = 1 << JOB_KIND_DELETE;
	assert_int_equal(list_jobs(txn, &filter, 10, &seen), 0);
	filter = (struct store_job_filter){.cluster = "pc-b", .id = b};
	assert_int_equal(list_jobs(txn, &filter, 10, &seen), 0);
	assert_int_equal(store_commit(txn), 0);
}

/* ---- clusters ---- */

static int see_facts(void *arg, const struct record_facts *facts)
{
	struct seen *seen = arg;

	snprintf(seen->names[seen->count], IDENT_CLONE_SIZE, "%s", facts->cluster);
	return see(seen, facts->size);
}

static int see_counts(void *arg, const char *cluster, const struct record_counts *counts)
{
	struct seen *seen = arg;

	snprintf(seen->names[seen->count], IDENT_CLONE_SIZE, "%s", cluster);
	return see(seen, store_counts_records(counts));
}

static void clusters_and_their_records(void **state)
{
	struct fixture *f = *state;
	struct record_facts facts = {.cluster = "pc-b", .size = 7, .layout = RECORD_LAYOUT_OK};
	struct seen seen = {0};
	struct store_txn *txn = fixture_begin(f);
	struct record_clone clone;
	uint64_t id = 0;

	assert_int_equal(store_facts_get(txn, "pc-b", &facts), ERR_NOT_FOUND);
	assert_int_equal(store_facts_put(txn, &facts), 0);
	facts.size = 8;
	assert_int_equal(store_facts_put(txn, &facts), 0);
	memcpy(facts.cluster, "pc-a", 5);
	assert_int_equal(store_facts_put(txn, &facts), 0);
	memcpy(facts.cluster, "/", 2);
	assert_int_equal(store_facts_put(txn, &facts), ERR_INVALID);
	assert_int_equal(store_facts_get(txn, "pc-b", &facts), 0);
	assert_int_equal(facts.size, 8);
	assert_int_equal(store_facts_each(txn, see_facts, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.names[0], "pc-a");
	assert_string_equal(seen.names[1], "pc-b");
	assert_int_equal(fixture_accept(txn, "pc-b", BACKUP_MANUAL, NOON, NULL, &id), 0);
	assert_int_equal(fixture_move(txn, "pc-b", id, BACKUP_AVAILABLE, &noon), 0);
	assert_int_equal(accept_clone(txn, "pc-b", id, "c", &clone), 0);
	seen.count = 0;
	assert_int_equal(store_counts_each(txn, see_counts, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.names[0], "pc-b");
	assert_int_equal(seen.ids[0], 2); /* a backup and a clone */
	assert_int_equal(store_facts_delete(txn, "pc-a"), 0);
	assert_int_equal(store_facts_delete(txn, "pc-a"), ERR_NOT_FOUND);
	assert_int_equal(store_facts_delete(txn, "pc-b"), ERR_STATE);
	assert_int_equal(store_commit(txn), 0);
}

/* ---- tokens ---- */

static int find(struct fixture *f, const char *text, int64_t wall_ms, int64_t running_ms, uint64_t *ret_job)
{
	struct store_token token = fixture_token(text, 0, wall_ms, running_ms);
	struct store_txn *txn = fixture_read(f);
	struct record_token record;
	int rc = store_token_find(txn, &token, &record);

	store_abort(txn);
	if (rc == 0)
		*ret_job = record.job;
	return rc;
}

static uint64_t accept_with_token(struct fixture *f, const char *text, int64_t wall_ms, int64_t running_ms)
{
	struct store_token token = fixture_token(text, 9, wall_ms, running_ms);
	struct store_txn *txn = fixture_begin(f);
	uint64_t id = 0;

	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, wall_ms, &token, &id), 0);
	assert_int_equal(store_commit(txn), 0);
	return id;
}

static void end_create(struct fixture *f, uint64_t id, int64_t wall_ms, int64_t running_ms)
{
	const struct store_now now = {wall_ms, running_ms};
	struct store_txn *txn = fixture_begin(f);

	assert_int_equal(fixture_move(txn, "pc-a", id, BACKUP_AVAILABLE, &now), 0);
	assert_int_equal(store_commit(txn), 0);
}

static void token_lives_with_its_job(void **state)
{
	struct fixture *f = *state;
	uint64_t id = accept_with_token(f, "t", NOON, 0), job = 0;

	assert_int_equal(find(f, "u", NOON, 0, &job), ERR_NOT_FOUND);
	assert_int_equal(find(f, "t", NOON + 100 * DAY_MS, 100 * DAY_MS, &job), 0); /* open: for ever */
	assert_int_equal(job, id);
	end_create(f, id, NOON + 10, 10);
	assert_int_equal(find(f, "t", NOON + 1009, 5000, &job), 0);
	assert_int_equal(find(f, "t", NOON + 5000, 1009, &job), 0); /* the clock jumped ahead */
	assert_int_equal(find(f, "t", NOON - DAY_MS, 5000, &job), 0); /* set back */
	assert_int_equal(find(f, "t", NOON + 1010, 1010, &job), ERR_NOT_FOUND);
}

/* After a start running time counts from the start: nobody knows how long the front was away. */
static void token_life_over_a_restart(void **state)
{
	struct fixture *f = *state;
	uint64_t id = accept_with_token(f, "t", NOON, 0), job = 0;

	end_create(f, id, NOON, 5);
	f->running_ms = 50000;
	fixture_reopen(f);
	assert_int_equal(find(f, "t", NOON + DAY_MS, 50999, &job), 0);
	assert_int_equal(job, id);
	assert_int_equal(find(f, "t", NOON + 999, 60000, &job), 0);
	assert_int_equal(find(f, "t", NOON + DAY_MS, 51000, &job), ERR_NOT_FOUND);
	/* A machine's start sets running time back to nearly nothing. */
	f->running_ms = 3;
	fixture_reopen(f);
	assert_int_equal(find(f, "t", NOON + DAY_MS, 1002, &job), 0);
	assert_int_equal(find(f, "t", NOON + DAY_MS, 1003, &job), ERR_NOT_FOUND);
}

static void token_fingerprint_is_kept(void **state)
{
	struct fixture *f = *state;
	struct store_token token = fixture_token("t", 9, NOON, 0), other = fixture_token("t", 8, NOON, 0);
	struct record_token record;
	struct store_txn *txn;

	accept_with_token(f, "t", NOON, 0);
	txn = fixture_read(f);
	assert_int_equal(store_token_find(txn, &other, &record), 0);
	assert_true(token_fingerprint_equal(&record.fingerprint, &token.fingerprint));
	assert_false(token_fingerprint_equal(&record.fingerprint, &other.fingerprint));
	assert_int_equal(record.created_ms, NOON);
	store_abort(txn);
}

static void token_over_is_used_anew(void **state)
{
	struct fixture *f = *state;
	uint64_t first = accept_with_token(f, "t", NOON, 0), second, job = 0;
	const struct store_now late = {NOON + DAY_MS, DAY_MS};
	struct store_txn *txn;
	uint32_t removed = 99;

	end_create(f, first, NOON, 0);
	second = accept_with_token(f, "t", NOON + 1000, 1000);
	assert_int_equal(find(f, "t", NOON + DAY_MS, DAY_MS, &job), 0);
	assert_int_equal(job, second);
	/* What was left of the first life must not end the second. */
	txn = fixture_begin(f);
	assert_int_equal(store_token_purge(txn, 1000, &late, 100, &removed), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(find(f, "t", NOON + DAY_MS, DAY_MS, &job), 0);
}

static void tokens_are_purged_in_steps(void **state)
{
	struct fixture *f = *state;
	const struct store_now early = {NOON + 999, 999}, jumped = {NOON + DAY_MS, 999}, late = {NOON + 1003, 1003};
	struct store_txn *txn;
	uint32_t removed = 99;
	uint64_t job;

	for (int i = 0; i < 6; i++) {
		char text[3] = {'t', (char)('0' + i), 0};
		uint64_t id = accept_with_token(f, text, NOON, 0);

		if (i < 5)
			end_create(f, id, NOON + i, i);
	}
	txn = fixture_begin(f);
	assert_int_equal(store_token_purge(txn, 1000, &early, 100, &removed), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(store_token_purge(txn, 1000, &jumped, 100, &removed), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(store_token_purge(txn, 1000, &late, 3, &removed), 0);
	assert_int_equal(removed, 3);
	assert_int_equal(store_token_purge(txn, 1000, &late, 100, &removed), 0);
	assert_int_equal(removed, 1); /* t3; t4's second is not over */
	assert_int_equal(store_token_purge(txn, 1000, &late, 100, NULL), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_int_equal(find(f, "t3", NOON, 0, &job), ERR_NOT_FOUND);
	assert_int_equal(find(f, "t4", NOON, 0, &job), 0);
	assert_int_equal(find(f, "t5", NOON, 0, &job), 0);
}

/* ---- history ---- */

static uint32_t purge(struct fixture *f, int64_t wall_ms, uint32_t limit)
{
	struct store_txn *txn = fixture_begin(f);
	uint32_t removed = 99;

	assert_int_equal(store_history_purge(txn, 1000, wall_ms, limit, &removed), 0);
	assert_int_equal(store_commit(txn), 0);
	return removed;
}

static uint64_t make_deleted(struct fixture *f, int64_t at_ms)
{
	const struct store_now now = {at_ms, 0};
	uint64_t id = fixture_make(f, "pc-a", BACKUP_MANUAL, at_ms, BACKUP_AVAILABLE), job = 0;
	struct store_txn *txn = fixture_begin(f);

	assert_int_equal(fixture_accept_delete(txn, "pc-a", id, at_ms, true, &job), 0);
	assert_int_equal(store_backup_deleted(txn, "pc-a", id, at_ms), 0);
	assert_int_equal(fixture_finish_job(txn, job, JOB_DONE, &now), 0);
	assert_int_equal(store_commit(txn), 0);
	return id;
}

static void history_goes_as_a_whole(void **state)
{
	struct fixture *f = *state;
	uint64_t gone = make_deleted(f, NOON), kept = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	char cluster[IDENT_CLUSTER_SIZE];
	struct record_tomb tomb;
	struct record_job job;
	struct store_txn *txn;

	assert_int_equal(purge(f, NOON + 999, 100), 0);
	fixture_check_quota(f, "pc-a", NOON, 1, 2, 1);
	assert_int_equal(purge(f, NOON + 1000, 100), 2); /* the create with its tombstone, the delete */
	txn = fixture_read(f);
	assert_int_equal(store_tomb_get(txn, "pc-a", gone, &tomb), ERR_NOT_FOUND);
	assert_int_equal(store_job_get(txn, "pc-a", gone, &job), ERR_NOT_FOUND);
	assert_int_equal(store_id_cluster(txn, gone, cluster), ERR_NOT_FOUND);
	assert_int_equal(store_job_get(txn, "pc-a", kept, &job), 0); /* its backup exists */
	store_abort(txn);
	fixture_check_quota(f, "pc-a", NOON, 1, 1, 0);
	fixture_check_counters(f);
	assert_int_equal(fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING), kept + 1); /* ids are not reused */
}

static void history_waits_for_tokens_and_jobs(void **state)
{
	struct fixture *f = *state;
	const struct store_now late = {NOON + 5000, 5000};
	uint64_t id = accept_with_token(f, "t", NOON, 0), job = 0;
	struct store_txn *txn;

	end_create(f, id, NOON, 0);
	txn = fixture_begin(f);
	assert_int_equal(fixture_accept_delete(txn, "pc-a", id, NOON, true, &job), 0);
	assert_int_equal(store_backup_deleted(txn, "pc-a", id, NOON), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_int_equal(purge(f, NOON + 5000, 100), 0); /* a token, and an unfinished delete */
	assert_int_equal(find(f, "t", NOON, 0, &id), 0);
	txn = fixture_begin(f);
	assert_int_equal(store_token_purge(txn, 1000, &late, 100, NULL), 0);
	assert_int_equal(fixture_finish_job(txn, job, JOB_DONE, &late), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_int_equal(purge(f, NOON + 5000, 100), 1);
	assert_int_equal(purge(f, NOON + 6000, 100), 1);
	assert_int_equal(get_counts(f, "pc-a").tombs, 0);
	fixture_check_counters(f);
}

static void history_in_steps(void **state)
{
	struct fixture *f = *state;
	uint32_t removed = 0;

	fixture_make(f, "pc-a", BACKUP_AUTOMATED, NOON, BACKUP_AVAILABLE); /* stays, and is passed by */
	for (int i = 0; i < 5; i++)
		make_deleted(f, NOON + i);
	fixture_make(f, "pc-a", BACKUP_AUTOMATED, NOON + 5000, BACKUP_FAILED);
	for (int i = 0; i < 10; i++) {
		uint32_t step = purge(f, NOON + 2000, 2);

		assert_true(step <= 2);
		removed += step;
	}
	assert_int_equal(removed, 10);
	fixture_check_counters(f);
}

/* ---- recount ---- */

static void recount_repairs(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn;
	struct record_counts counts;
	struct store_report report;
	struct store_key key;

	fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	fixture_make(f, "pc-b", BACKUP_MANUAL, NOON, BACKUP_FAILED);
	txn = fixture_begin(f);
	assert_int_equal(store_counts_get(txn, "pc-a", &counts), 0);
	counts.backups[BACKUP_AVAILABLE][BACKUP_MANUAL] = 9;
	assert_int_equal(counts_put(txn, "pc-a", &counts), 0);
	assert_int_equal(counts_put(txn, "pc-ghost", &counts), 0); /* no records */
	key = key_text("pc-b");
	assert_int_equal(db_put(txn, LIST_COUNTS, &key, "\0", 1), 0); /* cannot be read */
	assert_int_equal(day_add(txn, "pc-a", NOON, 3, 1), 0);
	assert_int_equal(day_add(txn, "pc-a", NOON + DAY_MS, 1, 0), 0);
	key = key_day("pc-b", 20000);
	assert_int_equal(db_delete(txn, LIST_DAYS, &key), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_int_equal(store_recount(f->store, 0, &report), 0);
	assert_int_equal(report.counts, 3);
	assert_int_equal(report.days, 3);
	assert_true(report.repaired);
	fixture_check_counters(f);
	fixture_check_quota(f, "pc-a", NOON, 1, 1, 0);
	fixture_check_quota(f, "pc-b", NOON, 0, 1, 1);
	fixture_check_quota(f, "pc-ghost", NOON, 0, 0, 0);
}

static void recount_refuses_damage(void **state)
{
	struct fixture *f = *state;
	struct store_report report = {.counts = 77};
	struct store_txn *txn = fixture_begin(f);
	struct store_key key = key_cluster_id("pc-a", 5);
	struct record_backup backup;

	assert_int_equal(db_put(txn, LIST_BACKUPS, &key, "\1\2", 2), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_int_equal(store_recount(f->store, 0, &report), ERR_CORRUPT);
	assert_int_equal(report.counts, 77);
	txn = fixture_read(f);
	assert_int_equal(store_backup_get(txn, "pc-a", 5, &backup), ERR_CORRUPT);
	assert_int_equal(store_backup_get(txn, "pc-a", 6, &backup), ERR_CORRUPT); /* dead */
	store_abort(txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)

/* What each_peek calls: ids, and whether each was held. */
struct peeked {
	uint64_t ids[8];
	size_t count;
	uint64_t stop_at;
};

static int peek_id(void *arg, uint64_t id, const struct record_backup_peek *peek)
{
	struct peeked *peeked = arg;

	assert_true(peek->accepted_ms > 0);
	peeked->ids[peeked->count++] = id;
	return id == peeked->stop_at ? 7 : 0;
}

static void peeks_of_a_cluster(void **state)
{
	struct fixture *f = *state;
	uint64_t first = fixture_make(f, "pc-a", BACKUP_AUTOMATED, NOON, BACKUP_AVAILABLE);
	uint64_t other = fixture_make(f, "pc-b", BACKUP_AUTOMATED, NOON, BACKUP_AVAILABLE);
	uint64_t last = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_FAILED);
	struct store_txn *txn = fixture_read(f);
	struct peeked peeked = {0};

	assert_int_equal(store_backup_each_peek(txn, "pc-a", 0, peek_id, &peeked), 0);
	assert_int_equal(peeked.count, 2);
	assert_int_equal(peeked.ids[0], first);
	assert_int_equal(peeked.ids[1], last);
	peeked.count = 0;
	assert_int_equal(store_backup_each_peek(txn, "pc-a", first + 1, peek_id, &peeked), 0);
	assert_int_equal(peeked.count, 1);
	peeked = (struct peeked){.stop_at = other};
	assert_int_equal(store_backup_each_peek(txn, "pc-b", 0, peek_id, &peeked), 7);
	assert_int_equal(store_backup_each_peek(txn, "pc-c", 0, peek_id, &peeked), 0);
	assert_int_equal(store_backup_each_peek(txn, "../c", 0, peek_id, &peeked), ERR_INVALID);
	store_abort(txn);
}

int main(void)
{
	const struct CMUnitTest store_records[] = {
		TEST(accepted_is_complete),
		TEST(refused_accepts_change_nothing),
		TEST(updates_follow_the_arrows),
		TEST(updates_keep_what_is_fixed),
		TEST(ends_refund_once),
		TEST(deletes_refund_with_the_commit_of_deleting),
		TEST(days_at_another_offset),
		TEST(only_final_ones_are_deleted),
		TEST(unknown_and_foreign_are_not_found),
		TEST(held_and_pinned_are_refused),
		TEST(adopted_is_counted_nowhere),
		TEST(quarantined_is_removed_once),
		TEST(pinned_by_each_clone),
		TEST(deleted_leaves_a_tombstone),
		TEST(jobs_end_once),
		TEST(open_jobs_oldest_first),
		TEST(clones_and_their_names),
		TEST(clones_listed_by_name),
		TEST(backups_every_filter_and_page),
		TEST(one_backup_by_id),
		TEST(jobs_by_kind_state_and_mode),
		TEST(clusters_and_their_records),
		TEST(token_lives_with_its_job),
		TEST(token_life_over_a_restart),
		TEST(token_fingerprint_is_kept),
		TEST(token_over_is_used_anew),
		TEST(tokens_are_purged_in_steps),
		TEST(history_goes_as_a_whole),
		TEST(history_waits_for_tokens_and_jobs),
		TEST(history_in_steps),
		TEST(peeks_of_a_cluster),
		TEST(recount_repairs),
		TEST(recount_refuses_damage),
	};

	return cmocka_run_group_tests(store_records, NULL, NULL);
}
