/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counters are overwritten, records are added at the end of their list. */
#include "tests/bench/bare_puts.h"

#include <errno.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Backup, job, id, open job, counts, day, next id, token: key and value bytes. */
static const struct put {
	const char *list;
	size_t key, value;
	bool counter;
} puts_of_create[] = {
	{"backups", 18, 260, false}, {"jobs", 18, 220, false}, {"ids", 8, 10, false}, {"open", 8, 10, false},
	{"counts", 10, 120, true},   {"days", 14, 9, true},    {"meta", 7, 8, true},  {"tokens", 40, 49, false},
};
enum { PUTS = sizeof(puts_of_create) / sizeof(puts_of_create[0]) };

struct bare_puts {
	MDB_env *env;
	MDB_dbi lists[PUTS];
};

static void must(int r, const char *what)
{
	if (r != 0) {
		fprintf(stderr, "a bare commit: %s: %s\n", what, mdb_strerror(r));
		exit(1);
	}
}

struct bare_puts *bare_puts_open(const char *dir)
{
	struct bare_puts *puts = calloc(1, sizeof(*puts));
	MDB_txn *txn;

	must(puts ? 0 : ENOMEM, "memory");
	must(mdb_env_create(&puts->env), "create");
	must(mdb_env_set_maxdbs(puts->env, 16), "maxdbs");
	must(mdb_env_set_mapsize(puts->env, (size_t)1 << 30), "mapsize");
	must(mdb_env_open(puts->env, dir, MDB_NOLOCK, 0600), "open");
	must(mdb_txn_begin(puts->env, NULL, 0, &txn), "begin");
	for (int i = 0; i < PUTS; i++)
		must(mdb_dbi_open(txn, puts_of_create[i].list, MDB_CREATE, &puts->lists[i]), "dbi");
	must(mdb_txn_commit(txn), "commit");
	return puts;
}

void bare_puts_commit(struct bare_puts *puts, uint64_t number)
{
	char key[64] = {0}, value[512] = {0};
	MDB_txn *txn;

	must(mdb_txn_begin(puts->env, NULL, 0, &txn), "begin");
	for (int i = 0; i < PUTS; i++) {
		const struct put *p = &puts_of_create[i];
		MDB_val k = {p->key, key}, v = {p->value, value};

		memset(key, 'k', sizeof(key));
		for (size_t b = 0; b < 8 && !p->counter; b++)
			key[p->key - 8 + b] = (char)(number >> (8 * (7 - b)));
		memcpy(value, &number, sizeof(number));
		must(mdb_put(txn, puts->lists[i], &k, &v, 0), "put");
	}
	must(mdb_txn_commit(txn), "commit");
}

void bare_puts_close(struct bare_puts *puts)
{
	mdb_env_close(puts->env);
	free(puts);
}
