/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Headers that could be read in two ways, given as evhttp keeps them: newer ones refuse some by themselves, so that no
 * request on a socket tells who did.
 */
#include "daemon/front/framing.h"

#include "tests/unit/cmocka_all.h"

#include <event2/http.h>
#include <event2/http_struct.h>
#include <stdbool.h>
#include <string.h>

struct header {
	const char *name, *value;
};

static void ignore(struct evhttp_request *req, void *arg)
{
	(void)req;
	(void)arg;
}

/* Does a POST with these headers pass? */
static bool passes(const struct header headers[2])
{
	static char target[] = "/";
	struct evhttp_request *req = evhttp_request_new(ignore, NULL);
	struct framing_fault fault = {0};
	bool passed;

	assert_non_null(req);
	req->type = EVHTTP_REQ_POST;
	req->major = 1;
	req->minor = 1;
	req->uri = target;
	for (int i = 0; i < 2 && headers[i].name; i++)
		assert_int_equal(evhttp_add_header(req->input_headers, headers[i].name, headers[i].value), 0);
	passed = framing_check(req, &fault);
	if (!passed)
		assert_int_equal(fault.code, REPLY_MALFORMED_REQUEST);
	req->uri = NULL;
	evhttp_request_free(req);
	return passed;
}

static void test_lengths(void **state)
{
	static const struct {
		bool passes;
		struct header headers[2];
	} cases[] = {
		{true, {{NULL, NULL}}},
		{true, {{"Content-Length", "36"}}},
		{true, {{"content-length", "0"}}},
		{true, {{"Transfer-Encoding", "chunked"}}},
		{false, {{"Content-Length", "36"}, {"Transfer-Encoding", "chunked"}}},
		{false, {{"transfer-encoding", "chunked"}, {"content-length", "36"}}},
		{false, {{"Content-Length", "36"}, {"content-length", "36"}}},
		{false, {{"Transfer-Encoding", "chunked"}, {"TRANSFER-ENCODING", "chunked"}}},
		{false, {{"Transfer-Encoding", "Chunked"}}},
		{false, {{"Transfer-Encoding", "gzip, chunked"}}},
		{false, {{"Transfer-Encoding", "identity"}}},
		{false, {{"Transfer-Encoding", ""}}},
		{false, {{"Content-Length", ""}}},
		{false, {{"Content-Length", "+36"}}},
		{false, {{"Content-Length", "-1"}}},
		{false, {{"Content-Length", "36 "}}},
		{false, {{"Content-Length", "0x24"}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct header *headers = cases[i].headers;

		if (passes(headers) != cases[i].passes)
			fail_msg("%s: %s, %s: %s", headers[0].name, headers[0].value, headers[1].name, headers[1].value);
	}
}

static void test_single_headers(void **state)
{
	static const char *const single[] = {"Host", "Authorization", "Content-Type"};

	(void)state;
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		assert_true(passes((struct header[2]){{single[i], "x"}}));
		assert_false(passes((struct header[2]){{single[i], "x"}, {single[i], "x"}}));
	}
	assert_true(passes((struct header[2]){{"Accept", "x"}, {"Accept", "y"}}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_single_headers),
	};

	return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
