/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cluster's policy for people, from the answer of DescribeBackupPolicy. */
#ifndef DBSNAP_CLIENT_POLICY_H
#define DBSNAP_CLIENT_POLICY_H

#include "client/client.h"

#include <jansson.h>
#include <stdbool.h>

/* On standard output: the policy, and what the next seven days bring. */
void policy_print(const char *cluster, const json_t *answer);
/* The plan alone; sooner: only what goes sooner than by the policy in force. */
void policy_print_plan(const json_t *answer, bool sooner);

#endif
