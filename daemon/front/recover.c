/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One function a kind of thing on disk, then the records that nothing on disk
 * speaks for. All in one transaction; notes and quarantine are kept aside until
 * it is committed.
 */
#include "daemon/front/recover.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/grow.h"
#include "common/scope.h"
#include "daemon/front/outcome.h"
#include "daemon/front/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct round {
	struct front *front;
	struct cluster *cluster;
	const struct recover_calls *calls;
	const struct recover_item *items;
	size_t count;
	struct store_txn *txn;

	struct recover_note *notes;
	size_t note_count, note_size;
	struct cluster_stranger *strangers;
	size_t stranger_count, stranger_size;
};

static int note(struct round *r, const struct recover_note *one)
{
	struct recover_note *notes = grow(r->notes, r->note_count, &r->note_size, sizeof(*notes));

	if (!notes)
		return ERR_NOMEM;
	r->notes = notes;
	notes[r->note_count++] = *one;
	return 0;
}

static bool known_stranger(const struct cluster *cluster, const struct cluster_stranger *one)
{
	for (size_t i = 0; i < cluster->stranger_count; i++) {
		if (strcmp(cluster->strangers[i].name, one->name) == 0 &&
		    nonce_equal(&cluster->strangers[i].nonce, &one->nonce))
			return true;
	}
	return false;
}

/* Never touched; said once. why: static. */
static int stranger(struct round *r, const struct recover_item *item, enum log_level level, const char *why)
{
	struct cluster_stranger *list = grow(r->strangers, r->stranger_count, &r->stranger_size, sizeof(*list));
	struct log_about about = {.cluster = r->cluster->id, .backup = item->backup};
	struct cluster_stranger *one;

	if (!list)
		return ERR_NOMEM;
	r->strangers = list;
	one = &list[r->stranger_count++];
	*one = (struct cluster_stranger){
		.item = item->item, .owner = item->owner, .mode = item->mode, .backup = item->backup, .nonce = item->nonce,
		.accepted_ms = item->accepted_ms, .consistent_ms = item->consistent_ms, .size = item->size, .why = why,
	};
	if (item->name)
		outcome_copy(one->name, sizeof(one->name), item->name);
	else
		snprintf(one->name, sizeof(one->name), "%llu", (unsigned long long)item->backup);
	if (!known_stranger(r->cluster, one))
		log_about(level, &about, "quarantine: \"%s\" in %s: %s; it is left alone", one->name,
			  r->cluster->snapshot_dir, why);
	return 0;
}

static int clean_backup(struct round *r, const struct record_backup *backup)
{
	struct recover_note one = {.what = RECOVER_CLEAN, .job = backup->id, .kind = JOB_KIND_DELETE,
				   .backup = backup->id, .nonce = backup->nonce};

	return note(r, &one);
}

static int clean_clone(struct round *r, const struct record_clone *clone)
{
	struct recover_note one = {.what = RECOVER_CLEAN, .job = clone->job, .kind = JOB_KIND_DELETE_CLONE,
				   .nonce = clone->nonce};

	outcome_copy(one.clone, sizeof(one.clone), clone->name);
	return note(r, &one);
}

static int note_job(struct round *r, enum recover_what what, uint64_t job, int64_t pause_ms)
{
	struct recover_note one = {.what = what, .job = job, .pause_ms = pause_ms};

	return note(r, &one);
}

static int finish(struct round *r, struct record_job *job, enum job_state state)
{
	struct store_now now = {.wall_ms = clock_wall_ms(), .running_ms = clock_running_ms()};
	int e;

	job->state = state;
	e = store_job_finish(r->txn, job, &now);
	return e < 0 ? e : note_job(r, RECOVER_JOB_ENDED, job->id, 0);
}

/* The snapshot is whole and the record does not know yet. */
static int adopt(struct round *r, const struct recover_item *item, struct record_backup *backup)
{
	struct log_about about = {.cluster = r->cluster->id, .backup = backup->id, .job = backup->id};
	struct record_job job;
	int e = store_job_get(r->txn, backup->cluster, backup->id, &job);

	if (e < 0)
		return e;
	if (!item->facts)
		return 0; /* its job was not open when the probe was answered: the next probe brings them */
	outcome_available(backup, item->facts, r->cluster->size);
	e = store_backup_update(r->txn, backup);
	if (e < 0)
		return e;
	job.attempts++;
	job.cutoffs = 0;
	job.started_ms = item->facts->started_ms;
	job.percent = 100;
	job.failure = (struct record_failure){0};
	log_about(LOG_LEVEL_NOTICE, &about, "found whole on disk, and adopted");
	return finish(r, &job, JOB_DONE);
}

