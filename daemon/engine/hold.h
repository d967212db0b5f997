/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A hold of a server for a worker's job: asked for by HOLD, answered by HOLD (all threads stand still) or RELEASE
 * (refused). However it ends, the server has been let go before one RELEASE says so: with code 0 only if the worker gave it
 * up and the server stood still until then. The engine never waits for it: it looks again, by a short timer.
 */
#ifndef DBSNAP_ENGINE_HOLD_H
#define DBSNAP_ENGINE_HOLD_H

#include "common/msg.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct worker;

/* The worker asks. */
void hold_begin(struct engine *engine, struct worker *worker, const struct msg_hold *wanted);
/* The worker gives it up. Nothing, if it has ended meanwhile. */
void hold_release(struct worker *worker);
/* Ends it for a reason of the engine's: code. Nothing, if there is none. */
void hold_end(struct worker *worker, int code);

/* Does a server stand still now, or is it to? Then nothing is done that can wait. */
bool hold_is_any(const struct engine *engine);

/* Goes on with those that begin, ends those whose time is up. */
void hold_check_time(struct engine *engine);
/* Milliseconds until hold_check_time() has something to do; INT64_MAX: nothing. */
int64_t hold_next_ms(const struct engine *engine);

#endif
