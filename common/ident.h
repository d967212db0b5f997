/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which strings are valid ids and names, and the random numbers that tell our
 * own work from anybody else's: nonces and UUIDs.
 */
#ifndef DBSNAP_IDENT_H
#define DBSNAP_IDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	IDENT_CLUSTER_SIZE = 64,     /* [a-z0-9][a-z0-9-]{1,62} and a NUL */
	IDENT_CLONE_SIZE = 64,       /* [a-z0-9][a-z0-9-]{0,62} and a NUL */
	IDENT_TOKEN_SIZE = 65,       /* 0 to 64 bytes of 0x20..0x7e and a NUL */
	IDENT_ID_SIZE = 21,          /* a 64-bit number in decimal and a NUL */
	IDENT_HEX_SIZE = 33,         /* a nonce in lower-case hexadecimal and a NUL */
	IDENT_UUID_SIZE = 37,        /* "8-4-4-4-12" and a NUL */
	IDENT_PRINCIPAL_SIZE = 80    /* "uid:1000", "key:ID" and a NUL */
};

/* 128 random bits: made once for each job (its nonce) and each store (its install id). */
struct nonce {
	uint8_t bytes[16];
};

bool ident_is_cluster(const char *str);
bool ident_is_clone(const char *str);
/* The throw-away clone of a verification: "verify-7" for job 7. A name of this form is nobody else's. */
void ident_verify_clone(uint64_t job, char text[static IDENT_CLONE_SIZE]);
/* Whether it has that form, and whose it then is; ret_job may be NULL. */
bool ident_is_verify_clone(const char *str, uint64_t *ret_job);
bool ident_is_token(const char *str);

/* Canonical decimal 1 to 2^63-1: no sign, no leading zero. ERR_INVALID otherwise. */
int ident_parse_id(const char *str, uint64_t *ret_id);
void ident_format_id(uint64_t id, char text[static IDENT_ID_SIZE]);

/* From the kernel; a machine that cannot give random bytes gives up (abort). */
void nonce_make(struct nonce *nonce);
bool nonce_equal(const struct nonce *a, const struct nonce *b);
bool nonce_is_zero(const struct nonce *nonce);
/* Lower-case hexadecimal digits, two a byte, and a NUL. */
void hex_format(const uint8_t *bytes, size_t size, char *text);
void nonce_format(const struct nonce *nonce, char text[static IDENT_HEX_SIZE]);
/* Exactly 32 lower-case hexadecimal digits. 0 or ERR_INVALID. */
int nonce_parse(const char *text, struct nonce *ret_nonce);

/* A random version 4 UUID in upper case, as the API's RequestId. */
void uuid_make(char text[static IDENT_UUID_SIZE]);
/* A file system's UUID (16 bytes) as "8-4-4-4-12" in lower case. */
void uuid_format(const uint8_t bytes[static 16], char text[static IDENT_UUID_SIZE]);

#endif