static int find_again(struct round *r, struct record_backup *backup)
{
	struct log_about about = {.cluster = r->cluster->id, .backup = backup->id};
	struct recover_note found = {.what = RECOVER_FOUND, .backup = backup->id};
	int e;

	backup->state = BACKUP_AVAILABLE;
	backup->failure = (struct record_failure){0};
	log_about(LOG_LEVEL_NOTICE, &about, "seen again");
	e = store_backup_update(r->txn, backup);
	return e < 0 ? e : note(r, &found);
}

/* Nothing in the catalogue: was it deleted, or is the catalogue older than the disk? */
static int unrecorded(struct round *r, const struct recover_item *item)
{
	char cluster[IDENT_CLUSTER_SIZE];
	struct record_tomb tomb;
	int e = store_tomb_get(r->txn, r->cluster->id, item->backup, &tomb);

	if (e == 0 && nonce_equal(&tomb.nonce, &item->nonce)) {
		if (item->item == ITEM_DELETING) {
			struct record_backup gone = {.id = item->backup, .nonce = item->nonce};

			return clean_backup(r, &gone);
		}
		return stranger(r, item, LOG_LEVEL_ERROR, "its backup was deleted");
	}
	if (e < 0 && e != ERR_NOT_FOUND)
		return e;
	e = item->backup && item->backup <= INT64_MAX ? store_id_cluster(r->txn, item->backup, cluster) : 0;
	if (e == ERR_NOT_FOUND)
		return stranger(r, item, LOG_LEVEL_ERROR, "the catalogue has never heard of it: is state_dir older than the disk?");
	return e < 0 ? e : stranger(r, item, LOG_LEVEL_WARNING, "no record has its nonce");
}

static int take_backup(struct round *r, const struct recover_item *item, struct record_backup *backup)
{
	switch (backup->state) {
	case BACKUP_PENDING:
		return adopt(r, item, backup);
	case BACKUP_LOST:
		return find_again(r, backup);
	case BACKUP_AVAILABLE:
	case BACKUP_DELETING:
		return 0;
	default:
		return stranger(r, item, LOG_LEVEL_WARNING, "its record says that there is no snapshot");
	}
}

static void count_cutoff(struct record_job *job)
{
	job->attempts++;
	job->cutoffs++;
	job->started_ms = 0;
	outcome_failure(&job->failure, ERR_UNKNOWN, "the attempt was cut off by the end of a process or of the machine", "");
}

/*
 * An attempt of an open job left something unfinished. It counts once: started_ms is 0 from
 * here until the next attempt is begun. *ret_over: it was one too many.
 */
static int take_cutoff(struct round *r, uint64_t id, struct record_job *ret_job, bool *ret_over)
{
	enum recover_standing standing = r->calls->standing(r->calls->arg, id);
	int64_t pause = 0;
	int e = store_job_get(r->txn, r->cluster->id, id, ret_job);

	*ret_over = false;
	if (e < 0)
		return e;
	if (standing == RECOVER_IDLE && (ret_job->attempts == 0 || ret_job->started_ms != 0)) {
		count_cutoff(ret_job);
		pause = job_pause_after_cutoff(ret_job->kind, ret_job->cutoffs);
		*ret_over = pause < 0;
		if (*ret_over)
			return 0;
		e = store_job_update(r->txn, ret_job);
		if (e < 0)
			return e;
	}
	return note_job(r, RECOVER_JOB_PARTIAL, id, pause);
}

static int take_pending_partial(struct round *r, struct record_backup *backup)
{
	struct record_job job;
	bool over;
	int e = take_cutoff(r, backup->id, &job, &over);

	if (e < 0 || !over)
		return e;
	backup->state = BACKUP_FAILED;
	backup->ended_ms = clock_wall_ms();
	backup->failure = job.failure;
	e = store_backup_update(r->txn, backup);
	if (e == 0)
		e = finish(r, &job, JOB_FAILED);
	return e < 0 ? e : clean_backup(r, backup);
}

static int take_partial(struct round *r, const struct recover_item *item, struct record_backup *backup)
{
	switch (backup->state) {
	case BACKUP_PENDING:
		return take_pending_partial(r, backup);
	case BACKUP_FAILED:
	case BACKUP_CANCELLED:
		return clean_backup(r, backup);
	case BACKUP_DELETING:
		return 0;
	default:
		return stranger(r, item, LOG_LEVEL_WARNING, "unfinished, and its record does not say so");
	}
}

