/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store as a file: made, locked, opened again, of another version, damaged, full. */
#include "tests/unit/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void path_of(const struct fixture *f, const char *name, char path[static 512])
{
	snprintf(path, 512, "%s/%s", f->dir, name);
}

/* ---- made and opened ---- */

static void files_are_private(void **state)
{
	struct fixture *f = *state;
	char path[512], target[512];
	struct dirent *entry;
	int found = 0, open_here = 0;
	struct stat st;
	DIR *dir = opendir(f->dir);

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		path_of(f, entry->d_name, path);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		found++;
	}
	closedir(dir);
	assert_int_equal(found, 2); /* lock, store.mdb */
	dir = opendir("/proc/self/fd");
	while ((entry = readdir(dir))) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (strncmp(target, f->dir, strlen(f->dir)) != 0)
			continue;
		open_here++;
		assert_true(fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC);
	}
	closedir(dir);
	assert_int_equal(open_here, 3); /* lock, and LMDB's two */
}

static void opened_again_it_is_the_same(void **state)
{
	struct fixture *f = *state;
	struct nonce install = *store_install_id(f->store);
	uint64_t first = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE), second;
	struct record_backup backup;
	struct store_txn *txn;

	assert_false(nonce_is_zero(&install));
	assert_int_equal(first, 1);
	fixture_reopen(f);
	assert_true(nonce_equal(store_install_id(f->store), &install));
	txn = fixture_read(f);
	assert_int_equal(store_backup_get(txn, "pc-a", first, &backup), 0);
	assert_int_equal(backup.state, BACKUP_AVAILABLE);
	store_abort(txn);
	second = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING);
	assert_int_equal(second, 2);
	fixture_check_counters(f);
}

static void another_install_has_another_id(void **state)
{
	struct fixture *f = *state, other = *f;
	void *other_state = &other;
	struct nonce install = *store_install_id(f->store);

	assert_int_equal(fixture_setup_open(&other_state), 0);
	assert_false(nonce_equal(store_install_id(((struct fixture *)other_state)->store), &install));
	fixture_teardown(&other_state);
}

