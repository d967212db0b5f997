/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the scheduler's files share.
 *
 * sched.c          life, messages, what operations ask
 * sched_job.c      the open jobs in memory; starting one
 * sched_queue.c    which of them wait, fly, pause or end
 * sched_end.c      how an attempt ended, into the store
 * sched_place.c    looking at clusters: probes, their pauses, recovery
 * sched_question.c CHECK for operations
 * sched_facts.c    a cluster's table entry and its stored facts
 * sched_measure.c  sizes, when nothing else is to be done
 * sched_auto.c     policies: when they are looked at, automated creates
 * sched_auto_expire.c  removal by age, and what is planned
 * sched_serve.c    clones that run, and those whose time is over
 * sched_adopt.c    backups from the quarantine into the catalogue
 * sched_verify.c   verifications without a request
 */
#ifndef DBSNAP_FRONT_SCHED_INTERNAL_H
#define DBSNAP_FRONT_SCHED_INTERNAL_H

#include "daemon/front/front.h"
#include "daemon/front/job.h"
#include "daemon/front/link.h"
#include "daemon/front/recover.h"
#include "daemon/front/sched.h"
#include "daemon/front/sched_auto.h"
#include "daemon/front/store.h"
#include "daemon/front/timer.h"

#include <sys/queue.h>

struct event;

/* Where an open job stands with the engine. */
enum sched_state {
	SCHED_WAITING,  /* for its turn, its cluster or its pause */
	SCHED_SENT,     /* JOB is sent */
	SCHED_RUNNING,  /* RUNNING has come */
	SCHED_UNKNOWN,  /* its attempt ended in the dark: its cluster is probed first */
	SCHED_ENDING    /* its result is here, the store had no room for it */
};

/* What a waiting job waits behind: of a cluster's jobs in one lane either all may start or none. */
enum sched_lane {
	LANE_SOURCE,  /* those that touch the source: one of a cluster at a time */
	LANE_REMOVAL, /* one of a file system at a time */
	LANE_BESIDE,  /* the others, beside anything */
	SCHED_LANES
};

/* By id. */
TAILQ_HEAD(sched_queue, sched_job);

struct sched_job {
	uint64_t id;
	enum job_kind kind;
	uint64_t backup;
	char clone[IDENT_CLONE_SIZE];
	struct sched_place *place;
	TAILQ_ENTRY(sched_job) queued; /* in the one queue that its state says */

	bool recordless; /* removes a leftover that no job of the store speaks of */
	struct nonce nonce; /* with recordless */
	uint32_t failures;  /* with recordless */

	enum sched_state state; /* by sched_queue_move() and sched_queue_pause() only */
	bool paused;       /* WAITING until due_ms */
	int64_t due_ms;    /* running time; paused, ENDING */
	uint32_t attempt;  /* the one in flight */
	bool begun;         /* of one that must settle: an attempt may have left something */
	uint32_t refusals; /* BUSY, or no room in the store, in a row */
	bool partial;      /* its last attempt left something on disk */
	bool whole;        /* and that lacks only the last step: never given up or cancelled */
	bool cancelled;    /* somebody asked for it while it ran */
	int code;          /* UNKNOWN: enum err */
	struct record_failure *dark; /* UNKNOWN: what its worker said of it; owned; NULL: nothing */
	struct msg_result *result; /* ENDING; owned */
	struct sched_view view;
};

/* A job that ended while its cluster was being probed: what the probe saw of it means nothing. */
struct sched_touch {
	uint64_t backup;
	char clone[IDENT_CLONE_SIZE];
};

/* A cluster as something to look at. Made once for each, lives as long as the scheduler. */
struct sched_place {
	struct sched_place *next;
	struct sched *sched;
	struct cluster *cluster;
	struct sched_queue waiting[SCHED_LANES]; /* not paused */
	struct timer timer; /* the next probe */
	int64_t pause_ms;   /* before it */
	uint64_t turn;      /* a probe is wanted, the lowest first; 0: none is */
	uint32_t tag;       /* of the probe under way; 0: none */
	bool exclusive;     /* the probe under way is */
	bool again;         /* it was asked for before a reload: what it finds may not be true any more */
	bool settle;        /* a job's outcome is unknown: nothing is started before an exclusive probe */
	bool opened;        /* ONLINE at least once */
	bool layout_due;    /* look at the layout when it is ONLINE */
	struct recover_item *items;
	size_t item_count, item_size;
	struct sched_touch *touched;
	size_t touched_count, touched_size;
};

struct sched_waiter {
	struct sched_waiter *next;
	sched_answer_fn *fn;
	void *arg;
	int64_t due_ms;
	int code; /* of one that is answered without a question */
};

