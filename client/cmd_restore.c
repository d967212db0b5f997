/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap restore: the plan is shown, and asked about, before anything is begun. */
#include "client/call.h"
#include "client/client.h"
#include "client/field.h"
#include "client/text.h"
#include "client/wait.h"
#include "common/scope.h"

#include <unistd.h>

static void print_plan(const json_t *plan)
{
	json_t *step;
	size_t i;

	text_say(stdout, "To restore cluster %s from backup %s dbsnapd will", field_str(plan, "DBClusterId"),
		 field_str(plan, "BackupId"));
	json_array_foreach(json_object_get(plan, "Steps"), i, step)
		text_say(stdout, "  %zu. %s", i + 1, json_string_value(step) ? json_string_value(step) : "");
	fflush(stdout);
}

static int explain_refusal(const json_t *plan)
{
	text_complain("backup %s cannot be restored now: %s", field_str(plan, "BackupId"), field_str(plan, "Refusal"));
	if (field_str(plan, "Remedy")[0])
		text_advise("%s", field_str(plan, "Remedy"));
	return STATUS_REFUSED;
}

/* 0: go on; or a status. */
static int look_ahead(const struct client *client, const json_t *plan)
{
	const struct options *options = &client->options;

	if (options->json && options->dry_run)
		field_print_json(plan);
	else if (!options->json && json_array_size(json_object_get(plan, "Steps")) > 0)
		print_plan(plan);
	fflush(stdout);
	if (!field_bool(plan, "Ok"))
		return explain_refusal(plan);
	if (options->dry_run || options->yes)
		return STATUS_DONE;
	if (!isatty(STDIN_FILENO)) {
		text_complain("nothing is restored without --yes, since there is no terminal to ask on");
		return STATUS_REFUSED;
	}
	if (text_is_agreed("Restore?"))
		return STATUS_DONE;
	text_complain("nothing is restored");
	return STATUS_REFUSED;
}

static int finish(struct client *client, const char *job_id, const char *backup)
{
	scope_json json_t *job = NULL;
	scope_free char *what = text_format("the restore of backup %s", backup);
	int r = wait_job(client, &(struct wait_target){.job = job_id}, &job);

	if (client->options.json && job)
		field_print_json(job);
	if (r != 0)
		return r;
	if (!wait_job_succeeded(job))
		return wait_explain_failure(job, what);
	if (client->options.json)
		return STATUS_DONE;
	text_say(stdout, "The data directory of %s is backup %s now; the server can be started", field_str(job, "DBClusterId"), backup);
	if (field_str(job, "KeptPath")[0])
		text_say(stdout, "What was there before is %s", field_str(job, "KeptPath"));
	return STATUS_DONE;
}

static int begin(struct client *client, const char *backup)
{
	scope_json json_t *answer = NULL;
	/* Never by itself a second time: the first may be done, and would be undone by it. */
	int r = call_api(client, "RestoreBackup", RPC_PARAMS({"BackupId", backup}), RPC_ONCE, &answer);

	if (r != 0)
		return r;
	if (client->options.wait)
		return finish(client, field_str(answer, "JobId"), backup);
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "The restore of backup %s is accepted (job %s): keep the server stopped until 'dbsnap job show %s' says Done",
			 backup, field_str(answer, "JobId"), field_str(answer, "JobId"));
	return STATUS_DONE;
}

int cmd_restore(struct client *client, char **args, size_t count)
{
	scope_json json_t *plan = NULL;
	int r = call_api(client, "RestoreBackup", RPC_PARAMS({"BackupId", args[0]}, {"DryRun", "true"}), RPC_REPEATABLE, &plan);

	(void)count;
	if (r == 0)
		r = look_ahead(client, plan);
	return r != 0 || client->options.dry_run ? r : begin(client, args[0]);
}
