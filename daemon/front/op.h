/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The operations. Each is called with an authorized caller and answers the call, at once or later. call->cluster is a
 * cluster that exists, or that of what the request names by id. It is "" if that is of several clusters, if
 * call->hidden (then it is answered as not found), and in lists without either, which show a view.
 */
#ifndef DBSNAP_FRONT_OP_H
#define DBSNAP_FRONT_OP_H

#include "daemon/front/api.h"

api_fn op_create_backup;
api_fn op_describe_backups;
api_fn op_describe_backup_tasks;
api_fn op_delete_backup;
api_fn op_describe_db_clusters;
api_fn op_describe_backup_policy;
api_fn op_modify_backup_policy;
api_fn op_hold_backup;
api_fn op_release_backup;
api_fn op_clone_backup;
api_fn op_describe_clones;
api_fn op_delete_clone;
api_fn op_verify_backup;
api_fn op_restore_backup;
api_fn op_describe_jobs;
api_fn op_cancel_job;
api_fn op_check_cluster;
api_fn op_describe_quarantine;
api_fn op_adopt_backup;
api_fn op_delete_quarantined;
api_fn op_describe_status;

/* The queues of creates that wait until their cluster's space is known. NULL: out of memory. */
struct create_queues *op_create_queues_new(void);
struct create_queues *op_create_queues_free(struct create_queues *queues);

#endif
