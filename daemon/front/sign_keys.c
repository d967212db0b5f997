/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Secrets go in here and do not come out. */
#include "daemon/front/sign_keys.h"

#include "common/err.h"

#include <stdlib.h>
#include <string.h>

static EVP_MAC_CTX *make_hmac(EVP_MAC *hmac, const char *digest, const char *secret, size_t size)
{
	const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
				     OSSL_PARAM_construct_end()};
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);

	if (context && EVP_MAC_init(context, (const unsigned char *)secret, size, params) != 1) {
		EVP_MAC_CTX_free(context);
		return NULL;
	}
	return context;
}

static int make_key(EVP_MAC *hmac, const struct msg_config_key *conf, struct sign_key *key)
{
	char secret[MSG_SECRET_SIZE + 1];
	size_t size = strnlen(conf->secret, MSG_SECRET_SIZE - 1);

	key->conf = *conf;
	explicit_bzero(key->conf.secret, sizeof(key->conf.secret));
	memcpy(secret, conf->secret, size);
	secret[size] = '&'; /* version 1's key is the secret with this behind it */
	key->v1 = make_hmac(hmac, "SHA1", secret, size + 1);
	key->v3 = make_hmac(hmac, "SHA256", secret, size);
	explicit_bzero(secret, sizeof(secret));
	return key->v1 && key->v3 ? 0 : ERR_NOMEM;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct sign_key *)a)->conf.id, ((const struct sign_key *)b)->conf.id);
}

static int check_ids(const struct sign_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (!keys->keys[i].conf.id[0] || (i > 0 && compare(&keys->keys[i - 1], &keys->keys[i]) == 0))
			return ERR_INVALID;
	}
	return 0;
}

int sign_keys_make(EVP_MAC *hmac, const struct msg_config_key *keys, size_t count, struct sign_keys *ret_keys)
{
	struct sign_keys made = {0};
	int r = 0;

	if (count > SIGN_KEYS_MAX)
		return ERR_INVALID;
	made.keys = calloc(count + 1, sizeof(made.keys[0]));
	if (!made.keys)
		return ERR_NOMEM;
	for (; r == 0 && made.count < count; made.count++)
		r = make_key(hmac, &keys[made.count], &made.keys[made.count]);
	qsort(made.keys, made.count, sizeof(made.keys[0]), compare);
	if (r == 0)
		r = check_ids(&made);
	if (r < 0)
		sign_keys_clear(&made);
	else
		*ret_keys = made;
	return r;
}

void sign_keys_clear(struct sign_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		EVP_MAC_CTX_free(keys->keys[i].v1);
		EVP_MAC_CTX_free(keys->keys[i].v3);
	}
	free(keys->keys);
	*keys = (struct sign_keys){0};
}

struct sign_key *sign_keys_find(const struct sign_keys *keys, const char *id)
{
	struct sign_key wanted;

	if (keys->count == 0)
		return NULL;
	snprintf(wanted.conf.id, sizeof(wanted.conf.id), "%s", id);
	return bsearch(&wanted, keys->keys, keys->count, sizeof(keys->keys[0]), compare);
}
