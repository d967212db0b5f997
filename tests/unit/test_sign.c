/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who claims an AccessKey, and which part of a signature lacks. */
#include "daemon/front/sign.h"

#include "tests/unit/cmocka_all.h"

#include <string.h>

#define V1 "AccessKeyId=testid&Signature=s&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&SignatureNonce=n&Timestamp=t"
#define V3 "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host;x-acs-action,Signature=50af"

static enum sign_form classify(const char *form, const char *authorization, const char **ret_missing)
{
	struct request request = {0};
	char why[REQUEST_WHY_SIZE];
	enum sign_form found;

	*ret_missing = NULL;
	assert_int_equal(request_add_form(&request, form, strlen(form), why), 0);
	found = sign_classify(&request, authorization, ret_missing);
	request_clear(&request);
	return found;
}

static void test_unsigned(void **state)
{
	static const char *const forms[] = {"", "SignatureNonce=n&Timestamp=t&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0",
					    "AccessKeyId=&Signature=", "SecurityToken=x", "accesskeyid=x"};
	const char *missing;

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		assert_int_equal(classify(forms[i], NULL, &missing), SIGN_NONE);
}

static void test_version_1(void **state)
{
	const char *missing;

	(void)state;
	assert_int_equal(classify(V1, NULL, &missing), SIGN_COMPLETE);
	assert_int_equal(classify("AccessKeyId=testid", NULL, &missing), SIGN_INCOMPLETE);
	assert_string_equal(missing, "Signature");
	assert_int_equal(classify("Signature=x", NULL, &missing), SIGN_INCOMPLETE);
	assert_string_equal(missing, "AccessKeyId");
	assert_int_equal(classify("AccessKeyId=a&Signature=s&SignatureMethod=m&SignatureVersion=1.0&SignatureNonce=n", NULL, &missing),
			 SIGN_INCOMPLETE);
	assert_string_equal(missing, "Timestamp");
}

static void test_version_3(void **state)
{
	static const struct {
		const char *header, *missing;
	} bad[] = {{"", "ACS3-HMAC-SHA256"},
		   {"Basic abc", "ACS3-HMAC-SHA256"},
		   {"ACS3-HMAC-SHA256 ", "Credential"},
		   {"ACS3-HMAC-SHA256 Credential=,SignedHeaders=h,Signature=s", "Credential"},
		   {"ACS3-HMAC-SHA256 Credential=a,Signature=s", "SignedHeaders"},
		   {"ACS3-HMAC-SHA256 Credential=a,SignedHeaders=h", "Signature"},
		   {"ACS3-HMAC-SHA256 Credential=a,SignedHeaders=h,Signature=", "Signature"}};
	const char *missing;

	(void)state;
	assert_int_equal(classify("", V3, &missing), SIGN_COMPLETE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(classify("", bad[i].header, &missing), SIGN_INCOMPLETE);
		assert_string_equal(missing, bad[i].missing);
	}
	/* Parameters do not make a header's signature whole. */
	assert_int_equal(classify(V1, "x", &missing), SIGN_INCOMPLETE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsigned),
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_version_3),
	};

	return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
