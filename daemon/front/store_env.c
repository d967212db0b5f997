/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The environment as it lies on disk: the lock, making a new store whole or not
 * at all, telling a store of another version and a damaged one.
 *
 * LMDB takes an empty file for a new store, and never looks whether its file is as long
 * as its tree says: reading what was cut off would kill the process by SIGBUS. So a
 * new store is made under another name and renamed, an empty one is refused, and one
 * shorter than expected is first read whole by a child.
 */
#include "daemon/front/store_internal.h"

#include "common/clock.h"
#include "common/cursor.h"
#include "common/err.h"
#include "common/scope.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILE_NAME "store.mdb"
#define NEW_NAME "store.mdb.new"
#define LOCK_NAME "lock"

enum { PATH_SIZE = 4096, LOCK_POLL_MS = 20 };
#define MAP_SIZE_MIN (UINT64_C(4) << 20)

static const char *const list_names[LISTS] = {
	[LIST_META] = "meta",     [LIST_BACKUPS] = "backups", [LIST_TOMBS] = "tombs",
	[LIST_JOBS] = "jobs",     [LIST_IDS] = "ids",         [LIST_OPEN] = "open",
	[LIST_PINS] = "pins",
	[LIST_CLONES] = "clones", [LIST_TOKENS] = "tokens",   [LIST_TOKEN_ENDS] = "token_ends",
	[LIST_DAYS] = "days",     [LIST_COUNTS] = "counts",   [LIST_CLUSTERS] = "clusters",
	[LIST_SCHEDULES] = "schedules", [LIST_NONCES] = "nonces",
};

/* Where a sentence for people goes. */
struct report {
	const char *dir;
	char *why;
};

static int explain(const struct report *report, int rc, const char *name, const char *what)
{
	snprintf(report->why, STORE_WHY_SIZE, "%s/%s: %s", report->dir, name, what);
	return rc;
}

static int explain_errno(const struct report *report, const char *name)
{
	int saved = errno;

	return explain(report, err_from_errno(saved), name, strerror(saved));
}

static int explain_mdb(const struct report *report, int mdb_rc)
{
	int rc = db_error(mdb_rc);

	if (rc == ERR_CORRUPT)
		return explain(report, rc, FILE_NAME, "damaged, or not a dbsnap store");
	if (rc == ERR_VERSION)
		return explain(report, rc, FILE_NAME, "written by another version of LMDB");
	return explain(report, rc, FILE_NAME, mdb_strerror(mdb_rc));
}

static int make_path(const struct report *report, const char *name, char path[static PATH_SIZE])
{
	if (snprintf(path, PATH_SIZE, "%s/%s", report->dir, name) >= PATH_SIZE)
		return explain(report, ERR_TOO_LONG, name, "path too long");
	return 0;
}

/* ---- lock ---- */

static int lock_wait(int fd, int wait_ms)
{
	int64_t until_us = clock_measure_us() + (int64_t)wait_ms * 1000;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_from_errno(errno);
		if (clock_measure_us() >= until_us)
			return ERR_BUSY;
		poll(NULL, 0, LOCK_POLL_MS);
	}
	return 0;
}

