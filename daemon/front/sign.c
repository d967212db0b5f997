/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The checks in their order. A claim is what a request says of its signature, in either version. */
#include "daemon/front/sign.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/front/sign_keys.h"
#include "daemon/front/sign_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ACS "ACS3-"
#define ACS3 ACS "HMAC-SHA256"
#define X_ACS "x-acs-"
#define MINUTE_MS INT64_C(60000)

enum { V1, V3, TIMESTAMP_SIZE = sizeof("yyyy-MM-ddTHH:mm:ssZ"), HASH_SIZE = 32, HEX_SIZE = 2 * HASH_SIZE + 1, SIGNATURE_SIZE = HEX_SIZE };

static const int64_t windows_ms[NONCES_WINDOWS] = {[V1] = 31 * MINUTE_MS, [V3] = 15 * MINUTE_MS};

struct sign {
	EVP_MAC *hmac;
	EVP_MD *sha256;
	EVP_MD_CTX *md;
	struct sign_keys keys;
	struct sign_keys chance; /* one key that nobody has */
	struct nonces *nonces;
	sign_accept_fn *accept;
	void *arg;
};

/* Bytes of the request. at NULL: not there. */
struct part {
	const char *at;
	size_t size;
};

struct claim {
	unsigned version;
	struct part key_id, signature, list, nonce, timestamp;
	int64_t stamp_ms;
	/* Version 3 */
	struct part body_hash;
	const struct sign_header *headers[SIGN_HEADERS_MAX];
	size_t header_count;
};

/* ---- life ---- */

static int make_chance(struct sign *sign)
{
	struct msg_config_key key = {.id = "?"};
	unsigned char bytes[(MSG_SECRET_SIZE - 1) / 2];
	int r;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return ERR_IO;
	sign_text_hex(bytes, sizeof(bytes), key.secret);
	r = sign_keys_make(sign->hmac, &key, 1, &sign->chance);
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(&key, sizeof(key));
	return r;
}

struct sign *sign_new(size_t nonces, sign_accept_fn *accept, void *arg)
{
	struct sign *sign = calloc(1, sizeof(*sign));

	if (!sign)
		return NULL;
	sign->accept = accept;
	sign->arg = arg;
	sign->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	sign->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	sign->md = EVP_MD_CTX_new();
	sign->nonces = nonces_new(nonces, windows_ms);
	if (!sign->hmac || !sign->sha256 || !sign->md || !sign->nonces || make_chance(sign) < 0)
		return sign_free(sign);
	return sign;
}

struct sign *sign_free(struct sign *sign)
{
	if (!sign)
		return NULL;
	sign_keys_clear(&sign->keys);
	sign_keys_clear(&sign->chance);
	nonces_free(sign->nonces);
	EVP_MD_CTX_free(sign->md);
	EVP_MD_free(sign->sha256);
	EVP_MAC_free(sign->hmac);
	free(sign);
	return NULL;
}

struct nonces *sign_nonces(struct sign *sign)
{
	return sign->nonces;
}

/* A number that no key of these has and no nonce is remembered under. There are twice as many as keys; NOBODY's is shared in need. */
static unsigned unused_owner(const struct sign_keys *keys, const struct nonces *nonces)
{
	for (unsigned owner = NONCES_NOBODY + 1; owner < NONCES_OWNERS_MAX; owner++) {
		bool used = nonces_count(nonces, owner) > 0;

		for (size_t i = 0; !used && i < keys->count; i++)
			used = keys->keys[i].owner == owner;
		if (!used)
			return owner;
	}
	return NONCES_NOBODY;
}

int sign_set_keys(struct sign *sign, const struct msg_config_key *keys, size_t count, const struct nonces_now *now)
{
	struct sign_keys made;
	int r = sign_keys_make(sign->hmac, keys, count, &made);

	if (r < 0)
		return r;
	nonces_sweep(sign->nonces, now);
	for (size_t i = 0; i < made.count; i++) {
		const struct sign_key *before = sign_keys_find(&sign->keys, made.keys[i].conf.id);

		made.keys[i].owner = before ? before->owner : NONCES_NOBODY;
	}
	for (size_t i = 0; i < made.count; i++) {
		if (made.keys[i].owner == NONCES_NOBODY)
			made.keys[i].owner = unused_owner(&made, sign->nonces);
	}
	nonces_set_owners(sign->nonces, (unsigned)made.count);
	sign_keys_clear(&sign->keys);
	sign->keys = made;
	return 0;
}

