/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random requests against a plain model: after each the store says what the model says,
 * its counters are what its records say, an abort and a reopening change nothing.
 * The seed is printed; DBSNAP_SEED sets another.
 */
#include "tests/unit/store_fixture.h"

#include <inttypes.h>

enum { MODEL_MAX = 4000, CLUSTERS = 3, STEPS = 6000 };

struct model_backup {
	uint64_t id;
	int cluster;
	enum backup_state state; /* DELETED: a tombstone */
	enum backup_mode mode;
	int64_t accepted_ms;
	bool refunded;
	uint64_t delete_job;
	char token[8]; /* "": none */
};

struct model {
	struct fixture *f;
	uint64_t seed;
	struct store_now now;
	struct model_backup backups[MODEL_MAX];
	size_t count;
	uint64_t last_id;
};

static const char *const clusters[CLUSTERS] = {"pc-a", "pc-a-a", "pc-b"};

static uint32_t pick(struct model *m, uint32_t below)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(m->seed >> 33) % below;
}

static struct model_backup *pick_backup(struct model *m)
{
	return m->count ? &m->backups[pick(m, (uint32_t)m->count)] : NULL;
}

/* What one step would change, applied to the model only if it was committed. */
struct step {
	struct model_backup *target;
	struct model_backup after;
	uint64_t last_id;
	bool changed;
};

static bool token_is_used(const struct model *m, const char *token)
{
	for (size_t i = 0; i < m->count; i++) {
		if (strcmp(m->backups[i].token, token) == 0)
			return true;
	}
	return false;
}

/* Tokens never run out here: their life is another test's matter. */
static void do_create(struct model *m, struct store_txn *txn, struct step *step)
{
	struct model_backup new = {.cluster = (int)pick(m, CLUSTERS), .state = BACKUP_PENDING};
	struct store_token token, *used = NULL;
	int rc;

	if (m->count == MODEL_MAX)
		return;
	new.mode = pick(m, 3) ? BACKUP_MANUAL : BACKUP_AUTOMATED;
	new.accepted_ms = m->now.wall_ms;
	if (pick(m, 2)) {
		snprintf(new.token, sizeof(new.token), "t%u", pick(m, 2000));
		token = fixture_token(new.token, 1, m->now.wall_ms, m->now.running_ms);
		token.ttl_ms = INT64_MAX;
		used = &token;
	}
	rc = fixture_accept(txn, clusters[new.cluster], new.mode, new.accepted_ms, used, &new.id);
	if (used && token_is_used(m, new.token)) {
		assert_int_equal(rc, ERR_EXISTS);
		return;
	}
	assert_int_equal(rc, 0);
	assert_true(new.id > m->last_id); /* never reused */
	*step = (struct step){&m->backups[m->count], new, new.id, true};
}

static void do_move(struct model *m, struct store_txn *txn, struct step *step)
{
	struct model_backup *b = pick_backup(m);
	enum backup_state to = 1 + pick(m, BACKUP_STATES - 1);
	bool allowed;
	int rc;

	if (!b)
		return;
	/* Written from design.md's arrows, not from the table. */
	allowed = (b->state == BACKUP_PENDING && (to == BACKUP_AVAILABLE || to == BACKUP_FAILED || to == BACKUP_CANCELLED)) ||
		  (b->state == BACKUP_AVAILABLE && to == BACKUP_LOST) || (b->state == BACKUP_LOST && to == BACKUP_AVAILABLE) ||
		  b->state == to;
	rc = fixture_move(txn, clusters[b->cluster], b->id, to, &m->now);
	if (b->state == BACKUP_DELETED) {
		assert_int_equal(rc, ERR_NOT_FOUND);
		return;
	}
	assert_int_equal(rc, allowed ? 0 : ERR_STATE);
	if (!allowed)
		return;
	*step = (struct step){b, *b, m->last_id, true};
	step->after.state = to;
	if ((to == BACKUP_FAILED || to == BACKUP_CANCELLED) && b->mode == BACKUP_MANUAL)
		step->after.refunded = true;
}

static void do_delete(struct model *m, struct store_txn *txn, struct step *step)
{
	struct model_backup *b = pick_backup(m);
	bool refund = pick(m, 2);
	uint64_t job = 0;
	int rc, want;

	if (!b)
		return;
	rc = fixture_accept_delete(txn, clusters[b->cluster], b->id, m->now.wall_ms, refund, &job);
	want = b->state == BACKUP_PENDING ? ERR_STATE :
	       b->state == BACKUP_DELETING || b->state == BACKUP_DELETED ? ERR_NOT_FOUND : 0;
	assert_int_equal(rc, want);
	if (rc < 0)
		return;
	assert_true(job > m->last_id);
	*step = (struct step){b, *b, job, true};
	step->after.state = BACKUP_DELETING;
	step->after.delete_job = job;
	if (b->mode == BACKUP_MANUAL && refund && m->now.wall_ms / DAY_MS == b->accepted_ms / DAY_MS)
		step->after.refunded = true;
}

