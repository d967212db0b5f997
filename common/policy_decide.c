/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The judgement: one walk over the statements, which asks what is cheapest first. Nothing here allocates or
 * depends on anything but its arguments.
 */
#include "common/policy_parts.h"

#include "common/clock.h"
#include "common/ident.h"

#include <stdlib.h>
#include <string.h>

enum { GROUP_BITS = 1024 };

/* The question with what all statements would else work out anew. */
struct asked {
	const struct policy_question *question;
	uint64_t action;
	int64_t now_s;
	struct policy_target target;
	enum policy_scope allow_scope, deny_scope;
	/* The last principals that were looked at, and what came of it. */
	const struct policy_who *who;
	bool who_matches;
	uint64_t groups[GROUP_BITS / 64]; /* a bit for each of the caller's groups, by its last digits */
};

static int64_t whole_seconds(int64_t ms)
{
	return ms / CLOCK_MS_PER_S - (ms % CLOCK_MS_PER_S < 0);
}

static void mark_group(struct asked *asked, gid_t gid)
{
	asked->groups[gid % GROUP_BITS / 64] |= UINT64_C(1) << gid % 64;
}

static void mark_groups(struct asked *asked)
{
	const struct policy_caller *caller = &asked->question->caller;

	memset(asked->groups, 0, sizeof(asked->groups));
	mark_group(asked, caller->gid);
	for (size_t i = 0; i < caller->group_count; i++)
		mark_group(asked, caller->groups[i]);
}

static void ask(const struct policy_question *question, const char *cluster, struct asked *ret_asked)
{
	ret_asked->question = question;
	ret_asked->action = UINT64_C(1) << question->operation;
	ret_asked->now_s = whole_seconds(question->now_ms);
	ret_asked->who = NULL;
	ret_asked->allow_scope = cluster[0] ? POLICY_ONE : POLICY_EACH;
	ret_asked->deny_scope = cluster[0] ? POLICY_ONE : POLICY_SOME;
	policy_target_of(question->region_id, question->account_id, cluster, &ret_asked->target);
	mark_groups(ret_asked);
}

