/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Collects the messages of one configuration (CONFIG, its CONFIG_CLUSTERs,
 * CONFIG_END) and puts it in force whole.
 */
#ifndef DBSNAP_FRONT_INTAKE_H
#define DBSNAP_FRONT_INTAKE_H

#include "common/msg.h"
#include "daemon/front/front.h"

#include <stdbool.h>
#include <stddef.h>

struct intake {
	bool open; /* between CONFIG and CONFIG_END */
	struct msg_config conf;
	struct msg_config_cluster *clusters;
	size_t count, size;
};

/*
 * Takes one of the three. *ret_complete: CONFIG_END has come. ERR_INVALID: out of
 * order, another generation, a cluster twice, a number that cannot be; ERR_NOMEM.
 */
int intake_take(struct intake *intake, const struct msg *msg, bool *ret_complete);
/* A complete one: front->conf and the table of clusters; every cluster that is not in it becomes retired. 0 or ERR_NOMEM. */
int intake_apply(const struct intake *intake, struct front *front);
void intake_clear(struct intake *intake);

#endif
