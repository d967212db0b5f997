/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fill_store DIR CLUSTER COUNT: a store with COUNT finished automated backups
 * of CLUSTER, made by the store's own functions, one a minute up to now.
 */
#include "common/clock.h"
#include "common/err.h"
#include "daemon/front/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { A_TRANSACTION = 500 };

static void must(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "fill_store: %s: %s\n", what, err_text(r));
		exit(1);
	}
}

static void add_one(struct store_txn *txn, const char *cluster, int64_t accepted_ms)
{
	struct store_now now = {.wall_ms = accepted_ms + 100, .running_ms = clock_running_ms()};
	struct record_backup backup = {.mode = BACKUP_AUTOMATED, .accepted_ms = accepted_ms};
	struct record_job job = {.kind = JOB_KIND_CREATE, .mode = BACKUP_AUTOMATED, .accepted_ms = accepted_ms};

	snprintf(backup.cluster, sizeof(backup.cluster), "%s", cluster);
	snprintf(job.cluster, sizeof(job.cluster), "%s", cluster);
	nonce_make(&backup.nonce);
	snprintf(backup.origin.principal, sizeof(backup.origin.principal), "policy");
	job.origin = backup.origin;
	must(store_backup_accept(txn, &backup, &job, NULL), "accept");
	backup.state = BACKUP_AVAILABLE;
	backup.ended_ms = now.wall_ms;
	backup.started_ms = accepted_ms;
	backup.consistent_ms = accepted_ms + 50;
	backup.size = 1 << 30;
	backup.size_ms = now.wall_ms;
	snprintf(backup.backend, sizeof(backup.backend), "btrfs");
	snprintf(backup.procedure, sizeof(backup.procedure), "A");
	snprintf(backup.promise, sizeof(backup.promise), "atomic");
	snprintf(backup.path, sizeof(backup.path), "/srv/pg/.dbsnap/%s/%llu/data", cluster,
		 (unsigned long long)backup.id);
	must(store_backup_update(txn, &backup), "update");
	job.state = JOB_DONE;
	must(store_job_finish(txn, &job, &now), "finish");
}

int main(int argc, char **argv)
{
	int64_t now_ms = clock_wall_ms();
	char why[STORE_WHY_SIZE];
	struct store_report report;
	struct store *store;
	long count;

	if (argc != 4 || (count = strtol(argv[3], NULL, 10)) < 1) {
		fprintf(stderr, "usage: fill_store DIR CLUSTER COUNT\n");
		return 2;
	}
	if (store_open(&(struct store_options){argv[1], UINT64_C(1) << 30, 0, clock_running_ms()}, why, &store) < 0) {
		fprintf(stderr, "fill_store: %s\n", why);
		return 1;
	}
	must(store_recount(store, 0, &report), "recount");
	for (long done = 0; done < count;) {
		struct store_txn *txn;

		must(store_begin(store, &txn), "begin");
		for (int i = 0; i < A_TRANSACTION && done < count; i++, done++)
			add_one(txn, argv[2], now_ms - (count - done) * 60000);
		must(store_commit(txn), "commit");
	}
	store_close(store);
	return 0;
}
