/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A document in YAML (or JSON, which is YAML) as a tree, for files whose shape no table of keys can tell.
 * Aliases, anchors, tags, several documents and deep nests are errors; duplicate keys are for the reader to see.
 */
#ifndef DBSNAP_NODE_H
#define DBSNAP_NODE_H

#include "common/conf_error.h"

#include <stdbool.h>
#include <stddef.h>

enum node_kind {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP,   /* its children are key, value, key, value */
	NODE_BROKEN /* an error that has been added: nothing more is to be said of it */
};

struct node {
	enum node_kind kind;
	unsigned line;
	size_t count;       /* of children; of a map's pairs */
	struct node *first; /* child; owned */
	struct node *next;  /* the next child of the same parent; owned by it */
	char *text;         /* SCALAR: owned; without a NUL inside */
	bool null;          /* SCALAR: nothing, ~ or null, without quotes */
};

/*
 * 0; ERR_INVALID, with lines in errors; ERR_NOMEM. With ERR_INVALID too *ret_root is a tree if the stream could be
 * read to its end, so that what else is wrong can be said; else NULL. The caller's to node_free().
 */
int node_parse(const char *file, const char *bytes, size_t size, struct conf_errors *errors, struct node **ret_root);
/* Takes NULL. Returns NULL. */
struct node *node_free(struct node *node);
/* For messages: "a list", "a map", "a single value", "nothing". Static. */
const char *node_what(const struct node *node);

#endif
