/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every command of dbsnap(1) gets: the options as given and the line to
 * the daemon. A command returns one of enum status, the program's exit status.
 */
#ifndef DBSNAP_CLIENT_CLIENT_H
#define DBSNAP_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rpc;

enum status {
	STATUS_DONE = 0,
	STATUS_REFUSED = 1,	/* refused by the daemon, or the job failed */
	STATUS_USAGE = 2,	/* not a command of ours */
	STATUS_UNREACHABLE = 3, /* no daemon answers */
	STATUS_GAVE_UP = 4	/* --wait ended before the job did */
};

/* Strings are the command line's or the environment's. */
struct options {
	const char *socket;
	bool json;
	bool wait;
	bool yes;
	int64_t timeout_ms; /* of --wait; negative: none */
	const char *token;
	const char *data_dir;
	const char *id;
	const char *clusters_dir;
	const char *config;
	const char *mode;
	const char *time;
	const char *days;
	const char *hour;
	const char *keep;
	const char *keep_longer;
	const char *every;
	const char *on_removal;
	bool on;
	bool off;
	bool dry_run;
	bool start;
	const char *ttl; /* seconds, as the API takes them; NULL: none */
};

struct client {
	struct options options;
	struct rpc *rpc;
};

/* args: what follows the command's words; their number was checked against the command table. */
typedef int command_fn(struct client *client, char **args, size_t count);

command_fn cmd_backup_create, cmd_backup_list, cmd_backup_show, cmd_backup_delete;
command_fn cmd_backup_hold, cmd_backup_unhold, cmd_backup_verify;
command_fn cmd_clone_create, cmd_clone_list, cmd_clone_delete;
command_fn cmd_cluster_list, cmd_cluster_check, cmd_cluster_add;
command_fn cmd_job_list, cmd_job_show, cmd_job_cancel;
command_fn cmd_restore;
command_fn cmd_policy_show, cmd_policy_set, cmd_policy_test, cmd_status;
command_fn cmd_quarantine_list, cmd_quarantine_adopt, cmd_quarantine_delete;

#endif
