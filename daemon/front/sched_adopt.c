/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Adoption. What the list of the quarantine says may be old, so the disk is looked at anew by a probe that begins after
 * the request: its worker has synced what it names, and brings what the manifest says.
 */
#include "daemon/front/sched_internal.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/front/outcome.h"
#include "daemon/front/sched_auto.h"

#include <stdlib.h>
#include <string.h>

enum { ADOPTIONS_MAX = 16 };

struct sched_adoption {
	struct sched_adoption *next;
	struct sched_place *place; /* NULL: it is refused with code */
	uint32_t tag;              /* of the probe that decides; 0: not begun */
	int code;
	uint64_t backup;
	struct nonce nonce;
	int64_t due_ms;
	sched_adopt_may_fn *may;
	sched_adopt_fn *fn;
	void *arg;
};

static void arm(struct sched *sched)
{
	int64_t earliest = INT64_MAX;

	for (const struct sched_adoption *a = sched->adoptions; a; a = a->next) {
		if (a->due_ms < earliest)
			earliest = a->due_ms;
	}
	if (earliest == INT64_MAX)
		timer_disarm(&sched->adopt_timer);
	else
		timer_arm(&sched->adopt_timer, earliest);
}

static void take_out(struct sched *sched, const struct sched_adoption *adoption)
{
	struct sched_adoption **at = &sched->adoptions;

	while (*at != adoption)
		at = &(*at)->next;
	*at = adoption->next;
}

/* Out of the list first: whoever is answered may ask anew. */
static void answer(struct sched *sched, struct sched_adoption *adoption, int code)
{
	take_out(sched, adoption);
	adoption->fn(adoption->arg, code);
	free(adoption);
}

/* A reload may have taken the right from who waits; false: he has been answered. */
static bool may_still(struct sched *sched, struct sched_adoption *adoption)
{
	if (adoption->may(adoption->arg))
		return true;
	take_out(sched, adoption);
	free(adoption);
	return false;
}

static unsigned count(const struct sched *sched)
{
	unsigned found = 0;

	for (const struct sched_adoption *a = sched->adoptions; a; a = a->next)
		found++;
	return found;
}

void sched_adopt(struct sched *sched, const struct sched_adopt *what)
{
	struct sched_place *place = cluster_find(sched->front->clusters, what->cluster) ? sched_place_of(sched, what->cluster) : NULL;
	struct sched_adoption *adoption = calloc(1, sizeof(*adoption));
	bool full = count(sched) >= ADOPTIONS_MAX;

	if (!adoption)
		front_die("adopting a backup", ERR_NOMEM);
	*adoption = (struct sched_adoption){
		.next = sched->adoptions, .place = full ? NULL : place, .code = full ? ERR_BUSY : ERR_NOT_FOUND,
		.backup = what->backup, .nonce = what->nonce,
		.may = what->may, .fn = what->fn, .arg = what->arg,
		.due_ms = clock_running_ms() + (full || !place ? 0 : what->timeout_ms),
	};
	sched->adoptions = adoption;
	arm(sched);
	if (!adoption->place) {
		sched_kick(sched);
		return;
	}
	place->again = place->tag != 0;
	sched_place_look(place);
}

void sched_adopt_asked(struct sched_place *place)
{
	for (struct sched_adoption *a = place->sched->adoptions; a; a = a->next) {
		if (a->place == place)
			a->tag = place->tag;
	}
}

static bool is_meant(const struct sched_adoption *adoption, uint8_t item, uint8_t owner, uint64_t backup,
		     const struct nonce *nonce)
{
	return item == ITEM_BACKUP && owner == OWNER_OURS && backup == adoption->backup &&
	       nonce_equal(nonce, &adoption->nonce);
}

bool sched_adopt_wants(const struct sched_place *place, const struct msg_probed_item *item)
{
	for (const struct sched_adoption *a = place->sched->adoptions; a; a = a->next) {
		if (a->place == place && a->tag == place->tag &&
		    is_meant(a, item->item, item->owner, item->backup, &item->facts.nonce))
			return true;
	}
	return false;
}

static const struct msg_facts *find_facts(const struct sched_place *place, const struct sched_adoption *adoption)
{
	for (size_t i = 0; i < place->item_count; i++) {
		const struct recover_item *item = &place->items[i];

		if (item->facts && is_meant(adoption, item->item, item->owner, item->backup, &item->nonce))
			return item->facts;
	}
	return NULL;
}

