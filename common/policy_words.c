/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words of conditions. A row's number is encoded: new ones go to the end. */
#include "common/policy_parts.h"

const struct policy_operator policy_operators[POLICY_OPERATORS] = {
	{"StringEquals", POLICY_TYPE_TEXT, POLICY_EQUAL, false},
	{"StringNotEquals", POLICY_TYPE_TEXT, POLICY_EQUAL, true},
	{"StringEqualsIgnoreCase", POLICY_TYPE_TEXT, POLICY_EQUAL_IGNORING_CASE, false},
	{"StringNotEqualsIgnoreCase", POLICY_TYPE_TEXT, POLICY_EQUAL_IGNORING_CASE, true},
	{"StringLike", POLICY_TYPE_TEXT, POLICY_LIKE, false},
	{"StringNotLike", POLICY_TYPE_TEXT, POLICY_LIKE, true},
	{"NumericEquals", POLICY_TYPE_NUMBER, POLICY_EQUAL, false},
	{"NumericNotEquals", POLICY_TYPE_NUMBER, POLICY_EQUAL, true},
	{"NumericLessThan", POLICY_TYPE_NUMBER, POLICY_LESS, false},
	{"NumericLessThanEquals", POLICY_TYPE_NUMBER, POLICY_LESS_OR_EQUAL, false},
	{"NumericGreaterThan", POLICY_TYPE_NUMBER, POLICY_GREATER, false},
	{"NumericGreaterThanEquals", POLICY_TYPE_NUMBER, POLICY_GREATER_OR_EQUAL, false},
	{"DateEquals", POLICY_TYPE_DATE, POLICY_EQUAL, false},
	{"DateNotEquals", POLICY_TYPE_DATE, POLICY_EQUAL, true},
	{"DateLessThan", POLICY_TYPE_DATE, POLICY_LESS, false},
	{"DateLessThanEquals", POLICY_TYPE_DATE, POLICY_LESS_OR_EQUAL, false},
	{"DateGreaterThan", POLICY_TYPE_DATE, POLICY_GREATER, false},
	{"DateGreaterThanEquals", POLICY_TYPE_DATE, POLICY_GREATER_OR_EQUAL, false},
	{"Bool", POLICY_TYPE_BOOL, POLICY_EQUAL, false},
};

const struct policy_key_row policy_keys[POLICY_KEYS] = {
	[POLICY_KEY_TIME] = {"acs:CurrentTime", POLICY_TYPE_DATE},
	[POLICY_KEY_UID] = {"dbsnap:PeerUid", POLICY_TYPE_NUMBER},
	[POLICY_KEY_GID] = {"dbsnap:PeerGid", POLICY_TYPE_NUMBER},
	[POLICY_KEY_MODE] = {"dbsnap:BackupMode", POLICY_TYPE_TEXT},
};
