/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libcurl with everything switched off that a socket on the same host does not
 * need (proxies, signals, TLS). The one difficulty: libcurl sends a request
 * again by itself when a kept connection turns out dead, so a request that must
 * not be doubled gets a connection of its own.
 */
#include "client/rpc.h"

#include "client/field.h"
#include "client/text.h"
#include "common/err.h"
#include "common/scope.h"

#include "config.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { ANSWER_MAX = 64 << 20, CONNECT_TIMEOUT_MS = 10000 };

struct rpc {
	CURL *curl;
	const char *socket;
	int64_t timeout_ms;
};

struct bytes {
	char *data;
	size_t used;
};

static void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
}

static size_t take_body(char *data, size_t one, size_t size, void *arg)
{
	struct bytes *body = arg;
	char *grown;

	if (body->used + size * one > ANSWER_MAX)
		return 0;
	grown = realloc(body->data, body->used + size * one + 1);
	if (!grown)
		return 0;
	body->data = grown;
	memcpy(body->data + body->used, data, size * one);
	body->used += size * one;
	body->data[body->used] = '\0';
	return size * one;
}

static size_t take_header(char *data, size_t one, size_t size, void *arg)
{
	static const char name[] = "x-acs-retry-after:";
	struct answer *answer = arg;
	char value[32];

	if (size * one > sizeof(name) && strncasecmp(data, name, sizeof(name) - 1) == 0) {
		snprintf(value, sizeof(value), "%.*s", (int)(size * one - sizeof(name) + 1),
			 data + sizeof(name) - 1);
		answer->retry_after_ms = strtoll(value, NULL, 10);
	}
	return size * one;
}

struct rpc *rpc_new(const char *socket)
{
	struct rpc *rpc = calloc(1, sizeof(*rpc));

	if (!rpc)
		return NULL;
	rpc->socket = socket;
	rpc->timeout_ms = RPC_TIMEOUT_MS;
	return rpc;
}

/* At the first call: `cluster add` and --help never need it. */
static int open_curl(struct rpc *rpc)
{
	if (rpc->curl)
		return 0;
	if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK || !(rpc->curl = curl_easy_init()))
		return ERR_NOMEM;
	curl_easy_setopt(rpc->curl, CURLOPT_UNIX_SOCKET_PATH, rpc->socket);
	curl_easy_setopt(rpc->curl, CURLOPT_URL, "http://localhost/");
	curl_easy_setopt(rpc->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(rpc->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(rpc->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(rpc->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(rpc->curl, CURLOPT_USERAGENT, "dbsnap/" PACKAGE_VERSION);
	curl_easy_setopt(rpc->curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(rpc->curl, CURLOPT_HEADERFUNCTION, take_header);
	return 0;
}

struct rpc *rpc_free(struct rpc *rpc)
{
	if (rpc) {
		curl_easy_cleanup(rpc->curl);
		free(rpc);
	}
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

/* "Action=..&Name=value.."; the caller's. */
static char *encode_form(struct rpc *rpc, const char *action, const struct rpc_param *params)
{
	char *form = text_format("Action=%s", action);

	for (; params->name; params++) {
		scope_free char *before = NULL;
		char *value;

		if (!params->value)
			continue;
		value = curl_easy_escape(rpc->curl, params->value, (int)strlen(params->value));
		before = form;
		form = text_format("%s&%s=%s", before, params->name, value ? value : "");
		curl_free(value);
	}
	return form;
}

static int err_from_curl(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return ERR_OFFLINE;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_WRITE_ERROR:
		return ERR_TOO_LONG;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return ERR_CLOSED;
	default:
		return ERR_INVALID;
	}
}

int rpc_call(struct rpc *rpc, const char *action, const struct rpc_param *params, enum rpc_way way,
	     struct answer *ret_answer)
{
	__attribute__((cleanup(bytes_free))) struct bytes body = {0};
	scope_free char *form = NULL;
	struct answer answer = {0};
	int r = open_curl(rpc);

	if (r < 0)
		return r;
	form = encode_form(rpc, action, params);
	curl_easy_setopt(rpc->curl, CURLOPT_POSTFIELDS, form);
	curl_easy_setopt(rpc->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(form));
	curl_easy_setopt(rpc->curl, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(rpc->curl, CURLOPT_HEADERDATA, &answer);
	curl_easy_setopt(rpc->curl, CURLOPT_TIMEOUT_MS, (long)rpc->timeout_ms);
	curl_easy_setopt(rpc->curl, CURLOPT_FRESH_CONNECT, way == RPC_ONCE ? 1L : 0L);
	r = err_from_curl(curl_easy_perform(rpc->curl));
	if (r < 0)
		return r;
	curl_easy_getinfo(rpc->curl, CURLINFO_RESPONSE_CODE, &answer.http_status);
	answer.json = json_loadb(body.data ? body.data : "", body.used, 0, NULL);
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
