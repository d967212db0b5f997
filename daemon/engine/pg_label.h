/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What completes a walked PostgreSQL backup, taken apart: backup_label, tablespace_map
 * and the headers of WAL pages. Pure: bytes in, fields out. The label's worked example:
 *   START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
 *   CHECKPOINT LOCATION: 0/2000060
 *   BACKUP METHOD: streamed
 *   BACKUP FROM: primary
 *   START TIME: 2026-01-31 12:00:00 UTC
 *   LABEL: dbsnap 7
 *   START TIMELINE: 1
 * The map's, one line a tablespace:
 *   16385 /srv/fast
 */
#ifndef DBSNAP_ENGINE_PG_LABEL_H
#define DBSNAP_ENGINE_PG_LABEL_H

#include "daemon/engine/pg_control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PG_LABEL_NAME_SIZE = 64, PG_MAP_PATH_SIZE = 1024, PG_WAL_PAGE = 8192 };

/* Of a page: the first of a segment has the long one. */
enum { PG_WAL_HEADER = 40, PG_WAL_HEADER_SHORT = 24 };

struct pg_label {
	uint64_t start; /* LSN that recovery begins at */
	char segment[PG_SEGMENT_NAME_SIZE]; /* that holds it, as the label says */
	uint64_t checkpoint; /* LSN */
	uint32_t timeline;
	bool from_primary; /* else from a standby */
	char name[PG_LABEL_NAME_SIZE]; /* "dbsnap 7" */
};

/* 0 or ERR_CORRUPT: anything but what a server of 13 to 17 writes for a full backup through its functions. */
int pg_label_parse(const char *bytes, size_t size, struct pg_label *ret_label);

struct pg_map_entry {
	uint32_t oid;
	char path[PG_MAP_PATH_SIZE];
};

/*
 * The next line of a map. at: where it begins, moved on behind it. 1; 0: no more; ERR_CORRUPT: no number, no absolute
 * path, no end of line, or a backslash (the releases do not agree on what one in a path stands for).
 */
int pg_map_next(const char *bytes, size_t size, size_t *at, struct pg_map_entry *ret_entry);

struct pg_wal_page {
	uint32_t timeline;
	uint64_t address; /* LSN of the page itself */
	uint32_t continued; /* bytes that are left of a record which began before it; 0: it begins with a record */
	bool overwrites; /* such a record's rest never came */
	bool first; /* of its segment: then the rest is there */
	uint64_t system_identifier;
	uint32_t segment_size;
};

/* From the first PG_WAL_HEADER bytes of a page. 0 or ERR_CORRUPT: no page of that major release's WAL. */
int pg_wal_page_parse(const void *bytes, size_t size, uint32_t major, struct pg_wal_page *ret_page);

#endif
