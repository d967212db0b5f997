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
	API_CLUSTER = 1,       /* DBClusterId is required */
	API_OR_BACKUP = 2,     /* ... unless BackupId is given */
	API_MALFORMED_404 = 4, /* a malformed DBClusterId is answered 404 */
	API_TOKEN = 8          /* takes a ClientToken */
};

typedef void api_fn(struct call *call);

struct api_row {
	enum operation operation;
	enum api_level level;
	bool group_may; /* members of the socket's group, by the default policy */
	unsigned flags;
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

/* Answers the call, at once or later. */
void api_handle(struct call *call);

#endif
