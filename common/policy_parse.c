/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A policy file to encoded statements. Every mistake is an error of its own, and the reading goes on after it: what
 * was found wrong is left out, and with it the whole file.
 */
#include "common/policy.h"

#include "common/clock.h"
#include "common/cursor.h"
#include "common/err.h"
#include "common/ident.h"
#include "common/node.h"
#include "common/policy_parts.h"
#include "common/scope.h"

#include <stdlib.h>
#include <string.h>

struct parse {
	const char *file;
	struct conf_errors *errors, *warnings;
	policy_lookup_fn *lookup;
	void *lookup_arg;
	struct policy *policy;
	bool wrong;
	int error; /* ERR_NOMEM, or 0 */
	/* The principals, encoded, with room for a whole statement. */
	uint8_t who[POLICY_STATEMENT_SIZE_MAX];
	size_t who_size;
};

#define add_error(p, node, key, ...) \
	((p)->wrong = true, conf_errors_add((p)->errors, (p)->file, (node)->line, key, __VA_ARGS__))
#define add_warning(p, node, key, ...) conf_errors_add((p)->warnings, (p)->file, (node)->line, key, __VA_ARGS__)

enum { SHOWN = 80 };
#define SHOW(text) SHOWN, text, strlen(text) > SHOWN ? "..." : ""

/* A key that a map may have, and what stood there. */
struct field {
	const char *name;
	const struct node *value; /* NULL: not there */
	unsigned line;            /* of the key */
};

static void list_fields(const struct field *fields, size_t count, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", fields[i].name);
}

static void read_field(struct parse *p, const struct node *key, struct field *fields, size_t count)
{
	char known[CONF_ERROR_SIZE / 2] = "";
	size_t i = 0;

	if (key->kind != NODE_SCALAR) {
		if (key->kind != NODE_BROKEN)
			add_error(p, key, NULL, "expected a plain key, got %s", node_what(key));
		return;
	}
	while (i < count && strcmp(fields[i].name, key->text) != 0)
		i++;
	if (i == count) {
		list_fields(fields, count, known, sizeof(known));
		add_error(p, key, NULL, "unknown key \"%.*s\"%s; expected one of %s", SHOW(key->text), known);
	} else if (fields[i].value) {
		add_error(p, key, key->text, "given twice, expected once; it stands in line %u already", fields[i].line);
	} else {
		fields[i].value = key->next;
		fields[i].line = key->line;
	}
}

/* The fields of a map; false: it is none, which has been added. what: as errors call it. */
static bool read_fields(struct parse *p, const struct node *node, const char *what, struct field *fields, size_t count)
{
	if (node->kind != NODE_MAP) {
		if (node->kind != NODE_BROKEN)
			add_error(p, node, what, "expected a map of keys, got %s", node_what(node));
		return false;
	}
	for (const struct node *key = node->first; key; key = key->next->next)
		read_field(p, key, fields, count);
	return true;
}

static bool is_there(struct parse *p, const struct node *map, const struct field *field, const char *expected)
{
	if (!field->value)
		add_error(p, map, field->name, "missing, expected %s", expected);
	return field->value;
}

/* A value that is some text; else false, and the error has been added. */
static bool is_text(struct parse *p, const struct node *node, const char *key, const char *expected)
{
	if (node->kind == NODE_SCALAR && !node->null && node->text[0])
		return true;
	if (node->kind != NODE_BROKEN)
		add_error(p, node, key, "expected %s, got %s", expected,
			  node->kind == NODE_SCALAR ? "nothing" : node_what(node));
	return false;
}

/* The first of one value or of a list of them; NULL: none, and the error has been added. */
static const struct node *first_of(struct parse *p, const struct node *node, const char *key, const char *expected,
				   size_t *ret_count)
{
	if (node->kind == NODE_LIST && node->count == 0)
		add_error(p, node, key, "expected %s, got an empty list", expected);
	else if (node->kind == NODE_MAP)
		add_error(p, node, key, "expected %s or a list of them, got a map", expected);
	else if (node->kind == NODE_LIST && node->count > UINT16_MAX)
		add_error(p, node, key, "expected at most %d values, got %zu", UINT16_MAX, node->count);
	else if (node->kind != NODE_BROKEN) {
		*ret_count = node->kind == NODE_LIST ? node->count : 1;
		return node->kind == NODE_LIST ? node->first : node;
	}
	return NULL;
}

