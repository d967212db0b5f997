/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parameters of operations, each read with its form checked. A function that
 * returns false has answered the call with the parameter's error.
 */
#ifndef DBSNAP_FRONT_PARAM_H
#define DBSNAP_FRONT_PARAM_H

#include "daemon/front/call.h"
#include "daemon/front/store.h"

#include <stdbool.h>
#include <stdint.h>

struct param_word {
	const char *word;
	unsigned value;
};

/* One of a list of words (ended by NULL); absent: *ret_value stays. */
bool param_word(struct call *call, const char *name, const struct param_word *words, uint8_t *ret_value);
/* A whole number of seconds from 1 to most, in milliseconds; absent: 0. */
bool param_seconds(struct call *call, const char *name, int64_t most, int64_t *ret_ms);
/* "yyyy-MM-ddTHH:mmZ" in wall milliseconds; absent: *ret_ms stays. */
bool param_minute(struct call *call, const char *name, int64_t *ret_ms);
/* An id; absent: 0. Malformed: BackupId as one that does not exist, others as malformed. */
bool param_id(struct call *call, const char *name, uint64_t *ret_id);
/* CloneName; absent: NULL. Borrowed. */
bool param_clone(struct call *call, const char **ret_name);

/* Name, of something in the quarantine; absent: NULL. Borrowed. */
bool param_name(struct call *call, const char **ret_name);

enum { PARAM_IDS_MAX = 1000 };
/* "3,1,2": sorted, each once. The number of them, or ERR_INVALID, ERR_TOO_LONG (more than most), ERR_NOMEM. Answers nothing. */
int param_parse_ids(const char *text, uint64_t ids[static PARAM_IDS_MAX], size_t most);

struct param_page {
	uint64_t number; /* from 1 */
	struct store_page store;
};
/* PageSize (30, 50, 100) and PageNumber. */
bool param_page(struct call *call, struct param_page *ret_page);

#endif