static void half_made_is_made_anew(void **state)
{
	struct fixture *f = *state;
	char path[512];
	FILE *file;

	path_of(f, "store.mdb.new", path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("half", file);
	fclose(file);
	fixture_open(f);
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- lock ---- */

static void second_open_is_refused(void **state)
{
	struct fixture *f = *state, other = *f;
	char why[STORE_WHY_SIZE];

	other.store = NULL;
	assert_int_equal(fixture_try_open(&other, why), ERR_BUSY);
	assert_non_null(strstr(why, "another dbsnapd uses this state directory"));
	assert_non_null(strstr(why, f->dir));
	assert_null(other.store);
}

/* A child holds the store until told; the parent is refused, then waits and gets it. */
static void waits_for_the_lock(void **state)
{
	struct fixture *f = *state;
	struct store_options options = {f->dir, f->map_size, 0, 0};
	int told[2], ready[2], status;
	char why[STORE_WHY_SIZE], byte;
	struct store_txn *txn;
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		close(told[1]); /* the parent's death ends the child */
		if (store_open(&options, why, &f->store) < 0 || write(ready[1], "r", 1) != 1 || read(told[0], &byte, 1) != 1)
			_exit(1);
		/* Enough work that the parent must wait; the lock goes with the process. */
		for (int i = 0; i < 300; i++) {
			if (store_begin(f->store, &txn) < 0 || store_raise_id(txn, (uint64_t)i + 2) < 0 || store_commit(txn) < 0)
				_exit(2);
		}
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(store_open(&options, why, &f->store), ERR_BUSY);
	assert_int_equal(write(told[1], "t", 1), 1);
	options.lock_wait_ms = 60000;
	assert_int_equal(store_open(&options, why, &f->store), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(told[0]);
	close(told[1]);
	close(ready[0]);
	close(ready[1]);
}

/* ---- what cannot be opened ---- */

static void refused(struct fixture *f, int want, const char *text)
{
	char why[STORE_WHY_SIZE];

	assert_int_equal(fixture_try_open(f, why), want);
	if (!strstr(why, text))
		print_error("\"%s\" does not say \"%s\"\n", why, text);
	assert_non_null(strstr(why, text));
	assert_null(f->store);
}

static void write_file(const struct fixture *f, const char *name, const void *bytes, size_t size)
{
	char path[512];
	FILE *file;

	path_of(f, name, path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void no_such_place(void **state)
{
	struct fixture *f = *state, other = *f;
	char path[512];

	snprintf(other.dir, sizeof(other.dir), "%.40s/none", f->dir);
	refused(&other, ERR_NOT_FOUND, "No such file");
	write_file(f, "none", "x", 1);
	refused(&other, ERR_NOT_FOUND, "Not a directory");
	path_of(f, "lock", path);
	assert_int_equal(symlink("/tmp/elsewhere", path), 0);
	refused(f, ERR_IO, "Too many levels");
}

static void no_store(void **state)
{
	struct fixture *f = *state;
	uint8_t garbage[8192];
	char path[512];

	write_file(f, "store.mdb", "", 0);
	refused(f, ERR_CORRUPT, "truncated");
	write_file(f, "store.mdb", "hello", 5);
	refused(f, ERR_CORRUPT, "damaged");
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 131);
	write_file(f, "store.mdb", garbage, sizeof(garbage));
	refused(f, ERR_CORRUPT, "damaged");
	path_of(f, "store.mdb", path);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(f, ERR_CORRUPT, "not a file");
	rmdir(path);
}

/* Changes the store below our own code: runs fn in a plain LMDB transaction on the list "meta". */
static void with_lmdb(const struct fixture *f, const char *list, int (*fn)(MDB_txn *txn, MDB_dbi dbi))
{
	char path[512];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	path_of(f, "store.mdb", path);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 20), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOLOCK | MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, list, MDB_CREATE, &dbi), 0);
	assert_int_equal(fn(txn, dbi), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static int set_version_2(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_val key = {7, "version"}, value = {4, "\0\0\0\2"};

	return mdb_put(txn, dbi, &key, &value, 0);
}

static int drop(MDB_txn *txn, MDB_dbi dbi)
{
	return mdb_drop(txn, dbi, 1);
}

static int nothing(MDB_txn *txn, MDB_dbi dbi)
{
	(void)txn;
	(void)dbi;
	return 0;
}

static void other_versions(void **state)
{
	struct fixture *f = *state;

	f->store = store_close(f->store);
	with_lmdb(f, "meta", set_version_2);
	refused(f, ERR_VERSION, "version 2 found, version 1 expected");
}

static void not_our_lists(void **state)
{
	struct fixture *f = *state;

	f->store = store_close(f->store);
	with_lmdb(f, "days", drop);
	refused(f, ERR_CORRUPT, "damaged, or not a dbsnap store");
}

/* A store that an earlier release made: it has no schedules, and gets them. */
static void without_schedules(void **state)
{
	struct fixture *f = *state;
	struct record_schedule schedule = {.cluster = "pc-a", .policy = schedule_default()}, got;
	struct schedule_guard guard = {.wall_ms = 1000}, got_guard;
	struct store_txn *txn;

	f->store = store_close(f->store);
	with_lmdb(f, "schedules", drop);
	fixture_open(f);
	txn = fixture_begin(f);
	assert_int_equal(store_schedule_get(txn, "pc-a", &got), ERR_NOT_FOUND);
	assert_int_equal(store_guard_get(txn, &got_guard), 0);
	assert_int_equal(got_guard.wall_ms, 0);
	assert_int_equal(store_schedule_put(txn, &schedule), 0);
	assert_int_equal(store_guard_put(txn, &guard), 0);
	assert_int_equal(store_commit(txn), 0);
	fixture_reopen(f);
	txn = fixture_read(f);
	assert_int_equal(store_schedule_get(txn, "pc-a", &got), 0);
	assert_string_equal(got.cluster, "pc-a");
	assert_int_equal(store_guard_get(txn, &got_guard), 0);
	assert_int_equal(got_guard.wall_ms, 1000);
	schedule.policy.hour = 24;
	assert_int_equal(store_schedule_put(txn, &schedule), ERR_INVALID);
	store_abort(txn);
}

static int count_nonce(void *arg, const struct store_nonce *nonce)
{
	unsigned *count = arg;

	assert_int_equal(nonce->window, nonce->stamp_s % 2);
	assert_int_equal(nonce->hash[15], 9);
	++*count;
	return 0;
}

static int keep_nonce(struct store_txn *txn, int64_t stamp_s, int64_t gone_s)
{
	const struct store_nonce nonce = {.hash = {[15] = 9}, .stamp_s = stamp_s, .window = (uint8_t)(stamp_s % 2)};

	return store_nonce_keep(txn, &nonce, gone_s);
}

/* Kept by their timestamps, up to their limit; those that are over make room. */
static void nonces_of_signed_requests(void **state)
{
	struct fixture *f = *state;
	struct store_clock clock = {.ahead_ms = -5, .wall_ms = 7}, got;
	struct store_txn *txn;
	unsigned count = 0;

	txn = fixture_begin(f);
	assert_int_equal(store_clock_get(txn, &got), ERR_NOT_FOUND);
	assert_int_equal(store_clock_put(txn, &clock), 0);
	for (int i = 0; i < STORE_NONCES_MAX; i++)
		assert_int_equal(keep_nonce(txn, 1000 + i, 999), 0);
	assert_int_equal(keep_nonce(txn, 900000, 999), ERR_BUSY);
	assert_int_equal(store_commit(txn), 0);
	fixture_reopen(f);
	txn = fixture_begin(f);
	assert_int_equal(store_nonce_each(txn, count_nonce, &count), 0);
	assert_int_equal(count, STORE_NONCES_MAX);
	assert_int_equal(keep_nonce(txn, 900000, 1001), 0);
	count = 0;
	assert_int_equal(store_nonce_each(txn, count_nonce, &count), 0);
	assert_int_equal(count, STORE_NONCES_MAX - 1);
	assert_int_equal(store_clock_get(txn, &got), 0);
	assert_int_equal(got.ahead_ms, -5);
	assert_int_equal(got.wall_ms, 7);
	store_abort(txn);
}

/* A store that an earlier release made has no list of them either. */
static void without_nonces(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn;

	f->store = store_close(f->store);
	with_lmdb(f, "nonces", drop);
	fixture_open(f);
	txn = fixture_begin(f);
	assert_int_equal(keep_nonce(txn, 1001, 0), 0);
	assert_int_equal(store_commit(txn), 0);
}

static void somebody_elses_lmdb(void **state)
{
	struct fixture *f = *state;

	with_lmdb(f, "names", nothing);
	refused(f, ERR_CORRUPT, "damaged, or not a dbsnap store");
}

/* ---- cut off ---- */

static int count_backup(void *arg, const struct record_backup *backup)
{
	(void)backup;
	(*(int *)arg)++;
	return 0;
}

/* 0 and the number of backups that can be read, or an error. */
static int try_store(struct fixture *f, int *ret_backups)
{
	const struct store_backup_filter filter = {.cluster = "pc-a"};
	const struct store_page page = {0, 1000};
	struct store_report report;
	char why[STORE_WHY_SIZE];
	struct store_txn *txn;
	int rc = fixture_try_open(f, why), backups = 0;

	if (rc == 0)
		rc = store_recount(f->store, 0, &report);
	if (rc == 0) {
		txn = fixture_read(f);
		rc = store_backup_list(txn, &filter, &page, count_backup, &backups, NULL);
		store_abort(txn);
	}
	f->store = store_close(f->store);
	if (rc == 0)
		*ret_backups = backups;
	return rc;
}

/* At every half page: an error, or everything there; never a signal, never a new store. */
static void cut_off_anywhere(void **state)
{
	struct fixture *f = *state;
	int backups, refusals = 0;
	char path[512];
	struct stat st;
	char *whole;
	FILE *file;

	for (int i = 0; i < 60; i++)
		fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	f->store = store_close(f->store);
	path_of(f, "store.mdb", path);
	assert_int_equal(stat(path, &st), 0);
	whole = malloc((size_t)st.st_size);
	file = fopen(path, "r");
	assert_int_equal(fread(whole, 1, (size_t)st.st_size, file), st.st_size);
	fclose(file);
	for (off_t size = 0; size < st.st_size; size += 2048) {
		int rc;

		write_file(f, "store.mdb", whole, (size_t)size);
		rc = try_store(f, &backups);
		assert_true(rc == ERR_CORRUPT || (rc == 0 && backups == 60));
		refusals += rc != 0;
	}
	assert_true(refusals > 20);
	write_file(f, "store.mdb", whole, (size_t)st.st_size);
	assert_int_equal(try_store(f, &backups), 0);
	assert_int_equal(backups, 60);
	free(whole);
}

/* ---- transactions ---- */

static void reading_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = fixture_read(f);
	uint64_t id;

	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id), ERR_INVALID);
	assert_int_equal(store_raise_id(txn, 50), ERR_INVALID);
	store_abort(txn);
	store_abort(NULL);
	assert_int_equal(fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING), 1);
}

