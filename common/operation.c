/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one list of names. */
#include "common/operation.h"

#include <stdint.h>
#include <string.h>

/* The cloud's own operations and ours differ in the prefix alone. */
#define CLOUD(name) "polardb:" name
#define OURS(name) "dbsnap:" name

#define BIT(operation) (UINT64_C(1) << OPERATION_##operation)

static const char *const actions[OPERATIONS] = {
	[OPERATION_CREATE_BACKUP] = CLOUD("CreateBackup"),
	[OPERATION_DESCRIBE_BACKUPS] = CLOUD("DescribeBackups"),
	[OPERATION_DESCRIBE_BACKUP_TASKS] = CLOUD("DescribeBackupTasks"),
	[OPERATION_DELETE_BACKUP] = CLOUD("DeleteBackup"),
	[OPERATION_DESCRIBE_BACKUP_POLICY] = CLOUD("DescribeBackupPolicy"),
	[OPERATION_MODIFY_BACKUP_POLICY] = CLOUD("ModifyBackupPolicy"),
	[OPERATION_DESCRIBE_DB_CLUSTERS] = CLOUD("DescribeDBClusters"),
	[OPERATION_CLONE_BACKUP] = OURS("CloneBackup"),
	[OPERATION_DESCRIBE_CLONES] = OURS("DescribeClones"),
	[OPERATION_DELETE_CLONE] = OURS("DeleteClone"),
	[OPERATION_VERIFY_BACKUP] = OURS("VerifyBackup"),
	[OPERATION_RESTORE_BACKUP] = OURS("RestoreBackup"),
	[OPERATION_HOLD_BACKUP] = OURS("HoldBackup"),
	[OPERATION_RELEASE_BACKUP] = OURS("ReleaseBackup"),
	[OPERATION_DESCRIBE_JOBS] = OURS("DescribeJobs"),
	[OPERATION_CANCEL_JOB] = OURS("CancelJob"),
	[OPERATION_CHECK_CLUSTER] = OURS("CheckCluster"),
	[OPERATION_DESCRIBE_QUARANTINE] = OURS("DescribeQuarantine"),
	[OPERATION_ADOPT_BACKUP] = OURS("AdoptBackup"),
	[OPERATION_DELETE_QUARANTINED] = OURS("DeleteQuarantined"),
	[OPERATION_DESCRIBE_STATUS] = OURS("DescribeStatus"),
};

const char *operation_action(enum operation operation)
{
	return actions[operation];
}

const char *operation_name(enum operation operation)
{
	return strchr(actions[operation], ':') + 1;
}

enum operation operation_find(const char *name)
{
	enum operation operation = 0;

	while (operation < OPERATIONS && strcmp(operation_name(operation), name) != 0)
		operation++;
	return operation;
}

bool operation_is_for_group(enum operation operation)
{
	static const uint64_t operations = BIT(CREATE_BACKUP) | BIT(DESCRIBE_BACKUPS) | BIT(DESCRIBE_BACKUP_TASKS) |
					   BIT(DESCRIBE_BACKUP_POLICY) | BIT(DESCRIBE_DB_CLUSTERS) |
					   BIT(DESCRIBE_CLONES) | BIT(DESCRIBE_JOBS) | BIT(DESCRIBE_QUARANTINE) |
					   BIT(DESCRIBE_STATUS);

	return operations >> operation & 1;
}

bool operation_lists_backups(enum operation operation)
{
	return operation == OPERATION_DESCRIBE_BACKUPS || operation == OPERATION_DESCRIBE_BACKUP_TASKS;
}
