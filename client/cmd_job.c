/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap job list, show, cancel. */
#include "client/call.h"
#include "client/client.h"
#include "client/field.h"
#include "client/items.h"
#include "client/table.h"
#include "client/text.h"

static void add_row(struct table *table, const json_t *job)
{
	int64_t percent = field_int(job, "Percent", -1);

	table_add(table, field_str(job, "JobId"));
	table_add(table, field_str(job, "Kind"));
	table_add(table, field_str(job, "DBClusterId"));
	table_add(table, field_str(job, "BackupId"));
	table_add(table, field_str(job, "CloneName"));
	table_add(table, field_str(job, "State"));
	table_add(table, field_str(job, "Phase"));
	table_take(table, percent < 0 ? text_format("%s", "") : text_format("%d%%", (int)percent));
	table_add(table, field_str(job, "AcceptTime"));
	table_take(table, text_age(field_str(job, "AcceptTime")));
	table_add(table, field_str(job, "Cause"));
}

int cmd_job_list(struct client *client, char **args, size_t count)
{
	static const struct column columns[] = {{"JOB", true},
						{"KIND"},
						{"CLUSTER"},
						{"BACKUP", true, true},
						{"CLONE", .optional = true},
						{"STATE"},
						{"PHASE", .optional = true},
						{"DONE", true, true},
						{"ACCEPTED (UTC)"},
						{"AGE", true},
						{"CAUSE", .optional = true}};
	static const struct items items = {
		.action = "DescribeJobs",
		.kind = "Job",
		.none = "There are no jobs",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
	};

	return items_list(client, &items, args, count);
}

int cmd_job_show(struct client *client, char **args, size_t count)
{
	(void)count;
	return items_show(client, "DescribeJobs", "Job", RPC_PARAMS({"JobId", args[0]}));
}

int cmd_job_cancel(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL;
	int r = call_api(client, "CancelJob", RPC_PARAMS({"JobId", args[0]}), RPC_ONCE, &answer);

	(void)count;
	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "Job %s is asked to stop: 'dbsnap job show %s' shows its end", args[0],
			 args[0]);
	return STATUS_DONE;
}
