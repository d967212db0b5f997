/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Doubled and contradicting headers, lengths, methods and request targets. */
#include "daemon/front/framing.h"

#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <string.h>
#include <strings.h>

static bool fault(struct framing_fault *ret_fault, enum reply_code code, const char *why)
{
	*ret_fault = (struct framing_fault){code, why};
	return false;
}

static unsigned count(const struct evkeyvalq *headers, const char *name, const char **ret_value)
{
	struct evkeyval *header;
	unsigned found = 0;

	TAILQ_FOREACH(header, headers, next) {
		if (strcasecmp(header->key, name) != 0)
			continue;
		found++;
		*ret_value = header->value;
	}
	return found;
}

static bool check_single(const struct evkeyvalq *headers, struct framing_fault *ret_fault)
{
	static const struct {
		const char *name;
		enum reply_code code;
		const char *why;
	} single[] = {
		{"Content-Length", REPLY_MALFORMED_REQUEST, "There are several Content-Length headers."},
		{"Transfer-Encoding", REPLY_MALFORMED_REQUEST, "There are several Transfer-Encoding headers."},
		{"Host", REPLY_MALFORMED_REQUEST, "There are several Host headers."},
		{"Authorization", REPLY_MALFORMED_REQUEST, "There are several Authorization headers."},
		{"Content-Type", REPLY_MALFORMED_REQUEST, "There are several Content-Type headers."},
		{"x-acs-action", REPLY_INVALID_PARAMETER, "Header x-acs-action is given twice."},
		{"x-acs-version", REPLY_INVALID_PARAMETER, "Header x-acs-version is given twice."},
	};
	const char *value;

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		if (count(headers, single[i].name, &value) > 1)
			return fault(ret_fault, single[i].code, single[i].why);
	}
	return true;
}

static bool check_length(const struct evkeyvalq *headers, struct framing_fault *ret_fault)
{
	const char *length = NULL, *encoding = NULL;

	count(headers, "Content-Length", &length);
	count(headers, "Transfer-Encoding", &encoding);
	if (encoding && strcmp(encoding, "chunked") != 0)
		return fault(ret_fault, REPLY_MALFORMED_REQUEST, "Transfer-Encoding is not \"chunked\".");
	if (encoding && length)
		return fault(ret_fault, REPLY_MALFORMED_REQUEST, "Both Content-Length and Transfer-Encoding are given.");
	if (length && (!length[0] || length[strspn(length, "0123456789")]))
		return fault(ret_fault, REPLY_MALFORMED_REQUEST, "Content-Length is no number.");
	return true;
}

static bool check_target(const char *target, struct framing_fault *ret_fault)
{
	size_t path = target ? strcspn(target, "?#") : 0;

	if (!target || target[0] != '/')
		return fault(ret_fault, REPLY_MALFORMED_REQUEST, "The request target is not a path.");
	for (const char *c = target; *c; c++) {
		if ((*c > 0 && *c <= ' ') || *c == 0x7f || *c == '#')
			return fault(ret_fault, REPLY_MALFORMED_REQUEST,
				     "The request target has a character that must be percent-encoded.");
	}
	return path == 1 || fault(ret_fault, REPLY_PATH_NOT_FOUND, NULL);
}

/* evhttp takes any 1.x, negative ones too, and repeats it in its answer. */
static bool check_version(struct evhttp_request *req, struct framing_fault *ret_fault)
{
	if (req->major == 1 && (req->minor == 0 || req->minor == 1))
		return true;
	req->major = 1;
	req->minor = 1;
	return fault(ret_fault, REPLY_MALFORMED_REQUEST, "The version is neither HTTP/1.1 nor HTTP/1.0.");
}

bool framing_check(struct evhttp_request *req, struct framing_fault *ret_fault)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	enum evhttp_cmd_type method = evhttp_request_get_command(req);

	if (!check_version(req, ret_fault))
		return false;
	if (!check_single(headers, ret_fault) || !check_length(headers, ret_fault))
		return false;
	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_POST)
		return fault(ret_fault, REPLY_METHOD, NULL);
	return check_target(evhttp_request_get_uri(req), ret_fault);
}
