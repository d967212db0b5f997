/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Transactions, what their ends mean, and how full the map is.
 *
 * LMDB writes the pages, syncs, then writes the meta page. What fails before the meta
 * page has changed nothing; a meta page that failed leaves the environment
 * unusable (MDB_PANIC), which is how the two are told apart. A write that a full disk cut
 * short is reported as EIO, so EIO on a full disk counts as full.
 *
 * Deletes and ends must work on a full disk, and LMDB never writes a page in place:
 * so blocks behind the end of the file are asked for while there are some, and
 * nothing new is accepted once they cannot be had.
 */
#include "daemon/front/store_internal.h"

#include "common/err.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>

enum {
	FLOOR_CREATE_PERCENT = 80,
	FLOOR_REMOVE_PERCENT = 95
};
#define DISK_FULL_BYTES (UINT64_C(1) << 20)
#define RESERVE_BYTES (UINT64_C(1) << 20)

/* ---- room ---- */

/* Pages in the list of free ones: each value is a count and that many page numbers. */
static int sum_free(MDB_cursor *cursor, uint64_t *ret_pages)
{
	uint64_t pages = 0;
	MDB_val key, value;
	size_t count;
	int rc;

	while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (value.mv_size < sizeof(count))
			return MDB_CORRUPTED;
		memcpy(&count, value.mv_data, sizeof(count));
		pages += count;
	}
	if (rc == MDB_NOTFOUND)
		rc = 0;
	*ret_pages = pages;
	return rc;
}

static int count_free(MDB_env *env, uint64_t *ret_pages)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(txn, 0, &cursor);
	if (rc == 0) {
		rc = sum_free(cursor, ret_pages);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return rc;
}

static bool over(const struct store_usage *usage, unsigned percent)
{
	return usage->used >= usage->map_size / 100 * percent;
}

/* Free pages are counted only when it matters: the file never shrinks, so a store once full stays long. */
static int refresh_usage(struct store *store)
{
	struct store_usage usage;
	MDB_envinfo info;
	MDB_stat stat;
	uint64_t pages = 0;
	int rc = mdb_env_info(store->env, &info);

	if (rc == 0)
		rc = mdb_env_stat(store->env, &stat);
	if (rc != 0)
		return db_error(rc);
	usage.map_size = info.me_mapsize;
	usage.used = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
	if (over(&usage, FLOOR_CREATE_PERCENT)) {
		rc = count_free(store->env, &pages);
		if (rc != 0)
			return db_error(rc);
		usage.used -= pages * stat.ms_psize;
	}
	store->usage = usage;
	return 0;
}

int store_usage(struct store *store, struct store_usage *ret_usage)
{
	int rc = store->txn.mdb ? 0 : refresh_usage(store);

	if (rc == 0)
		*ret_usage = store->usage;
	return rc;
}

static enum store_room room_of(const struct store *store, const struct store_usage *usage)
{
	if (over(usage, FLOOR_REMOVE_PERCENT))
		return STORE_ROOM_END;
	return store->tight || over(usage, FLOOR_CREATE_PERCENT) ? STORE_ROOM_REMOVE : STORE_ROOM_ALL;
}

/* Before a write: may change nothing that LMDB reads, for the file's size stays as it is. */
static void reserve(struct store *store)
{
	MDB_envinfo info;
	MDB_stat stat;
	uint64_t end;
	int fd;

	if (store->reserved_to == UINT64_MAX || mdb_env_info(store->env, &info) != 0 ||
	    mdb_env_stat(store->env, &stat) != 0 || mdb_env_get_fd(store->env, &fd) != 0)
		return;
	end = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
	if (store->reserved_to >= end + RESERVE_BYTES / 2)
		return;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)end, (off_t)RESERVE_BYTES) == 0) {
		store->reserved_to = end + RESERVE_BYTES;
		store->tight = false;
	} else if (errno == EOPNOTSUPP || errno == ENOSYS) {
		store->reserved_to = UINT64_MAX;
	} else {
		store->tight = true;
	}
}

enum store_room store_room(struct store *store)
{
	struct store_usage usage = {0};

	return store_usage(store, &usage) < 0 ? STORE_ROOM_END : room_of(store, &usage);
}

bool store_creates_allowed(struct store *store)
{
	return store_room(store) == STORE_ROOM_ALL;
}

bool db_may_accept(const struct store_txn *txn, enum store_room room)
{
	return room_of(txn->store, &txn->store->usage) <= room;
}

/* ---- transactions ---- */

static int begin(struct store *store, bool writable, struct store_txn **ret_txn)
{
	struct store_txn *txn = &store->txn;
	int rc;

	assert(!txn->mdb);
	rc = refresh_usage(store);
	if (rc < 0)
		return rc;
	if (writable)
		reserve(store);
	*txn = (struct store_txn){.store = store, .writable = writable};
	rc = mdb_txn_begin(store->env, NULL, writable ? 0 : MDB_RDONLY, &txn->mdb);
	if (rc != 0) {
		txn->mdb = NULL;
		return db_error(rc);
	}
	*ret_txn = txn;
	return 0;
}

int store_begin(struct store *store, struct store_txn **ret_txn)
{
	return begin(store, true, ret_txn);
}

int store_read(struct store *store, struct store_txn **ret_txn)
{
	return begin(store, false, ret_txn);
}

void store_abort(struct store_txn *txn)
{
	if (!txn || !txn->mdb)
		return;
	mdb_txn_abort(txn->mdb);
	txn->mdb = NULL;
}

static bool env_is_sound(MDB_env *env)
{
	MDB_txn *txn;

	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	mdb_txn_abort(txn);
	return true;
}

static bool disk_is_full(MDB_env *env)
{
	struct statfs fs;
	int fd;

	return mdb_env_get_fd(env, &fd) == 0 && fstatfs(fd, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize < DISK_FULL_BYTES;
}

static int commit_error(MDB_env *env, int mdb_rc)
{
	if (!env_is_sound(env))
		return ERR_UNKNOWN;
	if (db_error(mdb_rc) == ERR_FULL || (mdb_rc == EIO && disk_is_full(env)))
		return ERR_FULL;
	return ERR_UNKNOWN;
}

int store_commit(struct store_txn *txn)
{
	MDB_env *env = txn->store->env;
	MDB_txn *mdb = txn->mdb;
	int rc;

	if (txn->dead || !txn->writable) {
		store_abort(txn);
		return txn->dead;
	}
	txn->mdb = NULL;
	rc = mdb_txn_commit(mdb);
	return rc == 0 ? 0 : commit_error(env, rc);
}
