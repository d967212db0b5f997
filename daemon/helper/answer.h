/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every helper's answers are made of: one clean line, and numbers that are numbers. */
#ifndef DBSNAP_HELPER_ANSWER_H
#define DBSNAP_HELPER_ANSWER_H

#include "common/ask.h"

#include <stdbool.h>
#include <stdint.h>

/* Fills in an outcome and what was said, as one clean line. */
void answer_refuse(struct ask_answer *answer, enum ask_outcome outcome, const char *text);

/* All of text as a decimal number; false: no such, or over max. NULL is none. */
bool answer_number(const char *text, uint64_t max, uint64_t *ret_number);

#endif