struct sched_question {
	struct sched_question *next;
	struct sched_place *place;
	enum msg_depth depth;
	bool survey;        /* of DEPTH_LAYOUT: looks at every name */
	uint64_t backup;    /* of DEPTH_RESTORE; else 0 */
	struct nonce nonce; /* its */
	uint32_t tag; /* 0: not sent, the cluster is probed first */
	bool own;     /* the scheduler's, of which there is one a cluster: bounded apart from those of callers */
	struct msg_checked_part *parts;
	size_t part_count, part_size;
	struct sched_waiter *waiters;
};

struct sched_size_due {
	struct sched_place *place;
	uint64_t backup;
};

/* A cluster's policy, made when it is first set. The cluster itself may not be there. */
struct sched_auto {
	struct sched_auto *next;
	struct sched *sched;
	struct record_schedule record; /* as stored */
	uint64_t seed;
	int64_t slot_ms;   /* that try_ms is for; INT64_MIN: no try is planned */
	uint64_t after;    /* the create that failed for this slot; 0: none was accepted for it yet */
	int64_t try_ms;    /* running time */
	uint32_t refusals; /* in a row, for this slot */
	bool asked;        /* whether a create can be accepted is being looked at */
	bool refused;      /* the last one was: */
	char cause[RECORD_TEXT_SIZE];
	char remedy[RECORD_TEXT_SIZE];
};

struct sched {
	struct front *front;
	sched_ready_fn *ready;
	void *arg;
	bool started; /* RUNNING_END has come */
	bool told;    /* ready was called */
	bool stopping;

	struct sched_job **jobs; /* by id */
	size_t job_count, job_size;
	struct sched_queue paused;  /* WAITING, but not before a time */
	struct sched_queue flying;  /* SENT, RUNNING */
	struct sched_queue unknown;
	struct sched_queue ending;
	uint64_t last_id; /* every job up to it has been looked at */
	bool due;         /* look again before the loop sleeps */
	struct event *kick;
	struct timer timer;       /* the next pause that is over */
	struct timer ready_timer;

	struct sched_place *places;
	uint64_t last_turn;
	uint32_t last_tag;

	struct sched_question *questions;
	struct sched_waiter *refused; /* waiters to be told a code */
	struct timer question_timer;

	struct sched_adoption *adoptions;
	struct timer adopt_timer;

	struct sched_server *servers; /* owned */
	struct timer serve_timer;
	bool serve_due; /* look at the clones before the loop sleeps */

	struct sched_size_due *sizes;
	size_t size_count, size_size;
	struct sched_size_due measuring;
	uint32_t measure_tag;

	struct sched_auto *autos;
	struct schedule_guard guard;
	int64_t noted_ms; /* what was left of its pause when it was last written */
	bool auto_due; /* look at them again before the loop sleeps */
	struct timer auto_timer;
	struct timer verify_timer;
	bool verify_due; /* look whether one is to be verified */
};

/* sched.c */
uint32_t sched_next_tag(struct sched *sched);
/* Fatal for this process, unless r is 0 or one of the codes that mean "not now" (FULL, NOMEM): then returned. */
int sched_store_result(const char *what, int r);

/* sched_job.c */
struct sched_job *sched_job_find(const struct sched *sched, uint64_t id);
/* Adds the open jobs that are newer than any seen before, in time independent of how many are open. 0 or a code. */
int sched_job_load(struct sched *sched);
/* A removal without a record, unless it is there already. */
void sched_job_add_clean(struct sched *sched, struct sched_place *place, const struct recover_note *note);
/* A job that the engine has and the store does not. NULL: out of memory. */
struct sched_job *sched_job_add_stray(struct sched *sched, const struct msg_running *running);
void sched_job_remove(struct sched *sched, struct sched_job *job);
void sched_job_free(struct sched_job *job);
bool sched_job_in_flight(const struct sched_job *job);
/* Starts what may be started, arms the timer for what is due later. */
void sched_job_run(struct sched *sched);
struct log_about sched_job_about(const struct sched_job *job);

/* An attempt of it left what has to be settled first: it cannot just be ended. */
bool sched_job_needs_settling(const struct sched_job *job);

/* sched_queue.c */
void sched_queue_init(struct sched *sched);
void sched_queue_init_place(struct sched_place *place);
/* A new job, with kind, place and state. */
void sched_queue_enter(struct sched_job *job);
void sched_queue_leave(struct sched_job *job);
void sched_queue_move(struct sched_job *job, enum sched_state state);
/* WAITING, and not started before this running time. */
void sched_queue_pause(struct sched_job *job, int64_t until_ms);
/* Those that have paused long enough wait for their turn. */
void sched_queue_end_pauses(struct sched *sched, int64_t now);
/* The running time at which the next pause is over; INT64_MAX: nothing pauses. */
int64_t sched_queue_due(const struct sched *sched);
/* One is in flight beside which none of this lane may run. */
bool sched_queue_is_closed(const struct sched_place *place, enum sched_lane lane);

