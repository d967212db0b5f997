/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap policy show, and a policy with its plan as text. */
#include "client/policy.h"

#include "client/call.h"
#include "client/field.h"
#include "client/table.h"
#include "client/text.h"
#include "common/scope.h"

#include <string.h>

struct line {
	const char *path;
	const char *label;
};

void policy_print_plan(const json_t *answer, bool sooner)
{
	static const struct column columns[] = {{"TIME (UTC)"}, {"ACTION"}, {"BACKUP", true, true}, {"WHY"}};
	scope_table struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *plan = field_at(answer, "Dbsnap.Plan"), *event;
	size_t i, shown = 0;

	json_array_foreach(plan, i, event) {
		if (sooner && !field_bool(event, "Sooner"))
			continue;
		table_add(table, field_str(event, "Time"));
		table_add(table, field_str(event, "Action"));
		table_add(table, field_str(event, "BackupId"));
		table_add(table, field_str(event, "Reason"));
		shown++;
	}
	if (shown > 0)
		table_print(table, stdout);
	else
		text_say(stdout, "Nothing is made or removed in the next seven days.");
	if (json_array_size(plan) < (size_t)field_int(answer, "Dbsnap.PlanTotal", 0))
		text_say(stdout, "and more: %s in all", field_str(answer, "Dbsnap.PlanTotal"));
}

void policy_print(const char *cluster, const json_t *answer)
{
	static const struct line lines[] = {
		{"Dbsnap.Enabled", "Enabled"},
		{"PreferredBackupPeriod", "Days"},
		{"PreferredBackupTime", "Hour (UTC)"},
		{"PreferredNextBackupTime", "Next (UTC)"},
		{"BackupFrequency", "Frequency"},
		{"BackupRetentionPeriod", "Kept (days)"},
		{"DataLevel1BackupRetentionPeriod", "Level 1 (days)"},
		{"DataLevel2BackupRetentionPeriod", "Level 2 (days)"},
		{"BackupRetentionPolicyOnClusterDeletion", "On cluster's end"},
		{"Dbsnap.LastBackup", "Last automated"},
		{"Dbsnap.LastResult", "Result"},
		{"Dbsnap.Cause", "Cause"},
		{"Dbsnap.Remedy", "Remedy"},
		{"Dbsnap.NextRetry", "Tried again"},
		{"Dbsnap.ExpiryPaused", "Removal paused"},
	};

	text_pair(stdout, "Cluster", cluster);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		scope_free char *text = field_text(answer, lines[i].path);

		text_pair(stdout, lines[i].label, text);
	}
	if (!field_bool(answer, "Dbsnap.Enabled"))
		return;
	text_say(stdout, "%s", "");
	policy_print_plan(answer, false);
}

int cmd_policy_show(struct client *client, char **args, size_t count)
{
	scope_json json_t *answer = NULL;
	int r = call_api(client, "DescribeBackupPolicy", RPC_PARAMS({"DBClusterId", args[0]}), RPC_REPEATABLE,
			 &answer);

	(void)count;
	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(answer);
	else
		policy_print(args[0], answer);
	return STATUS_DONE;
}
