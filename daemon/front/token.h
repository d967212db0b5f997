/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ClientToken: whose it is (its key), what it was used for (its fingerprint),
 * how long it lives, and whether a second use is a replay. Pure; the store keeps
 * the records.
 *
 * A key, byte for byte (it is a key of the store):
 *   principal's kind u8, length u8, principal (uid: u32 big-endian; key: its id),
 *   operation u8, token
 * e.g. uid 1000, CreateBackup, "a1":  01 04 00 00 03 e8 01 61 31
 */
#ifndef DBSNAP_FRONT_TOKEN_H
#define DBSNAP_FRONT_TOKEN_H

#include "common/ident.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_owner_kind {
	TOKEN_OWNER_UID = 1, /* a local user, by SO_PEERCRED */
	TOKEN_OWNER_KEY = 2  /* an AccessKey: never its uid too */
};

enum token_operation {
	TOKEN_CREATE_BACKUP = 1,
	TOKEN_CLONE_BACKUP = 2
};

enum {
	TOKEN_OWNER_KEY_MAX = 64, /* bytes of an AccessKeyId */
	TOKEN_KEY_MAX = 1 + 1 + TOKEN_OWNER_KEY_MAX + 1 + IDENT_TOKEN_SIZE - 1,
	TOKEN_FINGERPRINT_SIZE = 32 /* SHA-256 */
};

struct token_owner {
	enum token_owner_kind kind;
	uint32_t uid;       /* with TOKEN_OWNER_UID */
	const char *key_id; /* with TOKEN_OWNER_KEY; borrowed for the call */
};

struct token_key {
	uint8_t size; /* 0: no token */
	uint8_t bytes[TOKEN_KEY_MAX];
};

struct token_fingerprint {
	uint8_t bytes[TOKEN_FINGERPRINT_SIZE];
};

/* One of the request's parameters. value NULL: absent, which is another thing than "". */
struct token_param {
	const char *name;
	const char *value;
};

/* When a token's job ended, and how long ago by running time. */
struct token_age {
	bool ended;           /* false: the job is open, the token lives */
	int64_t ended_ms;     /* wall time */
	int64_t since_end_ms; /* running time since the later of the job's end and this start of the front */
};

/* 0, or ERR_INVALID: an empty token, one that is not 1 to 64 bytes of 0x20 to 0x7e, or a malformed owner. */
int token_key_make(const struct token_owner *owner, enum token_operation operation, const char *token,
		   struct token_key *ret_key);

/*
 * SHA-256 over names and values, each with its length, so that no two lists are
 * alike. The caller gives the cluster and the operation's own parameters with
 * defaults filled in, always all of them and in the same order; never common
 * parameters. 0, or ERR_NOMEM.
 */
int token_fingerprint_make(const struct token_param *params, size_t count, struct token_fingerprint *ret_fingerprint);

bool token_fingerprint_equal(const struct token_fingerprint *a, const struct token_fingerprint *b);

/* Forgotten? Only when ttl_ms has passed by both clocks since the job ended. */
bool token_is_over(const struct token_age *age, int64_t ttl_ms, int64_t wall_ms);

#endif
