/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands that only show: a list of things as a table, one thing with all its fields; --json: the answer. */
#ifndef DBSNAP_CLIENT_ITEMS_H
#define DBSNAP_CLIENT_ITEMS_H

#include "client/client.h"
#include "client/rpc.h"
#include "client/table.h"

#include <jansson.h>

struct items {
	const char *action; /* "DescribeBackups" */
	const char *kind;   /* "Backup": as call_list() takes it */
	const char *none;   /* "There are no backups": " of CLUSTER." or "." follows */
	const struct column *columns;
	size_t column_count;
	void (*add_row)(struct table *table, const json_t *item);
};

/* Of the cluster args[0], or of all where count is 0. The exit status. */
int items_list(struct client *client, const struct items *items, char **args, size_t count);
/* The one that params name. */
int items_show(struct client *client, const char *action, const char *kind, const struct rpc_param *params);

#endif
