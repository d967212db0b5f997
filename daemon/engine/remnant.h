/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removes a backup's folder, innermost first and its papers last, so that what is left tells whose it was. */
#ifndef DBSNAP_ENGINE_REMNANT_H
#define DBSNAP_ENGINE_REMNANT_H

#include "daemon/engine/place.h"

/*
 * Removes name below the place with everything in it; a name that is not there is removed already. 0 once
 * that survives a power cut; ERR_FOREIGN, and nothing more removed, at an entry that dbsnap never makes.
 */
int remnant_remove(struct worker_job *job, const struct place *place, const char *name, struct reason *why);

/* Returns when everything done so far on the place's file system survives a power cut. */
int remnant_sync(const struct place *place, struct reason *why);

#endif
