/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pages of a cluster's backups and jobs, newest first. Records are matched by their
 * fixed part and decoded only when they are on the page; totals come from the
 * counters where those know.
 */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

struct walk;
typedef int match_fn(const struct walk *walk, uint64_t id, const MDB_val *value); /* 1, 0, or an error */
typedef int emit_fn(const struct walk *walk, const MDB_val *key, const MDB_val *value);

struct walk {
	struct store_txn *txn;
	enum store_list list;
	const char *cluster;
	const struct store_page *page;
	bool count_all; /* go on to the end, for the total */
	uint64_t most;  /* that can match: nothing is to be found after them */
	match_fn *match;
	emit_fn *emit;
	const void *filter;
	store_backup_fn *backup_fn; /* one of the two */
	store_job_fn *job_fn;
	void *arg;
};

/* Just after the cluster's last id, so that one step back is its newest. */
static int seek_end(const struct walk *walk, MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	struct store_key end = key_cluster_id(walk->cluster, UINT64_MAX);
	int rc;

	key->mv_size = end.size;
	key->mv_data = end.bytes;
	rc = db_cursor_get(walk->txn, cursor, key, value, MDB_SET_RANGE);
	return db_cursor_get(walk->txn, cursor, key, value, rc == ERR_NOT_FOUND ? MDB_LAST : MDB_PREV);
}

static bool is_of_cluster(const struct walk *walk, const MDB_val *key)
{
	size_t length = strlen(walk->cluster) + 1;

	return key->mv_size == length + 8 && memcmp(key->mv_data, walk->cluster, length) == 0;
}

static int visit(const struct walk *walk, const MDB_val *key, const MDB_val *value, uint64_t *matched)
{
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t id, skip = walk->page->skip;
	int rc = key_parse_cluster_id(key, cluster, &id);

	if (rc == 0)
		rc = walk->match(walk, id, value);
	if (rc < 0)
		return db_die(walk->txn, rc);
	if (rc == 0)
		return 0;
	(*matched)++;
	if (*matched <= skip || *matched - skip > walk->page->count)
		return 0;
	return walk->emit(walk, key, value);
}

static bool is_done(const struct walk *walk, uint64_t matched)
{
	if (matched >= walk->most || walk->page->skip >= walk->most)
		return true;
	return !walk->count_all && matched >= walk->page->skip && matched - walk->page->skip >= walk->page->count;
}

/* A callback's own number, an error, or 0 and how many matched. */
static int run(const struct walk *walk, uint64_t *ret_matched)
{
	scope_cursor MDB_cursor *cursor = NULL;
	uint64_t matched = 0;
	MDB_val key, value;
	int rc = db_cursor(walk->txn, walk->list, &cursor);

	if (rc == 0)
		rc = seek_end(walk, cursor, &key, &value);
	while (rc == 0 && is_of_cluster(walk, &key) && !is_done(walk, matched)) {
		rc = visit(walk, &key, &value, &matched);
		if (rc != 0)
			return rc;
		rc = db_cursor_get(walk->txn, cursor, &key, &value, MDB_PREV);
	}
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	*ret_matched = matched;
	return 0;
}

/* ---- backups ---- */

static bool backup_peek_matches(const struct store_backup_filter *filter, const struct record_backup_peek *peek)
{
	uint8_t groups = filter->groups ? filter->groups : BACKUP_GROUPS_LISTED;

	return (groups & BACKUP_GROUPS_LISTED & backup_group(peek->state)) &&
	       (!filter->mode || filter->mode == (uint8_t)peek->mode) &&
	       (!filter->from_ms || peek->accepted_ms >= filter->from_ms) &&
	       (!filter->until_ms || peek->accepted_ms < filter->until_ms);
}

static int match_backup(const struct walk *walk, uint64_t id, const MDB_val *value)
{
	struct record_backup_peek peek;
	int rc = record_backup_peek(value->mv_data, value->mv_size, &peek);

	(void)id;
	return rc < 0 ? rc : backup_peek_matches(walk->filter, &peek);
}

static int emit_backup(const struct walk *walk, const MDB_val *key, const MDB_val *value)
{
	struct record_backup backup;
	int rc = backup_load(walk->txn, key, value, &backup);

	return rc < 0 ? rc : walk->backup_fn(walk->arg, &backup);
}

static int list_one_backup(const struct walk *walk, const struct store_backup_filter *filter, uint64_t *ret_total)
{
	struct record_backup backup;
	struct record_backup_peek peek;
	uint64_t total = 0;
	int rc = store_backup_get(walk->txn, filter->cluster, filter->id, &backup);

	if (rc < 0 && rc != ERR_NOT_FOUND)
		return rc;
	if (rc == 0) {
		peek = (struct record_backup_peek){.state = backup.state, .mode = backup.mode, .accepted_ms = backup.accepted_ms};
		total = backup_peek_matches(filter, &peek);
	}
	rc = total && walk->page->skip == 0 && walk->page->count > 0 ? walk->backup_fn(walk->arg, &backup) : 0;
	if (rc != 0)
		return rc;
	if (ret_total)
		*ret_total = total;
	return 0;
}

