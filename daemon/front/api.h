/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of operations, and the checks that come before each: signature,
 * action and version, required parameters and their form, authorization, cluster.
 */
#ifndef DBSNAP_FRONT_API_H
#define DBSNAP_FRONT_API_H

#include "common/operation.h"
#include "daemon/front/call.h"

#include <stdbool.h>

enum api_level { API_LEVEL_GET, API_LEVEL_CREATE, API_LEVEL_UPDATE, API_LEVEL_DELETE };

enum api_flag {
	API_CLUSTER = 1,       /* DBClusterId is required, unless what the operation is about is named */
	API_MALFORMED_404 = 2, /* a malformed DBClusterId is answered 404 */
	API_TOKEN = 4          /* takes a ClientToken */
};

/* By which parameter, beside DBClusterId, a request names what it is about: it may stand for its cluster. */
enum api_about {
	API_ABOUT_CLUSTER, /* none */
	API_ABOUT_BACKUP,  /* BackupId */
	API_ABOUT_BACKUPS, /* BackupId, a comma list */
	API_ABOUT_JOB,     /* JobId */
	API_ABOUT_CLONE    /* CloneName */
};

typedef void api_fn(struct call *call);

struct api_row {
	enum operation operation;
	enum api_level level;
	unsigned flags;
	enum api_about about;
	const char *required[2]; /* beside DBClusterId; NULL: no more */
	api_fn *run;
};

struct create_queues;
/* What operations keep between requests. */
struct api {
	struct create_queues *creates; /* owned by op_create */
};

struct api *api_new(void);
/* Calls that still wait for the engine are answered 503. */
struct api *api_free(struct api *api);

/* The parameter of its row's api_about; NULL: none, or not given. */
const char *api_name(const struct call *call);

/* Answers the call, at once or later. */
void api_handle(struct call *call);

#endif
