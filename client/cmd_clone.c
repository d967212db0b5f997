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
#include "common/clock.h"
#include "common/scope.h"

#include <string.h>
#include <time.h>

enum { LOOK_PAUSE_MS = 20 };

static void print_clone(const json_t *clone)
{
	const char *connect = field_str(clone, "Connect");
	bool running = strcmp(field_str(clone, "Running"), "true") == 0;

	text_say(stdout, "Clone %s of backup %s is ready: %s", field_str(clone, "CloneName"),
		 field_str(clone, "BackupId"), field_str(clone, "ClonePath"));
	if (connect[0])
		text_say(stdout, running ? "Connect by: %s" : "Once its server is started, connect by: %s", connect);
	if (field_str(clone, "ExpireTime")[0])
		text_say(stdout, "It is deleted at %s.", field_str(clone, "ExpireTime"));
}

/* Its server answers, or does not run: of the one or the other the clone tells. */
static bool is_settled(const json_t *clone)
{
	return strcmp(field_str(clone, "Running"), "true") == 0 || field_str(clone, "Cause")[0] ||
	       strcmp(field_str(clone, "State"), "Available") != 0;
}

/* *ret_answer also when it does not run. */
static int wait_clone(struct client *client, const char *name, json_t **ret_answer)
{
	int64_t until_ms = client->options.timeout_ms < 0 ? INT64_MAX : clock_running_ms() + client->options.timeout_ms;
	int r;

	while ((r = call_item(client, "DescribeClones", "Clone", RPC_PARAMS({"CloneName", name}), ret_answer)) == 0 &&
	       !is_settled(field_item(*ret_answer, "Clone"))) {
		if (clock_running_ms() >= until_ms) {
			text_complain("clone %s is made, and its server does not answer yet", name);
			text_advise("'dbsnap clone list' shows when it does");
			return STATUS_GAVE_UP;
		}
		json_decref(*ret_answer);
		*ret_answer = NULL;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_PAUSE_MS * 1000000L}, NULL);
	}
	if (r != 0 || strcmp(field_str(field_item(*ret_answer, "Clone"), "Running"), "true") == 0)
		return r;
	text_complain("clone %s is made, and its server does not run: %s", name, field_str(field_item(*ret_answer, "Clone"), "Cause"));
	return STATUS_REFUSED;
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
	if (client->options.start)
		r = wait_clone(client, name, &answer);
	else
		r = call_item(client, "DescribeClones", "Clone", RPC_PARAMS({"CloneName", name}), &answer);
	if (answer && client->options.json)
		field_print_json(field_item(answer, "Clone"));
	if (r == 0 && !client->options.json)
		print_clone(field_item(answer, "Clone"));
	return r;
}

int cmd_clone_create(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL;
	char made[TOKEN_MADE_SIZE];
	const char *token = token_choose(client->options.token, made);
	int r = call_api(client, "CloneBackup",
			 RPC_PARAMS({"BackupId", args[0]}, {"CloneName", args[1]}, {"ClientToken", token},
				    {"Start", client->options.start ? "true" : NULL}, {"TTL", client->options.ttl}),
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
	table_add(table, strcmp(field_str(clone, "Running"), "true") == 0 ? "yes" : "");
	table_add(table, field_str(clone, "CreateTime"));
	table_take(table, text_age(field_str(clone, "CreateTime")));
	table_add(table, field_str(clone, "ExpireTime"));
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
						{"RUNS", .optional = true},
						{"CREATED (UTC)"},
						{"AGE", true},
						{"DELETED AT (UTC)", .optional = true},
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