static bool has_id(const uint32_t *ids, size_t count, uint32_t id)
{
	size_t low = 0;

	while (count > 0) {
		size_t half = count / 2;

		if (ids[low + half] == id)
			return true;
		if (ids[low + half] < id) {
			low += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return false;
}

static bool has_key(const struct policy_who *who, const char *key_id)
{
	size_t size = strlen(key_id);

	for (size_t i = 0; i < who->key_count; i++) {
		if (who->keys[i].size == size && memcmp(who->keys[i].bytes, key_id, size) == 0)
			return true;
	}
	return false;
}

/* Most gids of a policy are none of the caller's, and seen not to be by one bit. */
static bool is_member(const struct asked *asked, uint32_t gid)
{
	const struct policy_caller *caller = &asked->question->caller;
	bool is = caller->gid == gid;

	if (!(asked->groups[gid % GROUP_BITS / 64] >> gid % 64 & 1))
		return false;
	for (size_t i = 0; !is && i < caller->group_count; i++)
		is = caller->groups[i] == gid;
	return is;
}

static bool match_who(const struct policy_who *who, const struct asked *asked)
{
	const struct policy_caller *caller = &asked->question->caller;

	if (who->anybody)
		return true;
	if (caller->key_id)
		return has_key(who, caller->key_id);
	if (has_id(who->uids, who->uid_count, caller->uid))
		return true;
	for (size_t i = 0; i < who->gid_count; i++) {
		if (is_member(asked, who->gids[i]))
			return true;
	}
	return false;
}

static bool is_number_in(enum policy_relation relation, int64_t number, int64_t value)
{
	switch (relation) {
	case POLICY_EQUAL:
		return number == value;
	case POLICY_LESS:
		return number < value;
	case POLICY_LESS_OR_EQUAL:
		return number <= value;
	case POLICY_GREATER:
		return number > value;
	case POLICY_GREATER_OR_EQUAL:
		return number >= value;
	case POLICY_EQUAL_IGNORING_CASE:
	case POLICY_LIKE:
		break;
	}
	abort();
}

static bool is_text_in(enum policy_relation relation, struct policy_text text, struct policy_text value)
{
	if (relation == POLICY_LIKE)
		return policy_match_text(value, text);
	if (relation == POLICY_EQUAL_IGNORING_CASE)
		return policy_equal_ignoring_case(value, text);
	return value.size == text.size && memcmp(value.bytes, text.bytes, text.size) == 0;
}

/* The relation to any of the condition's values. */
static bool has_number(const struct policy_condition *condition, int64_t number)
{
	for (size_t i = 0; i < condition->count; i++) {
		if (is_number_in(condition->operator->relation, number, condition->numbers[i]))
			return true;
	}
	return false;
}

static bool has_group(const struct policy_condition *condition, const struct policy_caller *caller)
{
	if (has_number(condition, caller->gid))
		return true;
	for (size_t i = 0; i < caller->group_count; i++) {
		if (has_number(condition, caller->groups[i]))
			return true;
	}
	return false;
}

/* A key that is absent is in no relation. */
static bool has_text(const struct policy_condition *condition, const char *text)
{
	for (size_t i = 0; text && i < condition->count; i++) {
		if (is_text_in(condition->operator->relation, (struct policy_text){text, strlen(text)},
			       condition->texts[i]))
			return true;
	}
	return false;
}

static bool match_condition(const struct policy_condition *condition, const struct asked *asked)
{
	const struct policy_caller *caller = &asked->question->caller;
	bool has = false;

	switch (condition->key) {
	case POLICY_KEY_TIME:
		has = has_number(condition, asked->now_s);
		break;
	case POLICY_KEY_UID:
		has = has_number(condition, caller->uid);
		break;
	case POLICY_KEY_GID:
		has = has_group(condition, caller);
		break;
	case POLICY_KEY_MODE:
		has = has_text(condition, asked->question->mode);
		break;
	}
	return has != condition->operator->negated;
}

static bool match_resources(const struct policy_statement *statement, const struct asked *asked)
{
	enum policy_scope scope = statement->allow ? asked->allow_scope : asked->deny_scope;

	for (size_t i = 0; i < statement->resource_count; i++) {
		if (policy_match_resource(&statement->resources[i], &asked->target, scope))
			return true;
	}
	return false;
}

static bool match_statement(const struct policy_statement *statement, struct asked *asked)
{
	if (!(statement->actions & asked->action))
		return false;
	if (statement->who != asked->who) {
		asked->who = statement->who;
		asked->who_matches = match_who(statement->who, asked);
	}
	if (!asked->who_matches || !match_resources(statement, asked))
		return false;
	for (size_t i = 0; i < statement->condition_count; i++) {
		if (!match_condition(&statement->conditions[i], asked))
			return false;
	}
	return true;
}

static void decide(const struct policy *policy, struct asked *asked, struct policy_decision *ret_decision)
{
	const struct policy_statement *by = NULL;

	for (size_t i = 0; i < policy->count; i++) {
		const struct policy_statement *statement = policy->statements[i];

		/* After the first Allow only a Deny can change anything. */
		if ((by && statement->allow) || !match_statement(statement, asked))
			continue;
		by = statement;
		if (!by->allow)
			break;
	}
	ret_decision->answer = !by ? POLICY_SILENT : by->allow ? POLICY_ALLOWED : POLICY_DENIED;
	ret_decision->by = by;
}

void policy_decide(const struct policy *policy, const struct policy_question *question,
		   struct policy_decision *ret_decision)
{
	bool is_id = strnlen(question->cluster, IDENT_CLUSTER_SIZE) < IDENT_CLUSTER_SIZE;
	struct asked asked;

	ask(question, is_id ? question->cluster : "", &asked);
	decide(policy, &asked, ret_decision);
}

bool policy_allows_some(const struct policy *policy, const struct policy_question *question)
{
	struct policy_decision decision;
	struct asked asked;

	ask(question, "", &asked);
	asked.allow_scope = POLICY_SOME;
	asked.deny_scope = POLICY_EACH;
	decide(policy, &asked, &decision);
	return decision.answer == POLICY_ALLOWED;
}

bool policy_statement_can_match(const struct policy_statement *statement, const char *region_id,
				const char *account_id)
{
	struct asked asked = {.allow_scope = POLICY_SOME, .deny_scope = POLICY_SOME};

	policy_target_of(region_id, account_id, "", &asked.target);
	return match_resources(statement, &asked);
}
