/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two forms of a signed request, by their parts only: there are no keys to check them with. */
#include "daemon/front/sign.h"

#include <stdbool.h>
#include <string.h>

#define ACS3 "ACS3-HMAC-SHA256 "

static enum sign_form classify_parameters(const struct request *request, const char **ret_missing)
{
	static const char *const parts[] = {"AccessKeyId",	"Signature",	  "SignatureMethod",
					    "SignatureVersion", "SignatureNonce", "Timestamp"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!request_get(request, parts[i])) {
			*ret_missing = parts[i];
			return SIGN_INCOMPLETE;
		}
	}
	return SIGN_COMPLETE;
}

/* Is there "name=" with a value behind it, at the start or after a comma? */
static bool has_part(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += strspn(at, ", \t");
		if (strncmp(at, name, length) == 0 && at[length] == '=' && at[length + 1] && at[length + 1] != ',')
			return true;
	}
	return false;
}

static enum sign_form classify_header(const char *authorization, const char **ret_missing)
{
	static const char *const parts[] = {"Credential", "SignedHeaders", "Signature"};

	if (strncmp(authorization, ACS3, strlen(ACS3)) != 0) {
		*ret_missing = "ACS3-HMAC-SHA256";
		return SIGN_INCOMPLETE;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!has_part(authorization + strlen(ACS3), parts[i])) {
			*ret_missing = parts[i];
			return SIGN_INCOMPLETE;
		}
	}
	return SIGN_COMPLETE;
}

enum sign_form sign_classify(const struct request *request, const char *authorization, const char **ret_missing)
{
	if (authorization)
		return classify_header(authorization, ret_missing);
	if (request_get(request, "AccessKeyId") || request_get(request, "Signature"))
		return classify_parameters(request, ret_missing);
	return SIGN_NONE;
}
