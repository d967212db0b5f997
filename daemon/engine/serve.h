/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A clone's server from its start to its end, in the worker whose child it is: what ends the worker ends the server. */
#ifndef DBSNAP_ENGINE_SERVE_H
#define DBSNAP_ENGINE_SERVE_H

#include "daemon/engine/db.h"
#include "daemon/engine/job.h"

struct serve {
	struct worker_job *job; /* identity is whose the clone is */
	const struct db_ops *db;
	struct db_clone clone;
	struct db_server server;
	int root_fd;    /* the clone */
	int lock_fd;    /* its lock, which its server inherits */
	int64_t ttl_ms; /* running time; 0: no end */
};

/* Called once, when the server answers. */
typedef void serve_ready_fn(struct worker_job *job);

/*
 * Runs the server until it ends. 0: it was told to end (a cancel of the job, or its time was over); a code with why: it
 * could not be started, or ended by itself, with the last lines that it said.
 */
int serve_run(const struct serve *serve, serve_ready_fn *ready, struct reason *why);

#endif
