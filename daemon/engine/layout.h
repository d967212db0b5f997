/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where each part of a database lies, which procedure can cut it, and what is
 * promised; or why not, and what to do about it. The check and the job run the
 * same code.
 */
#ifndef DBSNAP_ENGINE_LAYOUT_H
#define DBSNAP_ENGINE_LAYOUT_H

#include "daemon/engine/job.h"
#include "daemon/engine/snap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAYOUT_PARTS_MAX = 72 }; /* data, wal, configuration, snapshots and 64 tablespaces */

struct layout_part {
	char role[32]; /* data, wal, redo, undo, aria log, binary log, tablespace <oid>, configuration, snapshots */
	uint32_t oid;  /* of a tablespace */
	char path[MSG_PATH_SIZE];
	char device[32];
	char file_system[32];
	char fs_uuid[IDENT_UUID_SIZE];
	char subvolume[64]; /* "id 257" */
	char subvolume_uuid[IDENT_UUID_SIZE];
	bool inside; /* the data directory's own subvolume */
	/*
	 * Of a part inside: what there is its own, by the beginning of its path from the data directory. "pg_wal/": all in
	 * that folder; "log/ib_logfile": files of such names in that one. "": what is no other part's.
	 */
	char prefix[MSG_PATH_SIZE];
};

/* How long the cut will take and writers be held, as far as the layout tells. */
struct layout_expected {
	int64_t cut_us;    /* -1: not known */
	int64_t freeze_us; /* -1: not known */
	char why[MSG_TEXT_SIZE]; /* where that comes from */
};

struct db_ops;

/* Filled by layout_examine() and, for what only the server knows, by db_ops.open(). Holds no resources. */
struct layout {
	const struct snap_ops *snap;
	const struct db_ops *db;
	int snapshot_fd; /* where backups go, borrowed; -1: there is none yet */
	char procedure[16]; /* "A", "D", "G"; "none" for type none */
	char promise[16];   /* "atomic", "stopped", "crash" */
	char server[64];    /* "PostgreSQL 15.18", "MariaDB 10.11.19"; "" not running or none */
	char bindir[MSG_PATH_SIZE]; /* where its executable lies; "" not running or none */
	char warnings[MSG_LINES_SIZE];
	char why_not[MSG_LINES_SIZE]; /* lines: each better backend, and why it is not the one: "btrfs: ..." */
	char weakened[MSG_TEXT_SIZE];
	struct layout_expected expected; /* why is "" where admit() has nothing to say to it */
	struct layout_part parts[LAYOUT_PARTS_MAX];
	size_t part_count;
};

struct db;

/*
 * Everything of "before every cut": chooses backend and database, opens the database (helper,
 * identity of the server, settings), finds the parts. job has its source open; snapshot_fd: the cluster's
 * snapshot_dir, or -1 when there is none yet. On success *ret_db is open and the caller ends it with
 * its ops->close(). On failure what was found so far stands in ret_layout (for the check's
 * list), nothing is open, and why says the refusal and the remedy.
 */
int layout_examine(struct worker_job *job, int snapshot_fd, const char *snapshot_dir, struct layout *ret_layout,
		   struct db **ret_db, struct reason *why);

/* The same in time independent of size, right after the cut: nothing moved meanwhile. 0 or ERR_LAYOUT. */
int layout_check_again(struct worker_job *job, const struct layout *layout, struct reason *why);

/* Is nothing mounted inside job's open data_dir, and state_dir not in it? 0 or a code with why. */
int layout_check_inside(const struct worker_job *job, struct reason *why);

/* Appends one line to a list of lines; what does not fit is left out. */
void layout_add_line(char *lines, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A part at path that is a folder of the data directory's own subvolume. prefix: see struct layout_part. */
void layout_add_inside(struct layout *layout, const char *role, const char *path, const char *prefix);
/* A new part, zeroed; NULL when there are too many. Borrowed from layout. */
struct layout_part *layout_add_part(struct layout *layout, const char *role, const char *path);

#endif