static void aborted_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = fixture_begin(f);
	struct record_backup backup;
	uint64_t id = 0;

	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id), 0);
	store_abort(txn);
	txn = fixture_read(f);
	assert_int_equal(store_backup_get(txn, "pc-a", id, &backup), ERR_NOT_FOUND);
	store_abort(txn);
	fixture_check_quota(f, "pc-a", NOON, 0, 0, 0);
}

static void ids_can_be_raised(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn = fixture_begin(f);
	uint64_t id = 0;

	assert_int_equal(store_raise_id(txn, 1000), 0);
	assert_int_equal(store_raise_id(txn, 10), 0); /* never back */
	assert_int_equal(store_raise_id(txn, (uint64_t)INT64_MAX + 1), ERR_INVALID);
	assert_int_equal(store_commit(txn), 0);
	fixture_reopen(f);
	assert_int_equal(fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING), 1000);
	txn = fixture_begin(f);
	assert_int_equal(store_raise_id(txn, INT64_MAX), 0);
	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id), 0);
	assert_int_equal(id, INT64_MAX);
	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id), ERR_FULL); /* none is left */
	assert_int_equal(store_commit(txn), 0);
}

/* ---- killed ---- */

/* Accepts for ever and tells each id once it is on disk. */
static _Noreturn void accept_for_ever(struct fixture *f, int told)
{
	struct store_report report;
	char why[STORE_WHY_SIZE];
	struct store_txn *txn;
	uint64_t id;

	if (fixture_try_open(f, why) < 0 || store_recount(f->store, 0, &report) < 0)
		_exit(1);
	while (store_begin(f->store, &txn) == 0 && fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id) == 0 &&
	       store_commit(txn) == 0 && write(told, &id, sizeof(id)) == sizeof(id))
		;
	_exit(2);
}

