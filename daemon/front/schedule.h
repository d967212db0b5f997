/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When automated backups are made and how long they are kept: pure arithmetic, no
 * store and no clock. All of it is in UTC, in wall milliseconds since 1970.
 *
 * A slot is an hour in which a backup is wanted, named by its beginning. It is due at a minute
 * of that hour that the seed chooses, always the same one for the same slot: nothing has to be remembered, and
 * a plan can tell it. A slot is served once a create was accepted for it.
 */
#ifndef DBSNAP_FRONT_SCHEDULE_H
#define DBSNAP_FRONT_SCHEDULE_H

#include "common/ident.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_MINUTE_MS INT64_C(60000)
#define SCHEDULE_HOUR_MS (60 * SCHEDULE_MINUTE_MS)
#define SCHEDULE_DAY_MS (24 * SCHEDULE_HOUR_MS)
#define SCHEDULE_NEVER INT64_MAX
/* A slot that was due longer ago is caught up with, not made: so as no crowd of clusters begins at once. */
#define SCHEDULE_LATE_MS (5 * SCHEDULE_MINUTE_MS)
/* No catching up when the next slot is due as soon. */
#define SCHEDULE_NEAR_MS (30 * SCHEDULE_MINUTE_MS)

enum {
	SCHEDULE_DAILY = 24,      /* every_hours of "Normal" */
	SCHEDULE_ALL_DAYS = 0x7f,
	SCHEDULE_LEVEL1_MIN = 3,
	SCHEDULE_LEVEL1_MAX = 14,
	SCHEDULE_LEVEL2_MIN = 30,
	SCHEDULE_LEVEL2_MAX = 7300,
	SCHEDULE_FOREVER = -1 /* of level 2 */
};

/* What becomes of a cluster's automated backups when no file registers it any more. The numbers are stored. */
enum schedule_removal {
	SCHEDULE_REMOVAL_ALL = 1,    /* all are kept */
	SCHEDULE_REMOVAL_LATEST = 2, /* they go by their age, the newest good one stays */
	SCHEDULE_REMOVAL_NONE = 3,   /* the same: a file that got lost is no reason to remove anything at once */
	SCHEDULE_REMOVALS
};

/* A policy. */
struct schedule {
	bool enabled;
	uint8_t days;        /* bit 0: Monday */
	uint8_t hour;        /* 0 to 23 */
	uint8_t every_hours; /* SCHEDULE_DAILY, or 2, 3, 4: on all days, counted from hour */
	uint8_t on_removal;  /* enum schedule_removal */
	uint8_t level1_days;
	int16_t level2_days; /* 0: there is no level 2 */
};

/* What holds while nobody has set one: not enabled. */
struct schedule schedule_default(void);
bool schedule_is_valid(const struct schedule *schedule);
/* Whether both want their backups at the same slots. */
bool schedule_same_slots(const struct schedule *a, const struct schedule *b);

/* Chooses a cluster's minutes. */
uint64_t schedule_seed(const struct nonce *install, const char *cluster);
/* When the slot is due: within its hour, at a whole minute. */
int64_t schedule_due(uint64_t seed, int64_t slot_ms);
/* How long catching up with the slot waits: some seconds to some minutes. */
int64_t schedule_spread(uint64_t seed, int64_t slot_ms);
/* The newest slot that is due at now_ms; the first that is due after it. Whether or not it is enabled. */
int64_t schedule_last(const struct schedule *schedule, uint64_t seed, int64_t now_ms);
int64_t schedule_next(const struct schedule *schedule, uint64_t seed, int64_t now_ms);
/* The first slot after this one. */
int64_t schedule_after(const struct schedule *schedule, int64_t slot_ms);

enum schedule_what {
	SCHEDULE_WAIT,    /* nothing is owed */
	SCHEDULE_ON_TIME, /* the slot is due: a create is owed */
	SCHEDULE_LATE,    /* the same, but it was due some time ago; of several only the newest is owed */
	SCHEDULE_FORGET   /* served_ms is of a clock that was wrong: take slot_ms for it, and look again */
};

struct schedule_step {
	enum schedule_what what;
	int64_t slot_ms; /* the newest that is due */
	int64_t next_ms; /* the first that is neither due nor served */
};

/*
 * What there is to do. A clock that was set back serves no slot twice, unless it
 * was wrong by more than a slot: then it must not keep the next ones from being served.
 */
void schedule_look(const struct schedule *schedule, uint64_t seed, int64_t served_ms, int64_t now_ms,
		   struct schedule_step *ret_step);

/* Before the try after this many in a row that failed (1 for the first): 5, 10, 20, 40, 60, 60, ... minutes. */
int64_t schedule_retry_pause(uint32_t failures);

/* ---- how long they are kept ---- */

/* Days, or SCHEDULE_FOREVER. */
int schedule_kept_days(const struct schedule *schedule);
/* When an automated backup may go, or SCHEDULE_NEVER. registered: a file names its cluster. */
int64_t schedule_expires(const struct schedule *schedule, bool registered, int64_t accepted_ms);

/*
 * Whether the clock can be trusted to tell a backup's age. A wall clock that jumps ahead by more than a day
 * makes every backup old at once; then nothing is removed for a day of running time, or until it is back.
 * All 0: never looked. It is stored, so that a restart does not end the pause.
 */
struct schedule_guard {
	int64_t wall_ms, running_ms; /* of the last look */
	int64_t ahead_ms;            /* with a pause: how far the wall clock has gone ahead */
	int64_t left_ms;             /* of the pause, in running time; 0: there is none */
};

/* running_ms is since the machine's start, which may have been after the last look. True: the clock has jumped just now. */
bool schedule_guard_look(struct schedule_guard *guard, int64_t wall_ms, int64_t running_ms);

/* ---- the plan ---- */

/* An automated backup that exists and is not being deleted. */
struct schedule_backup {
	uint64_t id;
	int64_t accepted_ms;
	bool newest; /* the newest good one: it stays until there is a newer one */
	bool read;   /* by a job, whose end is not known: it goes then, if it is old enough */
};

struct schedule_event {
	int64_t at_ms;
	bool create;      /* else a removal */
	bool late;        /* of a create: it catches up, or tries again */
	uint64_t backup;  /* of a removal; 0: of one that is still to be made */
	bool read;        /* of a removal: not before the job that reads it has ended */
	int64_t made_ms;  /* of a removal: when the backup was, or will be, accepted */
	int64_t slot_ms;  /* of a create */
};

struct schedule_outlook {
	const struct schedule *schedule;
	uint64_t seed;
	bool registered;
	int64_t now_ms, until_ms;
	int64_t served_ms;
	int64_t late_ms;        /* a create at this time for a slot that was due; 0: none */
	int64_t not_removed_ms; /* nothing is removed before this time */
	const struct schedule_backup *backups;
	size_t backup_count;
};

/* Events of a plan of seven days beside one for each backup: creates, and the removals of what they make. */
enum { SCHEDULE_PLAN_CREATES = 2 * (7 * 12 + 2) };

/* Fills events, in the order of their times, as if each create succeeded; how many. events: backup_count + SCHEDULE_PLAN_CREATES. */
size_t schedule_plan(const struct schedule_outlook *outlook, struct schedule_event *events);

#endif