/* The next in a list; a single value has none. */
static const struct node *next_of(const struct node *list, const struct node *node)
{
	return list->kind == NODE_LIST ? node->next : NULL;
}

/* ---- principals ---- */

struct who_draft {
	bool anybody;
	uint32_t *uids, *gids;
	const char **keys;
	size_t uid_count, gid_count, key_count;
};

bool policy_is_key_id(const char *text)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return text[length] == '\0' && length > 0 && length <= POLICY_KEY_ID_MAX;
}

static void look_up(struct parse *p, const struct node *node, const char *name, bool group, uint32_t *ids,
		    size_t *count)
{
	const char *what = group ? "group" : "user";
	int error = name[0] ? p->lookup(p->lookup_arg, name, group, &ids[*count]) : ERR_NOT_FOUND;

	if (error == 0)
		(*count)++;
	else if (error == ERR_NOT_FOUND)
		add_error(p, node, "principals", "expected a %s of this host, there is no %s \"%.*s\"%s", what, what,
			  SHOW(name));
	else
		add_error(p, node, "principals", "the %s \"%.*s\"%s cannot be looked up: %s", what, SHOW(name),
			  err_text(error));
}

static void read_uid(struct parse *p, const struct node *node, const char *text, struct who_draft *draft)
{
	uint64_t id = 0;

	if (strcmp(text, "0") != 0 && (ident_parse_id(text, &id) < 0 || id >= UINT32_MAX))
		add_error(p, node, "principals", "expected a number from 0 to %u after uid:, got \"%.*s\"%s",
			  UINT32_MAX - 1, SHOW(text));
	else
		draft->uids[draft->uid_count++] = (uint32_t)id;
}

static void read_principal(struct parse *p, const struct node *node, struct who_draft *draft)
{
	static const char forms[] = "user:NAME, group:NAME, uid:NUMBER, accesskey:ID or \"*\"";
	const char *text = node->text;

	if (!is_text(p, node, "principals", forms))
		return;
	if (strcmp(text, "*") == 0)
		draft->anybody = true;
	else if (strncmp(text, "user:", 5) == 0)
		look_up(p, node, text + 5, false, draft->uids, &draft->uid_count);
	else if (strncmp(text, "group:", 6) == 0)
		look_up(p, node, text + 6, true, draft->gids, &draft->gid_count);
	else if (strncmp(text, "uid:", 4) == 0)
		read_uid(p, node, text + 4, draft);
	else if (strncmp(text, "accesskey:", 10) != 0)
		add_error(p, node, "principals", "expected %s, got \"%.*s\"%s", forms, SHOW(text));
	else if (!policy_is_key_id(text + 10))
		add_error(p, node, "principals", "expected 1 to %d of A-Z, a-z, 0-9, \".\", \"_\" and \"-\" after accesskey:",
			  POLICY_KEY_ID_MAX);
	else
		draft->keys[draft->key_count++] = text + 10;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* In ascending order, each once. */
static void put_ids(struct writer *w, uint32_t *ids, size_t count)
{
	size_t kept = 0;

	if (count > 0)
		qsort(ids, count, sizeof(ids[0]), compare_ids);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || ids[kept - 1] != ids[i])
			ids[kept++] = ids[i];
	}
	put_u16(w, (uint16_t)kept);
	for (size_t i = 0; i < kept; i++)
		put_u32(w, ids[i]);
}

static void encode_who(struct parse *p, const struct node *node, struct who_draft *draft)
{
	struct writer w;

	writer_init(&w, p->who, sizeof(p->who));
	put_u8(&w, draft->anybody);
	put_ids(&w, draft->uids, draft->uid_count);
	put_ids(&w, draft->gids, draft->gid_count);
	put_u16(&w, (uint16_t)draft->key_count);
	for (size_t i = 0; i < draft->key_count; i++)
		put_str(&w, draft->keys[i]);
	if (writer_end(&w) < 0)
		add_error(p, node, "principals", "expected fewer principals: together they take more than %d bytes",
			  POLICY_STATEMENT_SIZE_MAX);
	else
		p->who_size = w.used;
}