/* ---- form ---- */

/* Ends the checks with this result. */
static bool refuse(struct sign_verdict *verdict, enum sign_result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(struct sign_verdict *verdict, enum sign_result result, const char *format, ...)
{
	va_list args;

	verdict->result = result;
	va_start(args, format);
	vsnprintf(verdict->why, sizeof(verdict->why), format, args);
	va_end(args);
	return false;
}

static bool lacks(struct sign_verdict *verdict, const char *name)
{
	return refuse(verdict, SIGN_INCOMPLETE, "The signature lacks \"%s\".", name);
}

static bool names_key(const struct request *request)
{
	return request_get(request, "AccessKeyId") || request_get(request, "Signature");
}

bool sign_is_claimed(const struct request *request, const struct sign_request *wire)
{
	return wire->authorization || names_key(request);
}

/* Takes NULL: not there. */
static struct part part_of(const char *text)
{
	return (struct part){text, text ? strlen(text) : 0};
}

static bool read_v1(const struct request *request, const struct sign_request *wire, struct claim *claim,
		    struct sign_verdict *verdict)
{
	static const char *const parts[] = {"AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!request_get(request, parts[i]))
			return lacks(verdict, parts[i]);
	}
	if (strcmp(request_get(request, "SignatureMethod"), "HMAC-SHA1") != 0)
		return refuse(verdict, SIGN_METHOD, "The specified parameter SignatureMethod is not valid: it is HMAC-SHA1.");
	if (strcmp(request_get(request, "SignatureVersion"), "1.0") != 0)
		return refuse(verdict, SIGN_VERSION, "The specified parameter SignatureVersion is not valid: it is 1.0.");
	/* This version signs no header: one could be put in place of another. */
	if (wire->header_action && !request_get(request, "Action"))
		return refuse(verdict, SIGN_INCOMPLETE, "The operation is named by a header alone, which is not signed: "
			      "give it as the parameter \"Action\".");
	claim->version = V1;
	claim->key_id = part_of(request_get(request, "AccessKeyId"));
	claim->signature = part_of(request_get(request, "Signature"));
	claim->nonce = part_of(request_get(request, "SignatureNonce"));
	claim->timestamp = part_of(request_get(request, "Timestamp"));
	return true;
}

/* The part that is called name, if this is it: "name=value", once, with a value. */
static bool take_part(const struct part *part, const char *name, struct part *ret_value)
{
	size_t length = strlen(name);

	if (part->size <= length + 1 || memcmp(part->at, name, length) != 0 || part->at[length] != '=' || ret_value->at)
		return false;
	*ret_value = (struct part){part->at + length + 1, part->size - length - 1};
	return true;
}

static bool read_authorization(const char *text, struct claim *claim, struct sign_verdict *verdict)
{
	if (strncmp(text, ACS3 " ", strlen(ACS3 " ")) != 0) {
		if (strncmp(text, ACS, strlen(ACS)) == 0 && strncmp(text, ACS3, strlen(ACS3)) != 0)
			return refuse(verdict, SIGN_METHOD, "The algorithm in Authorization is not " ACS3 ".");
		return lacks(verdict, ACS3);
	}
	text += strlen(ACS3 " ");
	while (text) {
		struct part part;

		text += strspn(text, " ");
		part = (struct part){text, strcspn(text, ",")};
		if (!take_part(&part, "Credential", &claim->key_id) && !take_part(&part, "SignedHeaders", &claim->list) &&
		    !take_part(&part, "Signature", &claim->signature))
			return refuse(verdict, SIGN_INCOMPLETE, "Authorization is not \"" ACS3
				      " Credential=..,SignedHeaders=..,Signature=..\", each of the three once and with a value.");
		text = text[part.size] ? text + part.size + 1 : NULL;
	}
	return claim->key_id.at ? claim->list.at ? claim->signature.at ? true : lacks(verdict, "Signature") :
				  lacks(verdict, "SignedHeaders") : lacks(verdict, "Credential");
}

static bool is_called(const struct sign_header *header, const struct part *name)
{
	return strlen(header->name) == name->size && strncasecmp(header->name, name->at, name->size) == 0;
}

/* The one header of this name. */
static bool take_header(const struct sign_request *wire, const struct part *name, struct claim *claim,
			struct sign_verdict *verdict)
{
	const struct sign_header *found = NULL;

	for (size_t i = 0; i < wire->header_count; i++) {
		if (!is_called(&wire->headers[i], name))
			continue;
		if (found)
			return refuse(verdict, SIGN_MALFORMED, "The signed header %.*s is given twice.",
				      (int)(name->size < 64 ? name->size : 64), name->at);
		found = &wire->headers[i];
	}
	if (!found)
		return refuse(verdict, SIGN_INCOMPLETE, "The header %.*s is in SignedHeaders, and not in the request.",
			      (int)(name->size < 64 ? name->size : 64), name->at);
	claim->headers[claim->header_count++] = found;
	return true;
}

static bool is_before(const struct part *a, const struct part *b)
{
	int order = memcmp(a->at, b->at, a->size < b->size ? a->size : b->size);

	return order < 0 || (order == 0 && a->size < b->size);
}

static bool is_lower(const struct part *name)
{
	for (size_t i = 0; i < name->size; i++) {
		if (name->at[i] >= 'A' && name->at[i] <= 'Z')
			return false;
	}
	return name->size > 0;
}

static bool read_list(const struct sign_request *wire, struct claim *claim, struct sign_verdict *verdict)
{
	struct part before = {"", 0};

	for (size_t at = 0; at <= claim->list.size;) {
		const char *start = claim->list.at + at, *end = memchr(start, ';', claim->list.size - at);
		struct part name = {start, end ? (size_t)(end - start) : claim->list.size - at};

		if (!is_lower(&name) || !is_before(&before, &name))
			return refuse(verdict, SIGN_MISMATCH,
				      "SignedHeaders is not a list of names in lower case, sorted, each once.");
		if (claim->header_count == SIGN_HEADERS_MAX)
			return refuse(verdict, SIGN_MALFORMED, "There are too many signed headers.");
		if (!take_header(wire, &name, claim, verdict))
			return false;
		before = name;
		at += name.size + 1;
	}
	return true;
}

/* Of a signed header, as it is signed: blanks more or less are the same request. Not there: empty, or not signed. */
static struct part signed_value(const struct claim *claim, const char *name)
{
	struct part value = {NULL, 0};

	for (size_t i = 0; i < claim->header_count; i++) {
		if (strcasecmp(claim->headers[i]->name, name) == 0)
			value.at = sign_text_trim(claim->headers[i]->value, &value.size);
	}
	return value.size > 0 ? value : (struct part){NULL, 0};
}

static bool is_signed(const struct claim *claim, const struct sign_header *header)
{
	for (size_t i = 0; i < claim->header_count; i++) {
		if (claim->headers[i] == header)
			return true;
	}
	return false;
}

static bool check_signed(const struct sign_request *wire, const struct claim *claim, struct sign_verdict *verdict)
{
	for (size_t i = 0; i < wire->header_count; i++) {
		const struct sign_header *header = &wire->headers[i];

		if ((strncasecmp(header->name, X_ACS, strlen(X_ACS)) == 0 || strcasecmp(header->name, "host") == 0) &&
		    !is_signed(claim, header))
			return refuse(verdict, SIGN_INCOMPLETE, "The header %.64s is not signed.", header->name);
	}
	return true;
}

static bool read_v3(const struct request *request, const struct sign_request *wire, struct claim *claim,
		    struct sign_verdict *verdict)
{
	static const char *const needed[] = {"host", "x-acs-content-sha256", "x-acs-signature-nonce"};

	if (names_key(request))
		return refuse(verdict, SIGN_INCOMPLETE, "A request is signed by parameters or by Authorization, not by both.");
	claim->version = V3;
	if (!read_authorization(wire->authorization, claim, verdict) || !read_list(wire, claim, verdict) ||
	    !check_signed(wire, claim, verdict))
		return false;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!signed_value(claim, needed[i]).at)
			return lacks(verdict, needed[i]);
	}
	claim->body_hash = signed_value(claim, "x-acs-content-sha256");
	claim->nonce = signed_value(claim, "x-acs-signature-nonce");
	claim->timestamp = signed_value(claim, "x-acs-date");
	return true;
}

