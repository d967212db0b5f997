/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How large backups are whose cut did not say: one question at a time, when nothing else runs. */
#include "daemon/front/sched_internal.h"

#include "common/err.h"
#include "common/grow.h"
#include "common/scope.h"

#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 4096 /* the rest is found at the next start */ };

void sched_measure_add(struct sched *sched, struct sched_place *place, uint64_t backup)
{
	struct sched_size_due *sizes;

	if (sched->size_count >= QUEUE_MAX)
		return;
	sizes = grow(sched->sizes, sched->size_count, &sched->size_size, sizeof(*sizes));
	if (!sizes)
		return;
	sched->sizes = sizes;
	sizes[sched->size_count++] = (struct sched_size_due){.place = place, .backup = backup};
}

struct load {
	struct sched *sched;
	struct sched_place *place;
};

static int load_one(void *arg, const struct record_backup *backup)
{
	const struct load *load = arg;

	if (backup->size_ms == 0)
		sched_measure_add(load->sched, load->place, backup->id);
	return load->sched->size_count >= QUEUE_MAX;
}

void sched_measure_load(struct sched *sched)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct store_page all = {.count = UINT32_MAX};

	if (store_read(sched->front->store, &txn) < 0)
		return;
	for (struct sched_place *place = sched->places; place; place = place->next) {
		struct store_backup_filter filter = {.cluster = place->cluster->id, .groups = BACKUP_GROUP_SUCCESS};
		struct load load = {.sched = sched, .place = place};

		if (store_backup_list(txn, &filter, &all, load_one, &load, NULL) < 0)
			return;
	}
}

/* The backup's record, if it is still to be measured. */
static bool is_due(struct store_txn *txn, const struct sched_size_due *due, struct record_backup *ret_backup)
{
	return store_backup_get(txn, due->place->cluster->id, due->backup, ret_backup) == 0 &&
	       ret_backup->state == BACKUP_AVAILABLE && ret_backup->size_ms == 0;
}

static void ask(struct sched *sched, size_t at)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct msg msg = {.type = MSG_MEASURE};
	struct record_backup backup;

	sched->measuring = sched->sizes[at];
	sched->sizes[at] = sched->sizes[--sched->size_count];
	if (store_read(sched->front->store, &txn) < 0 || !is_due(txn, &sched->measuring, &backup)) {
		sched_kick(sched); /* on to the next */
		return;
	}
	sched->measure_tag = sched_next_tag(sched);
	msg.tag = sched->measure_tag;
	memcpy(msg.u.measure.cluster, sched->measuring.place->cluster->id, sizeof(msg.u.measure.cluster));
	msg.u.measure.backup = backup.id;
	msg.u.measure.nonce = backup.nonce;
	link_send(sched->front->link, &msg);
}

void sched_measure_run(struct sched *sched)
{
	if (sched->measure_tag || sched->stopping || !sched->told || !TAILQ_EMPTY(&sched->flying))
		return;
	for (size_t i = 0; i < sched->size_count; i++) {
		if (sched_place_usable(sched->sizes[i].place)) {
			ask(sched, i);
			return;
		}
	}
}

static int write_size(struct sched *sched, const struct msg_measured *measured)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_backup backup;
	int r = store_begin(sched->front->store, &txn);

	if (r < 0)
		return r;
	if (!is_due(txn, &sched->measuring, &backup))
		return 0;
	backup.size = measured->size;
	backup.size_ms = measured->measured_ms;
	r = store_backup_update(txn, &backup);
	if (r == 0)
		r = sched_facts_put_size(txn, sched->measuring.place->cluster, measured->size, measured->measured_ms);
	return r < 0 ? r : store_commit(scope_take_ptr(txn));
}

void sched_measure_take(struct sched *sched, const struct msg *msg)
{
	const struct msg_measured *measured = &msg->u.measured;

	if (!sched->measure_tag || msg->tag != sched->measure_tag)
		return;
	sched->measure_tag = 0;
	if (measured->code == 0 && measured->backup == sched->measuring.backup && measured->measured_ms > 0 &&
	    sched_store_result("writing a backup's size", write_size(sched, measured)) == 0)
		sched->measuring.place->cluster->size = measured->size;
	sched_kick(sched);
}