/* Of the node, which holds something; else the error has been added. */
static bool is_list(struct parse *p, const struct node *node, const char *key, const char *of)
{
	if (node->kind == NODE_LIST && node->count > 0 && node->count <= UINT16_MAX)
		return true;
	if (node->kind == NODE_LIST && node->count > 0)
		add_error(p, node, key, "expected a list of at most %d %s", UINT16_MAX, of);
	else if (node->kind != NODE_BROKEN)
		add_error(p, node, key, "expected a list of %s, got %s", of,
			  node->kind == NODE_LIST ? "an empty list" : node_what(node));
	return false;
}

static void read_principals(struct parse *p, const struct node *node)
{
	scope_free uint32_t *uids = calloc(node->count + 1, sizeof(uids[0]));
	scope_free uint32_t *gids = calloc(node->count + 1, sizeof(gids[0]));
	scope_free const char **keys = calloc(node->count + 1, sizeof(keys[0]));
	struct who_draft draft = {.uids = uids, .gids = gids, .keys = keys};

	if (!uids || !gids || !keys) {
		p->error = ERR_NOMEM;
		return;
	}
	if (!is_list(p, node, "principals", "principals"))
		return;
	for (const struct node *at = node->first; at; at = at->next)
		read_principal(p, at, &draft);
	encode_who(p, node, &draft);
}

/* ---- actions ---- */

static struct policy_text text_of(const char *text)
{
	return (struct policy_text){text, strlen(text)};
}

static uint64_t match_actions(const char *pattern)
{
	uint64_t actions = 0;

	for (unsigned i = 0; i < OPERATIONS; i++) {
		if (policy_match_text_ignoring_case(text_of(pattern), text_of(operation_action((enum operation)i))))
			actions |= UINT64_C(1) << i;
	}
	return actions;
}

/* The action of the same name with the other prefix; NULL: there is none. */
static const char *other_prefix(const char *action)
{
	const char *name = strchr(action, ':');

	for (unsigned i = 0; name && i < OPERATIONS; i++) {
		if (policy_equal_ignoring_case(text_of(name + 1), text_of(operation_name((enum operation)i))))
			return operation_action((enum operation)i);
	}
	return NULL;
}

static uint64_t read_action(struct parse *p, const struct node *node, const char *key)
{
	static const char form[] = "an action such as polardb:CreateBackup, dbsnap:* or \"*\"";
	const char *other;
	uint64_t actions;

	if (!is_text(p, node, key, form))
		return 0;
	if (!strchr(node->text, ':') && !strchr(node->text, '*')) {
		add_error(p, node, key, "expected %s, got \"%.*s\"%s", form, SHOW(node->text));
		return 0;
	}
	actions = match_actions(node->text);
	other = actions ? NULL : other_prefix(node->text);
	if (!actions)
		add_warning(p, node, key, "\"%.*s\"%s is no action of this daemon: it does nothing%s%s", SHOW(node->text),
			    other ? "; it is called " : "", other ? other : "");
	return actions;
}

static uint64_t read_actions(struct parse *p, const struct node *map, const struct field *action,
			     const struct field *not_action)
{
	const struct field *field = action->value ? action : not_action;
	uint64_t actions = 0;
	size_t count;

	if (action->value && not_action->value)
		add_error(p, map, NULL, "expected Action or NotAction, got both");
	else if (!field->value)
		add_error(p, map, "Action", "missing, expected Action or NotAction");
	if (!field->value)
		return 0;
	for (const struct node *at = first_of(p, field->value, field->name, "an action", &count); at;
	     at = next_of(field->value, at))
		actions |= read_action(p, at, field->name);
	return field == action ? actions : ~actions & ((UINT64_C(1) << OPERATIONS) - 1);
}

/* ---- resources ---- */

/* "DBCluster/" in small letters: nothing else of a name ends in a slash, so this is where it has to stand. */
static void put_resource(struct writer *w, const char *text)
{
	static const char word[] = "dbcluster/";
	size_t length = strlen(text), at = w->used + sizeof(uint16_t);

	put_str(w, text);
	for (size_t i = 0; !w->failed && i + sizeof(word) - 1 <= length; i++) {
		struct policy_text part = {(const char *)w->bytes + at + i, sizeof(word) - 1};

		if (policy_equal_ignoring_case(part, text_of(word)))
			memcpy(w->bytes + at + i, word, sizeof(word) - 1);
	}
}

