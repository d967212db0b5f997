/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys, fingerprints and the life of ClientTokens. */
#include "daemon/front/token.h"

#include "common/cursor.h"
#include "common/err.h"

#include <string.h>

/* libcrypto has a type with the name of one of our errors. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/evp.h>
#undef ERR_STATE

static bool operation_is_known(enum token_operation operation)
{
	return operation == TOKEN_CREATE_BACKUP || operation == TOKEN_CLONE_BACKUP;
}

static int put_owner(struct writer *w, const struct token_owner *owner)
{
	size_t length;

	if (owner->kind == TOKEN_OWNER_UID) {
		put_u8(w, TOKEN_OWNER_UID);
		put_u8(w, 4);
		put_u32(w, owner->uid);
		return 0;
	}
	if (owner->kind != TOKEN_OWNER_KEY || !owner->key_id)
		return ERR_INVALID;
	length = strnlen(owner->key_id, TOKEN_OWNER_KEY_MAX + 1);
	if (length == 0 || length > TOKEN_OWNER_KEY_MAX)
		return ERR_INVALID;
	put_u8(w, TOKEN_OWNER_KEY);
	put_u8(w, (uint8_t)length);
	put_bytes(w, owner->key_id, length);
	return 0;
}

int token_key_make(const struct token_owner *owner, enum token_operation operation, const char *token,
		   struct token_key *ret_key)
{
	struct token_key key = {0};
	struct writer w;
	int size;

	if (token[0] == '\0' || !ident_is_token(token) || !operation_is_known(operation))
		return ERR_INVALID;
	writer_init(&w, key.bytes, sizeof(key.bytes));
	if (put_owner(&w, owner) < 0)
		return ERR_INVALID;
	put_u8(&w, (uint8_t)operation);
	put_bytes(&w, token, strlen(token));
	size = writer_end(&w);
	if (size < 0)
		return size;
	key.size = (uint8_t)size;
	*ret_key = key;
	return 0;
}

static void free_digest(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

/* A flag (is there a value), its length and its bytes. */
static bool add_text(EVP_MD_CTX *context, const char *text)
{
	size_t length = text ? strlen(text) : 0;
	uint8_t head[9];
	struct writer w;

	writer_init(&w, head, sizeof(head));
	put_u8(&w, text != NULL);
	put_u64(&w, length);
	return EVP_DigestUpdate(context, head, sizeof(head)) == 1 && EVP_DigestUpdate(context, text, length) == 1;
}

int token_fingerprint_make(const struct token_param *params, size_t count, struct token_fingerprint *ret_fingerprint)
{
	__attribute__((cleanup(free_digest))) EVP_MD_CTX *context = EVP_MD_CTX_new();
	struct token_fingerprint fingerprint;
	unsigned size = 0;

	if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!add_text(context, params[i].name) || !add_text(context, params[i].value))
			return ERR_NOMEM;
	}
	if (EVP_DigestFinal_ex(context, fingerprint.bytes, &size) != 1 || size != sizeof(fingerprint.bytes))
		return ERR_NOMEM;
	*ret_fingerprint = fingerprint;
	return 0;
}

bool token_fingerprint_equal(const struct token_fingerprint *a, const struct token_fingerprint *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool token_is_over(const struct token_age *age, int64_t ttl_ms, int64_t wall_ms)
{
	int64_t since_wall_ms;

	if (!age->ended)
		return false;
	/* A clock so wrong that the difference has no number tells nothing. */
	if (__builtin_sub_overflow(wall_ms, age->ended_ms, &since_wall_ms))
		return false;
	return since_wall_ms >= ttl_ms && age->since_end_ms >= ttl_ms;
}
