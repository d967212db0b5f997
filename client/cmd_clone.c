/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap clone create, list, delete. */
#include "client/call.h"
#include "client/client.h"
#include "client/field.h"
#include "client/items.h"
#include "client/table.h"
#include "client/text.h"
#include "client/token.h"
#include "client/wait.h"
#include "common/scope.h"

static void print_clone(const json_t *clone)
{
	const char *connect = field_str(clone, "Connect");

	text_say(stdout, "Clone %s of backup %s is ready: %s", field_str(clone, "CloneName"),
		 field_str(clone, "BackupId"), field_str(clone, "ClonePath"));
	if (connect[0])
		text_say(stdout, "Once its server is started, connect by: %s", connect);
}

static int finish_create(struct client *client, const char *job_id, const char *name)
{
	scope_json json_t *job = NULL, *answer = NULL;
	scope_free char *what = text_format("clone %s", name);
	int r = wait_job(client, &(struct wait_target){.job = job_id}, &job);

	if (r != 0 || !wait_job_succeeded(job)) {
		if (client->options.json && job)
			field_print_json(job);
		return r != 0 ? r : wait_explain_failure(job, what);
	}
	r = call_item(client, "DescribeClones", "Clone", RPC_PARAMS({"CloneName", name}), &answer);
	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(field_item(answer, "Clone"));
	else
		print_clone(field_item(answer, "Clone"));
	return STATUS_DONE;
}

int cmd_clone_create(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL;
	char made[TOKEN_MADE_SIZE];
	const char *token = token_choose(client->options.token, made);
	int r = call_api(client, "CloneBackup",
			 RPC_PARAMS({"BackupId", args[0]}, {"CloneName", args[1]}, {"ClientToken", token}),
			 RPC_REPEATABLE, &answer);

	(void)count;
	if (r != 0)
		return r;
	if (client->options.wait)
		return finish_create(client, field_str(answer, "JobId"), args[1]);
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "Clone %s of backup %s is accepted (job %s): it will be %s", args[1],
			 args[0], field_str(answer, "JobId"), field_str(answer, "ClonePath"));
	return STATUS_DONE;
}

static void add_row(struct table *table, const json_t *clone)
{
	table_add(table, field_str(clone, "CloneName"));
	table_add(table, field_str(clone, "DBClusterId"));
	table_add(table, field_str(clone, "BackupId"));
	table_add(table, field_str(clone, "State"));
	table_add(table, field_str(clone, "CreateTime"));
	table_take(table, text_age(field_str(clone, "CreateTime")));
	table_add(table, field_str(clone, "ClonePath"));
	table_add(table, field_str(clone, "Connect"));
	table_add(table, field_str(clone, "Cause"));
}

int cmd_clone_list(struct client *client, char **args, size_t count)
{
	static const struct column columns[] = {{"CLONE"},
						{"CLUSTER"},
						{"BACKUP", true},
						{"STATE"},
						{"CREATED (UTC)"},
						{"AGE", true},
						{"PATH"},
						{"CONNECT", .optional = true},
						{"CAUSE", .optional = true}};
	static const struct items items = {
		.action = "DescribeClones",
		.kind = "Clone",
		.none = "There are no clones",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
	};

	return items_list(client, &items, args, count);
}

static int finish_delete(struct client *client, const char *job_id, const char *cluster, const char *name)
{
	scope_json json_t *job = NULL;
	scope_free char *what = text_format("the deletion of clone %s", name);
	struct wait_target target = {
		.job = job_id[0] ? job_id : NULL, .kind = "DeleteClone", .cluster = cluster, .clone = name};
	int r = wait_job(client, &target, &job);

	if (client->options.json && job)
		field_print_json(job);
	if (r != 0)
		return r;
	if (!wait_job_succeeded(job))
		return wait_explain_failure(job, what);
	if (!client->options.json)
		text_say(stdout, "Clone %s is deleted.", name);
	return STATUS_DONE;
}

int cmd_clone_delete(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL, *before = NULL;
	int r = 0;

	(void)count;
	/* Afterwards nobody can ask whose it was. */
	if (client->options.wait)
		r = call_item(client, "DescribeClones", "Clone", RPC_PARAMS({"CloneName", args[0]}), &before);
	if (r == 0)
		r = call_api(client, "DeleteClone", RPC_PARAMS({"CloneName", args[0]}), RPC_ONCE, &answer);
	if (r != 0)
		return r;
	if (client->options.wait)
		return finish_delete(client, field_str(answer, "JobId"),
				     field_str(field_item(before, "Clone"), "DBClusterId"), args[0]);
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "Clone %s will be deleted.", args[0]);
	return STATUS_DONE;
}
