/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads and writes fields in a bounded run of bytes. All integers are
 * big-endian; a string is a 16-bit length and its bytes, with no NUL inside.
 *
 * Errors stick: after the first one every call does nothing (a get gives zero
 * or an empty string), so a decoder gets all its fields and asks once, at the
 * end. The cursor owns nothing: strings are copied into the caller's arrays.
 *
 * Worked example, put_u8(1), put_u32(258), put_str("pg"):
 *   01  00 00 01 02  00 02 70 67
 */
#ifndef DBSNAP_CURSOR_H
#define DBSNAP_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer {
	uint8_t *bytes;
	size_t size;
	size_t used;
	bool failed;
};

struct reader {
	const uint8_t *bytes;
	size_t size;
	size_t used;
	bool failed;
};

void writer_init(struct writer *w, void *bytes, size_t size);
void put_u8(struct writer *w, uint8_t value);
void put_u16(struct writer *w, uint16_t value);
void put_u32(struct writer *w, uint32_t value);
void put_u64(struct writer *w, uint64_t value);
void put_i64(struct writer *w, int64_t value);
void put_bytes(struct writer *w, const void *bytes, size_t size);
/* NULL is the empty string. Longer than 65,535 bytes: fails. */
void put_str(struct writer *w, const char *str);
/* The number of bytes written, or ERR_TOO_LONG if something did not fit. */
int writer_end(const struct writer *w);

void reader_init(struct reader *r, const void *bytes, size_t size);
uint8_t get_u8(struct reader *r);
/* As get_u8, but a value over max is an error (and gives 0). */
uint8_t get_enum(struct reader *r, uint8_t max);
bool get_bool(struct reader *r);
uint16_t get_u16(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);
int64_t get_i64(struct reader *r);
void get_bytes(struct reader *r, void *bytes, size_t size);
/* Into an array of size bytes, NUL-terminated; too long, or a NUL inside: an error, and "". */
void get_str(struct reader *r, char *str, size_t size);
/* 0 if every get succeeded and every byte was consumed, else ERR_INVALID. */
int reader_end(const struct reader *r);
/* 0 so far, or ERR_INVALID: for decoders that loop on what they read. */
int reader_state(const struct reader *r);

#define PUT_STR_ARRAY_MAX 65535

#endif
