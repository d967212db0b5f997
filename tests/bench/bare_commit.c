/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bare_commit DIR ROUNDS: what the acknowledgement of a create costs at least.
 * ROUNDS LMDB commits of as many puts as an accepted create makes, of the same
 * sizes, in an environment opened like the store's; beside each, one 4 KiB
 * overwrite with fdatasync. Prints one JSON object, microseconds.
 */
#include "common/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Backup, job, id, open job, counts, day, next id, token: key and value bytes. */
static const struct put {
	const char *list;
	size_t key, value;
} puts_of_create[] = {
	{"backups", 18, 260}, {"jobs", 18, 220}, {"ids", 8, 10},  {"open", 8, 10},
	{"counts", 10, 120},  {"days", 14, 9},	 {"meta", 7, 8}, {"tokens", 40, 49},
};
enum { PUTS = sizeof(puts_of_create) / sizeof(puts_of_create[0]) };

static void must(int r, const char *what)
{
	if (r != 0) {
		fprintf(stderr, "bare_commit: %s: %s\n", what, mdb_strerror(r));
		exit(1);
	}
}

static MDB_env *open_env(const char *dir, MDB_dbi lists[PUTS])
{
	MDB_env *env;
	MDB_txn *txn;

	must(mdb_env_create(&env), "create");
	must(mdb_env_set_maxdbs(env, 16), "maxdbs");
	must(mdb_env_set_mapsize(env, (size_t)1 << 30), "mapsize");
	must(mdb_env_open(env, dir, MDB_NOLOCK, 0600), "open");
	must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
	for (int i = 0; i < PUTS; i++)
		must(mdb_dbi_open(txn, puts_of_create[i].list, MDB_CREATE, &lists[i]), "dbi");
	must(mdb_txn_commit(txn), "commit");
	return env;
}

static void commit_once(MDB_env *env, const MDB_dbi lists[PUTS], uint64_t number)
{
	char key[64] = {0}, value[512] = {0};
	MDB_txn *txn;

	must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
	for (int i = 0; i < PUTS; i++) {
		const struct put *p = &puts_of_create[i];
		MDB_val k = {p->key, key}, v = {p->value, value};

		/* Counters are overwritten, records are added at the end of their list. */
		memset(key, 'k', sizeof(key));
		if (strcmp(p->list, "counts") != 0 && strcmp(p->list, "days") != 0 && strcmp(p->list, "meta") != 0) {
			for (int b = 0; b < 8; b++)
				key[p->key - 8 + (size_t)b] = (char)(number >> (8 * (7 - b)));
		}
		memcpy(value, &number, sizeof(number));
		must(mdb_put(txn, lists[i], &k, &v, 0), "put");
	}
	must(mdb_txn_commit(txn), "commit");
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t median(int64_t *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0;
	char path[4096], block[4096] = {0};
	int64_t *commits, *syncs;
	MDB_dbi lists[PUTS];
	MDB_env *env;
	int fd;

	if (rounds < 1) {
		fprintf(stderr, "usage: bare_commit DIR ROUNDS\n");
		return 2;
	}
	env = open_env(argv[1], lists);
	snprintf(path, sizeof(path), "%s/block", argv[1]);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	commits = calloc((size_t)rounds, sizeof(*commits));
	syncs = calloc((size_t)rounds, sizeof(*syncs));
	if (fd < 0 || !commits || !syncs) {
		perror("bare_commit");
		return 1;
	}
	for (int i = 0; i < rounds; i++) {
		int64_t begin = clock_measure_us(), middle;

		commit_once(env, lists, (uint64_t)i + 1);
		middle = clock_measure_us();
		memcpy(block, &i, sizeof(i));
		if (pwrite(fd, block, sizeof(block), 0) != sizeof(block) || fdatasync(fd) != 0) {
			perror("bare_commit");
			return 1;
		}
		commits[i] = middle - begin;
		syncs[i] = clock_measure_us() - middle;
	}
	printf("{\"commit_us\": %" PRId64 ", \"fdatasync_us\": %" PRId64 "}\n", median(commits, rounds),
	       median(syncs, rounds));
	close(fd);
	mdb_env_close(env);
	free(commits);
	free(syncs);
	return 0;
}
