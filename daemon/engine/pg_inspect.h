/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands in a PostgreSQL data directory, found by a walker in time
 * independent of the database's size. The answer is the database user's word.
 */
#ifndef DBSNAP_ENGINE_PG_INSPECT_H
#define DBSNAP_ENGINE_PG_INSPECT_H

#include "daemon/engine/job.h"
#include "daemon/engine/pg_control.h"
#include "daemon/engine/stamp.h"

#include <stdbool.h>
#include <stdint.h>

enum pg_thing { PG_THING_NONE, PG_THING_FILE, PG_THING_FOLDER, PG_THING_LINK, PG_THING_OTHER };

struct pg_tree {
	uint32_t major;  /* from PG_VERSION; 0: no such file, or no number in it */
	bool mariadb;    /* ibdata1 is there */
	uint32_t control_size; /* bytes of control that were read; 0: no such file */
	uint8_t control[PG_CONTROL_READ];
	struct stamp stamp; /* of global/pg_control */
	uint8_t wal;           /* enum pg_thing of pg_wal */
	char wal_target[256];  /* where it leads, if a link */
	bool redo_segment;     /* the WAL that recovery begins with is there, whole */
	bool floor_segment;    /* the same for the position asked about */
	bool backup_label;
	bool standby;          /* standby.signal or recovery.signal */
	bool tblspc;           /* something has the name that a clone's folder of tablespaces has */
	int64_t spaces_s;      /* when a link of a tablespace was last made or removed: pg_tblspc's ctime */
	char tablespace[256];  /* the first entry of pg_tblspc, "16385 -> /somewhere"; "" */
	char link[256];        /* a link among the folders that hold data, "base/5 -> /somewhere"; "" */
};

/* Looks at root_fd. floor: an LSN whose segment must be there, or 0. 0, or a code with why when looking failed. */
int pg_inspect(struct worker_job *job, int root_fd, uint64_t floor, struct pg_tree *ret_tree, struct reason *why);

#endif
