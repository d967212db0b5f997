/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A request as evhttp read it becomes a call, and the call's answer a reply. Reading
 * of a connection is off while its request is not answered (evhttp exits the
 * process when bytes arrive then), so a client that leaves is noticed by its answer.
 */
#include "daemon/front/http.h"

#include "common/err.h"
#include "daemon/front/api.h"
#include "daemon/front/conn.h"
#include "daemon/front/framing.h"
#include "daemon/front/front.h"
#include "daemon/front/reply.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	HEADERS_MAX = 8192,
	/* Bodies that are too large by less than this get our own answer, larger ones evhttp's. */
	BODY_SLACK = 65536,
	UNREAD_SLACK = 32768,
	METHODS_ALL = 0xffff
};

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

struct http {
	struct front *front;
	struct evhttp *servers[FRONT_LISTENERS_MAX]; /* one a listening socket */
	size_t server_count;
	struct conns *conns;
	struct api *api;
	bool stopping;
};

/* A call and where its answer goes. */
struct exchange {
	struct call call;
	struct evhttp_request *req; /* evhttp's; NULL: the connection is gone */
	struct conn *conn;          /* NULL: gone, or never known */
};

static void on_gone(void *arg)
{
	struct exchange *exchange = arg;

	exchange->req = NULL;
	exchange->conn = NULL;
}

static void on_sent(struct evhttp_request *req, void *arg)
{
	(void)req;
	conn_restart(arg);
}

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 413:
		return "Payload Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

static void put_headers(struct evhttp_request *req, const struct call_answer *answer)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	char pause[16];

	evhttp_add_header(headers, "Content-Type", "application/json;charset=utf-8");
	if (answer->retry_after_ms) {
		snprintf(pause, sizeof(pause), "%d", answer->retry_after_ms);
		evhttp_add_header(headers, "x-acs-retry-after", pause);
	}
	if (answer->close)
		evhttp_add_header(headers, "Connection", "close");
}

static void send_answer(struct exchange *exchange, const struct call_answer *answer)
{
	struct evbuffer *body = evbuffer_new();

	size_t size = evhttp_request_get_command(exchange->req) == EVHTTP_REQ_HEAD ? 0 : answer->size;

	if (!body || evbuffer_add(body, answer->text, size) < 0)
		front_die("answering a request", ERR_NOMEM);
	put_headers(exchange->req, answer);
	if (exchange->conn) {
		conn_restart(exchange->conn);
		evhttp_request_set_on_complete_cb(exchange->req, on_sent, exchange->conn);
	}
	evhttp_send_reply(exchange->req, answer->status, reason(answer->status), body);
	evbuffer_free(body);
}

static void on_answer(struct call *call, const struct call_answer *answer)
{
	struct exchange *exchange = call->owner;

	if (exchange->req)
		send_answer(exchange, answer);
	request_clear(&call->request);
	peer_clear(&call->kept);
	free(exchange);
}

/* What a parser says becomes the code that api.md gives it. */
static void reply_parse_error(struct call *call, int error, const char *why)
{
	switch (error) {
	case ERR_INVALID:
		reply_error(call, REPLY_MALFORMED_REQUEST, "%s", why);
		break;
	case ERR_NOMEM:
		reply_error(call, REPLY_INTERNAL, NULL);
		break;
	default:
		reply_error(call, REPLY_INVALID_PARAMETER, "%s", why);
	}
}

static bool is_type(const char *header, const char *type)
{
	size_t length = strlen(type);

	return header && strncasecmp(header, type, length) == 0 && strchr("; \t", header[length]) != NULL;
}

static int read_body(struct call *call, struct evhttp_request *req, char *why)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req);
	size_t size = evbuffer_get_length(body);
	const char *type = evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Type");
	const char *text = (const char *)evbuffer_pullup(body, -1);

	if (size == 0)
		return 0;
	if (is_type(type, FORM))
		return request_add_form(&call->request, text, size, why);
	if (is_type(type, JSON))
		return request_add_json(&call->request, text, size, why);
	snprintf(why, REQUEST_WHY_SIZE, "Content-Type is neither " FORM " nor " JSON ".");
	return ERR_INVALID;
}

static int read_parameters(struct call *call, struct evhttp_request *req, char *why)
{
	const char *query = strchr(evhttp_request_get_uri(req), '?');
	int r = query ? request_add_form(&call->request, query + 1, strlen(query + 1), why) : 0;

	call->request.query_count = call->request.count;
	return r == 0 ? read_body(call, req, why) : r;
}

static const char *header(struct evhttp_request *req, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* A header that is there and empty says nothing, but an empty Authorization still claims something. */
static const char *filled(const char *value)
{
	return value && value[0] ? value : NULL;
}

/* What a signature covers. False: more headers than are looked at. */
static bool read_wire(struct evhttp_request *req, struct sign_header headers[static SIGN_HEADERS_MAX], struct sign_request *wire)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req);
	const struct evkeyval *header_at;

	wire->method = evhttp_request_get_command(req) == EVHTTP_REQ_GET ? "GET" : "POST";
	wire->authorization = header(req, "Authorization");
	wire->header_action = filled(header(req, "x-acs-action"));
	wire->body_size = evbuffer_get_length(body);
	wire->body = evbuffer_pullup(body, -1);
	wire->headers = headers;
	if (!wire->authorization)
		return true;
	TAILQ_FOREACH(header_at, evhttp_request_get_input_headers(req), next) {
		if (wire->header_count == SIGN_HEADERS_MAX)
			return false;
		headers[wire->header_count++] = (struct sign_header){header_at->key, header_at->value};
	}
	return true;
}

