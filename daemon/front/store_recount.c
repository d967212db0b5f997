/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counts and days again from the records. The records are read in the order of
 * their clusters and ids, so nearly every one falls to the cluster and day
 * of the one before.
 */
#include "daemon/front/store_internal.h"

#include "common/cursor.h"
#include "common/err.h"
#include "common/grow.h"

#include <stdlib.h>
#include <string.h>

struct day_tally {
	int32_t day;
	struct record_day counts;
};

struct cluster_tally {
	char cluster[IDENT_CLUSTER_SIZE];
	struct record_counts counts;
	struct day_tally *days;
	size_t day_count;
	size_t day_room;
};

struct tally {
	struct store_txn *txn;
	int utc_offset_minutes;
	struct cluster_tally *clusters;
	size_t count;
	size_t room;
};

static void free_tally(struct tally *tally)
{
	for (size_t i = 0; i < tally->count; i++)
		free(tally->clusters[i].days);
	free(tally->clusters);
}
#define scope_tally __attribute__((cleanup(free_tally)))

static struct cluster_tally *find_cluster(const struct tally *tally, const char *cluster)
{
	for (size_t i = tally->count; i > 0; i--) {
		if (strcmp(tally->clusters[i - 1].cluster, cluster) == 0)
			return &tally->clusters[i - 1];
	}
	return NULL;
}

static struct cluster_tally *make_cluster(struct tally *tally, const char *cluster)
{
	struct cluster_tally *found = find_cluster(tally, cluster);
	struct cluster_tally *clusters;

	if (found)
		return found;
	clusters = grow(tally->clusters, tally->count, &tally->room, sizeof(*clusters));
	if (!clusters)
		return NULL;
	tally->clusters = clusters;
	found = &clusters[tally->count++];
	memset(found, 0, sizeof(*found));
	memcpy(found->cluster, cluster, strlen(cluster) + 1);
	return found;
}

static struct day_tally *find_day(const struct cluster_tally *cluster, int32_t day)
{
	for (size_t i = cluster->day_count; i > 0; i--) {
		if (cluster->days[i - 1].day == day)
			return &cluster->days[i - 1];
	}
	return NULL;
}

static int add_to_day(const struct tally *tally, struct cluster_tally *cluster, int64_t accepted_ms, bool refunded)
{
	int32_t day = quota_day(accepted_ms, tally->utc_offset_minutes);
	struct day_tally *found = find_day(cluster, day), *days;

	if (!found) {
		days = grow(cluster->days, cluster->day_count, &cluster->day_room, sizeof(*days));
		if (!days)
			return ERR_NOMEM;
		cluster->days = days;
		found = &days[cluster->day_count++];
		*found = (struct day_tally){.day = day};
	}
	found->counts.accepted++;
	found->counts.refunded += refunded;
	return 0;
}

/* ---- reading the records ---- */

typedef int tally_fn(struct tally *tally, const MDB_val *key, const MDB_val *value);

static struct cluster_tally *cluster_of_key(struct tally *tally, const MDB_val *key, int *ret_rc)
{
	char cluster[IDENT_CLUSTER_SIZE];
	struct cluster_tally *found;
	uint64_t id;

	*ret_rc = key_parse_cluster_id(key, cluster, &id);
	if (*ret_rc < 0)
		return NULL;
	found = make_cluster(tally, cluster);
	*ret_rc = found ? 0 : ERR_NOMEM;
	return found;
}

static int tally_backup(struct tally *tally, const MDB_val *key, const MDB_val *value)
{
	struct record_backup_peek peek;
	struct cluster_tally *cluster;
	int rc = record_backup_peek(value->mv_data, value->mv_size, &peek);

	if (rc < 0)
		return rc;
	cluster = cluster_of_key(tally, key, &rc);
	if (!cluster)
		return rc;
	cluster->counts.backups[peek.state][peek.mode]++;
	cluster->counts.adopted += peek.adopted && peek.mode == BACKUP_MANUAL && peek.state == BACKUP_AVAILABLE;
	return peek.mode == BACKUP_MANUAL && !peek.adopted ? add_to_day(tally, cluster, peek.accepted_ms, peek.refunded) : 0;
}

