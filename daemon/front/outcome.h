/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an attempt found or failed at, written into records. Pure: no store, no clock. */
#ifndef DBSNAP_FRONT_OUTCOME_H
#define DBSNAP_FRONT_OUTCOME_H

#include "common/msg.h"
#include "daemon/front/record.h"

/* Copies at most size - 1 bytes, never half of a UTF-8 character. */
void outcome_copy(char *text, size_t size, const char *from);

void outcome_failure(struct record_failure *failure, int code, const char *cause, const char *remedy);

/* AVAILABLE with everything that the manifest says; cluster_size stands in while the size is not known. */
void outcome_available(struct record_backup *backup, const struct msg_facts *facts, uint64_t cluster_size);

#endif