/* What was told is there, nothing is there by half, and no id is given twice. */
static void killed_at_any_moment(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0, id;

	for (int round = 0; round < 20; round++) {
		struct quota_counts counts;
		char why[STORE_WHY_SIZE];
		int told[2], status;
		pid_t pid;

		assert_int_equal(pipe(told), 0);
		pid = fork();
		if (pid == 0) {
			close(told[0]); /* the parent's death ends the child */
			accept_for_ever(f, told[1]);
		}
		close(told[1]);
		for (int i = 0; i <= round; i++) {
			assert_int_equal(read(told[0], &id, sizeof(id)), sizeof(id));
			assert_true(id > last);
			last = id;
		}
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (read(told[0], &id, sizeof(id)) == sizeof(id))
			last = id;
		close(told[0]);
		assert_int_equal(fixture_try_open(f, why), 0);
		fixture_check_counters(f); /* right before anyone repairs them */
		counts = fixture_quota(f, "pc-a", NOON);
		/* the last commit may not have been told; it uses one id */
		assert_true(counts.accepted == last || counts.accepted == last + 1);
		last = counts.accepted;
		f->store = store_close(f->store);
	}
}

/* ---- in the sandbox ---- */

static bool forbid_paths(void)
{
	static const int calls[] = {
		SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(creat), SCMP_SYS(stat), SCMP_SYS(lstat),
		SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
		SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename),
		SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(statfs), SCMP_SYS(truncate), SCMP_SYS(chmod),
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	bool done = filter != NULL;

	for (size_t i = 0; done && i < sizeof(calls) / sizeof(calls[0]); i++)
		done = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0) == 0;
	return done && seccomp_load(filter) == 0;
}