static void fill(const struct sched_adoption *adoption, const struct msg_facts *facts, struct record_backup *backup)
{
	const struct cluster *cluster = adoption->place->cluster;

	*backup = (struct record_backup){
		.id = adoption->backup, .adopted = true, .nonce = adoption->nonce,
		.mode = facts->mode == MODE_AUTOMATED ? BACKUP_AUTOMATED : BACKUP_MANUAL,
		.accepted_ms = facts->accepted_ms, .expires_ms = facts->expires_ms,
	};
	memcpy(backup->cluster, cluster->id, sizeof(backup->cluster));
	memcpy(backup->origin.principal, facts->principal, sizeof(backup->origin.principal));
	memcpy(backup->origin.request_id, facts->request, sizeof(backup->origin.request_id));
	outcome_available(backup, facts, cluster->size);
}

static int commit(struct sched *sched, const struct record_backup *backup, uint64_t *ret_records)
{
	scope_store_abort struct store_txn *txn = NULL;
	struct record_counts counts;
	int r = store_begin(sched->front->store, &txn);

	if (r == 0)
		r = store_backup_adopt(txn, backup);
	if (r == 0)
		r = store_counts_get(txn, backup->cluster, &counts);
	if (r < 0)
		return r;
	*ret_records = store_counts_records(&counts);
	return store_commit(scope_take_ptr(txn));
}

/* From its first record on a cluster whose marker is gone is OFFLINE, never new. */
static void tell_records(struct sched *sched, const struct cluster *cluster, uint64_t records)
{
	struct msg msg = {.type = MSG_RECORDS};

	memcpy(msg.u.records.cluster, cluster->id, sizeof(msg.u.records.cluster));
	msg.u.records.records = records;
	link_send(sched->front->link, &msg);
}

static int adopt(struct sched *sched, const struct sched_adoption *adoption, const struct msg_facts *facts)
{
	struct cluster *cluster = adoption->place->cluster;
	struct log_about about = {.cluster = cluster->id, .backup = adoption->backup};
	struct record_backup backup;
	uint64_t records = 0;
	int r;

	fill(adoption, facts, &backup);
	r = commit(sched, &backup, &records);
	if (r == ERR_EXISTS)
		return r;
	if (sched_store_result("adopting a backup", r) < 0)
		return r;
	tell_records(sched, cluster, records);
	cluster_drop_stranger(cluster, &adoption->nonce, NULL);
	sched_auto_changed(sched);
	if (!facts->size_known)
		sched_measure_add(sched, adoption->place, adoption->backup);
	log_about(LOG_LEVEL_NOTICE, &about, "adopted from the quarantine, as its manifest says");
	return 0;
}

static int decide(struct sched_place *place, const struct sched_adoption *adoption)
{
	const struct msg_facts *facts;

	if (place->cluster->place != PLACE_ONLINE)
		return ERR_OFFLINE;
	facts = find_facts(place, adoption);
	return facts ? adopt(place->sched, adoption, facts) : ERR_NOT_FOUND;
}

static struct sched_adoption *next_of(const struct sched_place *place, uint32_t tag)
{
	for (struct sched_adoption *a = place->sched->adoptions; a; a = a->next) {
		if (a->place == place && a->tag == tag)
			return a;
	}
	return NULL;
}

void sched_adopt_probed(struct sched_place *place, uint32_t tag, uint8_t state)
{
	struct sched_adoption *adoption;

	/* Our own jobs hold the marker: the look that follows decides. */
	if (state == PLACE_BUSY)
		return;
	while ((adoption = next_of(place, tag))) {
		if (may_still(place->sched, adoption))
			answer(place->sched, adoption, decide(place, adoption));
	}
	arm(place->sched);
}

void sched_adopt_expire(void *arg)
{
	struct sched *sched = arg;
	struct sched_adoption *a = sched->adoptions, *next;
	int64_t now = clock_running_ms();

	for (; a; a = next) {
		next = a->next;
		if (a->due_ms <= now && may_still(sched, a))
			answer(sched, a, a->place ? ERR_TIMEOUT : a->code);
	}
	arm(sched);
}

void sched_adopt_close(struct sched *sched)
{
	while (sched->adoptions)
		answer(sched, sched->adoptions, ERR_CLOSED);
}
