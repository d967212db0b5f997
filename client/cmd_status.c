/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap status. */
#include "client/call.h"
#include "client/client.h"
#include "client/field.h"
#include "client/table.h"
#include "client/text.h"
#include "common/scope.h"

static void add_row(struct table *table, const json_t *cluster)
{
	int64_t quarantine = field_int(cluster, "Quarantine", 0);

	table_add(table, field_str(cluster, "DBClusterId"));
	table_add(table, field_str(cluster, "State"));
	table_take(table, field_text(cluster, "Backups"));
	table_take(table, field_text(cluster, "QuotaLeft.RetainedLeft"));
	table_take(table, field_text(cluster, "QuotaLeft.PerDayLeft"));
	table_take(table, field_text(cluster, "QuotaLeft.CreatesLeft"));
	table_take(table, quarantine > 0 ? field_text(cluster, "Quarantine") : text_format("%s", ""));
	table_take(table,
		   text_free_of(field_int(cluster, "FreeBytes", -1), field_int(cluster, "TotalBytes", -1)));
}

static void print_daemon(const json_t *status)
{
	scope_free char *uptime = text_span(field_int(status, "Uptime", 0));
	scope_free char *running = field_text(status, "Jobs.Running");
	scope_free char *pending = field_text(status, "Jobs.Pending");

	text_say(stdout, "dbsnapd %s, up for %s; jobs: %s running, %s waiting", field_str(status, "Version"),
		 uptime, running[0] ? running : "0", pending[0] ? pending : "0");
}

/* Why a cluster cannot be backed up now, below the table. */
static void print_reasons(const json_t *clusters)
{
	json_t *cluster;
	size_t i;

	json_array_foreach(clusters, i, cluster) {
		const char *reason = field_str(cluster, "Reason"), *remedy = field_str(cluster, "Remedy");

		if (!reason[0])
			continue;
		text_say(stdout, "%s: %s", field_str(cluster, "DBClusterId"), reason);
		if (remedy[0])
			text_say(stdout, "  %s", remedy);
	}
}

int cmd_status(struct client *client, char **args, size_t count)
{
	static const struct column columns[] = {{"CLUSTER"},
						{"STATE"},
						{"BACKUPS", true},
						{"MORE TO KEEP", true, true},
						{"MORE TODAY", true, true},
						{"CREATES LEFT", true, true},
						{"QUARANTINE", true, true},
						{"FREE", .optional = true}};
	scope_table struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	scope_json json_t *status = NULL;
	json_t *clusters, *cluster;
	size_t i;
	int r = call_api(client, "DescribeStatus", RPC_NO_PARAMS, RPC_REPEATABLE, &status);

	(void)args;
	(void)count;
	if (r != 0)
		return r;
	if (client->options.json) {
		field_print_json(status);
		return STATUS_DONE;
	}
	print_daemon(status);
	clusters = json_object_get(status, "Clusters");
	json_array_foreach(clusters, i, cluster)
		add_row(table, cluster);
	if (i > 0) {
		putchar('\n');
		table_print(table, stdout);
		print_reasons(clusters);
	} else {
		text_say(stdout, "No cluster is registered: 'dbsnap cluster add' finds a running server and "
				 "registers it.");
	}
	return STATUS_DONE;
}
