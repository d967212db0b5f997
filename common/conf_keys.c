/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file of access keys. It holds secrets: only its owner may read it, no link is followed to it, no error
 * repeats anything of it but a line's number and the names of our keys, and each copy is wiped.
 */
#include "common/conf_parts.h"

#include "common/err.h"
#include "common/node.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct keys {
	struct conf *conf;
	const char *file;
	struct conf_errors *errors;
	unsigned lines[CONF_KEYS_MAX]; /* of each key's id */
};

#define add_error(k, node, key, ...) conf_errors_add((k)->errors, (k)->file, (node)->line, key, __VA_ARGS__)

/* 1 to max bytes that all pass. NULL: it is none. */
static const char *text_of(const struct node *node, size_t max, bool (*pass)(char c))
{
	size_t length = 0;

	if (node->kind != NODE_SCALAR || node->null)
		return NULL;
	while (node->text[length] && pass(node->text[length]))
		length++;
	return length > 0 && length <= max && !node->text[length] ? node->text : NULL;
}

static bool is_id(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_secret(char c)
{
	return c > ' ' && c < 0x7f;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void read_id(struct keys *k, const struct node *node, struct conf_key *key)
{
	const char *text = text_of(node, sizeof(key->id) - 1, is_id);

	if (!text) {
		add_error(k, node, "access_keys.id", "expected 1 to %zu of A-Z, a-z, 0-9, \".\", \"_\" and \"-\"", sizeof(key->id) - 1);
		return;
	}
	for (size_t i = 0; i < k->conf->key_count; i++) {
		if (strcmp(k->conf->keys[i].id, text) == 0)
			add_error(k, node, "access_keys.id", "expected an id of its own, the key in line %u has the same", k->lines[i]);
	}
	snprintf(key->id, sizeof(key->id), "%s", text);
	k->lines[key - k->conf->keys] = node->line;
}

static void read_secret(struct keys *k, const struct node *node, struct conf_key *key)
{
	const char *text = text_of(node, sizeof(key->secret) - 1, is_secret);

	if (text)
		snprintf(key->secret, sizeof(key->secret), "%s", text);
	else
		add_error(k, node, "access_keys.secret", "expected 1 to %zu printable characters of ASCII without blanks",
			  sizeof(key->secret) - 1);
}

/* A number, or the name of a user or group. */
static void read_peer(struct keys *k, const struct node *node, bool group, bool *ret_has, uint32_t *ret_id)
{
	const char *name = group ? "access_keys.gid" : "access_keys.uid", *what = group ? "group" : "user";
	const char *digits = text_of(node, 10, is_digit), *text = text_of(node, CONF_NAME_SIZE - 1, is_id);
	int r = 0;

	if (digits && strtoull(digits, NULL, 10) < UINT32_MAX)
		*ret_id = (uint32_t)strtoull(digits, NULL, 10);
	else if (digits || !text)
		add_error(k, node, name, "expected the number or the name of a %s", what);
	else
		r = conf_resolve_id(text, group, ret_id);
	if (r < 0)
		add_error(k, node, name, r == ERR_NOT_FOUND ? "there is no such %s here" : "the %s cannot be looked up", what);
	*ret_has = true;
}

/* The number of the name, its value then being node's next; -1: unknown or doubled, and said. */
static int accept_name(struct keys *k, const struct node *node, unsigned *seen)
{
	static const char *const names[] = {"id", "secret", "uid", "gid"};

	for (int i = 0; node->kind == NODE_SCALAR && i < 4; i++) {
		if (strcmp(node->text, names[i]) != 0)
			continue;
		if (*seen & 1U << i)
			add_error(k, node, "access_keys", "%s is given twice for one key", names[i]);
		*seen |= 1U << i;
		return i;
	}
	if (node->kind != NODE_BROKEN)
		add_error(k, node, "access_keys", "unknown key; expected one of id, secret, uid, gid");
	return -1;
}

static void read_key(struct keys *k, const struct node *map, struct conf_key *key)
{
	const struct node *name = map->first;
	unsigned seen = 0;

	for (size_t i = 0; i < map->count; i++, name = name->next->next) {
		switch (accept_name(k, name, &seen)) {
		case 0:
			read_id(k, name->next, key);
			break;
		case 1:
			read_secret(k, name->next, key);
			break;
		case 2:
			read_peer(k, name->next, false, &key->has_uid, &key->uid);
			break;
		case 3:
			read_peer(k, name->next, true, &key->has_gid, &key->gid);
			break;
		}
	}
	if (!(seen & 1))
		add_error(k, map, "access_keys.id", "missing");
	if (!(seen & 2))
		add_error(k, map, "access_keys.secret", "missing");
}

static int read_list(struct keys *k, const struct node *list)
{
	if (list->kind != NODE_LIST) {
		if (list->kind != NODE_BROKEN)
			add_error(k, list, "access_keys", "expected a list of keys, got %s", node_what(list));
		return 0;
	}
	if (list->count > CONF_KEYS_MAX) {
		add_error(k, list, "access_keys", "expected at most %d keys", CONF_KEYS_MAX);
		return 0;
	}
	k->conf->keys = calloc(list->count + 1, sizeof(k->conf->keys[0]));
	if (!k->conf->keys)
		return ERR_NOMEM;
	for (const struct node *node = list->first; node; node = node->next) {
		if (node->kind == NODE_MAP)
			read_key(k, node, &k->conf->keys[k->conf->key_count++]);
		else if (node->kind != NODE_BROKEN)
			add_error(k, node, "access_keys", "expected a map with id and secret, got %s", node_what(node));
	}
	return 0;
}

static int read_root(struct keys *k, const struct node *root)
{
	const struct node *name = root->first;
	const struct node *list = NULL;

	if (root->kind != NODE_MAP) {
		if (root->kind != NODE_BROKEN)
			add_error(k, root, NULL, "expected a map with access_keys, got %s", node_what(root));
		return 0;
	}
	for (size_t i = 0; i < root->count; i++, name = name->next->next) {
		if (name->kind == NODE_SCALAR && strcmp(name->text, "access_keys") == 0 && !list)
			list = name->next;
		else if (name->kind != NODE_BROKEN)
			add_error(k, name, NULL, list ? "expected no more than access_keys, once" : "unknown key; expected access_keys");
	}
	if (!list && root->count == 0)
		add_error(k, root, "access_keys", "missing, expected a list of keys");
	return list ? read_list(k, list) : 0;
}

static void wipe_tree(struct node *node)
{
	for (struct node *child = node->first; child; child = child->next)
		wipe_tree(child);
	if (node->text)
		explicit_bzero(node->text, strlen(node->text));
}

static int parse(struct keys *k, const char *bytes, size_t size)
{
	struct node *root;
	int r = node_parse(k->file, bytes, size, k->errors, &root);

	if (r == ERR_NOMEM || !root)
		return r;
	r = read_root(k, root);
	wipe_tree(root);
	node_free(root);
	return r;
}

int conf_read_keys(struct conf_draft *draft)
{
	struct keys k = {.conf = draft->conf, .file = draft->conf->access_keys, .errors = draft->errors};
	unsigned line = draft->lines.at[schema_find(conf_daemon_table(), "access_keys")];
	char *bytes = NULL;
	size_t size;
	int r = conf_file_read_secret(k.file, draft->errors, &bytes, &size);

	if (r == ERR_NOT_FOUND && line > 0)
		conf_errors_add(draft->errors, draft->path, line, "access_keys", "expected a file, there is no %s", k.file);
	if (r == 0)
		r = parse(&k, bytes, size);
	if (bytes)
		explicit_bzero(bytes, size);
	free(bytes);
	return r == ERR_NOMEM ? r : 0;
}

void conf_forget_keys(struct conf *conf)
{
	if (conf->keys)
		explicit_bzero(conf->keys, conf->key_count * sizeof(conf->keys[0]));
	free(conf->keys);
	conf->keys = NULL;
	conf->key_count = 0;
}
