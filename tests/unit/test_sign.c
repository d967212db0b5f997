/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What needs no HTTP: who claims a key, a signature of each version from the documentation, what the accept
 * function is told, and that what it says is obeyed. Every fault by its code is in tests/scenario/test_signed.py.
 */
#include "daemon/front/sign.h"

#include "common/err.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

#define NONCE "e865dee5bd51c583ab69fc5d312b025a"
#define QUERY(signature)                                                                                          \
	"AccessKeyId=testid&Action=CreateBackup&ClientToken=6000170000591aed949d0f54a343f1a4&DBClusterId=pc-orders"  \
	"&Format=JSON&SignatureMethod=HMAC-SHA1&SignatureNonce=" NONCE                                              \
	"&SignatureVersion=1.0&Timestamp=2026-11-24T03%3A59%3A29Z&Version=2017-08-01&Signature=" signature
/* From tests/wire/rpc1-get.http. */
#define V1 QUERY("MXMfcJJa7kf82TNE2Oh07qdVoGQ%3D")
#define STAMP_S INT64_C(1795492769)

struct accept {
	unsigned calls;
	int answer;
	struct nonces_item item;
};

static int on_accept(void *arg, const struct nonces_item *item, const struct nonces_now *now)
{
	struct accept *accept = arg;

	(void)now;
	accept->calls++;
	accept->item = *item;
	return accept->answer;
}

static enum sign_result verify(struct sign *sign, const char *form, const struct sign_request *wire, struct sign_verdict *verdict)
{
	const struct nonces_now now = {STAMP_S * 1000, 0};
	const struct peer peer = {.uid = 1000, .gid = 1000};
	struct request request = {0};
	char why[REQUEST_WHY_SIZE];

	assert_int_equal(request_add_form(&request, form, strlen(form), why), 0);
	request.query_count = request.count;
	sign_verify(sign, &request, wire, &peer, &now, verdict);
	request_clear(&request);
	return verdict->result;
}

static void set_key(struct sign *sign, const char *secret)
{
	const struct nonces_now now = {STAMP_S * 1000, 0};
	struct msg_config_key key = {.id = "testid"};

	strcpy(key.secret, secret);
	assert_int_equal(sign_set_keys(sign, &key, 1, &now), 0);
}

static const struct sign_request get = {.method = "GET"};

static void test_who_claims(void **state)
{
	static const struct {
		const char *form, *authorization;
		bool claims;
	} cases[] = {
		{"", NULL, false}, {"SignatureNonce=n&Timestamp=t&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0", NULL, false},
		{"AccessKeyId=&Signature=", NULL, false}, {"SecurityToken=x", NULL, false}, {"accesskeyid=x", NULL, false},
		{"AccessKeyId=x", NULL, true}, {"Signature=x", NULL, true}, {"", "", true}, {"", "x", true},
	};
	struct accept accept = {0};
	struct sign *sign = sign_new(16, on_accept, &accept);
	struct sign_verdict verdict;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct sign_request wire = {.method = "GET", .authorization = cases[i].authorization};

		assert_int_equal(verify(sign, cases[i].form, &wire, &verdict), cases[i].claims ? SIGN_INCOMPLETE : SIGN_UNSIGNED);
		assert_true(!cases[i].claims == !verdict.why[0]);
	}
	assert_int_equal(accept.calls, 0);
	sign_free(sign);
}

static void test_verified_and_accepted(void **state)
{
	struct accept accept = {0};
	struct sign *sign = sign_new(16, on_accept, &accept);
	struct sign_verdict verdict;

	(void)state;
	assert_int_equal(verify(sign, V1, &get, &verdict), SIGN_NO_KEY);
	set_key(sign, "testsecret");
	assert_int_equal(verify(sign, QUERY("MXMfcJJa7kf82TNE2Oh07qdVoGR%3D"), &get, &verdict), SIGN_MISMATCH);
	assert_int_equal(accept.calls, 0);
	assert_int_equal(verify(sign, V1, &get, &verdict), SIGN_VERIFIED);
	assert_string_equal(verdict.key_id, "testid");
	assert_int_equal(accept.calls, 1);
	assert_int_equal(accept.item.stamp_s, STAMP_S);
	assert_int_equal(verify(sign, V1, &get, &verdict), SIGN_NONCE_USED);
	assert_int_equal(accept.calls, 1);
	sign_free(sign);
}

/* What could not be made durable is not served, and may come again. */
static void test_what_accept_says(void **state)
{
	struct accept accept = {.answer = ERR_BUSY};
	struct sign *sign = sign_new(16, on_accept, &accept);
	struct sign_verdict verdict;

	(void)state;
	set_key(sign, "testsecret");
	assert_int_equal(verify(sign, V1, &get, &verdict), SIGN_THROTTLED);
	accept.answer = ERR_FULL;
	assert_int_equal(verify(sign, V1, &get, &verdict), SIGN_FAILED);
	assert_int_equal(verdict.code, ERR_FULL);
	accept.answer = 0;
	assert_int_equal(verify(sign, V1, &get, &verdict), SIGN_VERIFIED);
	sign_free(sign);
}

static void test_full(void **state)
{
	struct accept accept = {0};
	struct sign *sign = sign_new(2, on_accept, &accept);
	const struct nonces_now now = {STAMP_S * 1000, 0};
	struct sign_verdict verdict;

	(void)state;
	set_key(sign, "testsecret");
	for (unsigned i = 0; i < 2; i++) {
		const struct nonces_item item = {.hash = {(uint8_t)i}, .stamp_s = STAMP_S, .owner = NONCES_NOBODY};

		nonces_take(sign_nonces(sign), &item, &now);
	}
	assert_int_equal(verify(sign, V1, &get, &verdict), SIGN_THROTTLED);
	assert_int_equal(accept.calls, 0);
	sign_free(sign);
}

static void test_keys_that_cannot_be(void **state)
{
	const struct nonces_now now = {0};
	struct msg_config_key keys[] = {{.id = "a", .secret = "x"}, {.id = "b", .secret = "y"}, {.id = "a", .secret = "z"}};
	struct accept accept = {0};
	struct sign *sign = sign_new(16, on_accept, &accept);
	struct sign_verdict verdict;

	(void)state;
	set_key(sign, "testsecret");
	assert_int_equal(sign_set_keys(sign, keys, 3, &now), ERR_INVALID);
	keys[0].id[0] = '\0';
	assert_int_equal(sign_set_keys(sign, keys, 1, &now), ERR_INVALID);
	assert_int_equal(verify(sign, V1, &get, &verdict), SIGN_VERIFIED); /* those before are in force */
	sign_free(sign);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_claims),
		cmocka_unit_test(test_verified_and_accepted),
		cmocka_unit_test(test_what_accept_says),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_keys_that_cannot_be),
	};

	return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
