/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How far a walk is: the walker counts bytes in memory that it shares with the
 * worker, which tells the engine now and then. The count is the database user's word: it moves a percentage
 * between two bounds and never back, no more.
 */
#ifndef DBSNAP_ENGINE_GAUGE_H
#define DBSNAP_ENGINE_GAUGE_H

#include "common/msg.h"

#include <stdint.h>

struct worker_job;

/* How often the engine is told at most. */
enum { GAUGE_PAUSE_MS = 500 };

struct gauge {
	uint64_t *done;        /* shared with walkers that are started now; NULL: nothing is counted */
	uint64_t total;        /* bytes that it will be; 0: not known, and the percentage stands */
	enum msg_phase phase;
	unsigned from, to;     /* percent */
	uint64_t told;
};

/*
 * Tells the engine the phase and from, and begins to count for the walks of job until gauge_end(). Without memory to
 * share nothing is counted. A lost link ends the process.
 */
void gauge_begin(struct worker_job *job, enum msg_phase phase, unsigned from, unsigned to, uint64_t total);

/* Tells the engine if the count has grown. Only while something is counted. */
void gauge_tell(struct worker_job *job);

/* The walk is over: what was told last stays. */
void gauge_end(struct worker_job *job);

#endif
