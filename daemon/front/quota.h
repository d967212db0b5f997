/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * May one more manual backup be accepted, and what gives a slot back: pure
 * arithmetic on counts, days and limits. Automated backups are never counted.
 */
#ifndef DBSNAP_FRONT_QUOTA_H
#define DBSNAP_FRONT_QUOTA_H

#include "daemon/front/job.h"

#include <stdbool.h>
#include <stdint.h>

struct quota_limits {
	uint32_t manual_retained; /* 0: none allowed */
	uint32_t manual_per_day;
	uint32_t creates_per_day;
};

/* Of one cluster, now. */
struct quota_counts {
	uint32_t retained; /* manual backups that exist: PENDING, RUNNING, AVAILABLE */
	uint32_t accepted; /* manual creates accepted today, whatever became of them */
	uint32_t refunded; /* how many of those gave their slot back; never more than accepted */
};

enum quota_which {
	QUOTA_MANUAL_RETAINED = 1, /* "Exceeding the daily backup times of this DB cluster." */
	QUOTA_MANUAL_PER_DAY = 2,  /* "The maximum number of backups per day is exceeded." */
	QUOTA_CREATES_PER_DAY = 3  /* the same message */
};

/* What a manual backup's slot depends on. */
struct quota_backup {
	enum backup_mode mode;
	enum backup_state state; /* that it moves to */
	int64_t accepted_ms;
	bool refunded; /* already */
};

#define QUOTA_OFFSET_MAX_MINUTES 1439 /* of utc_offset, either way */

/* The number of days since 1970-01-01 at a fixed offset from UTC; negative before. */
int32_t quota_day(int64_t wall_ms, int utc_offset_minutes);

/* 0, or ERR_DENIED and the first limit, in the order of enum quota_which, that one more manual backup would exceed. */
int quota_check(const struct quota_limits *limits, const struct quota_counts *counts, enum quota_which *ret_which);

/* How many more each limit leaves room for. */
struct quota_left {
	uint32_t retained;
	uint32_t per_day;
	uint32_t creates;
};
struct quota_left quota_left(const struct quota_limits *limits, const struct quota_counts *counts);

/* Does this end of a create (FAILED, CANCELLED: no snapshot is left) give the slot back to the day of acceptance? */
bool quota_refunds_end(const struct quota_backup *backup);

/*
 * Does accepting this delete at now_ms give the slot back? Only with
 * refund_deleted, and only on the day of acceptance. Once in all: a create that
 * gave its slot back gives none at its delete.
 */
bool quota_refunds_delete(const struct quota_backup *backup, bool refund_deleted, int64_t now_ms,
			  int utc_offset_minutes);

#endif
