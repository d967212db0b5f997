/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each role may still do after its start. */
#ifndef DBSNAP_ENGINE_SANDBOX_H
#define DBSNAP_ENGINE_SANDBOX_H

#include "common/msg.h"

/*
 * The engine: no new privileges by any exec, no core file, not dumpable, files private by default. 0 or a
 * code.
 */
int sandbox_engine(void);

/*
 * A worker for a message of this type (JOB: of this kind): only the capabilities that it needs. 0 or a code:
 * it must exit.
 */
int sandbox_worker(enum msg_type type, enum msg_job_kind kind);

#endif
