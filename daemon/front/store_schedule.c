/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policies, how far they have been followed, and what the removal by age looks through. */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <string.h>

static int load(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct record_schedule *ret_schedule)
{
	struct record_schedule schedule;
	int rc = record_schedule_decode(value->mv_data, value->mv_size, &schedule);

	if (rc == 0)
		rc = key_parse_name(key, schedule.cluster);
	if (rc < 0)
		return db_die(txn, rc);
	*ret_schedule = schedule;
	return 0;
}

int store_schedule_get(struct store_txn *txn, const char *cluster, struct record_schedule *ret_schedule)
{
	struct store_key key;
	MDB_val value;
	int rc;

	if (!ident_is_cluster(cluster))
		return ERR_NOT_FOUND;
	key = key_text(cluster);
	rc = db_get(txn, LIST_SCHEDULES, &key, &value);
	return rc < 0 ? rc : load(txn, &(MDB_val){key.size, key.bytes}, &value, ret_schedule);
}

int store_schedule_put(struct store_txn *txn, const struct record_schedule *schedule)
{
	struct store_blob blob;
	struct store_key key;

	if (!ident_is_cluster(schedule->cluster))
		return ERR_INVALID;
	if (!db_may_accept(txn, STORE_ROOM_REMOVE))
		return ERR_FULL;
	key = key_text(schedule->cluster);
	blob.size = record_schedule_encode(schedule, blob.bytes, sizeof(blob.bytes));
	return blob.size < 0 ? blob.size : db_put_blob(txn, LIST_SCHEDULES, &key, &blob);
}

int store_schedule_each(struct store_txn *txn, store_schedule_fn *fn, void *arg)
{
	scope_cursor MDB_cursor *cursor = NULL;
	struct record_schedule schedule;
	MDB_val key, value;
	int rc = db_cursor(txn, LIST_SCHEDULES, &cursor);

	while (rc == 0) {
		rc = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (rc < 0)
			return rc == ERR_NOT_FOUND ? 0 : rc;
		rc = load(txn, &key, &value, &schedule);
		if (rc == 0)
			rc = fn(arg, &schedule);
	}
	return rc;
}

int store_guard_get(struct store_txn *txn, struct schedule_guard *ret_guard)
{
	const struct store_key key = key_text("guard");
	MDB_val value;
	int rc = db_get(txn, LIST_META, &key, &value);

	if (rc == ERR_NOT_FOUND) {
		*ret_guard = (struct schedule_guard){0};
		return 0;
	}
	if (rc == 0)
		rc = record_guard_decode(value.mv_data, value.mv_size, ret_guard);
	return rc < 0 ? db_die(txn, rc) : 0;
}

int store_guard_put(struct store_txn *txn, const struct schedule_guard *guard)
{
	const struct store_key key = key_text("guard");
	struct store_blob blob;

	if (!db_may_accept(txn, STORE_ROOM_REMOVE))
		return ERR_FULL;
	blob.size = record_guard_encode(guard, blob.bytes, sizeof(blob.bytes));
	return blob.size < 0 ? blob.size : db_put_blob(txn, LIST_META, &key, &blob);
}

/* 1: its key is another cluster's. */
static int peek_one(struct store_txn *txn, const char *cluster, const MDB_val *key, const MDB_val *value, uint64_t *ret_id,
		    struct record_backup_peek *ret_peek)
{
	char found[IDENT_CLUSTER_SIZE];
	int rc = key_parse_cluster_id(key, found, ret_id);

	if (rc == 0 && strcmp(found, cluster) != 0)
		return 1;
	if (rc == 0)
		rc = record_backup_peek(value->mv_data, value->mv_size, ret_peek);
	return rc < 0 ? db_die(txn, rc) : 0;
}

int store_backup_each_peek(struct store_txn *txn, const char *cluster, uint64_t from, store_peek_fn *fn, void *arg)
{
	scope_cursor MDB_cursor *cursor = NULL;
	struct record_backup_peek peek;
	MDB_cursor_op op = MDB_SET_RANGE;
	struct store_key first;
	MDB_val key, value;
	uint64_t id;
	int rc;

	if (!ident_is_cluster(cluster))
		return ERR_INVALID;
	first = key_cluster_id(cluster, from);
	key = (MDB_val){first.size, first.bytes};
	rc = db_cursor(txn, LIST_BACKUPS, &cursor);
	for (; rc == 0; op = MDB_NEXT) {
		rc = db_cursor_get(txn, cursor, &key, &value, op);
		if (rc < 0)
			return rc == ERR_NOT_FOUND ? 0 : rc;
		rc = peek_one(txn, cluster, &key, &value, &id, &peek);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
		rc = fn(arg, id, &peek);
	}
	return rc;
}
