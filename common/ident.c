/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ids, names and nonces: pure checks, and the kernel's random bytes. */
#include "common/ident.h"

#include "common/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_name(const char *str, size_t min)
{
	size_t length = strnlen(str, IDENT_CLUSTER_SIZE);

	if (length < min || length >= IDENT_CLUSTER_SIZE || !is_lower_or_digit(str[0]))
		return false;
	for (size_t i = 1; i < length; i++) {
		if (!is_lower_or_digit(str[i]) && str[i] != '-')
			return false;
	}
	return true;
}

bool ident_is_cluster(const char *str)
{
	return is_name(str, 2);
}

bool ident_is_clone(const char *str)
{
	return is_name(str, 1);
}

static const char verify_prefix[] = "verify-";

void ident_verify_clone(uint64_t job, char text[static IDENT_CLONE_SIZE])
{
	snprintf(text, IDENT_CLONE_SIZE, "%s%" PRIu64, verify_prefix, job);
}

bool ident_is_verify_clone(const char *str, uint64_t *ret_job)
{
	size_t length = sizeof(verify_prefix) - 1;
	uint64_t job;

	if (strncmp(str, verify_prefix, length) != 0 || ident_parse_id(str + length, &job) < 0)
		return false;
	if (ret_job)
		*ret_job = job;
	return true;
}

bool ident_is_token(const char *str)
{
	size_t length = strnlen(str, IDENT_TOKEN_SIZE);

	if (length >= IDENT_TOKEN_SIZE)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (str[i] < 0x20 || str[i] > 0x7e)
			return false;
	}
	return true;
}

int ident_parse_id(const char *str, uint64_t *ret_id)
{
	uint64_t id = 0;

	if (str[0] < '1' || str[0] > '9')
		return ERR_INVALID;
	for (; *str; str++) {
		if (*str < '0' || *str > '9' || id > (INT64_MAX - (uint64_t)(*str - '0')) / 10)
			return ERR_INVALID;
		id = id * 10 + (uint64_t)(*str - '0');
	}
	*ret_id = id;
	return 0;
}

void ident_format_id(uint64_t id, char text[static IDENT_ID_SIZE])
{
	snprintf(text, IDENT_ID_SIZE, "%" PRIu64, id);
}

static void random_bytes(uint8_t *bytes, size_t size)
{
	if (getrandom(bytes, size, 0) != (ssize_t)size)
		abort();
}

void nonce_make(struct nonce *nonce)
{
	random_bytes(nonce->bytes, sizeof(nonce->bytes));
}

bool nonce_equal(const struct nonce *a, const struct nonce *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool nonce_is_zero(const struct nonce *nonce)
{
	static const struct nonce zero;

	return nonce_equal(nonce, &zero);
}

void hex_format(const uint8_t *bytes, size_t size, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

void nonce_format(const struct nonce *nonce, char text[static IDENT_HEX_SIZE])
{
	hex_format(nonce->bytes, sizeof(nonce->bytes), text);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int nonce_parse(const char *text, struct nonce *ret_nonce)
{
	struct nonce nonce;

	if (strnlen(text, IDENT_HEX_SIZE) != IDENT_HEX_SIZE - 1)
		return ERR_INVALID;
	for (size_t i = 0; i < sizeof(nonce.bytes); i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_INVALID;
		nonce.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret_nonce = nonce;
	return 0;
}

static void format_uuid(const uint8_t b[static 16], const char *digits, char *text)
{
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[b[i] >> 4];
		*text++ = digits[b[i] & 15];
	}
	*text = '\0';
}

void uuid_make(char text[static IDENT_UUID_SIZE])
{
	uint8_t bytes[16];

	random_bytes(bytes, sizeof(bytes));
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	format_uuid(bytes, "0123456789ABCDEF", text);
}

void uuid_format(const uint8_t bytes[static 16], char text[static IDENT_UUID_SIZE])
{
	format_uuid(bytes, "0123456789abcdef", text);
}
