/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cluster's entry in the table, from its stored facts and back. */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/outcome.h"

#include <string.h>

void sched_facts_space(struct cluster *cluster, uint64_t free_bytes, uint64_t total_bytes)
{
	if (!total_bytes)
		return;
	cluster->free_bytes = free_bytes;
	cluster->total_bytes = total_bytes;
}

static void take_facts(struct cluster *cluster, const struct record_facts *facts)
{
	cluster->size = facts->size;
	cluster->layout_known = facts->layout != RECORD_LAYOUT_UNKNOWN;
	cluster->layout_ok = facts->layout == RECORD_LAYOUT_OK;
	outcome_copy(cluster->layout_refusal, sizeof(cluster->layout_refusal), facts->refusal);
	outcome_copy(cluster->layout_remedy, sizeof(cluster->layout_remedy), facts->remedy);
	outcome_copy(cluster->backend, sizeof(cluster->backend), facts->backend);
	outcome_copy(cluster->database, sizeof(cluster->database), facts->db_type);
	outcome_copy(cluster->server, sizeof(cluster->server), facts->db_version);
	outcome_copy(cluster->snapshot_dir, sizeof(cluster->snapshot_dir), facts->snapshot_dir);
	if (!cluster->registered) {
		outcome_copy(cluster->conf.description, sizeof(cluster->conf.description), facts->description);
		outcome_copy(cluster->conf.data_dir, sizeof(cluster->conf.data_dir), facts->data_dir);
	}
}

static int load_facts(void *arg, const struct record_facts *facts)
{
	struct sched *sched = arg;
	struct cluster *cluster = cluster_find(sched->front->clusters, facts->cluster);

	if (cluster)
		take_facts(cluster, facts);
	return 0;
}

static int load_counts(void *arg, const char *id, const struct record_counts *counts)
{
	struct sched *sched = arg;

	if (store_counts_records(counts) == 0)
		return 0;
	return cluster_ensure(sched->front->clusters, id) ? 0 : ERR_NOMEM;
}

int sched_facts_load(struct sched *sched)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct cluster_table *clusters = sched->front->clusters;
	int r = store_read(sched->front->store, &txn);

	if (r == 0)
		r = store_counts_each(txn, load_counts, sched);
	if (r == 0)
		r = store_facts_each(txn, load_facts, sched);
	for (size_t i = 0; i < cluster_count(clusters) && r == 0; i++) {
		if (!sched_place_of(sched, cluster_at(clusters, i)->id))
			r = ERR_NOMEM;
	}
	return r;
}

static void fill(const struct cluster *cluster, const struct msg_checked *checked, struct record_facts *facts)
{
	memcpy(facts->cluster, cluster->id, sizeof(facts->cluster));
	facts->layout = cluster->layout_ok ? RECORD_LAYOUT_OK : RECORD_LAYOUT_REFUSED;
	outcome_copy(facts->db_type, sizeof(facts->db_type), cluster->database);
	outcome_copy(facts->db_version, sizeof(facts->db_version), cluster->server);
	outcome_copy(facts->backend, sizeof(facts->backend), cluster->backend);
	outcome_copy(facts->procedure, sizeof(facts->procedure), checked->procedure);
	outcome_copy(facts->promise, sizeof(facts->promise), checked->promise);
	outcome_copy(facts->refusal, sizeof(facts->refusal), cluster->layout_refusal);
	outcome_copy(facts->remedy, sizeof(facts->remedy), cluster->layout_remedy);
	outcome_copy(facts->description, sizeof(facts->description), cluster->conf.description);
	outcome_copy(facts->data_dir, sizeof(facts->data_dir), cluster->conf.data_dir);
	outcome_copy(facts->snapshot_dir, sizeof(facts->snapshot_dir), cluster->snapshot_dir);
}

static bool same(const struct record_facts *a, const struct record_facts *b)
{
	uint8_t bytes_a[RECORD_MAX], bytes_b[RECORD_MAX];
	int size_a = record_facts_encode(a, bytes_a, sizeof(bytes_a));
	int size_b = record_facts_encode(b, bytes_b, sizeof(bytes_b));

	return size_a >= 0 && size_a == size_b && memcmp(bytes_a, bytes_b, (size_t)size_a) == 0;
}

static int save(struct sched *sched, struct cluster *cluster, const struct msg_checked *checked)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_facts before = {0}, after;
	int r = store_begin(sched->front->store, &txn);

	if (r < 0)
		return r;
	r = store_facts_get(txn, cluster->id, &before);
	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	after = before;
	fill(cluster, checked, &after);
	if (r == 0 && same(&before, &after))
		return 0;
	after.checked_ms = clock_wall_ms();
	r = store_facts_put(txn, &after);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

void sched_facts_save(struct sched *sched, struct cluster *cluster, const struct msg_checked *checked)
{
	/* Without room it stays in memory: the next check writes it. */
	sched_store_result("saving what is known of a cluster", save(sched, cluster, checked));
}

int sched_facts_put_size(struct store_txn *txn, const struct cluster *cluster, uint64_t size, int64_t size_ms)
{
	struct record_facts facts = {0};
	int r = store_facts_get(txn, cluster->id, &facts);

	if (r < 0 && r != ERR_NOT_FOUND)
		return r;
	memcpy(facts.cluster, cluster->id, sizeof(facts.cluster));
	facts.size = size;
	facts.size_ms = size_ms;
	return store_facts_put(txn, &facts);
}

static bool has_jobs(const struct sched *sched, const struct cluster *cluster)
{
	for (size_t i = 0; i < sched->job_count; i++) {
		if (sched->jobs[i]->place->cluster == cluster)
			return true;
	}
	return false;
}

static int forget(struct sched *sched, struct cluster *cluster, bool *ret_gone)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_counts counts;
	int r = store_begin(sched->front->store, &txn);

	if (r < 0)
		return r;
	r = store_counts_get(txn, cluster->id, &counts);
	if (r < 0 || store_counts_records(&counts) > 0)
		return r;
	*ret_gone = true;
	r = store_facts_delete(txn, cluster->id);
	if (r == ERR_NOT_FOUND || r == ERR_STATE) /* tombstones and jobs may stay: they are history */
		return 0;
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

void sched_facts_forget(struct sched *sched, struct cluster *cluster)
{
	bool gone = false;

	if (has_jobs(sched, cluster))
		return;
	if (sched_store_result("forgetting a cluster", forget(sched, cluster, &gone)) == 0 && gone)
		cluster_hide(sched->front->clusters, cluster);
}
