/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the two operations on a cluster's policy share: its words, and how it is shown. */
#ifndef DBSNAP_FRONT_OP_POLICY_H
#define DBSNAP_FRONT_OP_POLICY_H

#include "daemon/front/call.h"
#include "daemon/front/front.h"
#include "daemon/front/param.h"
#include "daemon/front/schedule.h"

#include <stdbool.h>

extern const char *const op_policy_days[7];
extern const struct param_word op_policy_frequencies[], op_policy_removals[];

/* Answers with the policy, what became of the last automated backup, and the plan of seven days. dry_run: nobody has set it. */
void op_policy_reply(struct call *call, const struct schedule *policy, bool dry_run);

#endif
