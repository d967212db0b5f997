/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store_dump FOLDER NOW_MS: what the catalogue in FOLDER says, one JSON object a line.
 * FOLDER is a copy of a state directory, because the store is the front's alone.
 */
#include "common/err.h"
#include "daemon/front/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int show_backup(void *arg, const struct record_backup *backup)
{
	char nonce[IDENT_HEX_SIZE];

	(void)arg;
	nonce_format(&backup->nonce, nonce);
	printf("{\"is\": \"backup\", \"id\": %" PRIu64 ", \"cluster\": \"%s\", \"state\": \"%s\", \"mode\": %d, "
	       "\"refunded\": %d, \"adopted\": %d, \"accepted_ms\": %" PRId64 ", \"consistent_ms\": %" PRId64
	       ", \"nonce\": \"%s\"}\n",
	       backup->id, backup->cluster, backup_state_name(backup->state), (int)backup->mode, backup->refunded,
	       backup->adopted, backup->accepted_ms, backup->consistent_ms, nonce);
	return 0;
}

static int show_clone(void *arg, const struct record_clone *clone)
{
	char nonce[IDENT_HEX_SIZE];

	(void)arg;
	nonce_format(&clone->nonce, nonce);
	printf("{\"is\": \"clone\", \"id\": \"%s\", \"cluster\": \"%s\", \"state\": \"%s\", \"backup\": %" PRIu64
	       ", \"nonce\": \"%s\"}\n", clone->name, clone->cluster, clone_state_name(clone->state), clone->backup, nonce);
	return 0;
}

static void show_tomb(const struct record_tomb *tomb)
{
	char nonce[IDENT_HEX_SIZE];

	nonce_format(&tomb->nonce, nonce);
	printf("{\"is\": \"tomb\", \"id\": %" PRIu64 ", \"cluster\": \"%s\", \"end_state\": \"%s\", \"mode\": %d, "
	       "\"refunded\": %d, \"adopted\": %d, \"accepted_ms\": %" PRId64 ", \"nonce\": \"%s\"}\n", tomb->id, tomb->cluster,
	       backup_state_name(tomb->end_state), (int)tomb->mode, tomb->refunded, tomb->adopted, tomb->accepted_ms, nonce);
}

static void show_token(const struct token_key *token)
{
	for (unsigned i = 0; i < token->size; i++)
		printf("%02x", token->bytes[i]);
}

/* A create's backup where no list shows it: on its way out, or gone. */
static void show_going(struct store_txn *txn, const struct record_job *job)
{
	struct record_backup backup;
	struct record_tomb tomb;

	if (store_tomb_get(txn, job->cluster, job->id, &tomb) == 0)
		show_tomb(&tomb);
	if (store_backup_get(txn, job->cluster, job->id, &backup) == 0 && backup.state == BACKUP_DELETING)
		show_backup(NULL, &backup);
}

static int show_job(void *arg, const struct record_job *job)
{
	struct record_tomb tomb;

	printf("{\"is\": \"job\", \"id\": %" PRIu64 ", \"cluster\": \"%s\", \"kind\": \"%s\", \"state\": \"%s\", "
	       "\"backup\": %" PRIu64 ", \"clone\": \"%s\", \"attempts\": %u, \"failures\": %u, \"cutoffs\": %u, "
	       "\"token\": \"", job->id, job->cluster, job_kind_name(job->kind), job_state_name(job->state), job->backup,
	       job->clone, job->attempts, job->failures, job->cutoffs);
	show_token(&job->token);
	printf("\"}\n");
	if (job->kind == JOB_KIND_CREATE)
		show_going(arg, job);
	if (job->kind == JOB_KIND_DELETE && store_tomb_get(arg, job->cluster, job->backup, &tomb) == 0 && tomb.adopted)
		show_tomb(&tomb); /* of which there is no create */
	return 0;
}

struct view {
	struct store_txn *txn;
	int64_t now_ms;
};

static int show_cluster(void *arg, const char *cluster, const struct record_counts *counts)
{
	const struct view *view = arg;
	struct store_page all = {.count = UINT32_MAX};
	struct store_backup_filter backups = {.cluster = cluster, .groups = BACKUP_GROUPS_LISTED};
	struct store_job_filter jobs = {.cluster = cluster};
	struct quota_counts quota;
	int r = store_backup_list(view->txn, &backups, &all, show_backup, NULL, NULL);

	if (r == 0)
		r = store_job_list(view->txn, &jobs, &all, show_job, view->txn, NULL);
	if (r == 0)
		r = store_clone_list(view->txn, cluster, 0, &all, show_clone, NULL, NULL);
	if (r == 0)
		r = store_quota_counts(view->txn, cluster, view->now_ms, &quota);
	if (r == 0)
		printf("{\"is\": \"quota\", \"id\": \"%s\", \"retained\": %u, \"accepted\": %u, \"refunded\": %u, "
		       "\"tombs\": %u}\n", cluster, quota.retained, quota.accepted, quota.refunded, counts->tombs);
	return r;
}

/* Recounted first: counters that differ from the records are what a crash may have left. */
static int show_recount(struct store *store)
{
	struct store_report report;
	int r = store_recount(store, 0, &report);

	if (r == 0)
		printf("{\"is\": \"recount\", \"id\": 0, \"counts\": %u, \"days\": %u}\n", report.counts, report.days);
	return r;
}

static int show(struct store *store, int64_t now_ms)
{
	struct view view = {.now_ms = now_ms};
	int r = show_recount(store);

	if (r == 0)
		r = store_read(store, &view.txn);
	if (r == 0)
		r = store_counts_each(view.txn, show_cluster, &view);
	store_abort(view.txn);
	return r;
}

int main(int argc, char **argv)
{
	struct store_options options = {.map_size = 64 << 20};
	char why[STORE_WHY_SIZE];
	struct store *store;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: store_dump FOLDER NOW_MS\n");
		return 2;
	}
	options.dir = argv[1];
	r = store_open(&options, why, &store);
	if (r < 0) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	r = show(store, strtoll(argv[2], NULL, 10));
	store_close(store);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", argv[1], err_text(r));
	return r < 0;
}
