/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of design.md's States, and nothing that depends on anything else. */
#include "daemon/front/job.h"

#include <stddef.h>

/* What is not named here is 0: no such arrow. */
static const uint8_t backup_table[BACKUP_STATES][BACKUP_EVENTS] = {
	[BACKUP_PENDING] = {
		[BACKUP_EVENT_START] = BACKUP_RUNNING,
		[BACKUP_EVENT_CANCEL] = BACKUP_CANCELLED,
	},
	[BACKUP_RUNNING] = {
		[BACKUP_EVENT_AGAIN] = BACKUP_PENDING,
		[BACKUP_EVENT_COMPLETE] = BACKUP_AVAILABLE,
		[BACKUP_EVENT_FAIL] = BACKUP_FAILED,
		[BACKUP_EVENT_CANCEL] = BACKUP_CANCELLED,
	},
	[BACKUP_AVAILABLE] = {
		[BACKUP_EVENT_LOSE] = BACKUP_LOST,
		[BACKUP_EVENT_DELETE] = BACKUP_DELETING,
	},
	[BACKUP_FAILED] = {[BACKUP_EVENT_DELETE] = BACKUP_DELETING},
	[BACKUP_CANCELLED] = {[BACKUP_EVENT_DELETE] = BACKUP_DELETING},
	[BACKUP_LOST] = {
		[BACKUP_EVENT_FIND] = BACKUP_AVAILABLE,
		[BACKUP_EVENT_DELETE] = BACKUP_DELETING,
	},
	[BACKUP_DELETING] = {[BACKUP_EVENT_DELETED] = BACKUP_DELETED},
};

static const uint8_t clone_table[CLONE_STATES][CLONE_EVENTS] = {
	[CLONE_CREATING] = {
		[CLONE_EVENT_COMPLETE] = CLONE_AVAILABLE,
		[CLONE_EVENT_FAIL] = CLONE_FAILED,
	},
	[CLONE_AVAILABLE] = {[CLONE_EVENT_DELETE] = CLONE_DELETING},
	[CLONE_FAILED] = {[CLONE_EVENT_DELETE] = CLONE_DELETING},
	[CLONE_DELETING] = {[CLONE_EVENT_DELETED] = CLONE_DELETED},
};

static const char *const backup_names[BACKUP_STATES] = {
	[BACKUP_PENDING] = "PENDING", [BACKUP_RUNNING] = "RUNNING", [BACKUP_AVAILABLE] = "AVAILABLE",
	[BACKUP_FAILED] = "FAILED", [BACKUP_CANCELLED] = "CANCELLED", [BACKUP_LOST] = "LOST",
	[BACKUP_DELETING] = "DELETING", [BACKUP_DELETED] = "DELETED",
};

static const char *const clone_names[CLONE_STATES] = {
	[CLONE_CREATING] = "CREATING", [CLONE_AVAILABLE] = "AVAILABLE", [CLONE_FAILED] = "FAILED",
	[CLONE_DELETING] = "DELETING", [CLONE_DELETED] = "DELETED",
};

static const char *const state_names[JOB_STATES] = {
	[JOB_OPEN] = "OPEN", [JOB_DONE] = "DONE", [JOB_FAILED] = "FAILED", [JOB_CANCELLED] = "CANCELLED",
};

static const char *const kind_names[JOB_KINDS] = {
	[JOB_KIND_CREATE] = "CREATE", [JOB_KIND_DELETE] = "DELETE", [JOB_KIND_CLONE] = "CLONE",
	[JOB_KIND_DELETE_CLONE] = "DELETE_CLONE", [JOB_KIND_VERIFY] = "VERIFY", [JOB_KIND_RESTORE] = "RESTORE",
	[JOB_KIND_DELETE_QUARANTINED] = "DELETE_QUARANTINED",
};

enum backup_state backup_next(enum backup_state state, enum backup_event event)
{
	if ((unsigned)state >= BACKUP_STATES || (unsigned)event >= BACKUP_EVENTS)
		return BACKUP_NONE;
	return backup_table[state][event];
}

enum clone_state clone_next(enum clone_state state, enum clone_event event)
{
	if ((unsigned)state >= CLONE_STATES || (unsigned)event >= CLONE_EVENTS)
		return CLONE_NONE;
	return clone_table[state][event];
}

