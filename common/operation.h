/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of the API's operations: what requests call, what policies allow. The
 * numbers are bits of policies in memory and on their way to the front, never stored.
 */
#ifndef DBSNAP_OPERATION_H
#define DBSNAP_OPERATION_H

#include <stdbool.h>

enum operation {
	OPERATION_CREATE_BACKUP,
	OPERATION_DESCRIBE_BACKUPS,
	OPERATION_DESCRIBE_BACKUP_TASKS,
	OPERATION_DELETE_BACKUP,
	OPERATION_DESCRIBE_BACKUP_POLICY,
	OPERATION_MODIFY_BACKUP_POLICY,
	OPERATION_DESCRIBE_DB_CLUSTERS,
	OPERATION_CLONE_BACKUP,
	OPERATION_DESCRIBE_CLONES,
	OPERATION_DELETE_CLONE,
	OPERATION_VERIFY_BACKUP,
	OPERATION_RESTORE_BACKUP,
	OPERATION_HOLD_BACKUP,
	OPERATION_RELEASE_BACKUP,
	OPERATION_DESCRIBE_JOBS,
	OPERATION_CANCEL_JOB,
	OPERATION_CHECK_CLUSTER,
	OPERATION_DESCRIBE_QUARANTINE,
	OPERATION_ADOPT_BACKUP,
	OPERATION_DELETE_QUARANTINED,
	OPERATION_DESCRIBE_STATUS,
	OPERATIONS /* one past the last; no more than 64 */
};

/* Its name in requests ("CreateBackup"). Static. */
const char *operation_name(enum operation operation);
/* Its name in policies ("polardb:CreateBackup", "dbsnap:CloneBackup"). Static. */
const char *operation_action(enum operation operation);
/* While there is no policy file: may the members of the socket's group do it? */
bool operation_is_for_group(enum operation operation);
/* Lists a cluster's backups, or their jobs, of both modes: it is judged for each of them. */
bool operation_lists_backups(enum operation operation);
/* OPERATIONS: there is none of this name. Compares with case. */
enum operation operation_find(const char *name);

#endif
