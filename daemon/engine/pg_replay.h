/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a server that is started on an image replays of its WAL, and whether that would
 * reach outside: the record that makes a tablespace names the folder by its path, which is
 * the source's, and replay makes what it needs in it and a link that leads there. Records of
 * files in one that the clone has go by that link, or by the map of a walked backup.
 */
#ifndef DBSNAP_ENGINE_PG_REPLAY_H
#define DBSNAP_ENGINE_PG_REPLAY_H

#include "daemon/engine/job.h"
#include "daemon/engine/pg_control.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_replay {
	uint32_t major; /* of the server: 13 to 17 */
	uint32_t segment_size;
	uint32_t timeline, newest; /* its WAL is of these, and of those between */
	uint64_t start; /* LSN of the record that replay begins with */
	uint64_t reach; /* LSN that the WAL has to reach */
};

/* As control says: from its checkpoint's redo, or from start if that is not 0, at least to the checkpoint itself. */
void pg_replay_of(const struct pg_control *control, uint32_t major, uint64_t start, struct pg_replay *ret_replay);

/*
 * Needs it not be looked at, because no link of a tablespace was made for long before the checkpoint? For a backup: it
 * saves reading as much WAL as a server may keep. Clocks may be set, so a clone is looked at in any case.
 */
bool pg_replay_is_settled(int64_t spaces_s, int64_t checkpoint_s);

/*
 * Reads all of it: the WAL since a checkpoint. Runs in the walker. 0; ERR_LAYOUT, worth a retry, when a tablespace is made
 * in it; ERR_STATE, worth a retry, when it ends too early; or a code.
 */
int pg_replay_check(const struct pg_replay *replay, int image_fd, struct reason *why);
/* The same of WAL that lies in the folder wal_fd. */
int pg_replay_check_wal(const struct pg_replay *replay, int wal_fd, struct reason *why);

#endif