static int open_lock(const struct report *report, int wait_ms, int *ret_fd)
{
	scope_close int fd = -1;
	char path[PATH_SIZE];
	int rc = make_path(report, LOCK_NAME, path);

	if (rc < 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
	if (fd < 0)
		return explain_errno(report, LOCK_NAME);
	rc = lock_wait(fd, wait_ms);
	if (rc == ERR_BUSY)
		return explain(report, rc, LOCK_NAME, "another dbsnapd uses this state directory");
	if (rc < 0)
		return explain(report, rc, LOCK_NAME, err_text(rc));
	*ret_fd = scope_take_fd(fd);
	return 0;
}

/* ---- environment ---- */

static void close_env(MDB_env **env)
{
	if (*env)
		mdb_env_close(*env);
}
#define scope_env __attribute__((cleanup(close_env)))

static void abort_mdb(MDB_txn **txn)
{
	if (*txn)
		mdb_txn_abort(*txn);
}
#define scope_mdb __attribute__((cleanup(abort_mdb)))

static int open_env(const struct report *report, const char *name, uint64_t map_size, MDB_env **ret_env)
{
	scope_env MDB_env *env = NULL;
	char path[PATH_SIZE];
	int fd, rc = make_path(report, name, path);

	if (rc < 0)
		return rc;
	rc = mdb_env_create(&env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(env, LISTS);
	if (rc == 0)
		rc = mdb_env_set_mapsize(env, map_size < MAP_SIZE_MIN ? MAP_SIZE_MIN : map_size);
	if (rc == 0)
		rc = mdb_env_open(env, path, MDB_NOLOCK | MDB_NOSUBDIR, 0600);
	/* LMDB opens only its second descriptor close-on-exec. */
	if (rc == 0)
		rc = mdb_env_get_fd(env, &fd);
	if (rc == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		rc = errno;
	if (rc != 0)
		return explain_mdb(report, rc);
	*ret_env = scope_take_ptr(env);
	return 0;
}

static int put_meta(MDB_txn *txn, MDB_dbi meta, const char *name, const void *bytes, size_t size)
{
	MDB_val key = {strlen(name), (void *)name}, value = {size, (void *)bytes};

	return mdb_put(txn, meta, &key, &value, 0);
}

/* All lists, and in meta what a store has from its beginning. */
static int fill_new(MDB_env *env)
{
	static const uint8_t version[] = {0, 0, 0, STORE_VERSION}, first_id[] = {0, 0, 0, 0, 0, 0, 0, 1};
	scope_mdb MDB_txn *txn = NULL;
	struct nonce install_id;
	MDB_dbi lists[LISTS];
	int rc = mdb_txn_begin(env, NULL, 0, &txn);

	for (int i = 0; rc == 0 && i < LISTS; i++)
		rc = mdb_dbi_open(txn, list_names[i], MDB_CREATE, &lists[i]);
	nonce_make(&install_id);
	if (rc == 0)
		rc = put_meta(txn, lists[LIST_META], "version", version, sizeof(version));
	if (rc == 0)
		rc = put_meta(txn, lists[LIST_META], "install", install_id.bytes, sizeof(install_id.bytes));
	if (rc == 0)
		rc = put_meta(txn, lists[LIST_META], "next_id", first_id, sizeof(first_id));
	return rc == 0 ? mdb_txn_commit(scope_take_ptr(txn)) : rc;
}

/* The new store is whole on disk (its commit synced it) before its name is. */
static int make_store(const struct report *report, uint64_t map_size)
{
	scope_close int dir = open(report->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scope_env MDB_env *env = NULL;
	int rc;

	if (dir < 0 || (unlinkat(dir, NEW_NAME, 0) < 0 && errno != ENOENT))
		return explain_errno(report, NEW_NAME);
	rc = open_env(report, NEW_NAME, map_size, &env);
	if (rc < 0)
		return rc;
	rc = fill_new(env);
	if (rc != 0)
		return explain_mdb(report, rc);
	if (renameat(dir, NEW_NAME, dir, FILE_NAME) < 0 || fsync(dir) < 0)
		return explain_errno(report, FILE_NAME);
	return 0;
}

/* ---- is all of it there? ---- */

/* A long value lies in pages of its own: touch each. */
static int read_list(MDB_txn *txn, MDB_dbi list)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn, list, &cursor);

	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		const volatile uint8_t *bytes = value.mv_data;

		for (size_t at = 0; at < value.mv_size; at += 1024)
			(void)bytes[at];
		if (value.mv_size > 0)
			(void)bytes[value.mv_size - 1];
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* In a child: dies of a signal, or tells by its status. LMDB's lists 0 and 1 are free pages and names. */
static _Noreturn void read_everything(MDB_env *env)
{
	const struct rlimit none = {0, 0};
	MDB_txn *txn;
	MDB_dbi list;
	int rc;

	setrlimit(RLIMIT_CORE, &none);
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = read_list(txn, 0);
	if (rc == 0)
		rc = read_list(txn, 1);
	for (int i = 0; rc == 0 && i < LISTS; i++) {
		rc = mdb_dbi_open(txn, list_names[i], 0, &list);
		if (rc == 0)
			rc = read_list(txn, list);
		else if (rc == MDB_NOTFOUND)
			rc = 0; /* what is not there cannot be cut off */
	}
	_exit(rc != 0);
}

static int check_by_child(const struct report *report, MDB_env *env)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return explain_errno(report, FILE_NAME);
	if (pid == 0)
		read_everything(env);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return explain_errno(report, FILE_NAME);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return explain(report, ERR_CORRUPT, FILE_NAME, "truncated");
	return 0;
}

/* The last pages may be missing in a sound file, if they were freed before they were ever written. */
static int check_length(const struct report *report, MDB_env *env)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	int fd, rc = mdb_env_info(env, &info);

	if (rc == 0)
		rc = mdb_env_stat(env, &stat);
	if (rc == 0)
		rc = mdb_env_get_fd(env, &fd);
	if (rc != 0)
		return explain_mdb(report, rc);
	if (fstat(fd, &st) < 0)
		return explain_errno(report, FILE_NAME);
	if ((uint64_t)st.st_size / stat.ms_psize > info.me_last_pgno)
		return 0;
	return check_by_child(report, env);
}

/* ---- what is in it ---- */

static int get_meta(MDB_txn *txn, MDB_dbi meta, const char *name, void *bytes, size_t size)
{
	MDB_val key = {strlen(name), (void *)name}, value;
	int rc = mdb_get(txn, meta, &key, &value);

	if (rc == 0 && value.mv_size != size)
		rc = MDB_CORRUPTED;
	if (rc == 0)
		memcpy(bytes, value.mv_data, size);
	return rc;
}

static int check_version(const struct report *report, MDB_txn *txn, MDB_dbi meta)
{
	uint8_t bytes[4] = {0};
	char text[96];
	struct reader r;
	uint32_t found;
	int rc = get_meta(txn, meta, "version", bytes, sizeof(bytes));

	if (rc != 0)
		return explain_mdb(report, rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc);
	reader_init(&r, bytes, sizeof(bytes));
	found = get_u32(&r);
	if (found == STORE_VERSION)
		return 0;
	snprintf(text, sizeof(text), "version %u found, version %u expected", (unsigned)found, STORE_VERSION);
	return explain(report, ERR_VERSION, FILE_NAME, text);
}

static int open_lists(const struct report *report, struct store *store)
{
	scope_mdb MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

	for (int i = 0; rc == 0 && i < LISTS; i++) {
		rc = mdb_dbi_open(txn, list_names[i], 0, &store->lists[i]);
		if (rc == 0 && i == LIST_META) {
			int version_rc = check_version(report, txn, store->lists[LIST_META]);

			if (version_rc < 0)
				return version_rc;
		}
	}
	if (rc == 0)
		rc = get_meta(txn, store->lists[LIST_META], "install", store->install_id.bytes,
			      sizeof(store->install_id.bytes));
	if (rc == 0)
		rc = mdb_txn_commit(scope_take_ptr(txn)); /* only then do the handles stay */
	return rc == 0 ? 0 : explain_mdb(report, rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc);
}

/* A store of ours, made before there were all of the lists. */
static bool lacks_lists(MDB_env *env)
{
	scope_mdb MDB_txn *txn = NULL;
	uint8_t version[4], ours[] = {0, 0, 0, STORE_VERSION};
	bool lacks = false;
	MDB_dbi list;

	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0 || mdb_dbi_open(txn, list_names[LIST_META], 0, &list) != 0 ||
	    get_meta(txn, list, "version", version, sizeof(version)) != 0 || memcmp(version, ours, sizeof(ours)) != 0)
		return false;
	for (int i = LIST_SCHEDULES; i < LISTS; i++)
		lacks = lacks || mdb_dbi_open(txn, list_names[i], 0, &list) == MDB_NOTFOUND;
	return lacks;
}

