/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The notes of all clusters that were ever served, in STATE_DIR.engine, which is the
 * engine's alone: the front, whom nobody believes, must not say where backups lie. By its note a
 * cluster that no file registers any more, but of which there are backups, is served as retired.
 */
#ifndef DBSNAP_ENGINE_NOTES_H
#define DBSNAP_ENGINE_NOTES_H

#include "common/conf.h"
#include "common/msg.h"

#include <stddef.h>

struct engine;

struct notes {
	char path[CONF_PATH_SIZE + 8];
	int fd;            /* the folder; -1 */
	struct kept *list; /* owned; in no order */
	size_t count;
};

/* Makes the folder or checks it, and reads every note in it. 0, or a code: the reason is logged. */
int notes_open(struct engine *engine);
void notes_close(struct engine *engine);

/*
 * Writes what differs from the configuration in force; drops those that it does not have and of which
 * there are no records. What cannot be written is logged and tried again the next time. Blocks on the disk.
 */
void notes_update(struct engine *engine);
/* A worker has found a place: where a default one is does not follow from a file that is gone. */
void notes_take_probed(struct engine *engine, const struct msg_probed *probed);

/* Borrowed, until the next notes_update(); NULL: registered, without records, or not known. */
const struct conf_cluster *notes_find_retired(const struct engine *engine, const char *cluster);

#endif