static int take_partial_done(struct round *r, const struct recover_item *item, struct record_backup *backup)
{
	if (backup->state == BACKUP_PENDING) /* its next attempt finds it and renames it */
		return note_job(r, RECOVER_JOB_WHOLE, backup->id, 0);
	if (backup->state == BACKUP_DELETING)
		return 0;
	return stranger(r, item, LOG_LEVEL_WARNING, "whole but for its name, and its record does not say so");
}

static int take_deleting(struct round *r, const struct recover_item *item, struct record_backup *backup)
{
	if (backup->state == BACKUP_DELETING)
		return 0;
	if (backup->state == BACKUP_FAILED || backup->state == BACKUP_CANCELLED)
		return clean_backup(r, backup);
	return stranger(r, item, LOG_LEVEL_ERROR, "its removal had begun, and its record does not say so");
}

/* Anything that goes by a backup's number. */
static int take_numbered(struct round *r, const struct recover_item *item)
{
	struct record_backup backup;
	int e;

	if (r->calls->standing(r->calls->arg, item->backup) == RECOVER_MOVING ||
	    r->calls->touched(r->calls->arg, item->backup, ""))
		return 0;
	e = store_backup_get(r->txn, r->cluster->id, item->backup, &backup);
	if (e == ERR_NOT_FOUND)
		return unrecorded(r, item);
	if (e < 0)
		return e;
	/* An intent that cannot be read: the create's own next attempt decides. */
	if (item->item == ITEM_PARTIAL && nonce_is_zero(&item->nonce) && backup.state == BACKUP_PENDING)
		return take_pending_partial(r, &backup);
	if (!nonce_equal(&backup.nonce, &item->nonce))
		return stranger(r, item, LOG_LEVEL_WARNING, "no record has its nonce");
	switch (item->item) {
	case ITEM_BACKUP:
		return take_backup(r, item, &backup);
	case ITEM_PARTIAL:
		return take_partial(r, item, &backup);
	case ITEM_PARTIAL_DONE:
		return take_partial_done(r, item, &backup);
	default:
		return take_deleting(r, item, &backup);
	}
}

/* ---- clones: few, so found by their nonce in a list ---- */

struct clone_search {
	const struct nonce *nonce;
	struct record_clone *found;
};

static int match_clone(void *arg, const struct record_clone *clone)
{
	const struct clone_search *search = arg;

	if (!nonce_equal(&clone->nonce, search->nonce))
		return 0;
	*search->found = *clone;
	return 1;
}

static int find_clone(struct round *r, const struct nonce *nonce, struct record_clone *ret_clone)
{
	struct clone_search search = {.nonce = nonce, .found = ret_clone};
	struct store_page all = {.count = UINT32_MAX};
	int e = store_clone_list(r->txn, r->cluster->id, 0, &all, match_clone, &search, NULL);

	if (e < 0)
		return e;
	return e > 0 ? 0 : ERR_NOT_FOUND;
}

static int put_clone(struct round *r, const struct record_clone *clone)
{
	return store_clone_update(r->txn, clone);
}

static int take_whole_clone(struct round *r, struct record_clone *clone)
{
	if (clone->state == CLONE_CREATING) /* its next attempt finds it and tells where its socket is */
		return note_job(r, RECOVER_JOB_WHOLE, clone->job, 0);
	if (clone->state == CLONE_AVAILABLE && clone->failure.code) {
		clone->failure = (struct record_failure){0};
		return put_clone(r, clone);
	}
	return 0;
}

static int take_partial_clone(struct round *r, const struct recover_item *item, struct record_clone *clone)
{
	struct record_job job;
	bool over;
	int e;

	if (clone->state == CLONE_DELETING)
		return 0;
	if (clone->state == CLONE_FAILED)
		return clean_clone(r, clone);
	if (clone->state != CLONE_CREATING)
		return stranger(r, item, LOG_LEVEL_WARNING, "unfinished, and its record does not say so");
	e = take_cutoff(r, clone->job, &job, &over);
	if (e < 0 || !over)
		return e;
	clone->state = CLONE_FAILED;
	clone->ended_ms = clock_wall_ms();
	clone->failure = job.failure;
	e = put_clone(r, clone);
	if (e == 0)
		e = finish(r, &job, JOB_FAILED);
	return e < 0 ? e : clean_clone(r, clone);
}

/* Without its folder. */
static const char *clone_name(const struct recover_item *item)
{
	const char *slash = item->name ? strchr(item->name, '/') : NULL;

	return slash ? slash + 1 : "";
}