static bool read_timestamp(struct claim *claim, struct sign_verdict *verdict)
{
	const char *name = claim->version == V1 ? "Timestamp" : "x-acs-date";
	char text[TIMESTAMP_SIZE] = "";

	if (!claim->timestamp.at)
		return refuse(verdict, SIGN_NO_TIMESTAMP, "The request has no %s.", name);
	if (claim->timestamp.size < sizeof(text))
		memcpy(text, claim->timestamp.at, claim->timestamp.size);
	if (clock_parse(text, &claim->stamp_ms) < 0)
		return refuse(verdict, SIGN_TIMESTAMP_FORMAT, "%s is not yyyy-MM-ddTHH:mm:ssZ.", name);
	return true;
}

/* ---- signature ---- */

static bool hash(struct sign *sign, const void *bytes, size_t size, char hex[static HEX_SIZE])
{
	unsigned char digest[HASH_SIZE];

	if (EVP_DigestInit_ex2(sign->md, sign->sha256, NULL) != 1 || EVP_DigestUpdate(sign->md, bytes, size) != 1 ||
	    EVP_DigestFinal_ex(sign->md, digest, NULL) != 1)
		return false;
	sign_text_hex(digest, sizeof(digest), hex);
	return true;
}

static bool end_mac(EVP_MAC_CTX *mac, unsigned char digest[static HASH_SIZE], size_t *ret_size)
{
	return EVP_MAC_final(mac, digest, ret_size, HASH_SIZE) == 1;
}