static _Noreturn void without_paths(struct fixture *f)
{
	const struct token_param param = {"DBClusterId", "pc-a"};
	struct token_fingerprint print;
	const struct store_now now = {NOON, 0};
	struct store_report report;
	struct store_usage usage;
	struct store_txn *txn;
	char why[STORE_WHY_SIZE];
	uint64_t id;

	if (fixture_try_open(f, why) < 0 || !forbid_paths())
		_exit(1);
	for (int i = 0; i < 50; i++) {
		if (store_begin(f->store, &txn) < 0 || fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id) < 0 ||
		    fixture_move(txn, "pc-a", id, BACKUP_FAILED, &now) < 0 || store_commit(txn) < 0)
			_exit(2);
	}
	if (store_recount(f->store, 60, &report) < 0 || store_usage(f->store, &usage) < 0 ||
	    token_fingerprint_make(&param, 1, &print) < 0)
		_exit(3);
	store_close(f->store);
	_exit(0);
}

static void no_path_after_open(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		without_paths(*state);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- full ---- */

/* One with texts as long as they get, so that a map fills in fewer steps. */
static int accept_long(struct store_txn *txn, uint64_t *ret_id)
{
	struct record_backup backup = fixture_backup("pc-a", BACKUP_AUTOMATED, NOON);
	struct record_job job = {.accepted_ms = NOON};
	int rc;

	memset(backup.weakened, 'w', sizeof(backup.weakened) - 1);
	memset(backup.path, 'p', sizeof(backup.path) / 2);
	rc = store_backup_accept(txn, &backup, &job, NULL);
	if (rc == 0)
		*ret_id = backup.id;
	return rc;
}

/* In one transaction past the end of the map: it dies as a whole, and the store goes on. */
static void map_full_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_txn *txn;
	struct record_backup backup;
	uint64_t id = 0, before;
	int rc = 0;

	f->map_size = UINT64_C(4) << 20;
	fixture_open(f);
	before = fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
	txn = fixture_begin(f);
	for (int i = 0; rc == 0 && i < 100000; i++)
		rc = accept_long(txn, &id);
	assert_int_equal(rc, ERR_FULL);
	assert_int_equal(store_backup_get(txn, "pc-a", before, &backup), ERR_FULL); /* dead */
	assert_int_equal(store_commit(txn), ERR_FULL);
	assert_true(id > before + 100);
	fixture_check_counters(f);
	assert_int_equal(fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_PENDING), before + 1);
	fixture_reopen(f);
	fixture_check_quota(f, "pc-a", NOON, 2, 2, 0);
}

