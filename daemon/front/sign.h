/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does a request name an AccessKey? Then it is never served by uid. */
#ifndef DBSNAP_FRONT_SIGN_H
#define DBSNAP_FRONT_SIGN_H

#include "daemon/front/request.h"

enum sign_form {
	SIGN_NONE = 0,       /* unsigned: the caller is its uid */
	SIGN_INCOMPLETE = 1, /* claims a key, and lacks a part of a signature */
	SIGN_COMPLETE = 2
};

/*
 * authorization: the header's value, NULL if absent. AccessKeyId, Signature and that
 * header make a request signed; SignatureNonce, Timestamp and the like alone mean
 * nothing. *ret_missing: the part that lacks (static), set with SIGN_INCOMPLETE.
 */
enum sign_form sign_classify(const struct request *request, const char *authorization, const char **ret_missing);

#endif
