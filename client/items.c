/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists and single things, asked for and printed. */
#include "client/items.h"

#include "client/call.h"
#include "client/field.h"
#include "client/show.h"
#include "client/text.h"

static void print_table(const struct items *items, const json_t *answer, const char *cluster)
{
	scope_table struct table *table = table_new(items->columns, items->column_count);
	json_t *item;
	size_t i;

	json_array_foreach(field_items(answer, items->kind), i, item)
		items->add_row(table, item);
	if (i == 0)
		text_say(stdout, "%s%s%s.", items->none, cluster ? " of " : "", cluster ? cluster : "");
	else
		table_print(table, stdout);
}

int items_list(struct client *client, const struct items *items, char **args, size_t count)
{
	const char *cluster = count ? args[0] : NULL;
	scope_json json_t *answer = NULL;
	int r = call_list(client, items->action, items->kind, cluster, &answer);

	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(answer);
	else
		print_table(items, answer, cluster);
	return STATUS_DONE;
}

int items_show(struct client *client, const char *action, const char *kind, const struct rpc_param *params)
{
	scope_json json_t *answer = NULL;
	int r = call_item(client, action, kind, params, &answer);

	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(answer);
	else
		show_item(field_item(answer, kind));
	return STATUS_DONE;
}