/* Creates until refused, then everything is deleted one by one, then creates again. */
static void floors_leave_room_to_end(void **state)
{
	struct fixture *f = *state;
	const struct store_now now = {NOON, 0};
	struct store_usage usage;
	struct store_txn *txn;
	uint64_t last = 0, id, job = 0;
	int rc = 0;

	f->map_size = UINT64_C(4) << 20;
	fixture_open(f);
	assert_true(store_creates_allowed(f->store));
	while (rc == 0) {
		txn = fixture_begin(f);
		rc = accept_long(txn, &id);
		assert_int_equal(store_commit(txn), 0); /* refused by the floor: the transaction lives */
		last = rc == 0 ? id : last;
	}
	assert_int_equal(rc, ERR_FULL);
	assert_false(store_creates_allowed(f->store));
	assert_int_equal(store_room(f->store), STORE_ROOM_REMOVE);
	assert_int_equal(store_usage(f->store, &usage), 0);
	assert_int_equal(usage.map_size, UINT64_C(4) << 20);
	assert_true(usage.used >= usage.map_size / 100 * 80 && usage.used < usage.map_size / 100 * 85);
	assert_true(last > 500);
	for (id = 1; id <= last; id++) {
		txn = fixture_begin(f);
		assert_int_equal(fixture_move(txn, "pc-a", id, BACKUP_AVAILABLE, &now), 0);
		assert_int_equal(fixture_accept_delete(txn, "pc-a", id, NOON, true, &job), 0);
		assert_int_equal(store_commit(txn), 0);
		txn = fixture_begin(f);
		assert_int_equal(store_backup_deleted(txn, "pc-a", id, NOON), 0);
		assert_int_equal(fixture_finish_job(txn, job, JOB_DONE, &now), 0);
		assert_int_equal(store_commit(txn), 0);
	}
	fixture_check_counters(f);
	/* History gives the room back: the file does not shrink, its pages are free. */
	txn = fixture_begin(f);
	assert_int_equal(store_history_purge(txn, 1, NOON + 1, UINT32_MAX, NULL), 0);
	assert_int_equal(store_commit(txn), 0);
	assert_true(store_creates_allowed(f->store));
	fixture_make(f, "pc-a", BACKUP_MANUAL, NOON, BACKUP_AVAILABLE);
}

/* All deletes accepted before any has ended: those are refused in time, and what was accepted ends. */
static void many_deletes_at_once(void **state)
{
	struct fixture *f = *state;
	const struct store_now now = {NOON, 0};
	struct record_facts facts = {.cluster = "pc-b"};
	struct store_txn *txn;
	uint64_t last = 0, id, accepted, job = 0, jobs;
	int rc = 0;

	f->map_size = UINT64_C(4) << 20;
	fixture_open(f);
	while (store_creates_allowed(f->store)) {
		txn = fixture_begin(f);
		for (int i = 0; i < 50; i++)
			assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_AUTOMATED, NOON, NULL, &last), 0);
		for (int i = 0; i < 50; i++)
			assert_int_equal(fixture_move(txn, "pc-a", last - (uint64_t)i, BACKUP_AVAILABLE, &now), 0);
		assert_int_equal(store_commit(txn), 0);
	}
	for (accepted = 0; rc == 0 && accepted < last; accepted += rc == 0) {
		txn = fixture_begin(f);
		rc = fixture_accept_delete(txn, "pc-a", accepted + 1, NOON, true, &job);
		assert_int_equal(store_commit(txn), 0);
	}
	assert_int_equal(rc, ERR_FULL);
	assert_int_equal(store_room(f->store), STORE_ROOM_END);
	txn = fixture_begin(f);
	assert_int_equal(store_facts_put(txn, &facts), ERR_FULL);
	store_abort(txn);
	jobs = job;
	for (id = 1; id <= accepted; id++) {
		txn = fixture_begin(f);
		assert_int_equal(store_backup_deleted(txn, "pc-a", id, NOON), 0);
		assert_int_equal(fixture_finish_job(txn, jobs - accepted + id, JOB_DONE, &now), 0);
		assert_int_equal(store_commit(txn), 0);
	}
	fixture_check_counters(f);
	txn = fixture_begin(f);
	assert_int_equal(fixture_accept_delete(txn, "pc-a", accepted + 1, NOON, true, &job), 0);
	assert_int_equal(store_commit(txn), 0);
}