static int count_backups(struct store_txn *txn, const struct store_backup_filter *filter, uint64_t *ret_total)
{
	struct record_counts counts;
	uint64_t total = 0;
	int rc = store_counts_get(txn, filter->cluster, &counts);

	if (rc < 0)
		return rc;
	for (int state = 1; state < BACKUP_STATES; state++) {
		for (int mode = 1; mode < BACKUP_MODES; mode++) {
			const struct record_backup_peek peek = {.state = state, .mode = mode};

			if (backup_peek_matches(filter, &peek))
				total += counts.backups[state][mode];
		}
	}
	*ret_total = total;
	return 0;
}

int store_backup_list(struct store_txn *txn, const struct store_backup_filter *filter,
		      const struct store_page *page, store_backup_fn *fn, void *arg, uint64_t *ret_total)
{
	bool timed = filter->from_ms || filter->until_ms;
	struct walk walk = {
		.txn = txn, .list = LIST_BACKUPS, .cluster = filter->cluster, .page = page,
		.count_all = ret_total && timed, .most = UINT64_MAX, .match = match_backup, .emit = emit_backup,
		.filter = filter, .backup_fn = fn, .arg = arg,
	};
	uint64_t total = 0, matched = 0;
	int rc = 0;

	if (!ident_is_cluster(filter->cluster))
		return ERR_INVALID;
	if (filter->id)
		return list_one_backup(&walk, filter, ret_total);
	if (ret_total && !timed) {
		rc = count_backups(txn, filter, &total);
		walk.most = total;
	}
	if (rc == 0 && (page->count > 0 || walk.count_all))
		rc = run(&walk, &matched);
	if (rc != 0)
		return rc;
	if (ret_total)
		*ret_total = timed ? matched : total;
	return 0;
}

/* ---- jobs ---- */

static bool job_peek_matches(const struct store_job_filter *filter, const struct record_job_peek *peek)
{
	return (!filter->kinds || (filter->kinds & 1u << peek->kind)) &&
	       (!filter->states || (filter->states & 1u << peek->state)) &&
	       (!filter->mode || filter->mode == (uint8_t)peek->mode);
}

static int match_job(const struct walk *walk, uint64_t id, const MDB_val *value)
{
	struct record_job_peek peek;
	int rc = record_job_peek(value->mv_data, value->mv_size, &peek);

	(void)id;
	return rc < 0 ? rc : job_peek_matches(walk->filter, &peek);
}

static int emit_job(const struct walk *walk, const MDB_val *key, const MDB_val *value)
{
	struct record_job job;
	int rc = job_load(walk->txn, key, value, &job);

	return rc < 0 ? rc : walk->job_fn(walk->arg, &job);
}

static int list_one_job(const struct walk *walk, const struct store_job_filter *filter, uint64_t *ret_total)
{
	struct record_job_peek peek;
	struct record_job job;
	uint64_t total = 0;
	int rc = store_job_get(walk->txn, filter->cluster, filter->id, &job);

	if (rc < 0 && rc != ERR_NOT_FOUND)
		return rc;
	if (rc == 0) {
		peek = (struct record_job_peek){job.state, job.kind, job.mode, job.accepted_ms, job.ended_ms};
		total = job_peek_matches(filter, &peek);
	}
	rc = total && walk->page->skip == 0 && walk->page->count > 0 ? walk->job_fn(walk->arg, &job) : 0;
	if (rc != 0)
		return rc;
	if (ret_total)
		*ret_total = total;
	return 0;
}

/* The mode of a job is not counted: filter->mode is 0 here. */
static int count_jobs(struct store_txn *txn, const struct store_job_filter *filter, uint64_t *ret_total)
{
	struct record_counts counts;
	uint64_t total = 0;
	int rc = store_counts_get(txn, filter->cluster, &counts);

	if (rc < 0)
		return rc;
	for (int kind = 1; kind < JOB_KINDS; kind++) {
		for (int state = 1; state < JOB_STATES; state++) {
			const struct record_job_peek peek = {.state = state, .kind = kind};

			if (job_peek_matches(filter, &peek))
				total += counts.jobs[kind][state];
		}
	}
	*ret_total = total;
	return 0;
}

int store_job_list(struct store_txn *txn, const struct store_job_filter *filter, const struct store_page *page,
		   store_job_fn *fn, void *arg, uint64_t *ret_total)
{
	struct walk walk = {
		.txn = txn, .list = LIST_JOBS, .cluster = filter->cluster, .page = page,
		.count_all = ret_total && filter->mode, .most = UINT64_MAX, .match = match_job, .emit = emit_job,
		.filter = filter, .job_fn = fn, .arg = arg,
	};
	uint64_t total = 0, matched = 0;
	int rc = 0;

	if (!ident_is_cluster(filter->cluster))
		return ERR_INVALID;
	if (filter->id)
		return list_one_job(&walk, filter, ret_total);
	if (ret_total && !filter->mode) {
		rc = count_jobs(txn, filter, &total);
		walk.most = total;
	}
	if (rc == 0 && (page->count > 0 || walk.count_all))
		rc = run(&walk, &matched);
	if (rc != 0)
		return rc;
	if (ret_total)
		*ret_total = filter->mode ? matched : total;
	return 0;
}
