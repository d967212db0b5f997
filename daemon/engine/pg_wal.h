/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The WAL from the beginning of a backup to its end, and the files that tell
 * recovery to use it, added to the image after the walk. Runs in the walker.
 */
#ifndef DBSNAP_ENGINE_PG_WAL_H
#define DBSNAP_ENGINE_PG_WAL_H

#include "daemon/engine/job.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_wal {
	uint32_t major; /* of the server: 13 to 17 */
	uint64_t system_identifier;
	uint32_t segment_size;
	uint32_t timeline;
	uint64_t start, stop; /* LSNs: from the segment of start to that of the byte before stop */
	bool slot;            /* the server was told to keep it */
	/* Borrowed; for pg_wal_add(). */
	const char *label; /* contents of backup_label */
	const char *map;   /* contents of tablespace_map; "": no such file */
};

/*
 * Copies the segments and all histories of timelines from the pg_wal of data_fd, a link or not, into that
 * of image_fd, and writes backup_label and tablespace_map there. 0; ERR_STATE, worth a retry, when the server has
 * used a segment again; ERR_MISMATCH when one is not the server's own; or a code.
 */
int pg_wal_add(const struct pg_wal *wal, int data_fd, int image_fd, struct reason *why);
/* The same, but the WAL goes into the empty folder wal_fd. */
int pg_wal_add_apart(const struct pg_wal *wal, int data_fd, int image_fd, int wal_fd, struct reason *why);

/* What pg_wal_add() puts there, without the few bytes of the histories. */
uint64_t pg_wal_bytes(const struct pg_wal *wal);

/* Is all of it in the image, whole? 0; ERR_STATE, ERR_MISMATCH or a code. */
int pg_wal_check(const struct pg_wal *wal, int image_fd, struct reason *why);
/* Or in the folder dir_fd. */
int pg_wal_check_apart(const struct pg_wal *wal, int dir_fd, struct reason *why);

#endif
