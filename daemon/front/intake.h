/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Collects the messages of one configuration (CONFIG, its lists, CONFIG_END) and
 * puts it in force whole.
 */
#ifndef DBSNAP_FRONT_INTAKE_H
#define DBSNAP_FRONT_INTAKE_H

#include "common/msg.h"
#include "daemon/front/front.h"

#include <stdbool.h>
#include <stddef.h>

/* Messages of one kind, by value. */
struct intake_list {
	void *items;
	size_t count, size;
};

struct intake {
	bool open; /* between CONFIG and CONFIG_END */
	struct msg_config conf;
	struct intake_list clusters;   /* struct msg_config_cluster */
	struct intake_list listeners;  /* struct msg_config_listener */
	struct intake_list keys;       /* struct msg_config_key; wiped before it is freed */
	struct policy *policy;         /* owned; NULL at the end: there is no policy file */
};

/*
 * Takes one of them. *ret_complete: CONFIG_END has come. ERR_INVALID: out of
 * order, another generation, a cluster twice, a number that cannot be, a malformed statement; ERR_NOMEM.
 */
int intake_take(struct intake *intake, const struct msg *msg, bool *ret_complete);
/*
 * A complete one: front->conf, the listeners, the keys, the policies, which the intake gives up, and the table of clusters; every
 * cluster that is not in it becomes retired. 0, ERR_NOMEM or ERR_INVALID.
 */
int intake_apply(struct intake *intake, struct front *front);
void intake_clear(struct intake *intake);

#endif
