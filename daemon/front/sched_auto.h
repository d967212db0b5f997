/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the policies of clusters make the scheduler do by itself: automated creates at their
 * slots, and the removal of automated backups that are old. Single-threaded; only the
 * commits of what it accepts wait for the disk.
 *
 * One create a slot, whatever stops, starts or sets the clock: the slot is marked as served in
 * the transaction that accepts the create. What is not accepted, or fails for good, is tried again with growing
 * pauses until the next slot. No rule removes the newest good automated backup, one that is
 * held or read by a job, a manual or a lost one.
 */
#ifndef DBSNAP_FRONT_SCHED_AUTO_H
#define DBSNAP_FRONT_SCHED_AUTO_H

#include "daemon/front/record.h"
#include "daemon/front/schedule.h"

struct sched;

/* Something happened that may let it do more: look again, before the loop sleeps. */
void sched_auto_changed(struct sched *sched);
/* The wall clock was set. */
void sched_auto_clock_set(struct sched *sched);

/* A cluster's policy; the default one, not enabled, if nobody has set any. */
struct schedule sched_auto_policy(const struct sched *sched, const char *cluster);
/* Commits it. 0, or an error of the store: then the old one stays. */
int sched_auto_set_policy(struct sched *sched, const char *cluster, const struct schedule *policy);
/* When a rule may remove the backup, or SCHEDULE_NEVER. */
int64_t sched_auto_expires(const struct sched *sched, const struct record_backup *backup);

struct sched_auto_view {
	int64_t next_ms;    /* when the next slot is due; 0: none will be */
	int64_t retry_ms;   /* when one that was missed, refused or failed is tried again; 0: none is */
	uint64_t create;    /* the newest automated create; 0: none yet */
	const char *cause;  /* of a slot whose create was refused; NULL: none was since the last accepted one */
	const char *remedy; /* both borrowed until the loop turns */
	int64_t paused_ms;  /* running time for which nothing is removed by age; 0: it is not paused */
	int64_t ahead_ms;   /* then: how far the clock went ahead */
};
void sched_auto_view(struct sched *sched, const char *cluster, struct sched_auto_view *ret_view);

/*
 * What the seven days from now on will bring under this policy; the caller frees *ret_events. sooner: of a removal, whether
 * the policy in force would keep it longer. 0, ERR_NOMEM, or an error of the store.
 */
struct sched_auto_event {
	struct schedule_event event;
	bool sooner;
};
int sched_auto_plan(struct sched *sched, const char *cluster, const struct schedule *policy,
		    struct sched_auto_event **ret_events, size_t *ret_count);

#endif
