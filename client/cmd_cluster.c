/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap cluster list and check. */
#include "client/call.h"
#include "client/client.h"
#include "client/field.h"
#include "client/items.h"
#include "client/show.h"
#include "client/table.h"
#include "client/text.h"
#include "common/scope.h"

static void add_row(struct table *table, const json_t *cluster)
{
	table_add(table, field_str(cluster, "DBClusterId"));
	table_add(table, field_str(cluster, "DBType"));
	table_take(table, field_text(cluster, "DBVersion"));
	table_add(table, field_str(cluster, "DBClusterStatus"));
	table_take(table, text_size(field_int(cluster, "StorageUsed", -1)));
	table_add(table, field_str(cluster, "DBClusterDescription"));
}

int cmd_cluster_list(struct client *client, char **args, size_t count)
{
	static const struct column columns[] = {
		{"CLUSTER"},	{"TYPE", .optional = true},	  {"VERSION", .optional = true}, {"STATUS"},
		{"USED", true}, {"DESCRIPTION", .optional = true}};
	static const struct items items = {
		.action = "DescribeDBClusters",
		.kind = "DBCluster",
		.none = "No cluster is registered: 'dbsnap cluster add' finds a running server and registers it",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
	};

	return items_list(client, &items, args, count);
}

static void print_parts(const json_t *check)
{
	static const struct column columns[] = {{"PART"},
						{"PATH"},
						{"DEVICE", .optional = true},
						{"SUBVOLUME", .optional = true},
						{"FILE SYSTEM", .optional = true},
						{"IN THE CUT"}};
	static const char *const fields[] = {"Role", "Path", "Device", "Subvolume", "FileSystem"};
	scope_table struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_t *part;
	size_t i;

	json_array_foreach(json_object_get(check, "Parts"), i, part) {
		for (size_t c = 0; c < sizeof(fields) / sizeof(fields[0]); c++)
			table_take(table, field_text(part, fields[c]));
		table_take(table, text_format("%s", field_bool(part, "Inside") ? "yes" : "no"));
	}
	if (i == 0)
		return;
	putchar('\n');
	table_print(table, stdout);
}

static void print_promise(const json_t *check)
{
	const char *promise = field_str(check, "Promise");
	const char *meaning = show_promise(promise, field_str(check, "Backend"));
	scope_free char *text = text_format("%s%s%s", promise, meaning[0] ? ": " : "", meaning);

	text_pair(stdout, "Promise", text);
}

static void print_check(const json_t *check)
{
	scope_free char *version = field_text(check, "DatabaseVersion");
	scope_free char *database =
		text_format("%s%s%s", field_str(check, "DatabaseType"), version[0] ? " " : "", version);
	scope_free char *space =
		text_free_of(field_int(check, "FreeBytes", -1), field_int(check, "TotalBytes", -1));
	json_t *warning, *reason;
	size_t i;

	text_pair(stdout, "Cluster", field_str(check, "DBClusterId"));
	text_pair(stdout, "Verdict", field_bool(check, "Ok") ? "can be backed up" : "refused");
	text_pair(stdout, "Database", database);
	text_pair(stdout, "Backend", field_str(check, "Backend"));
	text_pair(stdout, "Procedure", field_str(check, "Procedure"));
	if (field_str(check, "Promise")[0])
		print_promise(check);
	text_pair(stdout, "Backups go to", field_str(check, "SnapshotDir"));
	text_pair(stdout, "Free space", space);
	json_array_foreach(json_object_get(check, "Warnings"), i, warning)
		text_pair(stdout, "Warning", json_string_value(warning) ? json_string_value(warning) : "");
	json_array_foreach(json_object_get(check, "NotBetter"), i, reason)
		text_pair(stdout, "Not", json_string_value(reason) ? json_string_value(reason) : "");
	print_parts(check);
}

int cmd_cluster_check(struct client *client, char **args, size_t count)
{
	scope_json json_t *check = NULL;
	const char *refusal;
	int r = call_api(client, "CheckCluster", RPC_PARAMS({"DBClusterId", args[0]}), RPC_REPEATABLE,
			 &check);

	(void)count;
	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(check);
	else
		print_check(check);
	fflush(stdout);
	if (field_bool(check, "Ok"))
		return STATUS_DONE;
	refusal = field_str(check, "Refusal");
	text_complain("%s cannot be backed up: %s", args[0],
		      refusal[0] ? refusal : "dbsnapd gives no reason");
	if (field_str(check, "Remedy")[0])
		text_advise("%s", field_str(check, "Remedy"));
	return STATUS_REFUSED;
}
