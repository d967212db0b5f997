/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys, and access to one list: the only place but store_env.c that speaks LMDB's error codes. */
#include "daemon/front/store_internal.h"

#include "common/cursor.h"
#include "common/err.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- keys ---- */

static struct store_key key_end(struct store_key *key, const struct writer *w)
{
	int size = writer_end(w);

	assert(size > 0); /* ids were checked, their sizes are bounded */
	key->size = (size_t)size;
	return *key;
}

struct store_key key_text(const char *text)
{
	struct store_key key;
	struct writer w;

	writer_init(&w, key.bytes, sizeof(key.bytes));
	put_bytes(&w, text, strlen(text));
	return key_end(&key, &w);
}

struct store_key key_id(uint64_t id)
{
	struct store_key key;
	struct writer w;

	writer_init(&w, key.bytes, sizeof(key.bytes));
	put_u64(&w, id);
	return key_end(&key, &w);
}

struct store_key key_cluster_id(const char *cluster, uint64_t id)
{
	struct store_key key;
	struct writer w;

	writer_init(&w, key.bytes, sizeof(key.bytes));
	put_bytes(&w, cluster, strlen(cluster) + 1);
	put_u64(&w, id);
	return key_end(&key, &w);
}

struct store_key key_pin(uint64_t backup, uint64_t job)
{
	struct store_key key;
	struct writer w;

	writer_init(&w, key.bytes, sizeof(key.bytes));
	put_u64(&w, backup);
	put_u64(&w, job);
	return key_end(&key, &w);
}

struct store_key key_day(const char *cluster, int32_t day)
{
	struct store_key key;
	struct writer w;

	writer_init(&w, key.bytes, sizeof(key.bytes));
	put_bytes(&w, cluster, strlen(cluster) + 1);
	put_u32(&w, (uint32_t)day ^ UINT32_C(0x80000000));
	return key_end(&key, &w);
}

struct store_key key_token(const struct token_key *token)
{
	struct store_key key;
	struct writer w;

	writer_init(&w, key.bytes, sizeof(key.bytes));
	put_bytes(&w, token->bytes, token->size);
	return key_end(&key, &w);
}

struct store_key key_token_end(int64_t ended_ms, const struct token_key *token)
{
	struct store_key key;
	struct writer w;

	writer_init(&w, key.bytes, sizeof(key.bytes));
	put_u64(&w, ended_ms < 0 ? 0 : (uint64_t)ended_ms);
	put_bytes(&w, token->bytes, token->size);
	return key_end(&key, &w);
}

int key_parse_id(const MDB_val *key, uint64_t *ret_id)
{
	struct reader r;
	uint64_t id;

	reader_init(&r, key->mv_data, key->mv_size);
	id = get_u64(&r);
	if (reader_end(&r) < 0)
		return ERR_CORRUPT;
	*ret_id = id;
	return 0;
}

int key_parse_name(const MDB_val *key, char ret_name[static IDENT_CLUSTER_SIZE])
{
	if (key->mv_size == 0 || key->mv_size >= IDENT_CLUSTER_SIZE || memchr(key->mv_data, '\0', key->mv_size))
		return ERR_CORRUPT;
	memcpy(ret_name, key->mv_data, key->mv_size);
	ret_name[key->mv_size] = '\0';
	return 0;
}

int key_parse_cluster_id(const MDB_val *key, char ret_cluster[static IDENT_CLUSTER_SIZE], uint64_t *ret_id)
{
	const char *bytes = key->mv_data;
	size_t length;

	if (key->mv_size < sizeof(*ret_id) + 2)
		return ERR_CORRUPT;
	length = key->mv_size - sizeof(*ret_id) - 1;
	if (bytes[length] != '\0' || key_parse_name(&(MDB_val){length, key->mv_data}, ret_cluster) < 0)
		return ERR_CORRUPT;
	return key_parse_id(&(MDB_val){sizeof(*ret_id), (void *)(bytes + length + 1)}, ret_id);
}

/* ---- errors ---- */

int db_error(int mdb_rc)
{
	switch (mdb_rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return ERR_NOT_FOUND;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case EFBIG:
		return ERR_FULL;
	case MDB_VERSION_MISMATCH:
		return ERR_VERSION;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return ERR_CORRUPT;
	case MDB_PANIC:
		return ERR_UNKNOWN;
	default:
		return mdb_rc > 0 ? err_from_errno(mdb_rc) : ERR_IO;
	}
}

int db_die(struct store_txn *txn, int rc)
{
	if (!txn->dead)
		txn->dead = rc;
	return rc;
}

/* What a call gave; anything but success and "not there" kills the transaction. */
static int result(struct store_txn *txn, int mdb_rc)
{
	int rc = db_error(mdb_rc);

	return rc == 0 || rc == ERR_NOT_FOUND ? rc : db_die(txn, rc);
}

/* ---- lists ---- */

static MDB_val as_val(const struct store_key *key)
{
	return (MDB_val){key->size, (void *)key->bytes};
}

int db_get(struct store_txn *txn, enum store_list list, const struct store_key *key, MDB_val *ret_value)
{
	MDB_val k = as_val(key), value;
	int rc = txn->dead;

	if (rc == 0)
		rc = result(txn, mdb_get(txn->mdb, txn->store->lists[list], &k, &value));
	if (rc == 0)
		*ret_value = value;
	return rc;
}

int db_put(struct store_txn *txn, enum store_list list, const struct store_key *key, const void *bytes, size_t size)
{
	MDB_val k = as_val(key), value = {size, (void *)bytes};

	if (txn->dead)
		return txn->dead;
	if (!txn->writable)
		return ERR_INVALID;
	return result(txn, mdb_put(txn->mdb, txn->store->lists[list], &k, &value, 0));
}

int db_put_blob(struct store_txn *txn, enum store_list list, const struct store_key *key, const struct store_blob *blob)
{
	return db_put(txn, list, key, blob->bytes, (size_t)blob->size);
}

int db_delete(struct store_txn *txn, enum store_list list, const struct store_key *key)
{
	MDB_val k = as_val(key);
	int rc;

	if (txn->dead)
		return txn->dead;
	if (!txn->writable)
		return ERR_INVALID;
	rc = result(txn, mdb_del(txn->mdb, txn->store->lists[list], &k, NULL));
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

int db_count(struct store_txn *txn, enum store_list list, uint64_t *ret_count)
{
	MDB_stat stat;
	int rc = txn->dead ? txn->dead : result(txn, mdb_stat(txn->mdb, txn->store->lists[list], &stat));

	if (rc == 0)
		*ret_count = stat.ms_entries;
	return rc;
}

int db_empty(struct store_txn *txn, enum store_list list)
{
	return txn->dead ? txn->dead : result(txn, mdb_drop(txn->mdb, txn->store->lists[list], 0));
}

int db_cursor(struct store_txn *txn, enum store_list list, MDB_cursor **ret_cursor)
{
	return txn->dead ? txn->dead : result(txn, mdb_cursor_open(txn->mdb, txn->store->lists[list], ret_cursor));
}

int db_cursor_get(struct store_txn *txn, MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	return txn->dead ? txn->dead : result(txn, mdb_cursor_get(cursor, key, value, op));
}

int db_cursor_delete(struct store_txn *txn, MDB_cursor *cursor)
{
	return txn->dead ? txn->dead : result(txn, mdb_cursor_del(cursor, 0));
}
