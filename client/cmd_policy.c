/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap policy show. */
#include "client/call.h"
#include "client/client.h"
#include "client/field.h"
#include "client/text.h"
#include "common/scope.h"

struct line {
	const char *path;
	const char *label;
};

int cmd_policy_show(struct client *client, char **args, size_t count)
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
	};
	scope_json json_t *answer = NULL;
	int r = call_api(client, "DescribeBackupPolicy", RPC_PARAMS({"DBClusterId", args[0]}), RPC_REPEATABLE,
			 &answer);

	(void)count;
	if (r != 0)
		return r;
	if (client->options.json) {
		field_print_json(answer);
		return STATUS_DONE;
	}
	text_pair(stdout, "Cluster", args[0]);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		scope_free char *text = field_text(answer, lines[i].path);

		text_pair(stdout, lines[i].label, text);
	}
	return STATUS_DONE;
}