/* A throw-away clone: its open job's next attempt removes it, nobody else wants it. */
static int take_verify_clone(struct round *r, const struct recover_item *item, uint64_t id)
{
	struct recover_note one = {.what = RECOVER_CLEAN, .job = id, .kind = JOB_KIND_DELETE_CLONE, .nonce = item->nonce};
	struct record_job job;
	bool over;
	int e;

	if (r->calls->standing(r->calls->arg, id) == RECOVER_MOVING || r->calls->touched(r->calls->arg, 0, clone_name(item)))
		return 0;
	e = store_job_get(r->txn, r->cluster->id, id, &job);
	if (e < 0 && e != ERR_NOT_FOUND)
		return e;
	if (e == 0 && job.kind == JOB_KIND_VERIFY && job.state == JOB_OPEN) {
		e = take_cutoff(r, id, &job, &over);
		if (e < 0 || !over)
			return e;
		e = finish(r, &job, JOB_FAILED);
		if (e < 0)
			return e;
	}
	outcome_copy(one.clone, sizeof(one.clone), clone_name(item));
	return note(r, &one);
}

static int take_clone(struct round *r, const struct recover_item *item)
{
	struct record_clone clone;
	uint64_t job;
	int e;

	if (ident_is_verify_clone(clone_name(item), &job) && !nonce_is_zero(&item->nonce))
		return take_verify_clone(r, item, job);
	e = nonce_is_zero(&item->nonce) ? ERR_NOT_FOUND : find_clone(r, &item->nonce, &clone);
	if (e == ERR_NOT_FOUND && r->calls->touched(r->calls->arg, 0, clone_name(item)))
		return 0;
	if (e == ERR_NOT_FOUND)
		return stranger(r, item, LOG_LEVEL_WARNING, "no record of a clone has its nonce");
	if (e < 0)
		return e;
	if (r->calls->standing(r->calls->arg, clone.job) == RECOVER_MOVING ||
	    r->calls->touched(r->calls->arg, 0, clone.name))
		return 0;
	return item->item == ITEM_CLONE ? take_whole_clone(r, &clone) : take_partial_clone(r, item, &clone);
}

static int take_stranger(struct round *r, const struct recover_item *item)
{
	static const char *const why[] = {
		[OWNER_NONE] = "not dbsnap's",
		[OWNER_OURS] = "its name is not what its papers say",
		[OWNER_INSTALL] = "another install of dbsnap made it",
		[OWNER_CLUSTER] = "it was made of another cluster",
	};

	return stranger(r, item, LOG_LEVEL_WARNING, why[item->owner]);
}

static int take_item(struct round *r, const struct recover_item *item)
{
	switch (item->item) {
	case ITEM_BACKUP:
	case ITEM_PARTIAL:
	case ITEM_PARTIAL_DONE:
	case ITEM_DELETING:
		return take_numbered(r, item);
	case ITEM_CLONE:
	case ITEM_CLONE_PARTIAL:
		return take_clone(r, item);
	default:
		return take_stranger(r, item);
	}
}

/* ---- records that nothing on disk speaks for ---- */

static int by_number(const void *a, const void *b)
{
	const struct recover_item *const *x = a, *const *y = b;

	return (*x)->backup < (*y)->backup ? -1 : (*x)->backup > (*y)->backup;
}

struct missing {
	struct round *r;
	const struct recover_item **whole; /* ITEM_BACKUPs by number */
	size_t whole_count;
	uint64_t *ids; /* of records to become LOST */
	size_t count, size;
};

static bool is_whole(const struct missing *m, const struct record_backup *backup)
{
	struct recover_item key = {.backup = backup->id};
	const struct recover_item *key_ptr = &key;
	const struct recover_item *const *found;

	if (!m->whole_count)
		return false;
	found = bsearch(&key_ptr, m->whole, m->whole_count, sizeof(*m->whole), by_number);
	return found && nonce_equal(&(*found)->nonce, &backup->nonce);
}

static int collect_missing(void *arg, const struct record_backup *backup)
{
	struct missing *m = arg;
	uint64_t *ids;

	if (is_whole(m, backup) || m->r->calls->touched(m->r->calls->arg, backup->id, ""))
		return 0;
	ids = grow(m->ids, m->count, &m->size, sizeof(*ids));
	if (!ids)
		return ERR_NOMEM;
	m->ids = ids;
	ids[m->count++] = backup->id;
	return 0;
}

