/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a signature is over, written piece by piece into a hash: of sign alone. */
#ifndef DBSNAP_FRONT_SIGN_TEXT_H
#define DBSNAP_FRONT_SIGN_TEXT_H

#include "daemon/front/sign.h"
#include "daemon/front/sign_crypto.h"

/* Where text goes: to one of the two. Starts with one of them set and all else zero. */
struct sign_sink {
	EVP_MD_CTX *md;
	EVP_MAC_CTX *mac;
	bool failed;
	size_t used;
	unsigned char bytes[1024];
};

void sign_sink_put(struct sign_sink *sink, const void *bytes, size_t size);
/* What is left; false if any of it failed. */
bool sign_sink_end(struct sign_sink *sink);

/* Version 1's string to sign. */
void sign_text_v1(struct sign_sink *sink, const struct request *request, const char *method);
/*
 * Version 3's canonical request. headers: those that are signed, in the order of signed_headers, the list as
 * it was given; body_hash: in hexadecimal.
 */
void sign_text_v3(struct sign_sink *sink, const struct request *request, const char *method,
		  const struct sign_header *const *headers, size_t header_count, const char *signed_headers,
		  size_t signed_headers_size, const char *body_hash);

/* Where a header's value begins, without the blanks around it, which are not signed. */
const char *sign_text_trim(const char *value, size_t *ret_size);

/* Lower-case hexadecimal, with a NUL. */
void sign_text_hex(const unsigned char *bytes, size_t size, char *text);

#endif