static bool backup_arrow(enum backup_state from, enum backup_state to)
{
	for (int event = 0; event < BACKUP_EVENTS; event++) {
		if (backup_next(from, event) == to)
			return true;
	}
	return false;
}

bool backup_committable(enum backup_state from, enum backup_state to)
{
	if (from == BACKUP_RUNNING || to == BACKUP_RUNNING || to == BACKUP_NONE)
		return false;
	if (from == to)
		return from > BACKUP_NONE && from < BACKUP_STATES;
	return backup_arrow(from, to) || (from == BACKUP_PENDING && backup_arrow(BACKUP_RUNNING, to));
}

bool clone_committable(enum clone_state from, enum clone_state to)
{
	if (to == CLONE_NONE)
		return false;
	if (from == to)
		return from > CLONE_NONE && from < CLONE_STATES;
	for (int event = 0; event < CLONE_EVENTS; event++) {
		if (clone_next(from, event) == to)
			return true;
	}
	return false;
}

bool backup_is_final(enum backup_state state)
{
	return backup_next(state, BACKUP_EVENT_DELETE) != BACKUP_NONE;
}

bool backup_is_retained(enum backup_state state)
{
	return state == BACKUP_PENDING || state == BACKUP_RUNNING || state == BACKUP_AVAILABLE;
}

enum backup_group backup_group(enum backup_state state)
{
	switch (state) {
	case BACKUP_PENDING:
	case BACKUP_RUNNING:
		return BACKUP_GROUP_RUNNING;
	case BACKUP_AVAILABLE:
		return BACKUP_GROUP_SUCCESS;
	case BACKUP_FAILED:
	case BACKUP_CANCELLED:
	case BACKUP_LOST:
		return BACKUP_GROUP_FAILED;
	case BACKUP_DELETING:
	case BACKUP_DELETED:
		return BACKUP_GROUP_GONE;
	default:
		return 0;
	}
}

static const char *name_of(const char *const *names, unsigned count, unsigned number)
{
	return number < count && names[number] ? names[number] : "?";
}

const char *backup_state_name(enum backup_state state)
{
	return name_of(backup_names, BACKUP_STATES, state);
}

const char *clone_state_name(enum clone_state state)
{
	return name_of(clone_names, CLONE_STATES, state);
}

const char *job_state_name(enum job_state state)
{
	return name_of(state_names, JOB_STATES, state);
}

const char *job_kind_name(enum job_kind kind)
{
	return name_of(kind_names, JOB_KINDS, kind);
}

bool job_is_removal(enum job_kind kind)
{
	return kind == JOB_KIND_DELETE || kind == JOB_KIND_DELETE_CLONE || kind == JOB_KIND_DELETE_QUARANTINED;
}

bool job_may_fail(enum job_kind kind)
{
	return !job_is_removal(kind) || kind == JOB_KIND_DELETE_QUARANTINED;
}

bool job_must_settle(enum job_kind kind)
{
	return kind == JOB_KIND_RESTORE;
}

bool job_pins_backup(enum job_kind kind)
{
	return kind == JOB_KIND_CLONE || kind == JOB_KIND_VERIFY || kind == JOB_KIND_RESTORE;
}

static int64_t removal_pause(uint32_t failures)
{
	int64_t pause = JOB_PAUSE_FIRST_MS;

	for (uint32_t i = 1; i < failures && pause < JOB_PAUSE_REMOVAL_MAX_MS; i++)
		pause *= 2;
	return pause < JOB_PAUSE_REMOVAL_MAX_MS ? pause : JOB_PAUSE_REMOVAL_MAX_MS;
}

int64_t job_pause_after_failure(enum job_kind kind, uint32_t failures)
{
	if (job_is_removal(kind))
		return removal_pause(failures);
	if (failures >= JOB_FAILURES_MAX)
		return -1;
	return failures <= 1 ? JOB_PAUSE_FIRST_MS : JOB_PAUSE_SECOND_MS;
}

/* At once: what cut it off (the keeper, systemd) makes pauses of its own. */
int64_t job_pause_after_cutoff(enum job_kind kind, uint32_t cutoffs)
{
	return cutoffs <= JOB_CUTOFFS_MAX || job_is_removal(kind) ? 0 : -1;
}
