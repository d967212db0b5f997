/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Calls as commands make them: whatever goes wrong is told to people here, once,
 * with what they can do about it. All return 0 or an enum status to exit with;
 * answers are the caller's (json_decref).
 */
#ifndef DBSNAP_CLIENT_CALL_H
#define DBSNAP_CLIENT_CALL_H

#include "client/client.h"
#include "client/rpc.h"

#include <jansson.h>

/* A repeatable call whose connection broke is repeated for some seconds. */
int call_api(struct client *client, const char *action, const struct rpc_param *params, enum rpc_way way,
	     json_t **ret_answer);
/*
 * Every page of a list, in one answer of the same form. kind: "Backup" for
 * Items.Backup. cluster NULL: of all clusters that the caller may see.
 */
int call_list(struct client *client, const char *action, const char *kind, const char *cluster,
	      json_t **ret_answer);
/* The answer that has one item, by a parameter that names it. Not there: tells so. */
int call_item(struct client *client, const char *action, const char *kind, const struct rpc_param *params,
	      json_t **ret_answer);

/* Tells why nothing answered (an error of rpc_call); the status to exit with. */
int call_explain_silence(const struct client *client, int error);
/* Tells what an error answer says; prints it on standard output as well for --json. */
int call_explain_refusal(struct client *client, const struct answer *answer, const struct rpc_param *params);

static inline void scope_json_p(json_t **json)
{
	json_decref(*json);
}
#define scope_json __attribute__((cleanup(scope_json_p)))

#endif
