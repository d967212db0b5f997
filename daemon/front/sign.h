/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Signed requests, version 1 (HMAC-SHA1 over the parameters) and version 3 (ACS3-HMAC-SHA256, in the
 * Authorization header). What is signed, how, and by which keys is known here alone.
 *
 * The order of the checks, which is the order of the answers:
 *  1. form: one signature, all of its parts, nothing that must be signed unsigned, a timestamp that is one;
 *  2. the key: known, and the peer one that may use it. A key of somebody else's is as unknown as one that
 *     does not exist;
 *  3. time: within 15 minutes (version 1: 31) of ours, and later than the floor (see nonces.h);
 *  4. the signature, and the body's hash;
 *  5. the nonce, which is used up from then on, whatever becomes of the request.
 * Form is judged without the keys. The signature is computed before the key's answer is given, with a key of
 * chance where there is none: neither answer nor time tells more than that a key is not to be used.
 */
#ifndef DBSNAP_FRONT_SIGN_H
#define DBSNAP_FRONT_SIGN_H

#include "common/msg.h"
#include "daemon/front/nonces.h"
#include "daemon/front/peer.h"
#include "daemon/front/request.h"

enum {
	SIGN_KEYS_MAX = 256,
	SIGN_HEADERS_MAX = 256, /* of a request whose Authorization is to be looked at */
	SIGN_WHY_SIZE = 256,
	SIGN_NONCES = 1 << 18 /* remembered at once: with right clocks 140 requests a second, by version 3 290 */
};

struct sign;

struct sign_header {
	const char *name; /* as it came */
	const char *value;
};

/* What a signature covers beside the parameters. All borrowed. The path is "/". */
struct sign_request {
	const char *method;
	const char *authorization;         /* the header's value; NULL: there is none */
	const struct sign_header *headers; /* all of them, in order; none needed without authorization */
	size_t header_count;
	const void *body; /* chunking undone */
	size_t body_size;
	bool header_action; /* the operation is named by a header */
};

enum sign_result {
	SIGN_UNSIGNED, /* claims no key: the caller is its uid */
	SIGN_VERIFIED,
	SIGN_INCOMPLETE,
	SIGN_MALFORMED,
	SIGN_METHOD,  /* SignatureMethod, or the header's algorithm, is another */
	SIGN_VERSION, /* SignatureVersion is another */
	SIGN_NO_TIMESTAMP,
	SIGN_TIMESTAMP_FORMAT,
	SIGN_NO_KEY,
	SIGN_EXPIRED, /* or not valid yet */
	SIGN_MISMATCH,
	SIGN_NONCE_USED,
	SIGN_THROTTLED, /* no room for the nonce */
	SIGN_FAILED     /* ours: code tells */
};

struct sign_verdict {
	enum sign_result result;
	char key_id[MSG_KEY_ID_SIZE]; /* with VERIFIED */
	char why[SIGN_WHY_SIZE];      /* a sentence for the caller, without any secret; "": the code's own will do */
	int code;                     /* with FAILED: enum err */
};

/*
 * Called for each request that was verified, before its nonce is taken and the request served: what has to
 * outlive this process is made durable here. 0; ERR_BUSY: no room, SIGN_THROTTLED; any other: SIGN_FAILED.
 */
typedef int sign_accept_fn(void *arg, const struct nonces_item *item, const struct nonces_now *now);

/* Before the sandbox: libcrypto looks for its algorithms here, and never after. nonces: how many. NULL: out of memory, or no such algorithm. */
struct sign *sign_new(size_t nonces, sign_accept_fn *accept, void *arg);
/* Takes NULL. Returns NULL. */
struct sign *sign_free(struct sign *sign);

/* These keys instead of those before; the secrets are not kept but as what HMAC makes of them. 0; ERR_NOMEM, ERR_INVALID (a key twice, too many): nothing changed. */
int sign_set_keys(struct sign *sign, const struct msg_config_key *keys, size_t count, const struct nonces_now *now);

/* Of a request that was verified before a reload: is its key there still, and one that this peer may use? */
bool sign_has_key(const struct sign *sign, const char *id, const struct peer *peer);

/* At the start: what an earlier front took. */
struct nonces *sign_nonces(struct sign *sign);

/* A request names an AccessKey, if only in part: it is never served by uid. */
bool sign_is_claimed(const struct request *request, const struct sign_request *wire);
/* Does not block but in the accept function. */
void sign_verify(struct sign *sign, const struct request *request, const struct sign_request *wire,
		 const struct peer *peer, const struct nonces_now *now, struct sign_verdict *ret_verdict);

#endif
