/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was last seen of each cluster. */
#include "daemon/front/store_internal.h"

#include "common/err.h"

static int load(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct record_facts *ret_facts)
{
	struct record_facts facts;
	int rc = record_facts_decode(value->mv_data, value->mv_size, &facts);

	if (rc == 0)
		rc = key_parse_name(key, facts.cluster);
	if (rc < 0)
		return db_die(txn, rc);
	*ret_facts = facts;
	return 0;
}

int store_facts_get(struct store_txn *txn, const char *cluster, struct record_facts *ret_facts)
{
	struct store_key key;
	MDB_val value;
	int rc;

	if (!ident_is_cluster(cluster))
		return ERR_NOT_FOUND;
	key = key_text(cluster);
	rc = db_get(txn, LIST_CLUSTERS, &key, &value);
	return rc < 0 ? rc : load(txn, &(MDB_val){key.size, key.bytes}, &value, ret_facts);
}

int store_facts_put(struct store_txn *txn, const struct record_facts *facts)
{
	struct store_blob blob;
	struct store_key key;

	if (!ident_is_cluster(facts->cluster))
		return ERR_INVALID;
	if (!db_may_accept(txn, STORE_ROOM_REMOVE))
		return ERR_FULL;
	key = key_text(facts->cluster);
	blob.size = record_facts_encode(facts, blob.bytes, sizeof(blob.bytes));
	return blob.size < 0 ? blob.size : db_put_blob(txn, LIST_CLUSTERS, &key, &blob);
}

int store_facts_each(struct store_txn *txn, store_facts_fn *fn, void *arg)
{
	scope_cursor MDB_cursor *cursor = NULL;
	struct record_facts facts;
	MDB_val key, value;
	int rc = db_cursor(txn, LIST_CLUSTERS, &cursor);

	while (rc == 0) {
		rc = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (rc < 0)
			return rc == ERR_NOT_FOUND ? 0 : rc;
		rc = load(txn, &key, &value, &facts);
		if (rc == 0)
			rc = fn(arg, &facts);
	}
	return rc;
}

int store_facts_delete(struct store_txn *txn, const char *cluster)
{
	struct record_counts counts;
	struct record_facts facts;
	struct store_key key;
	int rc = store_facts_get(txn, cluster, &facts);

	if (rc == 0)
		rc = store_counts_get(txn, cluster, &counts);
	if (rc == 0 && store_counts_records(&counts) > 0)
		rc = ERR_STATE;
	if (rc < 0)
		return rc;
	key = key_text(cluster);
	return db_delete(txn, LIST_CLUSTERS, &key);
}
