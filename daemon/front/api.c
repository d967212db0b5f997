/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From parameters to an operation: the order of the checks is the promise here. */
#include "daemon/front/api.h"

#include "daemon/front/audit.h"
#include "daemon/front/caller.h"
#include "daemon/front/front.h"
#include "daemon/front/op.h"
#include "daemon/front/reply.h"
#include "daemon/front/right.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define API_VERSION "2017-08-01"

static const struct api_row rows[] = {
	{OPERATION_CREATE_BACKUP, API_LEVEL_CREATE, API_CLUSTER | API_MALFORMED_404 | API_TOKEN, API_ABOUT_CLUSTER, {NULL}, op_create_backup},
	{OPERATION_DESCRIBE_BACKUPS, API_LEVEL_GET, API_CLUSTER, API_ABOUT_BACKUP, {NULL}, op_describe_backups},
	{OPERATION_DESCRIBE_BACKUP_TASKS, API_LEVEL_GET, API_CLUSTER, API_ABOUT_CLUSTER, {NULL}, op_describe_backup_tasks},
	{OPERATION_DELETE_BACKUP, API_LEVEL_DELETE, API_CLUSTER, API_ABOUT_BACKUPS, {"BackupId"}, op_delete_backup},
	{OPERATION_DESCRIBE_BACKUP_POLICY, API_LEVEL_GET, API_CLUSTER, API_ABOUT_CLUSTER, {NULL}, op_describe_backup_policy},
	{OPERATION_MODIFY_BACKUP_POLICY, API_LEVEL_UPDATE, API_CLUSTER, API_ABOUT_CLUSTER, {NULL}, op_modify_backup_policy},
	{OPERATION_DESCRIBE_DB_CLUSTERS, API_LEVEL_GET, 0, API_ABOUT_CLUSTER, {NULL}, op_describe_db_clusters},
	{OPERATION_CLONE_BACKUP, API_LEVEL_CREATE, API_TOKEN, API_ABOUT_BACKUP, {"BackupId", "CloneName"}, op_clone_backup},
	{OPERATION_DESCRIBE_CLONES, API_LEVEL_GET, 0, API_ABOUT_CLONE, {NULL}, op_describe_clones},
	{OPERATION_DELETE_CLONE, API_LEVEL_DELETE, 0, API_ABOUT_CLONE, {"CloneName"}, op_delete_clone},
	{OPERATION_VERIFY_BACKUP, API_LEVEL_CREATE, 0, API_ABOUT_BACKUP, {"BackupId"}, op_verify_backup},
	{OPERATION_RESTORE_BACKUP, API_LEVEL_UPDATE, 0, API_ABOUT_BACKUP, {"BackupId"}, op_restore_backup},
	{OPERATION_HOLD_BACKUP, API_LEVEL_UPDATE, 0, API_ABOUT_BACKUP, {"BackupId"}, op_hold_backup},
	{OPERATION_RELEASE_BACKUP, API_LEVEL_UPDATE, 0, API_ABOUT_BACKUP, {"BackupId"}, op_release_backup},
	{OPERATION_DESCRIBE_JOBS, API_LEVEL_GET, 0, API_ABOUT_JOB, {NULL}, op_describe_jobs},
	{OPERATION_CANCEL_JOB, API_LEVEL_UPDATE, 0, API_ABOUT_JOB, {"JobId"}, op_cancel_job},
	{OPERATION_CHECK_CLUSTER, API_LEVEL_GET, API_CLUSTER, API_ABOUT_CLUSTER, {NULL}, op_check_cluster},
	{OPERATION_DESCRIBE_QUARANTINE, API_LEVEL_GET, 0, API_ABOUT_CLUSTER, {NULL}, op_describe_quarantine},
	{OPERATION_ADOPT_BACKUP, API_LEVEL_CREATE, API_CLUSTER, API_ABOUT_CLUSTER, {"Name"}, op_adopt_backup},
	{OPERATION_DELETE_QUARANTINED, API_LEVEL_DELETE, API_CLUSTER, API_ABOUT_CLUSTER, {"Name"}, op_delete_quarantined},
	{OPERATION_DESCRIBE_STATUS, API_LEVEL_GET, 0, API_ABOUT_CLUSTER, {NULL}, op_describe_status},
};

