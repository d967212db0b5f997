/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The canonical forms. Version 1 encodes twice: first each name and value, then the whole query. Both are done
 * byte by byte on the way to the hash, so that no request needs memory of its size.
 */
#include "daemon/front/sign_text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static void flush(struct sign_sink *sink)
{
	int done = sink->md ? EVP_DigestUpdate(sink->md, sink->bytes, sink->used) :
			      EVP_MAC_update(sink->mac, sink->bytes, sink->used);

	sink->failed = sink->failed || done != 1;
	sink->used = 0;
}

void sign_sink_put(struct sign_sink *sink, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size > 0) {
		size_t part = sizeof(sink->bytes) - sink->used;

		part = size < part ? size : part;
		memcpy(sink->bytes + sink->used, at, part);
		sink->used += part;
		at += part;
		size -= part;
		if (sink->used == sizeof(sink->bytes))
			flush(sink);
	}
}

bool sign_sink_end(struct sign_sink *sink)
{
	flush(sink);
	return !sink->failed;
}

static void put_text(struct sign_sink *sink, const char *text)
{
	sign_sink_put(sink, text, strlen(text));
}

/* RFC 3986's unreserved ones. */
static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.' || c == '~';
}

/* Percent-encoded; twice: the percent sign too. */
static void put_encoded(struct sign_sink *sink, const char *text, bool twice)
{
	static const char digits[] = "0123456789ABCDEF";
	char escape[] = "%25XX";
	size_t start = twice ? 0 : 2;

	for (const unsigned char *c = (const unsigned char *)text; *c;) {
		size_t plain = 0;

		while (is_plain(c[plain]))
			plain++;
		sign_sink_put(sink, c, plain);
		c += plain;
		if (!*c)
			break;
		escape[3] = digits[*c >> 4];
		escape[4] = digits[*c & 15];
		escape[2] = twice ? '5' : '%';
		sign_sink_put(sink, escape + start, sizeof(escape) - 1 - start);
		c++;
	}
}

/* By name, in insertion's order of work: there are a dozen, and clients send most of them sorted. */
static void sort(const struct request_param **params, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct request_param *param = params[i];
		size_t at = i;

		for (; at > 0 && strcmp(params[at - 1]->name, param->name) > 0; at--)
			params[at] = params[at - 1];
		params[at] = param;
	}
}

static void put_query(struct sign_sink *sink, const struct request_param **params, size_t count, bool twice)
{
	sort(params, count);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			put_text(sink, twice ? "%26" : "&");
		put_encoded(sink, params[i]->name, twice);
		put_text(sink, twice ? "%3D" : "=");
		put_encoded(sink, params[i]->value, twice);
	}
}

void sign_text_v1(struct sign_sink *sink, const struct request *request, const char *method)
{
	const struct request_param *params[REQUEST_PARAMS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < request->count; i++) {
		if (strcmp(request->params[i].name, "Signature") != 0)
			params[count++] = &request->params[i];
	}
	put_text(sink, method);
	put_text(sink, "&%2F&");
	put_query(sink, params, count, true);
}

const char *sign_text_trim(const char *value, size_t *ret_size)
{
	size_t size;

	value += strspn(value, " \t");
	size = strlen(value);
	while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
		size--;
	*ret_size = size;
	return value;
}

/* "name:value\n", the name in lower case, without blanks around the value. */
static void put_header(struct sign_sink *sink, const struct sign_header *header)
{
	size_t size;
	const char *value = sign_text_trim(header->value, &size);

	for (const char *c = header->name; *c; c++) {
		char lower = (char)tolower((unsigned char)*c);

		sign_sink_put(sink, &lower, 1);
	}
	put_text(sink, ":");
	sign_sink_put(sink, value, size);
	put_text(sink, "\n");
}

void sign_text_v3(struct sign_sink *sink, const struct request *request, const char *method,
		  const struct sign_header *const *headers, size_t header_count, const char *signed_headers,
		  size_t signed_headers_size, const char *body_hash)
{
	const struct request_param *params[REQUEST_PARAMS_MAX];

	for (size_t i = 0; i < request->query_count; i++)
		params[i] = &request->params[i];
	put_text(sink, method);
	put_text(sink, "\n/\n");
	put_query(sink, params, request->query_count, false);
	put_text(sink, "\n");
	for (size_t i = 0; i < header_count; i++)
		put_header(sink, headers[i]);
	put_text(sink, "\n");
	sign_sink_put(sink, signed_headers, signed_headers_size);
	put_text(sink, "\n");
	put_text(sink, body_hash);
}

void sign_text_hex(const unsigned char *bytes, size_t size, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}
