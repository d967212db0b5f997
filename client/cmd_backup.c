/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap backup create, list, show, delete, verify, hold, unhold. */
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

/* "1.2 GiB, cut in 3.1 ms, writers held 0 ms". */
static char *describe_backup(const json_t *backup)
{
	scope_free char *size = text_size(field_int(backup, "BackupSetSize", -1));
	scope_free char *raw_cut = field_text(backup, "Dbsnap.CutMs");
	scope_free char *raw_freeze = field_text(backup, "Dbsnap.FreezeMs");
	scope_free char *cut = text_milliseconds(raw_cut);
	scope_free char *freeze = text_milliseconds(raw_freeze);

	return text_format("%s%s%s%s%s", size, cut[0] ? ", cut in " : "", cut, freeze[0] ? ", writers held " : "",
			   freeze);
}

static void print_result(const json_t *backup, const json_t *job, int64_t took_ms)
{
	scope_free char *words = describe_backup(backup);

	text_say(stdout, "Backup %s of %s is complete: %s (%lld.%03lld s)", field_str(backup, "BackupId"),
		 field_str(job, "DBClusterId"), words, (long long)(took_ms / 1000),
		 (long long)(took_ms % 1000));
}

static int finish_create(struct client *client, const char *job_id, int64_t began_ms)
{
	scope_json json_t *job = NULL, *answer = NULL;
	scope_free char *what = NULL;
	int64_t took_ms;
	int r = wait_job(client, &(struct wait_target){.job = job_id}, &job);
	const char *backup_id = field_str(job, "BackupId");

	if (r != 0) {
		if (client->options.json && job)
			field_print_json(job);
		return r;
	}
	took_ms = clock_running_ms() - began_ms;
	/* A create's job and its backup share their number. */
	r = call_item(client, "DescribeBackups", "Backup",
		      RPC_PARAMS({"BackupId", backup_id[0] ? backup_id : job_id}), &answer);
	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(field_item(answer, "Backup"));
	what = text_format("backup %s of %s", job_id, field_str(job, "DBClusterId"));
	if (!wait_job_succeeded(job))
		return wait_explain_failure(job, what);
	if (!client->options.json)
		print_result(field_item(answer, "Backup"), job, took_ms);
	return STATUS_DONE;
}

int cmd_backup_create(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL;
	char made[TOKEN_MADE_SIZE];
	const char *token = token_choose(client->options.token, made), *job_id;
	int64_t began_ms = clock_running_ms();
	int r = call_api(client, "CreateBackup", RPC_PARAMS({"DBClusterId", args[0]}, {"ClientToken", token}),
			 RPC_REPEATABLE, &answer);

	(void)count;
	if (r != 0)
		return r;
	job_id = field_str(answer, "BackupJobId");
	if (client->options.wait)
		return finish_create(client, job_id, began_ms);
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "Backup %s of %s is accepted: 'dbsnap backup show %s' shows it", job_id,
			 args[0], job_id);
	return STATUS_DONE;
}

static const char *backup_state(const json_t *backup)
{
	const char *state = field_str(backup, "Dbsnap.State");

	return state[0] ? state : field_str(backup, "BackupStatus");
}

static void add_row(struct table *table, const json_t *backup)
{
	table_add(table, field_str(backup, "BackupId"));
	table_add(table, field_str(backup, "DBClusterId"));
	table_add(table, backup_state(backup));
	table_add(table, field_str(backup, "BackupMode"));
	table_add(table, field_str(backup, "BackupStartTime"));
	table_take(table, text_age(field_str(backup, "BackupStartTime")));
	table_take(table, text_size(field_int(backup, "BackupSetSize", -1)));
	table_add(table, strcmp(field_str(backup, "Dbsnap.Held"), "true") == 0 ? "held" : "");
	table_add(table, field_str(backup, "Dbsnap.Verified.Result"));
	table_add(table, field_str(backup, "Dbsnap.Promise"));
	table_add(table, field_str(backup, "Dbsnap.Cause"));
}

int cmd_backup_list(struct client *client, char **args, size_t count)
{
	static const struct column columns[] = {{"BACKUP", true},
						{"CLUSTER"},
						{"STATE"},
						{"MODE"},
						{"STARTED (UTC)"},
						{"AGE", true},
						{"SIZE", true},
						{"HELD", .optional = true},
						{"VERIFIED", .optional = true},
						{"PROMISE", .optional = true},
						{"CAUSE", .optional = true}};
	static const struct items items = {
		.action = "DescribeBackups",
		.kind = "Backup",
		.none = "There are no backups",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
	};

	return items_list(client, &items, args, count);
}

int cmd_backup_show(struct client *client, char **args, size_t count)
{
	(void)count;
	return items_show(client, "DescribeBackups", "Backup", RPC_PARAMS({"BackupId", args[0]}));
}

static char *join_ids(char **args, size_t count)
{
	char *joined = text_format("%s", args[0]);

	for (size_t i = 1; i < count; i++) {
		scope_free char *before = joined;

		joined = text_format("%s,%s", before, args[i]);
	}
	return joined;
}

