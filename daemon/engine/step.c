/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the steps share. */
#include "daemon/engine/step.h"

#include "common/err.h"
#include "daemon/engine/space.h"

#include <unistd.h>

enum msg_outcome step_place_outcome(const struct place *place)
{
	return place->state == PLACE_BUSY ? OUTCOME_BUSY : OUTCOME_FAILED;
}

enum msg_outcome step_outcome(const struct reason *why)
{
	return why->code == ERR_CANCELLED ? OUTCOME_CANCELLED : OUTCOME_FAILED;
}

void step_report_space(const struct place *place, struct msg_result *result)
{
	struct space space;

	if (place->fd < 0 || space_read(place->fd, &space) < 0)
		return;
	result->free_bytes = space.free_bytes;
	result->total_bytes = space.total_bytes;
}

void step_send(const struct worker_job *job, const struct msg *msg)
{
	if (msg_send_wait(job->link, msg) < 0)
		_exit(1);
}