static bool sign_v1(const struct request *request, const struct sign_request *wire, EVP_MAC_CTX *mac,
		    char text[static SIGNATURE_SIZE])
{
	struct sign_sink sink = {.mac = mac};
	unsigned char digest[HASH_SIZE];
	size_t size;

	sign_text_v1(&sink, request, wire->method);
	if (!sign_sink_end(&sink) || !end_mac(mac, digest, &size))
		return false;
	EVP_EncodeBlock((unsigned char *)text, digest, (int)size);
	return true;
}

static bool sign_v3(struct sign *sign, const struct request *request, const struct sign_request *wire,
		    const struct claim *claim, const char *body_hash, EVP_MAC_CTX *mac, char text[static SIGNATURE_SIZE])
{
	static const char algorithm[] = ACS3 "\n";
	struct sign_sink sink = {.md = sign->md};
	unsigned char digest[HASH_SIZE];
	char hex[HEX_SIZE];
	size_t size;

	if (EVP_DigestInit_ex2(sign->md, sign->sha256, NULL) != 1)
		return false;
	sign_text_v3(&sink, request, wire->method, claim->headers, claim->header_count, claim->list.at, claim->list.size,
		     body_hash);
	if (!sign_sink_end(&sink) || EVP_DigestFinal_ex(sign->md, digest, NULL) != 1)
		return false;
	sign_text_hex(digest, sizeof(digest), hex);
	if (EVP_MAC_update(mac, (const unsigned char *)algorithm, strlen(algorithm)) != 1 ||
	    EVP_MAC_update(mac, (const unsigned char *)hex, strlen(hex)) != 1 || !end_mac(mac, digest, &size))
		return false;
	sign_text_hex(digest, size, text);
	return true;
}

/* Only lengths show in the time: they are the algorithm's. */
static bool equal(const char *right, const char *given, size_t given_size)
{
	size_t size = strlen(right);

	return given_size == size && CRYPTO_memcmp(right, given, size) == 0;
}

/* 1 if it is this key's signature, 0, or ERR_NOMEM: libcrypto failed. */
static int check(struct sign *sign, const struct request *request, const struct sign_request *wire,
		 const struct claim *claim, const struct sign_key *key)
{
	EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(claim->version == V1 ? key->v1 : key->v3);
	char text[SIGNATURE_SIZE], body_hash[HEX_SIZE];
	bool done = mac, good = true;

	if (done && claim->version == V1) {
		done = sign_v1(request, wire, mac, text);
	} else if (done) {
		done = hash(sign, wire->body, wire->body_size, body_hash);
		good = done && equal(body_hash, claim->body_hash.at, claim->body_hash.size);
		done = done && sign_v3(sign, request, wire, claim, body_hash, mac, text);
	}
	EVP_MAC_CTX_free(mac);
	if (!done)
		return ERR_NOMEM;
	return equal(text, claim->signature.at, claim->signature.size) && good;
}

/* ---- key, time, nonce ---- */

/* NULL: there is none, or this peer may not use it. */
static const struct sign_key *find_key(const struct sign *sign, const char *id, const struct peer *peer)
{
	const struct sign_key *key = sign_keys_find(&sign->keys, id);

	if (!key || (key->conf.has_uid && peer->uid != key->conf.uid) ||
	    (key->conf.has_gid && !peer_in_group(peer, key->conf.gid)))
		return NULL;
	return key;
}

bool sign_has_key(const struct sign *sign, const char *id, const struct peer *peer)
{
	return find_key(sign, id, peer) != NULL;
}

