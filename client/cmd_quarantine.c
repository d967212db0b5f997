/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap quarantine list, adopt, delete. */
#include "client/call.h"
#include "client/client.h"
#include "client/field.h"
#include "client/items.h"
#include "client/table.h"
#include "client/text.h"
#include "client/wait.h"
#include "common/scope.h"

#include <string.h>

/* "adopt, delete": what can be done with it. */
static const char *choices(const json_t *item)
{
	bool adopt = strcmp(field_str(item, "CanAdopt"), "true") == 0;
	bool delete = strcmp(field_str(item, "CanDelete"), "true") == 0;

	if (field_str(item, "JobId")[0])
		return "being removed";
	return adopt ? (delete ? "adopt, delete" : "adopt") : delete ? "delete" : "by hand";
}

static void add_row(struct table *table, const json_t *item)
{
	table_add(table, field_str(item, "Name"));
	table_add(table, field_str(item, "DBClusterId"));
	table_add(table, field_str(item, "Kind"));
	table_add(table, field_str(item, "BackupStartTime"));
	table_take(table, text_size(field_int(item, "BackupSetSize", -1)));
	table_add(table, choices(item));
	table_add(table, field_str(item, "Why"));
}

int cmd_quarantine_list(struct client *client, char **args, size_t count)
{
	static const struct column columns[] = {{"NAME"},
						{"CLUSTER"},
						{"KIND"},
						{"STARTED (UTC)", .optional = true},
						{"SIZE", true, true},
						{"CAN BE DONE"},
						{"WHY"}};
	static const struct items items = {
		.action = "DescribeQuarantine",
		.kind = "Quarantined",
		.none = "There is nothing in the quarantine",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
	};

	return items_list(client, &items, args, count);
}

int cmd_quarantine_adopt(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL;
	int r = call_api(client, "AdoptBackup", RPC_PARAMS({"DBClusterId", args[0]}, {"Name", args[1]}), RPC_ONCE, &answer);

	(void)count;
	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "Backup %s of %s is adopted: 'dbsnap backup show %s' shows it", args[1], args[0], args[1]);
	return STATUS_DONE;
}

static int finish_delete(struct client *client, const char *job_id, const char *name)
{
	scope_json json_t *job = NULL;
	scope_free char *what = text_format("the removal of %s", name);
	int r = wait_job(client, &(struct wait_target){.job = job_id}, &job);

	if (client->options.json && job)
		field_print_json(job);
	if (r != 0)
		return r;
	if (!wait_job_succeeded(job))
		return wait_explain_failure(job, what);
	if (!client->options.json)
		text_say(stdout, "%s is removed.", name);
	return STATUS_DONE;
}

int cmd_quarantine_delete(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL;
	int r = call_api(client, "DeleteQuarantined", RPC_PARAMS({"DBClusterId", args[0]}, {"Name", args[1]}), RPC_ONCE,
			 &answer);

	(void)count;
	if (r != 0)
		return r;
	if (client->options.wait)
		return finish_delete(client, field_str(answer, "JobId"), args[1]);
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "%s will be removed (job %s).", args[1], field_str(answer, "JobId"));
	return STATUS_DONE;
}