static void serve(struct http *http, struct call *call, struct evhttp_request *req)
{
	char why[REQUEST_WHY_SIZE];
	struct sign_header headers[SIGN_HEADERS_MAX];
	struct sign_request wire = {0};
	struct framing_fault fault;
	int r;

	if (http->stopping) {
		reply_error_and_close(call, REPLY_UNAVAILABLE, "The service is stopping.");
		return;
	}
	if (!framing_check(req, &fault)) {
		reply_error_and_close(call, fault.code, fault.why ? "%s" : NULL, fault.why);
		return;
	}
	if (evbuffer_get_length(evhttp_request_get_input_buffer(req)) > http->front->conf.body_max) {
		reply_error(call, REPLY_TOO_LARGE, NULL);
		return;
	}
	r = read_parameters(call, req, why);
	if (r < 0) {
		reply_parse_error(call, r, why);
		return;
	}
	if (!read_wire(req, headers, &wire)) {
		reply_error(call, REPLY_TOO_LARGE, "The request has too many headers.");
		return;
	}
	call->wire = &wire;
	call->header_action = filled(header(req, "x-acs-action"));
	call->header_version = filled(header(req, "x-acs-version"));
	api_handle(call);
}

static struct exchange *exchange_new(struct http *http, struct evhttp_request *req, struct conn *conn)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	struct call *call;

	if (!exchange)
		return NULL;
	exchange->req = req;
	exchange->conn = conn;
	call = &exchange->call;
	call->front = http->front;
	call->api = http->api;
	call->answer = on_answer;
	call->owner = exchange;
	call->peer = &conn->peer;
	call->uid = conn->peer.uid;
	call->require_signature = http->front->listeners[conn->door].require_signature;
	snprintf(call->principal, sizeof(call->principal), "uid:%" PRIu32, conn->peer.uid);
	uuid_make(call->request_id);
	return exchange;
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct http *http = arg;
	struct conn *conn = conns_find(http->conns, evhttp_request_get_connection(req));
	struct exchange *exchange = conn ? exchange_new(http, req, conn) : NULL;

	if (!exchange) { /* nobody knows who that is */
		evhttp_send_error(req, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	conn_begin(conn, exchange);
	serve(http, &exchange->call, req);
}

void http_limits_changed(struct http *http)
{
	const struct msg_config *conf = &http->front->conf;
	struct conn_limits limits = {.connections = conf->connections,
				     .connections_per_uid = conf->connections_per_uid,
				     .timeout_ms = conf->request_timeout_ms,
				     .unread_max = (size_t)conf->body_max + BODY_SLACK + UNREAD_SLACK};

	for (size_t i = 0; i < http->server_count; i++) {
		evhttp_set_max_headers_size(http->servers[i], HEADERS_MAX);
		evhttp_set_max_body_size(http->servers[i], (ev_ssize_t)conf->body_max + BODY_SLACK);
	}
	conns_set_limits(http->conns, &limits);
}

/* evhttp does not say by which of its listeners a connection came: so each has a server of its own. */
static bool add_server(struct http *http, int listen_fd)
{
	struct evhttp *server = evhttp_new(http->front->base);

	if (!server)
		return false;
	http->servers[http->server_count++] = server;
	evhttp_set_default_content_type(server, NULL);
	evhttp_set_allowed_methods(server, METHODS_ALL);
	evhttp_set_gencb(server, on_request, http);
	return conns_add_door(http->conns, server, listen_fd);
}

_Static_assert((int)CONNS_DOORS_MAX >= (int)FRONT_LISTENERS_MAX, "each listener is a door");

struct http *http_new(struct front *front, int first_fd, size_t count)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->front = front;
	http->api = api_new();
	http->conns = conns_new(front->base, on_gone);
	if (!http->api || !http->conns)
		return http_free(http);
	for (size_t i = 0; i < count; i++) {
		if (!add_server(http, first_fd + (int)i))
			return http_free(http);
	}
	http_limits_changed(http);
	return http;
}

void http_serve(struct http *http)
{
	conns_accept(http->conns, true);
}

void http_stop(struct http *http)
{
	http->stopping = true;
	/* Who came before it served, or comes yet: a job under way may take an hour to end. */
	conns_accept(http->conns, true);
}

struct http *http_free(struct http *http)
{
	if (!http)
		return NULL;
	api_free(http->api);
	if (http->conns)
		conns_close(http->conns);
	for (size_t i = 0; i < http->server_count; i++)
		evhttp_free(http->servers[i]);
	conns_free(http->conns);
	free(http);
	return NULL;
}