static int lose_backup(struct round *r, uint64_t id)
{
	struct log_about about = {.cluster = r->cluster->id, .backup = id};
	struct record_backup backup;
	int e = store_backup_get(r->txn, r->cluster->id, id, &backup);

	if (e < 0)
		return e;
	backup.state = BACKUP_LOST;
	outcome_failure(&backup.failure, ERR_NOT_FOUND, "the snapshot is not on disk any more",
			"look for who removed it; delete the backup when it is not to come back");
	log_about(LOG_LEVEL_ERROR, &about, "LOST: the snapshot is not in %s any more", r->cluster->snapshot_dir);
	return store_backup_update(r->txn, &backup);
}

static int lose_backups(struct round *r)
{
	struct store_backup_filter filter = {.cluster = r->cluster->id, .groups = BACKUP_GROUP_SUCCESS};
	struct store_page all = {.count = UINT32_MAX};
	scope_free const struct recover_item **whole = calloc(r->count + 1, sizeof(*whole));
	scope_free uint64_t *ids = NULL;
	struct missing m = {.r = r, .whole = whole};
	int e;

	if (!whole)
		return ERR_NOMEM;
	for (size_t i = 0; i < r->count; i++) {
		if (r->items[i].item == ITEM_BACKUP)
			whole[m.whole_count++] = &r->items[i];
	}
	qsort(whole, m.whole_count, sizeof(*whole), by_number);
	e = store_backup_list(r->txn, &filter, &all, collect_missing, &m, NULL);
	ids = m.ids;
	for (size_t i = 0; i < m.count && e == 0; i++)
		e = lose_backup(r, ids[i]);
	return e;
}

static int collect_gone_clone(void *arg, const struct record_clone *clone)
{
	struct round *r = arg;
	struct recover_note one = {.what = RECOVER_CLEAN};

	if (clone->state != CLONE_AVAILABLE || clone->failure.code ||
	    r->calls->touched(r->calls->arg, 0, clone->name))
		return 0;
	for (size_t i = 0; i < r->count; i++) {
		if (r->items[i].item == ITEM_CLONE && nonce_equal(&r->items[i].nonce, &clone->nonce))
			return 0;
	}
	outcome_copy(one.clone, sizeof(one.clone), clone->name);
	return note(r, &one);
}

/* An AVAILABLE clone whose folder is gone keeps its state and says so: it may be seen again, and can be deleted. */
static int mark_gone_clones(struct round *r)
{
	struct store_page all = {.count = UINT32_MAX};
	size_t before = r->note_count;
	struct record_clone clone;
	int e = store_clone_list(r->txn, r->cluster->id, 0, &all, collect_gone_clone, r, NULL);

	/* The notes at the end are borrowed as a list of names: the store must not be changed under its own list. */
	while (e == 0 && r->note_count > before) {
		e = store_clone_get(r->txn, r->notes[--r->note_count].clone, &clone);
		if (e < 0)
			break;
		outcome_failure(&clone.failure, ERR_NOT_FOUND, "its directory is gone", "delete the clone");
		log_about(LOG_LEVEL_WARNING, &(struct log_about){.cluster = r->cluster->id, .clone = clone.name},
			  "the clone's directory is not in %s any more", r->cluster->snapshot_dir);
		e = put_clone(r, &clone);
	}
	return e;
}

/* No number that is on disk is ever given again. */
static int raise_id(struct round *r)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (r->items[i].backup > highest && r->items[i].backup < INT64_MAX)
			highest = r->items[i].backup;
	}
	return highest ? store_raise_id(r->txn, highest + 1) : 0;
}

static int run(struct round *r)
{
	int e = 0;

	for (size_t i = 0; i < r->count && e == 0; i++)
		e = take_item(r, &r->items[i]);
	if (e == 0)
		e = lose_backups(r);
	if (e == 0)
		e = mark_gone_clones(r);
	return e == 0 ? raise_id(r) : e;
}

int recover_cluster(struct front *front, struct cluster *cluster, const struct recover_item *items, size_t count,
		    const struct recover_calls *calls)
{
	struct round r = {.front = front, .cluster = cluster, .calls = calls, .items = items, .count = count};
	int e = store_begin(front->store, &r.txn);

	if (e < 0)
		return e;
	e = run(&r);
	if (e == 0)
		e = store_commit(r.txn);
	else
		store_abort(r.txn);
	if (e == 0) {
		cluster_set_strangers(cluster, scope_take_ptr(r.strangers), r.stranger_count);
		for (size_t i = 0; i < r.note_count; i++)
			calls->note(calls->arg, &r.notes[i]);
	}
	free(r.strangers);
	free(r.notes);
	return e;
}

void recover_items_free(struct recover_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(items[i].name);
		free(items[i].facts);
	}
	free(items);
}
