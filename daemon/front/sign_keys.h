/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The access keys, each as two HMACs that were given its secret and nothing yet: of sign alone. No secret is
 * kept; libcrypto wipes what it was made into.
 */
#ifndef DBSNAP_FRONT_SIGN_KEYS_H
#define DBSNAP_FRONT_SIGN_KEYS_H

#include "daemon/front/sign.h"
#include "daemon/front/sign_crypto.h"

struct sign_key {
	struct msg_config_key conf; /* without generation and secret */
	unsigned owner;             /* of its nonces */
	EVP_MAC_CTX *v1, *v3;       /* to be copied, never used */
};

struct sign_keys {
	struct sign_key *keys; /* owned; by id */
	size_t count;
};

/* 0, ERR_NOMEM, ERR_INVALID (a key twice, no id, too many). On failure *ret_keys is as it was. */
int sign_keys_make(EVP_MAC *hmac, const struct msg_config_key *keys, size_t count, struct sign_keys *ret_keys);
void sign_keys_clear(struct sign_keys *keys);
/* Borrowed. NULL: there is none. */
struct sign_key *sign_keys_find(const struct sign_keys *keys, const char *id);

#endif