/* sched_end.c */
void sched_end_take(struct sched *sched, const struct msg_result *result);
/* After a probe: the outcome stays unknown, so the attempt counts as failed. */
void sched_end_unknown(struct sched *sched, struct sched_job *job);
/* After a probe: an attempt more finishes it; what became of the last one does not count. */
void sched_end_finishable(struct sched_job *job);
/* Once more with the result that found no room. */
void sched_end_again(struct sched *sched, struct sched_job *job);
/* Commits CANCELLED for one that is not in flight. */
int sched_end_cancel(struct sched *sched, struct sched_job *job);

/* sched_place.c */
struct sched_place *sched_place_of(struct sched *sched, const char *cluster);
/* Probes as soon as may be: some at a time, each in its turn. */
void sched_place_look(struct sched_place *place);
/* Probes and looks at layouts that waited for others to end. */
void sched_place_go_on(struct sched *sched);
void sched_place_begin(struct sched *sched);
bool sched_place_usable(const struct sched_place *place);
void sched_place_touch(struct sched_place *place, uint64_t backup, const char *clone);
int sched_place_item(struct sched *sched, const struct msg *msg);
int sched_place_probed(struct sched *sched, const struct msg *msg);
/* CHECKED says that it is not to be had any more. */
void sched_place_offline(struct sched_place *place, uint8_t state, const char *cause, const char *remedy);
void sched_place_free_all(struct sched *sched);

/* sched_question.c */
/* Asks for a layout that nobody waits for; false: not now, too many are being looked at. */
bool sched_question_layout(struct sched_place *place);
int sched_question_part(struct sched *sched, const struct msg *msg);
int sched_question_checked(struct sched *sched, const struct msg *msg);
/* The cluster has been probed: questions that waited for it go on. */
void sched_question_probed(struct sched_place *place);
void sched_question_refuse(struct sched *sched);
void sched_question_expire(void *arg);
void sched_question_close(struct sched *sched);

/* sched_facts.c */
/* The table as the store last knew it; retired clusters with records are in it afterwards. 0 or a code. */
int sched_facts_load(struct sched *sched);
/* Stores what the table says, if it differs. */
void sched_facts_save(struct sched *sched, struct cluster *cluster, const struct msg_checked *checked);
/* Within a transaction of the caller. 0 or a code of the store. */
int sched_facts_put_size(struct store_txn *txn, const struct cluster *cluster, uint64_t size, int64_t size_ms);
/* Retired and nothing left of it: out of the table. */
void sched_facts_forget(struct sched *sched, struct cluster *cluster);
void sched_facts_space(struct cluster *cluster, uint64_t free_bytes, uint64_t total_bytes);

/* sched_measure.c */
void sched_measure_add(struct sched *sched, struct sched_place *place, uint64_t backup);
void sched_measure_load(struct sched *sched);
void sched_measure_run(struct sched *sched);
void sched_measure_take(struct sched *sched, const struct msg *msg);

/* sched_auto.c */
/* Policies and guard as stored. 0 or a code. */
int sched_auto_load(struct sched *sched);
void sched_auto_free_all(struct sched *sched);
void sched_auto_run(struct sched *sched);
void sched_auto_timer(void *arg);
/* NULL: nobody has set a policy for it. */
struct sched_auto *sched_auto_find(const struct sched *sched, const char *cluster);
/* What would be stored with this policy from now on. */
struct record_schedule sched_auto_changed_record(const struct sched_auto *a, const struct schedule *policy, int64_t wall_ms);
/* Commits the record (NULL: none) and the guard. 0 or a code of the store. */
int sched_auto_save(struct sched *sched, const struct record_schedule *record);

/* sched_verify.c */
/* Something happened that may let a verification begin: looks before the loop sleeps. */
void sched_verify_changed(struct sched *sched);
void sched_verify_run(struct sched *sched);
void sched_verify_timer(void *arg);

/* sched_auto_expire.c */
/* Accepts removals that are due; the running time of the next look, INT64_MAX: an event will be a reason for it. */
int64_t sched_auto_expire(struct sched_auto *a, const struct store_now *now);
/* sched_serve.c */
void sched_serve_run(struct sched *sched);
void sched_serve_timer(void *arg);
void sched_serve_serving(struct sched *sched, const struct msg *msg);
void sched_serve_served(struct sched *sched, const struct msg *msg);
/* The engine runs its server, or is ending it: its removal waits. */
bool sched_serve_has(const struct sched *sched, const char *clone);
void sched_serve_free_all(struct sched *sched);

/* sched_adopt.c */
/* A probe of the place begins: it is what those who wait for one are answered by. */
void sched_adopt_asked(struct sched_place *place);
bool sched_adopt_wants(const struct sched_place *place, const struct msg_probed_item *item);
/* That probe has ended, its items are still there. state: enum msg_place. */
void sched_adopt_probed(struct sched_place *place, uint32_t tag, uint8_t state);
void sched_adopt_expire(void *arg);
void sched_adopt_close(struct sched *sched);

#endif
