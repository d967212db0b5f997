/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a client sends: libevent's HTTP server reads it from a socket, then framing and parameters are checked as the
 * front does. Of what passes the framing an independent look at the headers must find only one reading.
 */
#include "daemon/front/framing.h"
#include "daemon/front/request.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <errno.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADERS_MAX = 8192, BODY_MAX = 4096, SENT_MAX = 65536 };

static struct event_base *base;
static struct evhttp *server;
static struct sockaddr_un address;
static socklen_t address_size;

static size_t count_of(struct evhttp_request *req, const char *name, const char **ret_value)
{
	struct evkeyval *header;
	size_t count = 0;

	TAILQ_FOREACH(header, evhttp_request_get_input_headers(req), next) {
		if (strcasecmp(header->key, name) == 0) {
			*ret_value = header->value;
			count++;
		}
	}
	return count;
}

static void check_headers(struct evhttp_request *req)
{
	static const char *const single[] = {"host", "authorization", "content-type", "x-acs-action", "x-acs-version"};
	const char *length = NULL, *coding = NULL, *value = NULL;
	size_t lengths = count_of(req, "content-length", &length), codings = count_of(req, "transfer-encoding", &coding);

	must(lengths + codings <= 1);
	must(!codings || strcmp(coding, "chunked") == 0);
	must(!lengths || (length[0] && strspn(length, "0123456789") == strlen(length)));
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		must(count_of(req, single[i], &value) <= 1);
}

static void check_passed(struct evhttp_request *req)
{
	const char *target = evhttp_request_get_uri(req);

	must(req->major == 1 && (req->minor == 0 || req->minor == 1));
	must(evhttp_request_get_command(req) == EVHTTP_REQ_GET || evhttp_request_get_command(req) == EVHTTP_REQ_POST);
	must(target[0] == '/' && (target[1] == '\0' || target[1] == '?') && !strchr(target, '#'));
	for (const char *c = target; *c; c++)
		must((unsigned char)*c > ' ' && *c != 0x7f);
	check_headers(req);
}

/* Every parameter's part of the request, in whatever form, must be read without harm. */
static void read_parameters(struct evhttp_request *req)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req);
	const char *query = strchr(evhttp_request_get_uri(req), '?');
	const char *text = (const char *)evbuffer_pullup(body, -1);
	struct request request = {0};
	char why[REQUEST_WHY_SIZE];

	must(evbuffer_get_length(body) <= BODY_MAX);
	if (query)
		(void)request_add_form(&request, query + 1, strlen(query + 1), why);
	if (text && text[0] == '{')
		(void)request_add_json(&request, text, evbuffer_get_length(body), why);
	else if (text)
		(void)request_add_form(&request, text, evbuffer_get_length(body), why);
	request_clear(&request);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct framing_fault fault;

	(void)arg;
	fuzz_fill(&fault, sizeof(fault));
	if (framing_check(req, &fault)) {
		must(fuzz_untouched(&fault, sizeof(fault)));
		check_passed(req);
		read_parameters(req);
		evhttp_send_reply(req, HTTP_OK, "OK", NULL);
	} else {
		must(fault.code < REPLY_CODES && (!fault.why || fault.why[0]));
		must(req->major == 1 && req->minor <= 1);
		evhttp_send_reply(req, HTTP_BADREQUEST, "Bad Request", NULL);
	}
}

static void start(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	base = event_base_new();
	server = base ? evhttp_new(base) : NULL;
	must(fd >= 0 && server);
	/* A name of the kernel's choice, in no folder. */
	address.sun_family = AF_UNIX;
	must(bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)) == 0 && listen(fd, 8) == 0);
	address_size = sizeof(address);
	must(getsockname(fd, (struct sockaddr *)&address, &address_size) == 0);
	must(evhttp_accept_socket_with_handle(server, fd));
	evhttp_set_allowed_methods(server, 0xffff);
	evhttp_set_max_headers_size(server, HEADERS_MAX);
	evhttp_set_max_body_size(server, BODY_MAX);
	evhttp_set_gencb(server, on_request, NULL);
}

/* Until the server has read all that came and closed its side, having met its end. */
static void serve(int fd)
{
	char answer[4096];
	ssize_t got;

	do {
		must(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
		got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	} while (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (size > SENT_MAX)
		return 0;
	if (!base)
		start();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0 && connect(fd, (struct sockaddr *)&address, address_size) == 0);
	must(size == 0 || send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
	must(shutdown(fd, SHUT_WR) == 0);
	serve(fd);
	close(fd);
	must(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	return 0;
}
