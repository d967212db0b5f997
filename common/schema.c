/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event stream. The one difficulty is to go on after a mistake, so that one
 * run reports all of them: whatever is refused is skipped as a whole node, and
 * only what libyaml itself cannot read ends the file.
 */
#include "common/schema.h"

#include "common/err.h"
#include "common/yaml_event.h"

#include <string.h>

struct parse {
	const struct schema_row *table;
	const char *file;
	char *base; /* within a list: moved on by as many elements as were read */
	struct conf_errors *errors;
	struct schema_lines *lines;
	yaml_parser_t parser;
	yaml_event_t event; /* the one being looked at */
	size_t wrong;
};

enum { KEY_SIZE = 128, VALUE_SHOWN = 60 };

#define add_error(p, line, key, ...) \
	((p)->wrong++, conf_errors_add((p)->errors, (p)->file, line, key, __VA_ARGS__))

static unsigned event_line(const struct parse *p)
{
	return (unsigned)p->event.start_mark.line + 1;
}

/* Goes to the next event; false after an error of libyaml, which has been added. */
static bool next_event(struct parse *p)
{
	yaml_event_delete(&p->event);
	if (yaml_parser_parse(&p->parser, &p->event))
		return true;
	memset(&p->event, 0, sizeof(p->event));
	add_error(p, (unsigned)p->parser.problem_mark.line + 1, NULL, "expected YAML: %s%s%s",
		  p->parser.context ? p->parser.context : "", p->parser.context ? ", " : "",
		  p->parser.problem ? p->parser.problem : "unreadable");
	return false;
}

/* From a node's first event to its last. */
static bool skip_node(struct parse *p)
{
	size_t depth = 0;

	for (;;) {
		if (p->event.type == YAML_MAPPING_START_EVENT || p->event.type == YAML_SEQUENCE_START_EVENT)
			depth++;
		else if (p->event.type == YAML_MAPPING_END_EVENT || p->event.type == YAML_SEQUENCE_END_EVENT)
			depth--;
		if (depth == 0)
			return true;
		if (!next_event(p))
			return false;
	}
}

static const char *node_name(const yaml_event_t *event)
{
	return event->type == YAML_MAPPING_START_EVENT ? "a map" :
	       event->type == YAML_SEQUENCE_START_EVENT ? "a list" : "a single value";
}

int schema_find(const struct schema_row *table, const char *key)
{
	for (int i = 0; table[i].key; i++) {
		if (strcmp(table[i].key, key) == 0)
			return i;
	}
	return -1;
}

/* The part of a row's key below prefix ("" or "jobs."), if it is a key right there. */
static const char *name_below(const struct schema_row *row, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(row->key, prefix, length) != 0 || strchr(row->key + length, '.'))
		return NULL;
	return row->key + length;
}

static void add_unknown(struct parse *p, const char *prefix, const char *key)
{
	char known[CONF_ERROR_SIZE / 2] = "";
	size_t used = 0;

	for (const struct schema_row *row = p->table; row->key; row++) {
		const char *name = name_below(row, prefix);

		if (name && !row->not_built && used < sizeof(known))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", name);
	}
	add_error(p, event_line(p), key, "unknown key; expected one of %s", known);
}

/* A quoted number or truth value is text; a NUL inside would hide the rest. */
static bool has_right_form(const struct schema_row *row, const yaml_event_t *event)
{
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length || yamlev_is_null(event))
		return false;
	return plain || (row->kind != SCHEMA_NUMBER && row->kind != SCHEMA_BOOL);
}

static const char *form_hint(const struct schema_row *row, const yaml_event_t *event)
{
	if (yamlev_is_null(event))
		return " (nothing was given)";
	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE &&
	    (row->kind == SCHEMA_NUMBER || row->kind == SCHEMA_BOOL))
		return ", without quotes";
	return "";
}

