/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a policy will do, told before it does it. */
#include "daemon/front/schedule.h"

#include <stdlib.h>

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static size_t plan_creates(const struct schedule_outlook *outlook, struct schedule_event *events)
{
	const struct schedule *schedule = outlook->schedule;
	struct schedule_step step;
	size_t count = 0;

	if (!schedule->enabled || !outlook->registered)
		return 0;
	schedule_look(schedule, outlook->seed, outlook->served_ms, outlook->now_ms, &step);
	if (outlook->late_ms && outlook->late_ms <= outlook->until_ms)
		events[count++] = (struct schedule_event){.at_ms = outlook->late_ms, .create = true, .late = true,
							  .slot_ms = step.slot_ms};
	for (int64_t slot = step.next_ms; count < SCHEDULE_PLAN_CREATES / 2; slot = schedule_after(schedule, slot)) {
		int64_t due_ms = schedule_due(outlook->seed, slot);

		if (due_ms > outlook->until_ms)
			break;
		events[count++] = (struct schedule_event){.at_ms = due_ms, .create = true, .slot_ms = slot};
	}
	return count;
}

/* When it goes, which is not before at_ms; false: not as long as the plan looks ahead. */
static bool plan_removal(const struct schedule_outlook *outlook, int64_t made_ms, int64_t at_ms,
			 struct schedule_event *ret_event)
{
	int64_t goes_ms = schedule_expires(outlook->schedule, outlook->registered, made_ms);

	if (goes_ms == SCHEDULE_NEVER || at_ms == SCHEDULE_NEVER)
		return false;
	goes_ms = later(later(goes_ms, at_ms), later(outlook->now_ms, outlook->not_removed_ms));
	*ret_event = (struct schedule_event){.at_ms = goes_ms, .made_ms = made_ms};
	return goes_ms <= outlook->until_ms;
}

/* By time; what is made comes before what goes because of it, then the order of making. */
static int compare(const void *a, const void *b)
{
	const struct schedule_event *x = a, *y = b;

	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	if (x->create != y->create)
		return x->create ? -1 : 1;
	if (x->made_ms != y->made_ms)
		return x->made_ms < y->made_ms ? -1 : 1;
	return x->backup < y->backup ? -1 : x->backup > y->backup;
}

size_t schedule_plan(const struct schedule_outlook *outlook, struct schedule_event *events)
{
	size_t creates = plan_creates(outlook, events), count = creates;
	int64_t newer_ms = creates ? events[0].at_ms : SCHEDULE_NEVER;

	for (size_t i = 0; i < outlook->backup_count; i++) {
		const struct schedule_backup *backup = &outlook->backups[i];

		if (!plan_removal(outlook, backup->accepted_ms, backup->newest ? newer_ms : 0, &events[count]))
			continue;
		events[count].read = backup->read;
		events[count++].backup = backup->id;
	}
	/* The last one that is made stays. */
	for (size_t i = 0; i + 1 < creates; i++)
		count += plan_removal(outlook, events[i].at_ms, events[i + 1].at_ms, &events[count]);
	qsort(events, count, sizeof(*events), compare);
	return count;
}
