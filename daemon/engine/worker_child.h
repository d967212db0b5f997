/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's own side: drops what it does not need, runs its step, answers, ends. */
#ifndef DBSNAP_ENGINE_WORKER_CHILD_H
#define DBSNAP_ENGINE_WORKER_CHILD_H

#include "common/msg.h"

#include <stdint.h>
#include <sys/types.h>

struct engine;

/* In the forked child; everything but link is closed already. parent: the engine. */
_Noreturn void worker_child_run(const struct engine *engine, const struct msg *question, int link, pid_t parent,
				int64_t deadline_ms);

#endif
