/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A delete: out of the namespace first, then the images, the papers last, and
 * DONE only when the file system has committed it. Needs no source: a database
 * that is gone keeps nobody from deleting its backups.
 */
#include "daemon/engine/step.h"

#include "common/err.h"
#include "daemon/engine/remnant.h"

#include <stdio.h>
#include <string.h>

static int refuse(const struct place *place, const char *name, struct reason *why)
{
	return reason_set(
		why, ERR_EXISTS, "look at it; dbsnap never removes what it cannot prove to be its own",
		"%s/%s is there and is not the backup to be deleted: in quarantine", place->path, name);
}

/* 1: ours to be removed; 0: nothing there; or a code. */
static int is_to_go(struct worker_job *job, const struct place *place, enum place_form form, const char *name,
		    struct reason *why)
{
	struct place_look look;
	int error = place_look_at(job, place, name, &job->order.nonce, &look, NULL, why);

	if (error < 0 || look.thing == THING_NONE)
		return error;
	if (look.thing == THING_OURS || (look.thing == THING_EMPTY && form != PLACE_WHOLE))
		return 1;
	return refuse(place, name, why);
}

static int remove_form(struct worker_job *job, const struct place *place, enum place_form form,
		       struct reason *why)
{
	char name[PLACE_ID_SIZE], going[PLACE_ID_SIZE];
	int error;

	place_name(form, job->order.backup, name);
	place_name(PLACE_GOING, job->order.backup, going);
	error = is_to_go(job, place, form, name, why);
	if (error <= 0)
		return error;
	if (form != PLACE_GOING)
		error = place_rename(place->fd, name, going, why);
	job_progress(job, PHASE_CUTTING, 50);
	return error < 0 ? error : remnant_remove(job, place, going, why);
}

/* Of a delete that is tried again only the cause is kept. */
static void tell_who_can(struct reason *why)
{
	size_t used = strlen(why->cause);

	snprintf(why->cause + used, sizeof(why->cause) - used,
		 " (it is not the caller's own: root can remove it, then this goes on)");
}

/* What an earlier attempt has renamed already goes first: it holds the name. */
static enum msg_outcome delete_forms(struct worker_job *job, const enum place_form *forms, size_t count,
				     struct msg_result *result, struct reason *why)
{
	struct reason source = {0};
	struct place place;
	int error;

	job_open_source(job, &source);
	error = place_open(job, PLACE_SHARED, false, &place, why);
	if (error < 0) {
		enum msg_outcome outcome = step_place_outcome(&place);

		place_close(&place);
		return outcome;
	}
	job_progress(job, PHASE_PREPARING, 5);
	for (size_t i = 0; error == 0 && i < count; i++)
		error = remove_form(job, &place, forms[i], why);
	/* Also when nothing was there: a removal before a power cut may not be durable yet. */
	if (error == 0)
		error = remnant_sync(&place, why);
	if (error == ERR_DENIED && !job->as_root)
		tell_who_can(why);
	step_report_space(&place, result);
	place_close(&place);
	return error == 0 ? OUTCOME_DONE : step_outcome(why);
}

enum msg_outcome step_delete(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	static const enum place_form forms[] = {PLACE_GOING, PLACE_WHOLE, PLACE_MAKING};

	return delete_forms(job, forms, sizeof(forms) / sizeof(forms[0]), result, why);
}

/* That one form only: what else goes by its number may be a backup's of the catalogue. */
enum msg_outcome step_delete_quarantined(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	enum place_form forms[2] = {PLACE_GOING};

	switch (job->order.item) {
	case ITEM_CLONE:
	case ITEM_CLONE_PARTIAL:
		return step_delete_clone(job, result, why);
	case ITEM_BACKUP:
		forms[1] = PLACE_WHOLE;
		return delete_forms(job, forms, 2, result, why);
	case ITEM_PARTIAL:
	case ITEM_PARTIAL_DONE:
		forms[1] = PLACE_MAKING;
		return delete_forms(job, forms, 2, result, why);
	default:
		return delete_forms(job, forms, 1, result, why);
	}
}
