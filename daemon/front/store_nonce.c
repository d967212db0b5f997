/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nonces that have to outlive the front, by their timestamp, and the clock that they were taken under. */
#include "daemon/front/store_internal.h"

#include "common/cursor.h"
#include "common/err.h"

static struct store_key key_nonce(const struct store_nonce *nonce)
{
	struct store_key key;
	struct writer w;

	writer_init(&w, key.bytes, sizeof(key.bytes));
	put_u64(&w, (uint64_t)nonce->stamp_s);
	put_bytes(&w, nonce->hash, sizeof(nonce->hash));
	key.size = (size_t)writer_end(&w);
	return key;
}

static int load(struct store_txn *txn, const MDB_val *key, const MDB_val *value, struct store_nonce *ret_nonce)
{
	struct store_nonce nonce = {0};
	struct reader r;

	reader_init(&r, key->mv_data, key->mv_size);
	nonce.stamp_s = get_i64(&r);
	get_bytes(&r, nonce.hash, sizeof(nonce.hash));
	if (reader_end(&r) < 0 || nonce.stamp_s < 0)
		return db_die(txn, ERR_CORRUPT);
	reader_init(&r, value->mv_data, value->mv_size);
	nonce.window = get_u8(&r);
	if (reader_end(&r) < 0)
		return db_die(txn, ERR_CORRUPT);
	*ret_nonce = nonce;
	return 0;
}

static int purge(struct store_txn *txn, int64_t gone_s)
{
	scope_cursor MDB_cursor *cursor = NULL;
	struct store_nonce nonce;
	MDB_val key, value;
	int r = db_cursor(txn, LIST_NONCES, &cursor);

	while (r == 0) {
		r = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (r == 0)
			r = load(txn, &key, &value, &nonce);
		if (r == 0 && nonce.stamp_s > gone_s)
			return 0;
		if (r == 0)
			r = db_cursor_delete(txn, cursor);
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

int store_nonce_keep(struct store_txn *txn, const struct store_nonce *nonce, int64_t gone_s)
{
	const struct store_key key = key_nonce(nonce);
	uint64_t count = 0;
	int r = purge(txn, gone_s);

	if (r == 0)
		r = db_count(txn, LIST_NONCES, &count);
	if (r < 0)
		return r;
	if (count >= STORE_NONCES_MAX)
		return ERR_BUSY;
	if (!db_may_accept(txn, STORE_ROOM_REMOVE))
		return ERR_FULL;
	return db_put(txn, LIST_NONCES, &key, &nonce->window, sizeof(nonce->window));
}

int store_nonce_each(struct store_txn *txn, store_nonce_fn *fn, void *arg)
{
	scope_cursor MDB_cursor *cursor = NULL;
	struct store_nonce nonce;
	MDB_val key, value;
	int r = db_cursor(txn, LIST_NONCES, &cursor);

	while (r == 0) {
		r = db_cursor_get(txn, cursor, &key, &value, MDB_NEXT);
		if (r == 0)
			r = load(txn, &key, &value, &nonce);
		if (r == 0)
			r = fn(arg, &nonce);
	}
	return r == ERR_NOT_FOUND ? 0 : r;
}

int store_clock_get(struct store_txn *txn, struct store_clock *ret_clock)
{
	const struct store_key key = key_text("sign_clock");
	struct store_clock clock;
	struct reader r;
	MDB_val value;
	int rc = db_get(txn, LIST_META, &key, &value);

	if (rc < 0)
		return rc;
	reader_init(&r, value.mv_data, value.mv_size);
	clock.ahead_ms = get_i64(&r);
	clock.wall_ms = get_i64(&r);
	if (reader_end(&r) < 0)
		return db_die(txn, ERR_CORRUPT);
	*ret_clock = clock;
	return 0;
}

int store_clock_put(struct store_txn *txn, const struct store_clock *clock)
{
	const struct store_key key = key_text("sign_clock");
	uint8_t bytes[16];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes));
	put_i64(&w, clock->ahead_ms);
	put_i64(&w, clock->wall_ms);
	return db_put(txn, LIST_META, &key, bytes, sizeof(bytes));
}
