/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DescribeBackupPolicy: nobody can set a policy yet, so every cluster has the default. */
#include "daemon/front/op.h"
#include "daemon/front/reply.h"

#define TIME "02:00Z-03:00Z"
#define DAYS "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday"
#define FREQUENCY "Normal"

enum { RETENTION_DAYS = 7 };

void op_describe_backup_policy(struct call *call)
{
	json_t *answer = reply_begin(call), *extra = json_object();

	reply_put(answer, "PreferredBackupTime", TIME);
	reply_put(answer, "PreferredBackupPeriod", DAYS);
	reply_put_new(answer, "BackupRetentionPeriod", json_integer(RETENTION_DAYS));
	reply_put_number(answer, "DataLevel1BackupRetentionPeriod", RETENTION_DAYS);
	reply_put(answer, "DataLevel2BackupRetentionPeriod", "0");
	reply_put(answer, "BackupFrequency", FREQUENCY);
	reply_put(answer, "BackupRetentionPolicyOnClusterDeletion", "NONE");
	reply_put(answer, "DataLevel1BackupTime", TIME);
	reply_put(answer, "DataLevel1BackupPeriod", DAYS);
	reply_put(answer, "DataLevel1BackupFrequency", FREQUENCY);
	reply_put(answer, "BackupPolicyLevel", "Normal");
	reply_put(answer, "AdvancedPolicyOption", "notSupport");
	reply_put_bool(extra, "Enabled", false);
	reply_put_new(answer, "Dbsnap", extra);
	reply_send(call, answer);
}
