/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request on its way from its parameters to its answer. Made by http, handed
 * to api, answered exactly once by a function of reply.h, at once or later; the
 * answer frees it. What an operation needs of the caller is copied here, for the
 * connection may be gone before the answer.
 */
#ifndef DBSNAP_FRONT_CALL_H
#define DBSNAP_FRONT_CALL_H

#include "common/ident.h"
#include "common/msg.h"
#include "daemon/front/peer.h"
#include "daemon/front/request.h"
#include "daemon/front/sign.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum { CALL_TOKEN_HASH_SIZE = 17, CALL_DECIDED_SIZE = 320 };

struct api;
struct api_row;
struct call;
struct front;

/* What goes out. text is borrowed for the call. */
struct call_answer {
	int status;
	const char *text;
	size_t size;
	int retry_after_ms; /* 0: no header for it */
	bool close;         /* the connection cannot be used further */
};
/* Sends the answer, if anybody is still there, and frees the call. */
typedef void call_answer_fn(struct call *call, const struct call_answer *answer);

struct call {
	struct front *front;
	struct api *api;
	call_answer_fn *answer;
	void *owner; /* the answer function's own */

	struct request request;
	const struct sign_request *wire; /* what a signature covers beside the parameters; valid until api_handle() returns */
	const char *header_action; /* header values; NULL: absent; valid as wire */
	const char *header_version;
	const struct peer *peer; /* the same, or kept */
	struct peer kept;        /* a copy, of a call that waits; owned */
	bool require_signature;  /* the socket that it came by takes no unsigned request */

	uint32_t uid;                  /* of the peer */
	char key_id[MSG_KEY_ID_SIZE];  /* whose signature was verified; "": unsigned, the caller is its uid */
	char principal[IDENT_PRINCIPAL_SIZE];
	char request_id[IDENT_UUID_SIZE];
	const struct api_row *row;        /* NULL until the operation is known */
	char cluster[IDENT_CLUSTER_SIZE]; /* the resource; "": none, several, or not known */
	uint32_t generation;              /* of the configuration by which it was allowed */
	bool hidden;                      /* what it names by id is not there, or not for this caller */
	uint8_t mode;                     /* of a list of backups: enum backup_mode that may be shown; 0: both */
	char decided[CALL_DECIDED_SIZE];  /* by which statement, for the audit record; "": by none */
	uint64_t about_backup;            /* for the audit record; 0: none */
	uint64_t about_job;
	char token_hash[CALL_TOKEN_HASH_SIZE]; /* "": no token */
	TAILQ_ENTRY(call) waiting;
};
TAILQ_HEAD(call_list, call);

#endif