struct api *api_new(void)
{
	struct api *api = calloc(1, sizeof(*api));

	if (!api)
		return NULL;
	/* Later the sandbox would keep it from chance, and a hash that can be guessed lets one body cost seconds. */
	json_object_seed(0);
	api->creates = op_create_queues_new();
	if (!api->creates)
		return api_free(api);
	return api;
}

struct api *api_free(struct api *api)
{
	if (api)
		op_create_queues_free(api->creates);
	free(api);
	return NULL;
}

/* Each of these says whether the call goes on; if not, it is answered. */

static bool check_action(struct call *call)
{
	const char *action = request_get(&call->request, "Action"), *header = call->header_action;
	enum operation operation;

	if (action && header && strcmp(action, header) != 0) {
		reply_error(call, REPLY_INVALID_PARAMETER, "Parameter Action and header x-acs-action do not agree.");
		return false;
	}
	action = action ? action : header;
	if (!action) {
		reply_missing(call, "Action");
		return false;
	}
	operation = operation_find(action);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].operation == operation) {
			call->row = &rows[i];
			return true;
		}
	}
	reply_error(call, REPLY_INVALID_ACTION, NULL);
	return false;
}

static bool check_version(struct call *call)
{
	const char *version = request_get(&call->request, "Version"), *format = request_get(&call->request, "Format");

	if ((version && strcmp(version, API_VERSION) != 0) ||
	    (call->header_version && strcmp(call->header_version, API_VERSION) != 0)) {
		reply_error(call, REPLY_INVALID_PARAMETER, "The specified parameter Version is not valid: it is " API_VERSION ".");
		return false;
	}
	if (format && strcasecmp(format, "JSON") != 0) {
		reply_error(call, REPLY_INVALID_PARAMETER, "The specified parameter Format is not valid: it is JSON.");
		return false;
	}
	return true;
}

const char *api_name(const struct call *call)
{
	static const char *const names[] = {[API_ABOUT_BACKUP] = "BackupId",
					    [API_ABOUT_BACKUPS] = "BackupId",
					    [API_ABOUT_JOB] = "JobId",
					    [API_ABOUT_CLONE] = "CloneName"};
	const char *name = names[call->row->about];

	return name ? request_get(&call->request, name) : NULL;
}

static bool check_required(struct call *call)
{
	const struct api_row *row = call->row;

	if ((row->flags & API_CLUSTER) && !api_name(call) && !request_get(&call->request, "DBClusterId")) {
		reply_missing(call, "DBClusterId");
		return false;
	}
	for (size_t i = 0; i < 2 && row->required[i]; i++) {
		if (!request_get(&call->request, row->required[i])) {
			reply_missing(call, row->required[i]);
			return false;
		}
	}
	return true;
}

static bool check_form(struct call *call)
{
	const char *cluster = request_get(&call->request, "DBClusterId");
	const char *token = call->row->flags & API_TOKEN ? request_get(&call->request, "ClientToken") : NULL;

	if (cluster && !ident_is_cluster(cluster)) {
		reply_error(call, call->row->flags & API_MALFORMED_404 ? REPLY_CLUSTER_MALFORMED_404 : REPLY_CLUSTER_MALFORMED,
			    NULL);
		return false;
	}
	if (cluster)
		memcpy(call->cluster, cluster, strlen(cluster) + 1); /* its form bounds it */
	if (token && !ident_is_token(token)) {
		reply_malformed(call, "ClientToken");
		return false;
	}
	if (token)
		audit_note_token(call, token);
	return true;
}

/* The one that was named: what is there has a cluster, be it forgotten but for its history. */
static bool check_cluster(struct call *call)
{
	const char *cluster = request_get(&call->request, "DBClusterId");

	if (!cluster || cluster_find(call->front->clusters, cluster))
		return true;
	reply_error(call, REPLY_CLUSTER_NOT_FOUND, NULL);
	return false;
}

void api_handle(struct call *call)
{
	if (caller_identify(call) && check_action(call) && check_version(call) && check_required(call) &&
	    check_form(call) && right_check(call) && check_cluster(call))
		call->row->run(call);
}
