/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PostgreSQL's global/pg_control: what the cluster is, and where recovery
 * begins. Pure: bytes in, fields out. The layout is that of
 * pg_control_version 1300, which releases 13 to 17 share (little-endian and
 * big-endian hosts write it in their own order; only our own is read).
 */
#ifndef DBSNAP_ENGINE_PG_CONTROL_H
#define DBSNAP_ENGINE_PG_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PG_CONTROL_READ = 512, /* as much of the file as is ever needed */
	PG_SEGMENT_NAME_SIZE = 25
};

enum pg_state {
	PG_STARTUP = 0,
	PG_SHUTDOWNED = 1,
	PG_SHUTDOWNED_IN_RECOVERY = 2,
	PG_SHUTDOWNING = 3,
	PG_IN_CRASH_RECOVERY = 4,
	PG_IN_ARCHIVE_RECOVERY = 5,
	PG_IN_PRODUCTION = 6,
	PG_STATE_MAX = 6
};

struct pg_control {
	uint64_t system_identifier;
	uint32_t catalog_version;
	enum pg_state state;
	uint64_t checkpoint; /* LSN */
	uint64_t redo;       /* LSN: recovery begins here */
	uint32_t timeline;   /* of that checkpoint */
	int64_t checkpoint_s; /* when it began, by the clock of the server that made it */
	uint64_t min_recovery;      /* LSN; 0 unless recovering */
	uint32_t min_recovery_timeline;
	uint32_t wal_segment_size;
	bool checksums;
	/* What a server that replays this WAL must at least have. */
	uint32_t max_connections;
	uint32_t max_worker_processes;
	uint32_t max_wal_senders;
	uint32_t max_prepared_transactions;
	uint32_t max_locks_per_transaction;
};

/* 0; ERR_VERSION (another pg_control_version); ERR_CORRUPT (too short, wrong CRC, or a value no server writes). */
int pg_control_parse(const void *bytes, size_t size, struct pg_control *ret_control);

/* "in production", as pg_controldata says it. Static string. */
const char *pg_control_state_name(enum pg_state state);

/* The name of the WAL segment that holds lsn: "000000010000000000000003". */
void pg_control_segment(uint32_t timeline, uint64_t lsn, uint32_t segment_size,
			char name[static PG_SEGMENT_NAME_SIZE]);

#endif