static bool is_resource(struct parse *p, const struct node *node)
{
	static const char form[] = "\"*\" or a resource such as acs:polardb:*:*:dbcluster/pc-orders";

	if (!is_text(p, node, "Resource", form))
		return false;
	if (node->text[0] == '*' || node->text[0] == '?' || strncmp(node->text, "acs:", 4) == 0)
		return true;
	add_error(p, node, "Resource", "expected %s, got \"%.*s\"%s", form, SHOW(node->text));
	return false;
}

static void read_resources(struct parse *p, const struct node *node, struct writer *w)
{
	size_t count = 0;
	const struct node *first = first_of(p, node, "Resource", "a resource", &count);

	put_u16(w, (uint16_t)count);
	for (const struct node *at = first; at; at = next_of(node, at)) {
		if (is_resource(p, at))
			put_resource(w, at->text);
	}
}

/* ---- conditions ---- */

/* "2026-01-31T08:00:00Z", or with an offset in place of the Z. In seconds. */
static int parse_date(const char *text, int64_t *ret_s)
{
	char utc[] = "yyyy-MM-ddTHH:mm:ssZ";
	size_t length = sizeof(utc) - 2; /* without the Z */
	int64_t ms, offset_s = 0;
	int hours, minutes, end = 0;

	if (strlen(text) <= length)
		return ERR_INVALID;
	memcpy(utc, text, length);
	text += length;
	if (strcmp(text, "Z") != 0) {
		if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || strspn(text + 1, "0123456789:") != 5 ||
		    sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 || end != 5 || hours > 23 ||
		    minutes > 59)
			return ERR_INVALID;
		offset_s = (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes) * 60;
	}
	if (clock_parse(utc, &ms) < 0)
		return ERR_INVALID;
	*ret_s = ms / CLOCK_MS_PER_S - offset_s;
	return 0;
}

static int parse_number(const char *text, int64_t *ret_number)
{
	bool negative = text[0] == '-';
	uint64_t number = 0;

	if (strcmp(text, "0") != 0 && (ident_parse_id(text + negative, &number) < 0))
		return ERR_INVALID;
	*ret_number = negative ? -(int64_t)number : (int64_t)number;
	return 0;
}

static const char *value_form(enum policy_type type)
{
	return type == POLICY_TYPE_NUMBER ? "a whole number" :
	       type == POLICY_TYPE_DATE   ? "a time such as 2026-01-31T08:00:00Z or 2026-01-31T10:00:00+02:00" :
					    "a text";
}

static void read_value(struct parse *p, const struct node *node, const struct policy_operator *operator,
		       struct writer *w)
{
	const char *form = value_form(operator->type);
	int64_t number;

	if (!is_text(p, node, operator->name, form))
		return;
	if (operator->type == POLICY_TYPE_TEXT)
		put_str(w, node->text);
	else if ((operator->type == POLICY_TYPE_DATE ? parse_date : parse_number)(node->text, &number) == 0)
		put_i64(w, number);
	else
		add_error(p, node, operator->name, "expected %s, got \"%.*s\"%s", form, SHOW(node->text));
}

/* The number of the key, if this operator may be used with it; else -1, and the error has been added. */
static int find_key(struct parse *p, const struct node *key, const struct policy_operator *operator)
{
	static const char known[] = "acs:CurrentTime, dbsnap:PeerUid, dbsnap:PeerGid, dbsnap:BackupMode";
	static const char *const families[] = {
		[POLICY_TYPE_TEXT] = "String...", [POLICY_TYPE_NUMBER] = "Numeric...",
		[POLICY_TYPE_DATE] = "Date...", [POLICY_TYPE_BOOL] = "Bool"};

	if (key->kind != NODE_SCALAR) {
		if (key->kind != NODE_BROKEN)
			add_error(p, key, operator->name, "expected a condition key, got %s", node_what(key));
		return -1;
	}
	for (int i = 0; i < POLICY_KEYS; i++) {
		if (strcmp(policy_keys[i].name, key->text) != 0)
			continue;
		if (policy_keys[i].type == operator->type)
			return i;
		add_error(p, key, operator->name, "expected one of the operators %s with %s", families[policy_keys[i].type],
			  key->text);
		return -1;
	}
	add_error(p, key, operator->name, "unknown condition key \"%.*s\"%s; expected one of %s", SHOW(key->text), known);
	return -1;
}