static int add_lists(const struct report *report, MDB_env *env)
{
	scope_mdb MDB_txn *txn = NULL;
	MDB_dbi list;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);

	for (int i = LIST_SCHEDULES; rc == 0 && i < LISTS; i++)
		rc = mdb_dbi_open(txn, list_names[i], MDB_CREATE, &list);
	if (rc == 0)
		rc = mdb_txn_commit(scope_take_ptr(txn));
	return rc == 0 ? 0 : explain_mdb(report, rc);
}

/* 1 there, 0 not there. */
static int find_store(const struct report *report)
{
	char path[PATH_SIZE];
	struct stat st;
	int rc = make_path(report, FILE_NAME, path);

	if (rc < 0)
		return rc;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : explain_errno(report, FILE_NAME);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return explain(report, ERR_CORRUPT, FILE_NAME, st.st_size == 0 ? "truncated" : "not a file");
	return 1;
}

static int open_files(const struct report *report, const struct store_options *options, struct store *store)
{
	int rc = open_lock(report, options->lock_wait_ms, &store->lock_fd);

	if (rc < 0)
		return rc;
	rc = find_store(report);
	if (rc == 0)
		rc = make_store(report, options->map_size);
	if (rc >= 0)
		rc = open_env(report, FILE_NAME, options->map_size, &store->env);
	if (rc == 0)
		rc = check_length(report, store->env);
	if (rc == 0 && lacks_lists(store->env))
		rc = add_lists(report, store->env);
	return rc == 0 ? open_lists(report, store) : rc;
}

int store_open(const struct store_options *options, char why[static STORE_WHY_SIZE], struct store **ret_store)
{
	const struct report report = {options->dir, why};
	struct store *store = calloc(1, sizeof(*store));
	struct token_fingerprint warm;
	int rc;

	why[0] = '\0';
	if (!store)
		return explain(&report, ERR_NOMEM, FILE_NAME, err_text(ERR_NOMEM));
	store->lock_fd = -1;
	store->start_running_ms = options->running_ms;
	nonce_make(&store->start);
	/* libcrypto opens its configuration at its first digest: before the sandbox, not after. */
	rc = token_fingerprint_make(NULL, 0, &warm);
	if (rc == 0)
		rc = open_files(&report, options, store);
	if (rc < 0) {
		store_close(store);
		return rc;
	}
	*ret_store = store;
	return 0;
}

struct store *store_close(struct store *store)
{
	if (!store)
		return NULL;
	assert(!store->txn.mdb);
	if (store->env)
		mdb_env_close(store->env);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store);
	return NULL;
}

const struct nonce *store_install_id(const struct store *store)
{
	return &store->install_id;
}