static void read_scalar(struct parse *p, const struct schema_row *row)
{
	const char *text = (const char *)p->event.data.scalar.value;
	char expected[CONF_ERROR_SIZE / 2];
	bool good_form = has_right_form(row, &p->event);
	/* The key's line: libyaml finds a value that was left out only where the next key begins. */
	unsigned line = p->lines->at[row - p->table];

	if (good_form && schema_set_value(row, text, p->base, expected, sizeof(expected)) == 0)
		return;
	if (!good_form)
		schema_describe(row, expected, sizeof(expected));
	if (row->kind == SCHEMA_TEXT || yamlev_is_null(&p->event))
		add_error(p, line, row->key, "expected %s%s", expected, form_hint(row, &p->event));
	else
		add_error(p, line, row->key, "expected %s%s, got \"%.*s\"%s", expected,
			  form_hint(row, &p->event), VALUE_SHOWN, text, strlen(text) > VALUE_SHOWN ? "..." : "");
}

static bool read_map(struct parse *p, const char *prefix);
static bool refuse_decoration(struct parse *p, const struct schema_row *row);

static bool is_below(const struct schema_row *row, const struct schema_row *map)
{
	size_t length = strlen(map->key);

	return strncmp(row->key, map->key, length) == 0 && row->key[length] == '.';
}

/* One map of a list, into the element that base is at. */
static bool read_element(struct parse *p, const struct schema_row *map)
{
	char prefix[KEY_SIZE];

	for (const struct schema_row *row = p->table; row->key; row++) {
		if (is_below(row, map))
			p->lines->at[row - p->table] = 0;
	}
	*(unsigned *)(void *)(p->base + map->list->line) = event_line(p);
	snprintf(prefix, sizeof(prefix), "%s.", map->key);
	return read_map(p, prefix);
}

/* A list's item at its event; *count is how many have been read. False at the end of what libyaml can read. */
static bool read_item(struct parse *p, const struct schema_row *map, const void *defaults, size_t *count)
{
	const struct schema_list *list = map->list;
	char *base = p->base;
	bool more;

	if (refuse_decoration(p, map))
		return skip_node(p);
	if (p->event.type != YAML_MAPPING_START_EVENT) {
		add_error(p, event_line(p), map->key, "expected a list of maps, got %s in it", node_name(&p->event));
		return skip_node(p);
	}
	if (*count == list->max) {
		add_error(p, event_line(p), map->key, "expected no more than %zu maps", list->max);
		return skip_node(p);
	}
	memcpy(base + map->offset + *count * list->stride, defaults, list->stride);
	p->base = base + *count * list->stride;
	more = read_element(p, map);
	p->base = base;
	++*count;
	return more;
}

static bool read_list(struct parse *p, const struct schema_row *map)
{
	unsigned line = event_line(p);
	void *defaults = malloc(map->list->stride);
	size_t count = 0;
	bool more = defaults != NULL, empty = true;

	if (defaults)
		memcpy(defaults, p->base + map->offset, map->list->stride);
	for (; more && (more = next_event(p)) && p->event.type != YAML_SEQUENCE_END_EVENT; empty = false)
		more = read_item(p, map, defaults, &count);
	free(defaults);
	if (more && empty)
		add_error(p, line, map->key, "expected at least one map in the list");
	*(size_t *)(void *)(p->base + map->list->count) = count;
	return more;
}

/* The value of a known key that may be given here. */
static bool read_value(struct parse *p, const struct schema_row *row)
{
	yaml_event_type_t wanted = row->kind == SCHEMA_MAP ? YAML_MAPPING_START_EVENT : YAML_SCALAR_EVENT;
	char prefix[KEY_SIZE], expected[CONF_ERROR_SIZE / 2];

	if (row->list && p->event.type == YAML_SEQUENCE_START_EVENT)
		return read_list(p, row);
	if (p->event.type == wanted && row->kind == SCHEMA_MAP) {
		snprintf(prefix, sizeof(prefix), "%s.", row->key);
		return read_map(p, prefix);
	}
	if (p->event.type == wanted) {
		read_scalar(p, row);
		return true;
	}
	schema_describe(row, expected, sizeof(expected));
	add_error(p, event_line(p), row->key, "expected %s, got %s", expected, node_name(&p->event));
	return skip_node(p);
}