/* Does the map's key stand before this one as well? */
static bool is_doubled(struct parse *p, const struct node *map, const struct node *key)
{
	for (const struct node *at = map->first; at != key; at = at->next->next) {
		if (at->kind != NODE_SCALAR || key->kind != NODE_SCALAR || strcmp(at->text, key->text) != 0)
			continue;
		add_error(p, key, key->text, "given twice, expected once; it stands in line %u already", at->line);
		return true;
	}
	return false;
}

static bool is_map(struct parse *p, const struct node *node, const char *key, const char *of)
{
	if (node->kind == NODE_MAP && node->count > 0)
		return true;
	if (node->kind != NODE_BROKEN)
		add_error(p, node, key, "expected a map of %s, got %s", of,
			  node->kind == NODE_MAP ? "an empty map" : node_what(node));
	return false;
}

static void read_pair(struct parse *p, const struct node *map, const struct node *key, unsigned operator,
		      struct writer *w)
{
	const struct policy_operator *row = &policy_operators[operator];
	int number = is_doubled(p, map, key) ? -1 : find_key(p, key, row);
	const struct node *values = key->next;
	size_t count = 0;

	if (number < 0)
		return;
	put_u8(w, (uint8_t)number);
	put_u8(w, (uint8_t)operator);
	values = first_of(p, key->next, key->text, "a value", &count);
	put_u16(w, (uint16_t)count);
	for (; values; values = next_of(key->next, values))
		read_value(p, values, row, w);
}

/* How many conditions there are in this operator's map. */
static size_t read_operator(struct parse *p, const struct node *map, const struct node *key, struct writer *w)
{
	unsigned operator = 0;

	if (key->kind != NODE_SCALAR) {
		if (key->kind != NODE_BROKEN)
			add_error(p, key, "Condition", "expected an operator, got %s", node_what(key));
		return 0;
	}
	while (operator < POLICY_OPERATORS && strcmp(policy_operators[operator].name, key->text) != 0)
		operator++;
	if (operator == POLICY_OPERATORS) {
		add_error(p, key, "Condition",
			  "unknown operator \"%.*s\"%s; expected String, followed by Equals, NotEquals, "
			  "EqualsIgnoreCase, NotEqualsIgnoreCase, Like or NotLike; Numeric or Date, followed by Equals, "
			  "NotEquals, LessThan, LessThanEquals, GreaterThan or GreaterThanEquals; or Bool",
			  SHOW(key->text));
		return 0;
	}
	if (is_doubled(p, map, key) || !is_map(p, key->next, key->text, "condition keys"))
		return 0;
	for (const struct node *at = key->next->first; at; at = at->next->next)
		read_pair(p, key->next, at, operator, w);
	return key->next->count;
}

static void read_conditions(struct parse *p, const struct node *node, struct writer *w)
{
	size_t at = w->used, count = 0;
	struct writer patch;

	put_u16(w, 0);
	if (!node || !is_map(p, node, "Condition", "operators"))
		return;
	for (const struct node *key = node->first; key; key = key->next->next)
		count += read_operator(p, node, key, w);
	if (w->failed)
		return;
	writer_init(&patch, w->bytes + at, sizeof(uint16_t));
	put_u16(&patch, (uint16_t)count);
}

/* ---- statements ---- */

static bool read_effect(struct parse *p, const struct node *node)
{
	if (is_text(p, node, "Effect", "Allow or Deny") && strcmp(node->text, "Allow") != 0 &&
	    strcmp(node->text, "Deny") != 0)
		add_error(p, node, "Effect", "expected Allow or Deny, got \"%.*s\"%s", SHOW(node->text));
	return node->kind == NODE_SCALAR && node->text[0] == 'A';
}

