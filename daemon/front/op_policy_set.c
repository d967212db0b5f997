/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ModifyBackupPolicy: what is not given stays; each parameter has its own error. */
#include "daemon/front/op.h"
#include "daemon/front/op_policy.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched_auto.h"

#include <stdlib.h>
#include <string.h>

/* Each of these says whether the request goes on; if not, it is answered. */

/* One thing under two names. *ret_name: the one that was given; *ret_value NULL: neither. */
static bool read_either(struct call *call, const char *name, const char *newer, const char **ret_name, const char **ret_value)
{
	const char *value = request_get(&call->request, name), *other = request_get(&call->request, newer);

	if (value && other && strcmp(value, other) != 0) {
		reply_error(call, REPLY_INVALID_PARAMETER, "%s and %s are the same thing, and were given different values.", name,
			    newer);
		return false;
	}
	*ret_name = value || !other ? name : newer;
	*ret_value = value ? value : other;
	return true;
}

/* "02:00Z-03:00Z": on the hour, one hour apart. 0 to 23, or -1. */
static int parse_hour(const char *text)
{
	char expected[16];

	for (unsigned hour = 0; hour < 24; hour++) {
		snprintf(expected, sizeof(expected), "%02u:00Z-%02u:00Z", hour, hour + 1);
		if (strcmp(text, expected) == 0)
			return (int)hour;
	}
	return strcmp(text, "23:00Z-00:00Z") == 0 ? 23 : -1;
}

static bool read_hour(struct call *call, struct schedule *policy)
{
	const char *name, *value;
	int hour;

	if (!read_either(call, "PreferredBackupTime", "DataLevel1BackupTime", &name, &value))
		return false;
	if (!value)
		return true;
	hour = parse_hour(value);
	if (hour < 0) {
		reply_malformed_because(call, name, "It is an hour in UTC, as 02:00Z-03:00Z.");
		return false;
	}
	policy->hour = (uint8_t)hour;
	return true;
}

static int find_day(const char *text, size_t length)
{
	for (int i = 0; i < 7; i++) {
		if (strlen(op_policy_days[i]) == length && strncmp(op_policy_days[i], text, length) == 0)
			return i;
	}
	return -1;
}

/* Bits; 0: not a list of days, each once. */
static uint8_t parse_days(const char *text)
{
	uint8_t days = 0;

	for (;;) {
		size_t length = strcspn(text, ",");
		int day = find_day(text, length);

		if (day < 0 || (days >> day & 1))
			return 0;
		days |= (uint8_t)(1 << day);
		if (!text[length])
			return days;
		text += length + 1;
	}
}

static bool read_days(struct call *call, struct schedule *policy, const char **ret_name)
{
	const char *name, *value;
	uint8_t days;

	*ret_name = NULL;
	if (!read_either(call, "PreferredBackupPeriod", "DataLevel1BackupPeriod", &name, &value))
		return false;
	if (!value)
		return true;
	days = parse_days(value);
	if (__builtin_popcount(days) < 2) {
		reply_malformed_because(call, name, "It is at least two of Monday to Sunday, with commas between them, each once.");
		return false;
	}
	policy->days = days;
	*ret_name = name;
	return true;
}

static bool read_frequency(struct call *call, struct schedule *policy)
{
	const char *name, *value;

	if (!read_either(call, "BackupFrequency", "DataLevel1BackupFrequency", &name, &value))
		return false;
	return param_word(call, name, op_policy_frequencies, &policy->every_hours);
}

/* Every few hours means on all days: also where the days that were set before are fewer. */
static bool settle_days(struct call *call, struct schedule *policy, const char *days_name)
{
	if (policy->every_hours == SCHEDULE_DAILY || policy->days == SCHEDULE_ALL_DAYS)
		return true;
	if (days_name) {
		reply_malformed_because(call, days_name, "A BackupFrequency other than Normal is for all seven days.");
		return false;
	}
	policy->days = SCHEDULE_ALL_DAYS;
	return true;
}

/* A whole number without a plus, blanks or zeros before it; false: something else. */
static bool parse_number(const char *text, int *ret_number)
{
	char again[16];
	long number = strtol(text, NULL, 10);

	if (number < -1 || number > 9999)
		return false;
	snprintf(again, sizeof(again), "%ld", number);
	*ret_number = (int)number;
	return strcmp(text, again) == 0;
}

static bool read_level1(struct call *call, struct schedule *policy)
{
	const char *name = "DataLevel1BackupRetentionPeriod", *value = request_get(&call->request, name);
	int days;

	if (!value)
		return true;
	if (!parse_number(value, &days) || days < SCHEDULE_LEVEL1_MIN || days > SCHEDULE_LEVEL1_MAX) {
		reply_malformed_because(call, name, "It is 3 to 14 days.");
		return false;
	}
	policy->level1_days = (uint8_t)days;
	return true;
}

static bool read_level2(struct call *call, struct schedule *policy)
{
	const char *name = "DataLevel2BackupRetentionPeriod", *value = request_get(&call->request, name);
	int days;

	if (!value)
		return true;
	if (!parse_number(value, &days) ||
	    (days != 0 && days != SCHEDULE_FOREVER && (days < SCHEDULE_LEVEL2_MIN || days > SCHEDULE_LEVEL2_MAX))) {
		reply_malformed_because(call, name, "It is 30 to 7300 days, -1 for ever, or 0: not kept beyond level 1.");
		return false;
	}
	policy->level2_days = (int16_t)days;
	return true;
}

static bool check_level(struct call *call)
{
	const char *name = "BackupPolicyLevel", *value = request_get(&call->request, name);

	if (!value || strcmp(value, "Normal") == 0)
		return true;
	if (strcmp(value, "Advanced") == 0)
		reply_error(call, REPLY_UNSUPPORTED_PARAMETER, "BackupPolicyLevel can only be Normal.");
	else
		reply_malformed(call, name);
	return false;
}

static bool read_bool(struct call *call, const char *name, bool *ret_value)
{
	static const struct param_word words[] = {{"false", 0}, {"true", 1}, {NULL, 0}};
	uint8_t value = *ret_value;

	if (!param_word(call, name, words, &value))
		return false;
	*ret_value = value;
	return true;
}

static bool read_policy(struct call *call, struct schedule *policy)
{
	const char *days_name;

	policy->enabled = true;
	return read_hour(call, policy) && read_days(call, policy, &days_name) && read_frequency(call, policy) &&
	       settle_days(call, policy, days_name) && read_level1(call, policy) && read_level2(call, policy) &&
	       param_word(call, "BackupRetentionPolicyOnClusterDeletion", op_policy_removals, &policy->on_removal) &&
	       check_level(call) && read_bool(call, "Dbsnap.Enabled", &policy->enabled);
}

void op_modify_backup_policy(struct call *call)
{
	struct schedule policy = sched_auto_policy(call->front->sched, call->cluster);
	bool dry_run = false;
	int r;

	if (!read_policy(call, &policy) || !read_bool(call, "Dbsnap.DryRun", &dry_run))
		return;
	if (dry_run) {
		op_policy_reply(call, &policy, true);
		return;
	}
	r = sched_auto_set_policy(call->front->sched, call->cluster, &policy);
	if (r < 0)
		reply_store_error(call, r);
	else
		reply_done(call);
}
