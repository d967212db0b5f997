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

#include <inttypes.h>
#include <string.h>

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

/* "btrfs 0:45, id 257" */
static char *lies_on(const json_t *part)
{
	const char *subvolume = field_str(part, "Subvolume");

	return text_format("%s %s%s%s", field_str(part, "FileSystem"), field_str(part, "Device"), subvolume[0] ? ", " : "",
			   subvolume);
}

/* What was not measured stays empty. */
static void add_size(struct table *table, const json_t *part)
{
	scope_free char *size = text_size(field_int(part, "Bytes", -1));
	scope_free char *files = field_text(part, "Files");
	scope_free char *extents = field_text(part, "Extents");
	const char *more = size[0] && !field_bool(part, "Whole") ? "> " : "";

	table_take(table, text_format("%s%s", more, size));
	table_take(table, text_format("%s%s", more, files));
	table_take(table, text_format("%s%s", field_bool(part, "MoreExtents") ? "> " : "", extents));
}

static void add_part(struct table *table, const json_t *part)
{
	table_add(table, field_str(part, "Role"));
	table_take(table, lies_on(part));
	add_size(table, part);
	table_add(table, field_str(part, "Taken"));
	table_add(table, field_str(part, "Path"));
}

/* What is of the database first, then where its backups go. */
static void print_parts(const json_t *check)
{
	static const struct column columns[] = {{"PART"}, {"LIES ON"}, {"SIZE", true, true}, {"FILES", true, true},
						{"EXTENTS", true, true}, {"TAKEN BY", .optional = true}, {"PATH"}};
	scope_table struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *parts = json_object_get(check, "Parts");
	json_t *part;
	size_t i;

	for (int snapshots = 0; snapshots <= 1; snapshots++) {
		json_array_foreach((json_t *)parts, i, part) {
			if ((strcmp(field_str(part, "Role"), "snapshots") == 0) == snapshots)
				add_part(table, part);
		}
	}
	if (json_array_size(parts) == 0)
		return;
	putchar('\n');
	table_print(table, stdout);
}

/* Of the parts that a backup is made of. */
static void print_size(const json_t *check)
{
	int64_t bytes = 0, files = 0;
	bool known = false;
	json_t *part;
	size_t i;

	json_array_foreach(json_object_get(check, "Parts"), i, part) {
		known |= field_int(part, "Bytes", -1) >= 0;
		bytes += field_int(part, "Bytes", 0);
		files += field_int(part, "Files", 0);
	}
	if (known) {
		scope_free char *size = text_size(bytes);
		scope_free char *text = text_format("%s in %" PRId64 " files", size, files);

		text_pair(stdout, "Size", text);
	}
}

/* The largest file's extents are what a walk takes long for. */
static void print_largest(const json_t *check)
{
	const json_t *data = json_array_get(json_object_get(check, "Parts"), 0);
	scope_free char *extents = field_text(data, "Extents");
	scope_free char *text = text_format("%s, in %s%s extent%s", field_str(data, "Largest"),
					    field_bool(data, "MoreExtents") ? "more than " : "", extents,
					    field_int(data, "Extents", 0) == 1 ? "" : "s");

	if (extents[0])
		text_pair(stdout, "Largest file", text);
}

static void print_expected(const json_t *check)
{
	scope_free char *cut = text_milliseconds(field_str(check, "Expected.CutMs"));
	scope_free char *freeze = text_milliseconds(field_str(check, "Expected.FreezeMs"));
	scope_free char *from = text_format("%s%s%s", cut[0] ? "(" : "", field_str(check, "Expected.From"), cut[0] ? ")" : "");
	scope_free char *text = text_format("%s%s%s%s%s", cut, cut[0] && freeze[0] ? ", writers held " : "",
					    cut[0] ? freeze : "", cut[0] ? " " : "", from);

	text_pair(stdout, "Expected cut", text);
}

static void print_lines(const json_t *check, const char *name, const char *label)
{
	json_t *line;
	size_t i;

	json_array_foreach(json_object_get(check, name), i, line)
		text_pair(stdout, label, json_string_value(line) ? json_string_value(line) : "");
}

static void print_account(const json_t *check)
{
	const json_t *lines = json_object_get(check, "Account");
	json_t *line;
	size_t i;

	if (json_array_size(lines) == 0)
		return;
	putchar('\n');
	text_say(stdout, "An account of the server with the rights that this takes, and no more:");
	json_array_foreach((json_t *)lines, i, line)
		text_say(stdout, "    %s", json_string_value(line) ? json_string_value(line) : "");
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

	text_pair(stdout, "Cluster", field_str(check, "DBClusterId"));
	text_pair(stdout, "Verdict", field_bool(check, "Ok") ? "can be backed up" : "refused");
	text_pair(stdout, "Database", database);
	text_pair(stdout, "Backend", field_str(check, "Backend"));
	text_pair(stdout, "Procedure", field_str(check, "Procedure"));
	if (field_str(check, "Promise")[0])
		print_promise(check);
	text_pair(stdout, "Backups go to", field_str(check, "SnapshotDir"));
	text_pair(stdout, "Free space", space);
	print_size(check);
	print_largest(check);
	print_expected(check);
	print_lines(check, "Warnings", "Warning");
	print_lines(check, "Weakened", "Weakened by");
	print_lines(check, "NotBetter", "Not");
	print_parts(check);
	print_account(check);
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