static int tally_tomb(struct tally *tally, const MDB_val *key, const MDB_val *value)
{
	struct cluster_tally *cluster;
	struct record_tomb tomb;
	int rc = record_tomb_decode(value->mv_data, value->mv_size, &tomb);

	if (rc < 0)
		return rc;
	cluster = cluster_of_key(tally, key, &rc);
	if (!cluster)
		return rc;
	cluster->counts.tombs++;
	return tomb.mode == BACKUP_MANUAL && !tomb.adopted ? add_to_day(tally, cluster, tomb.accepted_ms, tomb.refunded) : 0;
}

static int tally_job(struct tally *tally, const MDB_val *key, const MDB_val *value)
{
	struct cluster_tally *cluster;
	struct record_job_peek peek;
	int rc = record_job_peek(value->mv_data, value->mv_size, &peek);

	if (rc < 0)
		return rc;
	cluster = cluster_of_key(tally, key, &rc);
	if (cluster)
		cluster->counts.jobs[peek.kind][peek.state]++;
	return rc;
}

static int tally_clone(struct tally *tally, const MDB_val *key, const MDB_val *value)
{
	struct cluster_tally *cluster;
	struct record_clone clone;
	int rc = record_clone_decode(value->mv_data, value->mv_size, &clone);

	(void)key;
	if (rc < 0)
		return rc;
	cluster = make_cluster(tally, clone.cluster);
	if (!cluster)
		return ERR_NOMEM;
	cluster->counts.clones[clone.state]++;
	return 0;
}

static int each(struct tally *tally, enum store_list list, tally_fn *fn)
{
	scope_cursor MDB_cursor *cursor = NULL;
	MDB_val key, value;
	int rc = db_cursor(tally->txn, list, &cursor);

	while (rc == 0) {
		rc = db_cursor_get(tally->txn, cursor, &key, &value, MDB_NEXT);
		if (rc < 0)
			break;
		rc = fn(tally, &key, &value);
		if (rc < 0)
			return db_die(tally->txn, rc);
	}
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int read_records(struct tally *tally)
{
	int rc = each(tally, LIST_BACKUPS, tally_backup);

	if (rc == 0)
		rc = each(tally, LIST_TOMBS, tally_tomb);
	if (rc == 0)
		rc = each(tally, LIST_JOBS, tally_job);
	return rc == 0 ? each(tally, LIST_CLONES, tally_clone) : rc;
}

/* ---- comparing ---- */

/* A counter that cannot be read is a wrong one; so is one of which there are no records. */
static int compare_counts(struct store_txn *txn, const struct tally *tally, uint32_t *ret_wrong)
{
	struct store_key key;
	struct record_counts stored;
	uint32_t wrong = 0;
	MDB_stat stat;
	MDB_val value;
	size_t found = 0;
	int rc;

	for (size_t i = 0; i < tally->count; i++) {
		key = key_text(tally->clusters[i].cluster);
		rc = db_get(txn, LIST_COUNTS, &key, &value);
		if (rc < 0 && rc != ERR_NOT_FOUND)
			return rc;
		found += rc == 0;
		if (rc < 0 || record_counts_decode(value.mv_data, value.mv_size, &stored) < 0 ||
		    memcmp(&stored, &tally->clusters[i].counts, sizeof(stored)) != 0)
			wrong++;
	}
	rc = db_error(mdb_stat(txn->mdb, txn->store->lists[LIST_COUNTS], &stat));
	if (rc < 0)
		return db_die(txn, rc);
	*ret_wrong = wrong + (uint32_t)(stat.ms_entries - found);
	return 0;
}

static bool day_is_right(const MDB_val *value, const struct record_day *want)
{
	struct record_day stored;

	return record_day_decode(value->mv_data, value->mv_size, &stored) == 0 &&
	       stored.accepted == want->accepted && stored.refunded == want->refunded;
}

static int compare_days(struct store_txn *txn, const struct tally *tally, uint32_t *ret_wrong)
{
	uint32_t wrong = 0;
	size_t found = 0;
	MDB_stat stat;
	MDB_val value;
	int rc;

	for (size_t i = 0; i < tally->count; i++) {
		const struct cluster_tally *cluster = &tally->clusters[i];

		for (size_t d = 0; d < cluster->day_count; d++) {
			const struct store_key key = key_day(cluster->cluster, cluster->days[d].day);

			rc = db_get(txn, LIST_DAYS, &key, &value);
			if (rc < 0 && rc != ERR_NOT_FOUND)
				return rc;
			found += rc == 0;
			wrong += rc < 0 || !day_is_right(&value, &cluster->days[d].counts);
		}
	}
	rc = db_error(mdb_stat(txn->mdb, txn->store->lists[LIST_DAYS], &stat));
	if (rc < 0)
		return db_die(txn, rc);
	*ret_wrong = wrong + (uint32_t)(stat.ms_entries - found);
	return 0;
}

/* ---- writing ---- */

static int write_counts(struct store_txn *txn, const struct tally *tally)
{
	int rc = db_empty(txn, LIST_COUNTS);

	for (size_t i = 0; rc == 0 && i < tally->count; i++)
		rc = counts_put(txn, tally->clusters[i].cluster, &tally->clusters[i].counts);
	return rc;
}

static int write_days(struct store_txn *txn, const struct tally *tally)
{
	struct store_blob blob;
	int rc = db_empty(txn, LIST_DAYS);

	for (size_t i = 0; rc == 0 && i < tally->count; i++) {
		const struct cluster_tally *cluster = &tally->clusters[i];

		for (size_t d = 0; rc == 0 && d < cluster->day_count; d++) {
			const struct store_key key = key_day(cluster->cluster, cluster->days[d].day);

			blob.size = record_day_encode(&cluster->days[d].counts, blob.bytes, sizeof(blob.bytes));
			rc = blob.size < 0 ? db_die(txn, blob.size) : db_put_blob(txn, LIST_DAYS, &key, &blob);
		}
	}
	return rc;
}

/* At which offset the stored days were counted. ERR_NOT_FOUND in a new store. */
static int stored_offset(struct store_txn *txn, int *ret_offset)
{
	const struct store_key key = key_text("utc_offset");
	struct reader r;
	MDB_val value;
	int rc = db_get(txn, LIST_META, &key, &value);

	if (rc < 0)
		return rc;
	reader_init(&r, value.mv_data, value.mv_size);
	*ret_offset = (int32_t)get_u32(&r);
	return reader_end(&r) < 0 ? db_die(txn, ERR_CORRUPT) : 0;
}

static int put_offset(struct store_txn *txn, int offset)
{
	const struct store_key key = key_text("utc_offset");
	uint8_t bytes[4];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes));
	put_u32(&w, (uint32_t)offset);
	return db_put(txn, LIST_META, &key, bytes, sizeof(bytes));
}

