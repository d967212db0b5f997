/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a worker does, one function a kind of job or question, each readable as
 * its list of steps. All run in a worker process and may block on anything.
 */
#ifndef DBSNAP_ENGINE_STEP_H
#define DBSNAP_ENGINE_STEP_H

#include "common/msg.h"
#include "daemon/engine/job.h"
#include "daemon/engine/place.h"

/*
 * A job: how it ended, with why unless DONE. FAILED and CANCELLED mean that nothing of this attempt is
 * left; what could not be cleaned up is UNKNOWN. Each fills only its own part of result (facts, socket_dir,
 * port, kept, verdict with checked and found, space).
 */
typedef enum msg_outcome step_fn(struct worker_job *job, struct msg_result *result, struct reason *why);

step_fn step_create;
step_fn step_delete;
step_fn step_clone;
step_fn step_delete_clone;
step_fn step_delete_quarantined;
step_fn step_verify;
step_fn step_restore;

/* Questions: each sends its answers itself, the last one in every case. */
void step_probe(struct worker_job *job, bool exclusive);
/* survey: of LAYOUT, look at every name as well. */
void step_check(struct worker_job *job, enum msg_depth depth, bool survey);
void step_measure(struct worker_job *job);
/* How a restore of the order's backup would go now. */
void step_plan(struct worker_job *job);
/* Runs a clone's server, for ttl_ms of running time (0: no end) at most. */
void step_serve(struct worker_job *job, int64_t ttl_ms);

/* The outcome of a job whose place could not be opened. */
enum msg_outcome step_place_outcome(const struct place *place);
/* The outcome of a failure that left nothing behind: CANCELLED or FAILED. */
enum msg_outcome step_outcome(const struct reason *why);
/* What the file system has left, for the result; unknown stays 0. */
void step_report_space(const struct place *place, struct msg_result *result);
/* Sends to the engine; a lost link ends the process. */
void step_send(const struct worker_job *job, const struct msg *msg);

#endif
