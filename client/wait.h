/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Follows a job to its end, across restarts of the daemon. */
#ifndef DBSNAP_CLIENT_WAIT_H
#define DBSNAP_CLIENT_WAIT_H

#include "client/client.h"

#include <jansson.h>
#include <stdbool.h>

struct wait_target {
	const char *job;  /* its id; or NULL, then the newest job of this kind about: */
	const char *kind; /* "DeleteBackup" */
	const char *cluster;
	const char *backup; /* or NULL */
	const char *clone;  /* or NULL */
};

/*
 * Waits until the job has ended, in whatever way (wait_job_succeeded), within
 * --timeout. 0, or a status to exit with, everything told. The item of
 * DescribeJobs as last seen is the caller's; it may be NULL with a status.
 */
int wait_job(struct client *client, const struct wait_target *target, json_t **ret_job);
bool wait_job_succeeded(const json_t *job);
/* Tells cause and remedy of a job that did not succeed. what: "backup 12 of pc-orders". STATUS_REFUSED. */
int wait_explain_failure(const json_t *job, const char *what);

#endif
