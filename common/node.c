/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Events to nodes; recursion as deep as DEPTH_MAX and no deeper. */
#include "common/node.h"

#include "common/err.h"
#include "common/yaml_event.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16 };

struct build {
	const char *file;
	struct conf_errors *errors;
	yaml_parser_t parser;
	yaml_event_t event; /* the one being looked at */
	int error;
};

static void add_error(struct build *b, unsigned line, const char *expected, const char *got)
{
	conf_errors_add(b->errors, b->file, line, NULL, "expected %s%s", expected, got);
	b->error = ERR_INVALID;
}

static unsigned event_line(const struct build *b)
{
	return (unsigned)b->event.start_mark.line + 1;
}

/* False after an error of libyaml, which has been added. */
static bool next_event(struct build *b)
{
	const yaml_parser_t *parser = &b->parser;
	bool alias;

	yaml_event_delete(&b->event);
	if (yaml_parser_parse(&b->parser, &b->event))
		return true;
	memset(&b->event, 0, sizeof(b->event));
	b->error = parser->error == YAML_MEMORY_ERROR ? ERR_NOMEM : ERR_INVALID;
	alias = parser->context && strcmp(parser->context, "while scanning an alias") == 0;
	conf_errors_add(b->errors, b->file, (unsigned)parser->problem_mark.line + 1, NULL, "expected YAML: %s%s%s%s",
			parser->context ? parser->context : "", parser->context ? ", " : "",
			parser->problem ? parser->problem : "unreadable",
			alias ? " (what begins with * is written in quotes)" : "");
	return false;
}

struct node *node_free(struct node *node)
{
	while (node) {
		struct node *next = node->next;

		node_free(node->first);
		free(node->text);
		free(node);
		node = next;
	}
	return NULL;
}

const char *node_what(const struct node *node)
{
	return node->kind == NODE_MAP ? "a map" : node->kind == NODE_LIST ? "a list" : node->null ? "nothing" :
	       "a single value";
}

static void fill_scalar(struct build *b, struct node *node)
{
	const yaml_event_t *event = &b->event;

	node->kind = NODE_SCALAR;
	node->null = yamlev_is_null(event);
	if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length) {
		add_error(b, node->line, "text without NUL characters", "");
		node->kind = NODE_BROKEN;
		return;
	}
	node->text = strdup((const char *)event->data.scalar.value);
	if (!node->text)
		b->error = ERR_NOMEM;
}

static bool build_node(struct build *b, unsigned depth, struct node **ret_node);

/* From the event after a list's or map's first to its last. */
static bool build_children(struct build *b, unsigned depth, struct node *node)
{
	bool map = b->event.type == YAML_MAPPING_START_EVENT;
	struct node **end = &node->first;
	size_t children = 0;

	node->kind = map ? NODE_MAP : NODE_LIST;
	for (;;) {
		if (!next_event(b))
			return false;
		if (b->event.type == YAML_MAPPING_END_EVENT || b->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (!build_node(b, depth + 1, end))
			return false;
		end = &(*end)->next;
		children++;
	}
	node->count = map ? children / 2 : children;
	return true;
}

/* At a node's first event; leaves at its last. False: the stream cannot be read on. */
static bool build_node(struct build *b, unsigned depth, struct node **ret_node)
{
	const char *decorated = yamlev_decoration(&b->event);
	struct node *node = calloc(1, sizeof(*node));
	bool good = true;

	*ret_node = node;
	if (!node) {
		b->error = ERR_NOMEM;
		return false;
	}
	node->line = event_line(b);
	if (depth > DEPTH_MAX) {
		add_error(b, node->line, "fewer lists and maps inside each other", "");
		return false;
	}
	if (decorated)
		add_error(b, node->line, "a value without anchors, aliases and tags, got one with an ",
			  b->event.type == YAML_ALIAS_EVENT ? "alias (what begins with * is written in quotes)" : decorated);
	if (b->event.type == YAML_SCALAR_EVENT)
		fill_scalar(b, node);
	else if (b->event.type != YAML_ALIAS_EVENT)
		good = build_children(b, depth, node);
	if (decorated)
		node->kind = NODE_BROKEN;
	return good && b->error != ERR_NOMEM;
}

static bool build_stream(struct build *b, struct node **ret_root)
{
	if (!next_event(b) || !next_event(b)) /* the stream's start, then the document's or the end */
		return false;
	if (b->event.type == YAML_STREAM_END_EVENT) {
		add_error(b, 1, "a map of keys, got an empty file", "");
		return false;
	}
	if (!next_event(b) || !build_node(b, 0, ret_root) || !next_event(b) || !next_event(b))
		return false;
	if (b->event.type != YAML_STREAM_END_EVENT)
		add_error(b, event_line(b), "the end of the file after one document", "");
	return true;
}

int node_parse(const char *file, const char *bytes, size_t size, struct conf_errors *errors, struct node **ret_root)
{
	struct build b = {.file = file, .errors = errors};
	struct node *root = NULL;

	if (!yaml_parser_initialize(&b.parser))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)bytes, size);
	if (!build_stream(&b, &root))
		root = node_free(root);
	yaml_event_delete(&b.event);
	yaml_parser_delete(&b.parser);
	if (b.error == ERR_NOMEM)
		root = node_free(root);
	*ret_root = root;
	return b.error;
}