/* In a child with a small file system of its own: 0 all well, 77 cannot mount, else the line. */
#define MUST(condition) \
	do { \
		if (!(condition)) \
			_exit(__LINE__ % 250 + 1); \
	} while (0)
enum { CANNOT = 255 };

static void fill_disk(const char *path)
{
	char block[4096] = {1};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	MUST(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

/* Nothing new is accepted, and all that was can be ended and deleted. */
static void end_and_delete_on_a_full_disk(struct fixture *f)
{
	const struct store_now now = {NOON, 0};
	uint64_t first = 0, last = 0, job;
	struct store_txn *txn;
	int rc = 0;

	while (rc == 0) {
		MUST(store_begin(f->store, &txn) == 0);
		rc = accept_long(txn, rc == 0 && !first ? &first : &last);
		MUST(rc == 0 || rc == ERR_FULL);
		MUST(store_commit(txn) == 0);
	}
	MUST(store_room(f->store) == STORE_ROOM_REMOVE && last > first + 20);
	for (uint64_t id = first; id <= last; id++) {
		MUST(store_begin(f->store, &txn) == 0);
		MUST(fixture_move(txn, "pc-a", id, BACKUP_AVAILABLE, &now) == 0);
		MUST(store_commit(txn) == 0);
		MUST(store_begin(f->store, &txn) == 0);
		MUST(fixture_accept_delete(txn, "pc-a", id, NOON, true, &job) == 0);
		MUST(store_commit(txn) == 0);
		MUST(store_begin(f->store, &txn) == 0);
		MUST(store_backup_deleted(txn, "pc-a", id, NOON) == 0);
		MUST(fixture_finish_job(txn, job, JOB_DONE, &now) == 0);
		MUST(store_commit(txn) == 0);
	}
}

/* As on a file system that promises no blocks behind the end of a file. */
static void drop_reserve(struct fixture *f)
{
	char path[512];
	struct stat st;

	path_of(f, "store.mdb", path);
	MUST(stat(path, &st) == 0 && truncate(path, st.st_size) == 0);
}

static _Noreturn void on_a_full_disk(struct fixture *f)
{
	struct store_txn *txn;
	struct store_report report;
	char why[STORE_WHY_SIZE], filler[512];
	uint64_t id = 0, again = 0;
	struct stat st;
	int rc = 0, full = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", f->dir, "tmpfs", 0, "size=3m") < 0)
		_exit(CANNOT);
	MUST(fixture_try_open(f, why) == 0);
	MUST(store_recount(f->store, 0, &report) == 0);
	path_of(f, "filler", filler);
	drop_reserve(f);
	fill_disk(filler);
	/* Free pages of the file are used up first. */
	for (int i = 0; i < 200 && !full; i++) {
		MUST(store_begin(f->store, &txn) == 0);
		MUST(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id) == 0);
		rc = store_commit(txn);
		MUST(rc == 0 || rc == ERR_FULL);
		full = rc == ERR_FULL;
	}
	MUST(full);
	/* Room for a part of what a commit writes: such writes are cut short, which LMDB calls EIO. */
	for (off_t pages = 1; pages <= 24; pages++) {
		MUST(stat(filler, &st) == 0 && truncate(filler, st.st_size - 4096) == 0);
		MUST(store_begin(f->store, &txn) == 0);
		for (int i = 0; i < 20; i++)
			MUST(accept_long(txn, &id) == 0);
		MUST(store_commit(txn) == ERR_FULL);
	}
	id -= 19; /* the first of each round */
	/* Nothing of it is there, and the store goes on when there is room again. */
	MUST(store_recount(f->store, 0, &report) == 0 && !report.repaired);
	MUST(store_read(f->store, &txn) == 0);
	MUST(store_backup_get(txn, "pc-a", id, &(struct record_backup){0}) == ERR_NOT_FOUND);
	store_abort(txn);
	MUST(unlink(filler) == 0);
	MUST(store_begin(f->store, &txn) == 0);
	MUST(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &again) == 0 && again == id);
	MUST(store_commit(txn) == 0);
	/* A new store on a full disk: no half of one. */
	f->store = store_close(f->store);
	path_of(f, "store.mdb", why);
	MUST(unlink(why) == 0);
	fill_disk(filler);
	rc = fixture_try_open(f, why);
	MUST(rc == ERR_FULL || rc == ERR_IO);
	MUST(unlink(filler) == 0);
	MUST(fixture_try_open(f, why) == 0);
	MUST(store_recount(f->store, 0, &report) == 0);
	fill_disk(filler);
	end_and_delete_on_a_full_disk(f);
	MUST(unlink(filler) == 0);
	MUST(store_begin(f->store, &txn) == 0 && store_room(f->store) == STORE_ROOM_ALL);
	_exit(0);
}