static void do_deleted(struct model *m, struct store_txn *txn, struct step *step)
{
	struct model_backup *b = pick_backup(m);
	int rc;

	if (!b)
		return;
	rc = store_backup_deleted(txn, clusters[b->cluster], b->id, m->now.wall_ms);
	if (b->state != BACKUP_DELETING) {
		assert_int_equal(rc, b->state == BACKUP_DELETED ? ERR_NOT_FOUND : ERR_STATE);
		return;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(fixture_finish_job(txn, b->delete_job, JOB_DONE, &m->now), 0);
	*step = (struct step){b, *b, m->last_id, true};
	step->after.state = BACKUP_DELETED;
}

static void do_step(struct model *m)
{
	struct store_txn *txn = fixture_begin(m->f);
	struct step step = {0};
	uint32_t what = pick(m, 10);

	if (what < 3)
		do_create(m, txn, &step);
	else if (what < 6)
		do_move(m, txn, &step);
	else if (what < 8)
		do_delete(m, txn, &step);
	else
		do_deleted(m, txn, &step);
	if (pick(m, 8) == 0) {
		store_abort(txn);
		return;
	}
	assert_int_equal(store_commit(txn), 0);
	if (!step.changed)
		return;
	if (step.target == &m->backups[m->count])
		m->count++;
	*step.target = step.after;
	m->last_id = step.last_id;
}

static void check_cluster(struct model *m, int cluster)
{
	const struct store_backup_filter filter = {.cluster = clusters[cluster]};
	const struct store_page none = {0, 0};
	struct quota_counts want = {0}, got = fixture_quota(m->f, clusters[cluster], m->now.wall_ms);
	uint64_t listed = 0, total = 0;
	struct store_txn *txn;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_backup *b = &m->backups[i];

		if (b->cluster != cluster)
			continue;
		listed += b->state != BACKUP_DELETING && b->state != BACKUP_DELETED;
		if (b->mode != BACKUP_MANUAL)
			continue;
		want.retained += b->state == BACKUP_PENDING || b->state == BACKUP_AVAILABLE;
		if (b->accepted_ms / DAY_MS == m->now.wall_ms / DAY_MS) {
			want.accepted++;
			want.refunded += b->refunded;
		}
	}
	assert_int_equal(got.retained, want.retained);
	assert_int_equal(got.accepted, want.accepted);
	assert_int_equal(got.refunded, want.refunded);
	txn = fixture_read(m->f);
	assert_int_equal(store_backup_list(txn, &filter, &none, NULL, NULL, &total), 0);
	store_abort(txn);
	assert_int_equal(total, listed);
}

/* Every single one: exactly one record or tombstone, as the model has it. */
static void check_each(struct model *m)
{
	struct store_txn *txn = fixture_read(m->f);

	for (size_t i = 0; i < m->count; i++) {
		const struct model_backup *b = &m->backups[i];
		struct record_backup backup;
		struct record_tomb tomb;
		int rc = store_backup_get(txn, clusters[b->cluster], b->id, &backup);
		int tomb_rc = store_tomb_get(txn, clusters[b->cluster], b->id, &tomb);

		assert_int_equal(rc, b->state == BACKUP_DELETED ? ERR_NOT_FOUND : 0);
		assert_int_equal(tomb_rc, b->state == BACKUP_DELETED ? 0 : ERR_NOT_FOUND);
		if (rc == 0)
			assert_int_equal(backup.state, b->state);
		assert_int_equal(rc == 0 ? backup.refunded : tomb.refunded, b->refunded);
	}
	store_abort(txn);
}

static int check_open(void *arg, const struct record_job *job)
{
	uint32_t *open = arg;

	assert_int_equal(job->state, JOB_OPEN);
	(*open)++;
	return 0;
}

static void check_open_jobs(struct model *m)
{
	struct store_txn *txn = fixture_read(m->f);
	uint32_t open = 0, want = 0;

	for (size_t i = 0; i < m->count; i++)
		want += m->backups[i].state == BACKUP_PENDING || m->backups[i].state == BACKUP_DELETING;
	assert_int_equal(store_job_each_open(txn, 0, check_open, &open), 0);
	assert_int_equal(open, want);
	store_abort(txn);
}

static void check_all(struct model *m)
{
	fixture_check_counters(m->f);
	for (int cluster = 0; cluster < CLUSTERS; cluster++)
		check_cluster(m, cluster);
	check_each(m);
	check_open_jobs(m);
}

static void random_requests(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	const char *seed = getenv("DBSNAP_SEED");

	m->f = *state;
	m->seed = seed ? strtoull(seed, NULL, 10) : 20261124;
	m->now.wall_ms = NOON;
	print_message("# DBSNAP_SEED=%" PRIu64 "\n", m->seed);
	for (int i = 0; i < STEPS; i++) {
		do_step(m);
		/* mostly forward, at times a day, now and then back */
		m->now.running_ms += 1000;
		m->now.wall_ms += pick(m, 100) == 0 ? DAY_MS : pick(m, 60) == 0 ? -DAY_MS / 3 : 1000;
		check_cluster(m, (int)pick(m, CLUSTERS));
		if (i % 500 == 499)
			fixture_reopen(m->f);
		if (i % 100 == 99)
			check_all(m);
	}
	assert_true(m->count > 1000);
	free(m);
}

int main(void)
{
	const struct CMUnitTest store_random[] = {
		cmocka_unit_test_setup_teardown(random_requests, fixture_setup_open, fixture_teardown),
	};

	return cmocka_run_group_tests(store_random, NULL, NULL);
}