/* The file's name without its folder, as decisions show it. */
static void put_file(struct writer *w, const char *file)
{
	const char *slash = strrchr(file, '/');
	char name[POLICY_FILE_SIZE];

	snprintf(name, sizeof(name), "%s", slash ? slash + 1 : file);
	put_str(w, name);
}

static void add_statement(struct parse *p, const struct node *node, const struct writer *w)
{
	int error;

	if (w->failed) {
		add_error(p, node, "Statement", "expected a smaller statement: with the principals it takes more than %d bytes",
			  POLICY_STATEMENT_SIZE_MAX);
		return;
	}
	if (p->wrong)
		return;
	error = policy_add_encoded(p->policy, w->bytes, w->used);
	if (error == ERR_TOO_LONG)
		add_error(p, node, "Statement", "expected at most %d statements in all files together",
			  POLICY_STATEMENTS_MAX);
	else if (error < 0)
		p->error = error;
}

static void read_statement(struct parse *p, const struct node *node)
{
	enum { EFFECT, ACTION, NOT_ACTION, RESOURCE, CONDITION, FIELDS };
	struct field fields[FIELDS] = {{.name = "Effect"}, {.name = "Action"}, {.name = "NotAction"},
				       {.name = "Resource"}, {.name = "Condition"}};
	uint8_t bytes[POLICY_STATEMENT_SIZE_MAX];
	struct writer w;
	bool allow = false;

	if (!read_fields(p, node, "Statement", fields, FIELDS))
		return;
	writer_init(&w, bytes, sizeof(bytes));
	if (is_there(p, node, &fields[EFFECT], "Allow or Deny"))
		allow = read_effect(p, fields[EFFECT].value);
	put_u8(&w, allow);
	put_file(&w, p->file);
	put_u32(&w, node->line);
	put_bytes(&w, p->who, p->who_size);
	put_u64(&w, read_actions(p, node, &fields[ACTION], &fields[NOT_ACTION]));
	if (is_there(p, node, &fields[RESOURCE], "a resource or a list of them"))
		read_resources(p, fields[RESOURCE].value, &w);
	read_conditions(p, fields[CONDITION].value, &w);
	add_statement(p, node, &w);
}

static void read_version(struct parse *p, const struct node *node)
{
	if (is_text(p, node, "Version", "\"1\"") && strcmp(node->text, "1") != 0)
		add_error(p, node, "Version", "expected \"1\", got \"%.*s\"%s", SHOW(node->text));
}

static void read_document(struct parse *p, const struct node *node)
{
	struct field fields[] = {{.name = "Version"}, {.name = "Statement"}};
	const struct node *statements;

	if (!read_fields(p, node, "policy", fields, 2))
		return;
	if (is_there(p, node, &fields[0], "\"1\""))
		read_version(p, fields[0].value);
	if (!is_there(p, node, &fields[1], "a list of statements"))
		return;
	statements = fields[1].value;
	if (!is_list(p, statements, "Statement", "statements"))
		return;
	for (const struct node *at = statements->first; at && p->error == 0; at = at->next)
		read_statement(p, at);
}

static void read_file(struct parse *p, const struct node *root)
{
	struct field fields[] = {{.name = "principals"}, {.name = "policy"}};

	if (!read_fields(p, root, NULL, fields, 2))
		return;
	if (is_there(p, root, &fields[0], "a list of principals"))
		read_principals(p, fields[0].value);
	if (is_there(p, root, &fields[1], "a policy document") && p->error == 0)
		read_document(p, fields[1].value);
}

int policy_parse(struct policy *policy, const char *file, const char *bytes, size_t size, policy_lookup_fn *lookup,
		 void *arg, struct conf_errors *errors, struct conf_errors *warnings)
{
	struct parse p = {.file = file, .errors = errors, .warnings = warnings, .lookup = lookup, .lookup_arg = arg,
			  .policy = policy};
	size_t count = policy_count(policy);
	struct node *root;
	int error = node_parse(file, bytes, size, errors, &root);

	p.wrong = error < 0;
	if (root)
		read_file(&p, root);
	node_free(root);
	if (error != ERR_NOMEM && p.error < 0)
		error = p.error;
	else if (error == 0 && p.wrong)
		error = ERR_INVALID;
	if (error < 0)
		policy_truncate(policy, count);
	return error;
}
