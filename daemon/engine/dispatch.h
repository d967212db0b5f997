/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the front asks, one function a message type: looked up and checked against the engine's own
 * configuration.
 */
#ifndef DBSNAP_ENGINE_DISPATCH_H
#define DBSNAP_ENGINE_DISPATCH_H

#include "common/msg.h"

struct engine;

/* 0, or ERR_INVALID: no front that works would send this now, it is to be replaced. */
int dispatch_message(struct engine *engine, const struct msg *msg);

#endif
