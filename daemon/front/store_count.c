/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The counters: how many records of each kind a cluster has, and what its days took. */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

void count_move(uint32_t *from, uint32_t *to)
{
	if (from && *from > 0)
		(*from)--;
	if (to && *to < UINT32_MAX)
		(*to)++;
}

int store_counts_get(struct store_txn *txn, const char *cluster, struct record_counts *ret_counts)
{
	const struct store_key key = key_text(cluster);
	MDB_val value;
	int rc = db_get(txn, LIST_COUNTS, &key, &value);

	if (rc == ERR_NOT_FOUND) {
		memset(ret_counts, 0, sizeof(*ret_counts));
		return 0;
	}
	if (rc == 0)
		rc = record_counts_decode(value.mv_data, value.mv_size, ret_counts);
	return rc < 0 ? db_die(txn, rc) : 0;
}

int counts_put(struct store_txn *txn, const char *cluster, const struct record_counts *counts)
{
	static const struct record_counts none;
	const struct store_key key = key_text(cluster);
	struct store_blob blob;

	if (memcmp(counts, &none, sizeof(none)) == 0)
		return db_delete(txn, LIST_COUNTS, &key);
	blob.size = record_counts_encode(counts, blob.bytes, sizeof(blob.bytes));
	return blob.size < 0 ? db_die(txn, blob.size) : db_put_blob(txn, LIST_COUNTS, &key, &blob);
}

int store_counts_each(struct store_txn *txn, store_counts_fn *fn, void *arg)
{
	scope_cursor MDB_cursor *cursor = NULL;
	char cluster[IDENT_CLUSTER_SIZE];
	struct record_counts counts;
	MDB_val key, value;
	int rc = db_cursor(txn, LIST_COUNTS, &cursor);

	while (rc == 0) {
		rc = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (rc < 0)
			return rc == ERR_NOT_FOUND ? 0 : rc;
		rc = key_parse_name(&key, cluster);
		if (rc == 0)
			rc = record_counts_decode(value.mv_data, value.mv_size, &counts);
		if (rc < 0)
			return db_die(txn, rc);
		rc = fn(arg, cluster, &counts);
	}
	return rc;
}

uint64_t store_counts_records(const struct record_counts *counts)
{
	uint64_t records = 0;

	for (int state = 0; state < BACKUP_STATES; state++) {
		for (int mode = 0; mode < BACKUP_MODES; mode++)
			records += counts->backups[state][mode];
	}
	for (int state = 0; state < CLONE_STATES; state++)
		records += counts->clones[state];
	return records;
}

/* ---- days ---- */

static int day_get(struct store_txn *txn, const struct store_key *key, struct record_day *ret_day)
{
	MDB_val value;
	int rc = db_get(txn, LIST_DAYS, key, &value);

	if (rc == ERR_NOT_FOUND) {
		*ret_day = (struct record_day){0};
		return 0;
	}
	if (rc == 0)
		rc = record_day_decode(value.mv_data, value.mv_size, ret_day);
	return rc < 0 ? db_die(txn, rc) : 0;
}

static uint32_t add_clamped(uint32_t value, int change)
{
	int64_t sum = (int64_t)value + change;

	return sum < 0 ? 0 : sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

int day_add(struct store_txn *txn, const char *cluster, int64_t accepted_ms, int accepted, int refunded)
{
	const struct store_key key = key_day(cluster, quota_day(accepted_ms, txn->store->utc_offset_minutes));
	struct store_blob blob;
	struct record_day day;
	int rc = day_get(txn, &key, &day);

	if (rc < 0)
		return rc;
	day.accepted = add_clamped(day.accepted, accepted);
	day.refunded = add_clamped(day.refunded, refunded);
	if (day.refunded > day.accepted)
		day.refunded = day.accepted;
	if (day.accepted == 0)
		return db_delete(txn, LIST_DAYS, &key);
	blob.size = record_day_encode(&day, blob.bytes, sizeof(blob.bytes));
	return blob.size < 0 ? db_die(txn, blob.size) : db_put_blob(txn, LIST_DAYS, &key, &blob);
}

int store_quota_counts(struct store_txn *txn, const char *cluster, int64_t wall_ms, struct quota_counts *ret_counts)
{
	const struct store_key key = key_day(cluster, quota_day(wall_ms, txn->store->utc_offset_minutes));
	struct record_counts counts;
	struct record_day day;
	uint32_t retained = 0;
	int rc = store_counts_get(txn, cluster, &counts);

	if (rc == 0)
		rc = day_get(txn, &key, &day);
	if (rc < 0)
		return rc;
	for (int state = 0; state < BACKUP_STATES; state++) {
		if (backup_is_retained(state))
			retained += counts.backups[state][BACKUP_MANUAL];
	}
	retained -= counts.adopted < retained ? counts.adopted : retained;
	*ret_counts = (struct quota_counts){retained, day.accepted, day.refunded};
	return 0;
}
