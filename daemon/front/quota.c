/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slots of manual backups. The order of the checks is the API's. */
#include "daemon/front/quota.h"

#include "common/clock.h"
#include "common/err.h"

int32_t quota_day(int64_t wall_ms, int utc_offset_minutes)
{
	const int64_t day_ms = CLOCK_S_PER_DAY * CLOCK_MS_PER_S;
	const int64_t offset_ms = (int64_t)utc_offset_minutes * 60 * CLOCK_MS_PER_S;
	int64_t day = wall_ms / day_ms, rest = wall_ms % day_ms;

	/* The parts apart, so that no clock, however wrong, overflows. */
	rest += offset_ms;
	while (rest < 0) {
		rest += day_ms;
		day--;
	}
	day += rest / day_ms;
	if (day > INT32_MAX)
		return INT32_MAX;
	return day < INT32_MIN ? INT32_MIN : (int32_t)day;
}

static uint32_t room(uint32_t limit, uint32_t used)
{
	return used < limit ? limit - used : 0;
}

/* What is counted against manual_per_day. A damaged count never gives slots away. */
static uint32_t per_day(const struct quota_counts *counts)
{
	return counts->refunded <= counts->accepted ? counts->accepted - counts->refunded : counts->accepted;
}

struct quota_left quota_left(const struct quota_limits *limits, const struct quota_counts *counts)
{
	return (struct quota_left){
		.retained = room(limits->manual_retained, counts->retained),
		.per_day = room(limits->manual_per_day, per_day(counts)),
		.creates = room(limits->creates_per_day, counts->accepted),
	};
}

int quota_check(const struct quota_limits *limits, const struct quota_counts *counts, enum quota_which *ret_which)
{
	struct quota_left left = quota_left(limits, counts);

	if (left.retained && left.per_day && left.creates)
		return 0;
	*ret_which = !left.retained ? QUOTA_MANUAL_RETAINED : !left.per_day ? QUOTA_MANUAL_PER_DAY : QUOTA_CREATES_PER_DAY;
	return ERR_DENIED;
}

bool quota_refunds_end(const struct quota_backup *backup)
{
	return backup->mode == BACKUP_MANUAL && !backup->refunded &&
	       (backup->state == BACKUP_FAILED || backup->state == BACKUP_CANCELLED);
}

bool quota_refunds_delete(const struct quota_backup *backup, bool refund_deleted, int64_t now_ms,
			  int utc_offset_minutes)
{
	return backup->mode == BACKUP_MANUAL && !backup->refunded && refund_deleted &&
	       backup->state == BACKUP_DELETING &&
	       quota_day(now_ms, utc_offset_minutes) == quota_day(backup->accepted_ms, utc_offset_minutes);
}
