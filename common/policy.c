/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A policy is its statements, each kept as it was encoded: what is compared points into those bytes. They come from
 * our own reader, but through a message: a decoder that takes one takes it whole and in range.
 */
#include "common/policy.h"

#include "common/cursor.h"
#include "common/err.h"
#include "common/grow.h"
#include "common/policy_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_ACTIONS ((UINT64_C(1) << OPERATIONS) - 1)

_Static_assert(OPERATIONS < 64, "an operation is a bit");

static struct policy_who *free_who(struct policy_who *who)
{
	if (who) {
		free(who->uids);
		free(who->gids);
		free(who->keys);
	}
	free(who);
	return NULL;
}

static struct policy_statement *free_statement(struct policy_statement *statement)
{
	if (!statement)
		return NULL;
	if (statement->owns_who)
		free_who(statement->who);
	for (size_t i = 0; statement->conditions && i < statement->condition_count; i++) {
		free(statement->conditions[i].numbers);
		free(statement->conditions[i].texts);
	}
	free(statement->conditions);
	free(statement->resources);
	free(statement->bytes);
	free(statement);
	return NULL;
}

struct policy *policy_new(void)
{
	return calloc(1, sizeof(struct policy));
}

void policy_truncate(struct policy *policy, size_t count)
{
	/* From the end: who a statement has in common with an earlier one is the earlier one's. */
	while (policy->count > count)
		free_statement(policy->statements[--policy->count]);
}

struct policy *policy_free(struct policy *policy)
{
	if (policy) {
		policy_truncate(policy, 0);
		free(policy->statements);
	}
	free(policy);
	return NULL;
}

size_t policy_count(const struct policy *policy)
{
	return policy->count;
}

const struct policy_statement *policy_at(const struct policy *policy, size_t number)
{
	return number < policy->count ? policy->statements[number] : NULL;
}

const char *policy_statement_file(const struct policy_statement *statement)
{
	return statement->file;
}

unsigned policy_statement_line(const struct policy_statement *statement)
{
	return statement->line;
}

bool policy_statement_allows(const struct policy_statement *statement)
{
	return statement->allow;
}

void policy_statement_describe(const struct policy_statement *statement, char *text, size_t size)
{
	snprintf(text, size, "%s, line %u: %s", statement->file, (unsigned)statement->line,
		 statement->allow ? "Allow" : "Deny");
}

int policy_statement_encode(const struct policy_statement *statement, void *bytes, size_t size)
{
	if (size < statement->size)
		return ERR_TOO_LONG;
	memcpy(bytes, statement->bytes, statement->size);
	return (int)statement->size;
}

/* A string where it lies. A NUL inside fails the reader. */
static struct policy_text get_text(struct reader *r)
{
	size_t size = get_u16(r);
	struct policy_text text = {(const char *)r->bytes + r->used, size};

	if (r->failed || size > r->size - r->used || memchr(text.bytes, '\0', size)) {
		r->failed = true;
		return (struct policy_text){"", 0};
	}
	r->used += size;
	return text;
}

/* An array for count entries, of which each takes a byte at least; *ret_failed also by a count that cannot be. */
static void *get_array(struct reader *r, size_t count, size_t each, int *ret_error)
{
	void *array;

	if (r->failed || count > r->size - r->used) {
		r->failed = true;
		return NULL;
	}
	array = calloc(count ? count : 1, each);
	if (!array)
		*ret_error = ERR_NOMEM;
	return array;
}

static uint32_t *get_ids(struct reader *r, size_t *ret_count, int *ret_error)
{
	size_t count = get_u16(r);
	uint32_t *ids = get_array(r, count, sizeof(ids[0]), ret_error);

	for (size_t i = 0; ids && i < count; i++) {
		ids[i] = get_u32(r);
		if (i > 0 && ids[i] <= ids[i - 1])
			r->failed = true;
	}
	*ret_count = ids ? count : 0;
	return ids;
}

static struct policy_text *get_texts(struct reader *r, size_t *ret_count, int *ret_error)
{
	size_t count = get_u16(r);
	struct policy_text *texts = get_array(r, count, sizeof(texts[0]), ret_error);

	for (size_t i = 0; texts && i < count; i++)
		texts[i] = get_text(r);
	*ret_count = texts ? count : 0;
	return texts;
}