/* Before the delete, because afterwards nobody can ask whose they were. */
static int find_clusters(struct client *client, char **args, size_t count, json_t *ret_clusters)
{
	for (size_t i = 0; i < count; i++) {
		scope_json json_t *answer = NULL;
		int r = call_item(client, "DescribeBackups", "Backup", RPC_PARAMS({"BackupId", args[i]}),
				  &answer);

		if (r != 0)
			return r;
		json_array_append_new(ret_clusters,
				      json_string(field_str(field_item(answer, "Backup"), "DBClusterId")));
	}
	return 0;
}

static int wait_for_delete(struct client *client, const char *id, const char *cluster)
{
	scope_json json_t *job = NULL;
	scope_free char *what = text_format("the deletion of backup %s", id);
	int r = wait_job(client,
			 &(struct wait_target){.kind = "DeleteBackup", .cluster = cluster, .backup = id},
			 &job);

	if (client->options.json && job)
		field_print_json(job);
	if (r != 0)
		return r;
	if (!wait_job_succeeded(job))
		return wait_explain_failure(job, what);
	if (!client->options.json)
		text_say(stdout, "Backup %s of %s is deleted.", id, cluster);
	return STATUS_DONE;
}

static int wait_for_deletes(struct client *client, char **args, size_t count, const json_t *clusters)
{
	int worst = STATUS_DONE;

	for (size_t i = 0; i < count; i++) {
		int r = wait_for_delete(client, args[i], json_string_value(json_array_get(clusters, i)));

		worst = worst == STATUS_DONE ? r : worst;
	}
	return worst;
}

int cmd_backup_delete(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL, *clusters = json_array();
	scope_free char *ids = join_ids(args, count);
	int r = client->options.wait ? find_clusters(client, args, count, clusters) : 0;

	if (r == 0)
		r = call_api(client, "DeleteBackup", RPC_PARAMS({"BackupId", ids}), RPC_ONCE, &answer);
	if (r != 0)
		return r;
	if (client->options.wait)
		return wait_for_deletes(client, args, count, clusters);
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "Backup%s %s will be deleted.", count > 1 ? "s" : "", ids);
	return STATUS_DONE;
}

/* Doing it twice equals doing it once. */
static int set_hold(struct client *client, const char *action, const char *id, const char *done)
{
	scope_json json_t *answer = NULL;
	int r = call_api(client, action, RPC_PARAMS({"BackupId", id}), RPC_REPEATABLE, &answer);

	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "Backup %s %s", id, done);
	return STATUS_DONE;
}

int cmd_backup_hold(struct client *client, char **args, size_t count)
{
	(void)count;
	return set_hold(client, "HoldBackup", args[0], "is held: nobody can delete it before 'dbsnap backup unhold'.");
}

int cmd_backup_unhold(struct client *client, char **args, size_t count)
{
	(void)count;
	return set_hold(client, "ReleaseBackup", args[0], "is not held any more: it can be deleted.");
}

/* What was found, a line each, on standard error; a bad backup is a failure of the command. */
static int print_verdict(const struct client *client, const json_t *backup, const json_t *job)
{
	const json_t *found = json_object_get(json_object_get(json_object_get(backup, "Dbsnap"), "Verified"), "Found");
	const char *id = field_str(backup, "BackupId"), *cluster = field_str(job, "DBClusterId");
	bool good = strcmp(field_str(backup, "Dbsnap.Verified.Result"), "Good") == 0;

	if (good && !client->options.json)
		text_say(stdout, "Backup %s of %s is good: %s", id, cluster, field_str(backup, "Dbsnap.Verified.Checked"));
	if (good)
		return STATUS_DONE;
	text_say(stderr, "Backup %s of %s is damaged; do not rely on it:", id, cluster);
	for (size_t i = 0; i < json_array_size(found); i++)
		text_say(stderr, "  %s", json_string_value(json_array_get(found, i)));
	return STATUS_REFUSED;
}

static int finish_verify(struct client *client, const char *job_id, const char *backup_id)
{
	scope_json json_t *job = NULL, *answer = NULL;
	scope_free char *what = text_format("the verification of backup %s", backup_id);
	int r = wait_job(client, &(struct wait_target){.job = job_id}, &job);

	if (r != 0 || !wait_job_succeeded(job)) {
		if (client->options.json && job)
			field_print_json(job);
		return r != 0 ? r : wait_explain_failure(job, what);
	}
	r = call_item(client, "DescribeBackups", "Backup", RPC_PARAMS({"BackupId", backup_id}), &answer);
	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(field_item(answer, "Backup"));
	return print_verdict(client, field_item(answer, "Backup"), job);
}

int cmd_backup_verify(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL;
	int r = call_api(client, "VerifyBackup", RPC_PARAMS({"BackupId", args[0]}), RPC_REPEATABLE, &answer);
	const char *job_id = field_str(answer, "JobId");

	(void)count;
	if (r != 0)
		return r;
	if (client->options.wait)
		return finish_verify(client, job_id, args[0]);
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "Backup %s will be verified (job %s): 'dbsnap backup show %s' shows the result", args[0], job_id, args[0]);
	return STATUS_DONE;
}
