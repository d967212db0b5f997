/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request and its answer over the daemon's Unix socket, on one connection
 * that is kept alive. Blocks until the answer is whole or a deadline passes.
 */
#ifndef DBSNAP_CLIENT_RPC_H
#define DBSNAP_CLIENT_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct rpc;

/* A value that is NULL is left out; a name that is NULL ends the list. Borrowed. */
struct rpc_param {
	const char *name;
	const char *value;
};
#define RPC_PARAMS(...) ((const struct rpc_param[]){__VA_ARGS__, {NULL, NULL}})
#define RPC_NO_PARAMS ((const struct rpc_param[]){{NULL, NULL}})

struct answer {
	json_t *json; /* an object; the receiver's (answer_clear) */
	long http_status;
	int64_t retry_after_ms; /* what a throttled answer asks for; 0 = nothing */
};

enum { RPC_TIMEOUT_MS = 60000 };

enum rpc_way {
	RPC_REPEATABLE, /* doing it twice is doing it once: reads, and creates with a token */
	RPC_ONCE	/* never sent a second time behind the caller's back */
};

/* socket: borrowed for the object's life. NULL without memory. */
struct rpc *rpc_new(const char *socket);
struct rpc *rpc_free(struct rpc *rpc);
const char *rpc_socket(const struct rpc *rpc);
/* For every later call; RPC_TIMEOUT_MS at first: a check of a cluster may take 30 s. */
void rpc_set_timeout(struct rpc *rpc, int64_t timeout_ms);

/*
 * 0: answered with success. ERR_DENIED: answered with an error (ret_answer is
 * set as well). Without an answer: ERR_OFFLINE (no connection: nothing was
 * sent), ERR_CLOSED (broken before the answer), ERR_TIMEOUT, ERR_INVALID (no
 * JSON object), ERR_TOO_LONG, ERR_NOMEM.
 */
int rpc_call(struct rpc *rpc, const char *action, const struct rpc_param *params, enum rpc_way way,
	     struct answer *ret_answer);
void answer_clear(struct answer *answer);
/* Its Code; "" for a success. */
const char *answer_code(const struct answer *answer);
/* Whether the same request may well succeed a little later. */
bool answer_is_passing(const struct answer *answer);

/*
 * Why the socket cannot be connected to: an errno value, 0 when it can. ret_pid may be NULL: the process that
 * listens there if it is the caller's own, else 0.
 */
int rpc_probe(const struct rpc *rpc, pid_t *ret_pid);

#endif
