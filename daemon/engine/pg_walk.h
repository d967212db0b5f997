/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a walk takes of a PostgreSQL data directory and its tablespaces: by names
 * alone, which are the server's own and the same in 13 to 17. Pure but for
 * pg_walk_is_whole(). Runs in the walker.
 */
#ifndef DBSNAP_ENGINE_PG_WALK_H
#define DBSNAP_ENGINE_PG_WALK_H

#include "daemon/engine/tree_copy.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_walk {
	bool takes_wal;  /* of a stopped server; of a running one the WAL is taken afterwards */
	char folder[32]; /* what is its own in a tablespace's folder: "PG_15_202209061" */
};

void pg_walk_init(uint32_t major, uint32_t catalog_version, bool takes_wal, struct pg_walk *ret_walk);

/* A tree_judge_fn; arg is a struct pg_walk. Root 0 is the data directory, the others are tablespaces. */
enum tree_fate pg_walk_judge(const void *arg, size_t root, const char *path, const struct stat *st,
			     struct reason *why);

/* Is that copy of global/pg_control one that the server had finished to write? */
bool pg_walk_is_whole(int fd);

#endif