static int write_all(struct store_txn *txn, const struct tally *tally, const struct store_report *report, bool days)
{
	int rc = report->counts ? write_counts(txn, tally) : 0;

	if (rc == 0 && days)
		rc = write_days(txn, tally);
	return rc == 0 && days ? put_offset(txn, tally->utc_offset_minutes) : rc;
}

/* 1: there is something to commit. */
static int recount(struct store_txn *txn, int utc_offset_minutes, struct store_report *report)
{
	scope_tally struct tally tally = {.txn = txn, .utc_offset_minutes = utc_offset_minutes};
	int offset = 0, rc = stored_offset(txn, &offset);
	bool is_new = rc == ERR_NOT_FOUND;
	uint32_t days = 0;

	if (rc < 0 && !is_new)
		return rc;
	report->offset_changed = !is_new && offset != utc_offset_minutes;
	rc = read_records(&tally);
	if (rc == 0)
		rc = compare_counts(txn, &tally, &report->counts);
	if (rc == 0)
		rc = compare_days(txn, &tally, &days);
	if (rc < 0)
		return rc;
	report->days = report->offset_changed ? 0 : days;
	report->repaired = report->counts > 0 || report->days > 0;
	if (!report->repaired && !report->offset_changed && !is_new)
		return 0;
	rc = write_all(txn, &tally, report, days > 0 || report->offset_changed || is_new);
	return rc < 0 ? rc : 1;
}

int store_recount(struct store *store, int utc_offset_minutes, struct store_report *ret_report)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct store_report report = {0};
	int rc = store_begin(store, &txn);

	if (rc == 0)
		rc = recount(txn, utc_offset_minutes, &report);
	if (rc > 0) {
		struct store_txn *ended = txn;

		txn = NULL;
		rc = store_commit(ended);
	}
	if (rc < 0)
		return rc;
	store->utc_offset_minutes = utc_offset_minutes;
	*ret_report = report;
	return 0;
}