static const struct sign_key *find_claimed(const struct sign *sign, const struct part *id, const struct peer *peer)
{
	char text[MSG_KEY_ID_SIZE];

	if (id->size >= sizeof(text))
		return NULL;
	memcpy(text, id->at, id->size);
	text[id->size] = '\0';
	return find_key(sign, text, peer);
}

static bool check_time(const struct sign *sign, const struct claim *claim, const struct nonces_now *now,
		       struct sign_verdict *verdict)
{
	int64_t window_ms = windows_ms[claim->version], floor_s = nonces_floor_s(sign->nonces, claim->version);
	char text[TIMESTAMP_SIZE];

	if (claim->stamp_ms < now->wall_ms - window_ms || claim->stamp_ms > now->wall_ms + window_ms) {
		clock_format(now->wall_ms, text);
		return refuse(verdict, SIGN_EXPIRED, "The timestamp is more than %d minutes off: it is %s here.",
			      (int)(window_ms / MINUTE_MS), text);
	}
	if (claim->stamp_ms / 1000 <= floor_s) {
		clock_format(floor_s * 1000, text);
		return refuse(verdict, SIGN_EXPIRED,
			      "Requests that were signed up to %s are not served: the service started, or its clock was set back.",
			      text);
	}
	return true;
}

/* SHA-256 over the key's id and the nonce, with a NUL between them. */
static bool make_item(struct sign *sign, const struct claim *claim, const struct sign_key *key, struct nonces_item *ret_item)
{
	unsigned char digest[HASH_SIZE];

	if (EVP_DigestInit_ex2(sign->md, sign->sha256, NULL) != 1 ||
	    EVP_DigestUpdate(sign->md, key->conf.id, strlen(key->conf.id) + 1) != 1 ||
	    EVP_DigestUpdate(sign->md, claim->nonce.at, claim->nonce.size) != 1 ||
	    EVP_DigestFinal_ex(sign->md, digest, NULL) != 1)
		return false;
	*ret_item = (struct nonces_item){.stamp_s = claim->stamp_ms / 1000, .window = claim->version, .owner = key->owner};
	memcpy(ret_item->hash, digest, sizeof(ret_item->hash));
	return true;
}

static bool fail(struct sign_verdict *verdict, int code)
{
	verdict->result = SIGN_FAILED;
	verdict->code = code;
	return false;
}

static bool take_nonce(struct sign *sign, const struct claim *claim, const struct sign_key *key,
		       const struct nonces_now *now, struct sign_verdict *verdict)
{
	struct nonces_item item;
	int r;

	if (!make_item(sign, claim, key, &item))
		return fail(verdict, ERR_NOMEM);
	r = nonces_look(sign->nonces, &item, now);
	if (r == ERR_EXISTS) {
		verdict->result = SIGN_NONCE_USED;
		return false;
	}
	if (r == 0)
		r = sign->accept(sign->arg, &item, now);
	else
		r = ERR_BUSY;
	if (r == ERR_BUSY)
		return refuse(verdict, SIGN_THROTTLED, "Too many signed requests are remembered: ask again later.");
	if (r < 0)
		return fail(verdict, r);
	nonces_take(sign->nonces, &item, now);
	return true;
}

void sign_verify(struct sign *sign, const struct request *request, const struct sign_request *wire,
		 const struct peer *peer, const struct nonces_now *now, struct sign_verdict *ret_verdict)
{
	struct claim claim = {0};
	const struct sign_key *key;
	int good;

	*ret_verdict = (struct sign_verdict){.result = SIGN_UNSIGNED};
	if (!sign_is_claimed(request, wire))
		return;
	if (!(wire->authorization ? read_v3(request, wire, &claim, ret_verdict) : read_v1(request, wire, &claim, ret_verdict)) ||
	    !read_timestamp(&claim, ret_verdict))
		return;
	key = find_claimed(sign, &claim.key_id, peer);
	good = check(sign, request, wire, &claim, key ? key : sign->chance.keys);
	if (good < 0) {
		fail(ret_verdict, good);
		return;
	}
	if (!key) {
		ret_verdict->result = SIGN_NO_KEY;
		return;
	}
	if (!check_time(sign, &claim, now, ret_verdict))
		return;
	if (!good) {
		ret_verdict->result = SIGN_MISMATCH;
		return;
	}
	if (!take_nonce(sign, &claim, key, now, ret_verdict))
		return;
	ret_verdict->result = SIGN_VERIFIED;
	memcpy(ret_verdict->key_id, key->conf.id, sizeof(ret_verdict->key_id));
}