static void disk_full_changes_nothing(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		on_a_full_disk(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
		skip();
	assert_int_equal(status, 0);
}

/* LMDB's descriptor for pages, or the one for meta pages (write only). */
static int find_descriptor(const struct fixture *f, bool meta)
{
	char path[512], want[512], target[512];
	int found = -1;

	path_of(f, "store.mdb", want);
	for (int fd = 0; fd < 256; fd++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (strcmp(target, want) == 0 && ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) == meta)
			found = fd;
	}
	assert_true(found >= 0);
	return found;
}

/* A write of the meta page that fails: nobody can tell what is on disk. */
static void failed_meta_page_is_unknown(void **state)
{
	struct fixture *f = *state;
	int meta = find_descriptor(f, true), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct store_txn *txn = fixture_begin(f);
	uint64_t id;

	assert_true(full >= 0);
	assert_int_equal(dup2(full, meta), meta);
	close(full);
	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id), 0);
	assert_int_equal(store_commit(txn), ERR_UNKNOWN);
	assert_int_equal(store_begin(f->store, &txn), ERR_UNKNOWN); /* and for good */
	assert_int_equal(store_read(f->store, &txn), ERR_UNKNOWN);
	fixture_reopen(f);
	fixture_check_quota(f, "pc-a", NOON, 0, 0, 0);
}

/* A broken disk is no full one. */
static void failed_page_is_unknown(void **state)
{
	struct fixture *f = *state;
	int pages = find_descriptor(f, false), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct store_txn *txn = fixture_begin(f);
	uint64_t id;

	assert_true(null >= 0);
	assert_int_equal(dup2(null, pages), pages);
	close(null);
	assert_int_equal(fixture_accept(txn, "pc-a", BACKUP_MANUAL, NOON, NULL, &id), 0);
	assert_int_equal(store_commit(txn), ERR_UNKNOWN);
	fixture_reopen(f);
	fixture_check_quota(f, "pc-a", NOON, 0, 0, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)
#define TEST_CLOSED(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest store[] = {
		TEST(files_are_private),
		TEST(opened_again_it_is_the_same),
		TEST(another_install_has_another_id),
		TEST_CLOSED(half_made_is_made_anew),
		TEST(second_open_is_refused),
		TEST_CLOSED(waits_for_the_lock),
		TEST_CLOSED(no_such_place),
		TEST_CLOSED(no_store),
		TEST(other_versions),
		TEST(not_our_lists),
		TEST(without_schedules),
		TEST(nonces_of_signed_requests),
		TEST(without_nonces),
		TEST_CLOSED(somebody_elses_lmdb),
		TEST(cut_off_anywhere),
		TEST(reading_changes_nothing),
		TEST(aborted_changes_nothing),
		TEST(ids_can_be_raised),
		TEST_CLOSED(killed_at_any_moment),
		TEST_CLOSED(no_path_after_open),
		TEST_CLOSED(map_full_changes_nothing),
		TEST_CLOSED(floors_leave_room_to_end),
		TEST_CLOSED(many_deletes_at_once),
		TEST_CLOSED(disk_full_changes_nothing),
		TEST(failed_meta_page_is_unknown),
		TEST(failed_page_is_unknown),
	};

	return cmocka_run_group_tests(store, NULL, NULL);
}