static void get_who(struct reader *r, struct policy_statement *statement, int *ret_error)
{
	struct policy_who *who = calloc(1, sizeof(*who));
	size_t begin = r->used;

	if (!who) {
		*ret_error = ERR_NOMEM;
		return;
	}
	statement->who = who;
	statement->owns_who = true;
	who->anybody = get_bool(r);
	who->uids = get_ids(r, &who->uid_count, ret_error);
	who->gids = get_ids(r, &who->gid_count, ret_error);
	who->keys = get_texts(r, &who->key_count, ret_error);
	who->encoded = (struct policy_text){(const char *)r->bytes + begin, r->used - begin};
	for (size_t i = 0; i < who->key_count; i++) {
		if (who->keys[i].size == 0 || who->keys[i].size > POLICY_KEY_ID_MAX)
			r->failed = true;
	}
}

static void get_resources(struct reader *r, struct policy_statement *statement, int *ret_error)
{
	size_t count = get_u16(r);

	statement->resources = get_array(r, count, sizeof(statement->resources[0]), ret_error);
	for (size_t i = 0; statement->resources && i < count; i++) {
		struct policy_text text = get_text(r);

		if (text.size == 0)
			r->failed = true;
		policy_compile_resource(text, &statement->resources[i]);
	}
	statement->resource_count = statement->resources ? count : 0;
	if (count == 0)
		r->failed = true;
}

static void get_condition(struct reader *r, struct policy_condition *condition, int *ret_error)
{
	size_t count;

	condition->key = get_enum(r, POLICY_KEYS - 1);
	condition->operator = &policy_operators[get_enum(r, POLICY_OPERATORS - 1)];
	if (policy_keys[condition->key].type != condition->operator->type)
		r->failed = true;
	if (condition->operator->type == POLICY_TYPE_TEXT) {
		condition->texts = get_texts(r, &condition->count, ret_error);
	} else {
		count = get_u16(r);
		condition->numbers = get_array(r, count, sizeof(condition->numbers[0]), ret_error);
		condition->count = condition->numbers ? count : 0;
		for (size_t i = 0; i < condition->count; i++)
			condition->numbers[i] = get_i64(r);
	}
	if (condition->count == 0)
		r->failed = true;
}

static void get_conditions(struct reader *r, struct policy_statement *statement, int *ret_error)
{
	size_t count = get_u16(r);

	statement->conditions = get_array(r, count, sizeof(statement->conditions[0]), ret_error);
	statement->condition_count = statement->conditions ? count : 0;
	for (size_t i = 0; i < statement->condition_count && *ret_error == 0 && !r->failed; i++)
		get_condition(r, &statement->conditions[i], ret_error);
}

/* 0, ERR_INVALID or ERR_NOMEM; what was made is the caller's to free in any case. */
static int decode(struct policy_statement *statement)
{
	struct reader r;
	int error = 0;

	reader_init(&r, statement->bytes, statement->size);
	statement->allow = get_bool(&r);
	get_str(&r, statement->file, sizeof(statement->file));
	statement->line = get_u32(&r);
	get_who(&r, statement, &error);
	statement->actions = get_u64(&r);
	get_resources(&r, statement, &error);
	get_conditions(&r, statement, &error);
	if (error < 0)
		return error;
	return statement->actions & ~ALL_ACTIONS ? ERR_INVALID : reader_end(&r);
}

/* The statements of a file have the same principals: told apart by their address, they are looked at once. */
static void share_who(const struct policy *policy, struct policy_statement *statement)
{
	const struct policy_text *mine = &statement->who->encoded, *before;
	struct policy_who *who = policy->count > 0 ? policy->statements[policy->count - 1]->who : NULL;

	before = who ? &who->encoded : NULL;
	if (!before || before->size != mine->size || memcmp(before->bytes, mine->bytes, mine->size) != 0)
		return;
	free_who(statement->who);
	statement->who = who;
	statement->owns_who = false;
}

static int add(struct policy *policy, struct policy_statement *statement)
{
	struct policy_statement **larger;
	int error = decode(statement);

	if (error < 0)
		return error;
	larger = grow(policy->statements, policy->count, &policy->room, sizeof(policy->statements[0]));
	if (!larger)
		return ERR_NOMEM;
	policy->statements = larger;
	share_who(policy, statement);
	policy->statements[policy->count++] = statement;
	return 0;
}

int policy_add_encoded(struct policy *policy, const void *bytes, size_t size)
{
	struct policy_statement *statement;
	int error;

	if (size == 0 || size > POLICY_STATEMENT_SIZE_MAX)
		return ERR_INVALID;
	if (policy->count >= POLICY_STATEMENTS_MAX)
		return ERR_TOO_LONG;
	statement = calloc(1, sizeof(*statement));
	if (!statement)
		return ERR_NOMEM;
	statement->bytes = malloc(size);
	statement->size = size;
	if (statement->bytes)
		memcpy(statement->bytes, bytes, size);
	error = statement->bytes ? add(policy, statement) : ERR_NOMEM;
	if (error < 0)
		free_statement(statement);
	return error;
}
