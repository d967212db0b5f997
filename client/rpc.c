/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A form of the parameters, and an object of the answer. */
#include "client/rpc.h"

#include "client/field.h"
#include "client/wire.h"
#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct rpc {
	struct wire *wire;
	const char *socket;
	int64_t timeout_ms;
};

struct rpc *rpc_new(const char *socket)
{
	struct rpc *rpc = calloc(1, sizeof(*rpc));

	if (!rpc)
		return NULL;
	*rpc = (struct rpc){.wire = wire_new(socket), .socket = socket, .timeout_ms = RPC_TIMEOUT_MS};
	return rpc->wire ? rpc : rpc_free(rpc);
}

struct rpc *rpc_free(struct rpc *rpc)
{
	if (rpc)
		wire_free(rpc->wire);
	free(rpc);
	return NULL;
}

const char *rpc_socket(const struct rpc *rpc)
{
	return rpc->socket;
}

void rpc_set_timeout(struct rpc *rpc, int64_t timeout_ms)
{
	rpc->timeout_ms = timeout_ms;
}

/* Whatever is no letter, digit or one of "-._~" as %HH. */
static void put_value(FILE *file, const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *value; value++)
		fprintf(file, strchr(plain, *value) ? "%c" : "%%%02X", (unsigned char)*value);
}

/* "Action=..&Name=value.."; the caller's. NULL without memory. */
static char *encode_form(const char *action, const struct rpc_param *params)
{
	char *form = NULL;
	size_t size;
	FILE *file = open_memstream(&form, &size);

	if (!file)
		return NULL;
	fprintf(file, "Action=%s", action);
	for (; params->name; params++) {
		if (!params->value)
			continue;
		fprintf(file, "&%s=", params->name);
		put_value(file, params->value);
	}
	if (fclose(file) == 0)
		return form;
	free(form);
	return NULL;
}

int rpc_call(struct rpc *rpc, const char *action, const struct rpc_param *params, enum rpc_way way,
	     struct answer *ret_answer)
{
	scope_free char *form = encode_form(action, params), *body = NULL;
	struct wire_answer got;
	struct answer answer;
	int error;

	if (!form)
		return ERR_NOMEM;
	if (way == RPC_ONCE)
		wire_disconnect(rpc->wire);
	error = wire_exchange(rpc->wire, form, rpc->timeout_ms, &got);
	if (error < 0)
		return error;
	body = got.body;
	answer = (struct answer){.json = json_loadb(body, got.size, 0, NULL), .http_status = got.status,
				 .retry_after_ms = got.retry_after_ms};
	if (!json_is_object(answer.json)) {
		answer_clear(&answer);
		return ERR_INVALID;
	}
	*ret_answer = answer;
	return answer.http_status == 200 && !json_object_get(answer.json, "Code") ? 0 : ERR_DENIED;
}

void answer_clear(struct answer *answer)
{
	json_decref(answer->json);
	*answer = (struct answer){0};
}

const char *answer_code(const struct answer *answer)
{
	return field_str(answer->json, "Code");
}

bool answer_is_passing(const struct answer *answer)
{
	const char *code = answer_code(answer);

	return strcmp(code, "Throttling") == 0 || strcmp(code, "ServiceUnavailable") == 0;
}

int rpc_probe(const struct rpc *rpc, pid_t *ret_pid)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	scope_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return errno;
	if (strlen(rpc->socket) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	memcpy(address.sun_path, rpc->socket, strlen(rpc->socket));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid())
		peer.pid = 0;
	if (ret_pid)
		*ret_pid = peer.pid;
	return 0;
}