/* May this key be given, here and now? If not, the error has been added. At the key's event. */
static const struct schema_row *accept_key(struct parse *p, const char *prefix)
{
	const char *name = (const char *)p->event.data.scalar.value;
	char key[KEY_SIZE];
	int index;

	snprintf(key, sizeof(key), "%s%s", prefix, name);
	/* A dot inside would name a row of a deeper map. */
	index = strchr(name, '.') || strlen(name) != p->event.data.scalar.length ? -1 : schema_find(p->table, key);
	if (index < 0) {
		add_unknown(p, prefix, key);
		return NULL;
	}
	if (p->lines->at[index]) {
		add_error(p, event_line(p), key, "given twice, expected once; it stands in line %u already",
			  p->lines->at[index]);
		return NULL;
	}
	p->lines->at[index] = event_line(p);
	if (p->table[index].not_built) {
		add_error(p, event_line(p), key, "not built yet in this release; remove the key");
		return NULL;
	}
	return &p->table[index];
}

/* True: the value has one, which has been added to the errors. */
static bool refuse_decoration(struct parse *p, const struct schema_row *row)
{
	const char *decorated = yamlev_decoration(&p->event);

	if (!decorated)
		return false;
	add_error(p, event_line(p), row->key, "expected a value without anchors, aliases and tags, got one with an %s",
		  decorated);
	return true;
}

static bool read_pair(struct parse *p, const char *prefix)
{
	const struct schema_row *row = NULL;
	const char *decorated = yamlev_decoration(&p->event);

	if (p->event.type != YAML_SCALAR_EVENT || decorated)
		add_error(p, event_line(p), NULL, "expected a plain key, got %s%s", decorated ? "an " : "",
			  decorated ? decorated : node_name(&p->event));
	else
		row = accept_key(p, prefix);
	if (!skip_node(p) || !next_event(p))
		return false;
	return row && !refuse_decoration(p, row) ? read_value(p, row) : skip_node(p);
}

/* From a map's first event to its last. */
static bool read_map(struct parse *p, const char *prefix)
{
	for (;;) {
		if (!next_event(p))
			return false;
		if (p->event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (!read_pair(p, prefix))
			return false;
	}
}

/* The whole stream. False if it was not read to its end; why has been added. */
static bool read_stream(struct parse *p)
{
	if (!next_event(p) || !next_event(p)) /* the stream's start, then the document's or the end */
		return false;
	if (p->event.type == YAML_STREAM_END_EVENT)
		return true;
	if (!next_event(p))
		return false;
	if (p->event.type != YAML_MAPPING_START_EVENT || yamlev_decoration(&p->event)) {
		add_error(p, event_line(p), NULL, "expected a map of keys without anchors, aliases and tags");
		return false;
	}
	if (!read_map(p, ""))
		return false;
	if (!next_event(p) || !next_event(p)) /* the document's end, then the stream's */
		return false;
	if (p->event.type != YAML_STREAM_END_EVENT)
		add_error(p, event_line(p), NULL, "expected the end of the file after one document");
	return true;
}

static void find_missing(struct parse *p)
{
	char expected[CONF_ERROR_SIZE / 2];

	for (size_t i = 0; p->table[i].key; i++) {
		const struct schema_row *row = &p->table[i];

		if (row->fallback || row->kind == SCHEMA_MAP || row->not_built || p->lines->at[i])
			continue;
		schema_describe(row, expected, sizeof(expected));
		add_error(p, 1, row->key, "missing, expected %s", expected);
	}
}

int schema_parse(const struct schema_row *table, const char *file, const char *bytes, size_t size, void *base,
		 struct conf_errors *errors, struct schema_lines *ret_lines)
{
	struct schema_lines lines = {{0}};
	struct parse p = {.table = table, .file = file, .base = base, .errors = errors, .lines = &lines};

	if (!yaml_parser_initialize(&p.parser))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&p.parser, (const unsigned char *)bytes, size);
	/* Of what was not read to its end nothing can be said to be missing. */
	if (read_stream(&p))
		find_missing(&p);
	yaml_event_delete(&p.event);
	yaml_parser_delete(&p.parser);
	*ret_lines = lines;
	return p.wrong ? ERR_INVALID : 0;
}
