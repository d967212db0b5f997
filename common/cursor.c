/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bounded fields: the one place where lengths from outside meet memory. */
#include "common/cursor.h"

#include "common/err.h"

#include <endian.h>
#include <limits.h>
#include <string.h>

void writer_init(struct writer *w, void *bytes, size_t size)
{
	*w = (struct writer){.bytes = bytes, .size = size};
}

/* Room for size more bytes, or NULL and the cursor has failed. */
static uint8_t *reserve(struct writer *w, size_t size)
{
	uint8_t *place;

	if (w->failed || size > w->size - w->used) {
		w->failed = true;
		return NULL;
	}
	place = w->bytes + w->used;
	w->used += size;
	return place;
}

void put_bytes(struct writer *w, const void *bytes, size_t size)
{
	uint8_t *place = reserve(w, size);

	if (place && size > 0)
		memcpy(place, bytes, size);
}

void put_u8(struct writer *w, uint8_t value)
{
	put_bytes(w, &value, sizeof(value));
}

void put_u16(struct writer *w, uint16_t value)
{
	value = htobe16(value);
	put_bytes(w, &value, sizeof(value));
}

void put_u32(struct writer *w, uint32_t value)
{
	value = htobe32(value);
	put_bytes(w, &value, sizeof(value));
}

void put_u64(struct writer *w, uint64_t value)
{
	value = htobe64(value);
	put_bytes(w, &value, sizeof(value));
}

void put_i64(struct writer *w, int64_t value)
{
	put_u64(w, (uint64_t)value);
}

void put_str(struct writer *w, const char *str)
{
	size_t size = str ? strlen(str) : 0;

	if (size > PUT_STR_ARRAY_MAX) {
		w->failed = true;
		return;
	}
	put_u16(w, (uint16_t)size);
	put_bytes(w, str, size);
}

int writer_end(const struct writer *w)
{
	return w->failed || w->used > INT_MAX ? ERR_TOO_LONG : (int)w->used;
}

void reader_init(struct reader *r, const void *bytes, size_t size)
{
	*r = (struct reader){.bytes = bytes, .size = size};
}

static const uint8_t *consume(struct reader *r, size_t size)
{
	const uint8_t *place;

	if (r->failed || size > r->size - r->used) {
		r->failed = true;
		return NULL;
	}
	place = r->bytes + r->used;
	r->used += size;
	return place;
}

void get_bytes(struct reader *r, void *bytes, size_t size)
{
	const uint8_t *place = consume(r, size);

	if (place)
		memcpy(bytes, place, size);
	else
		memset(bytes, 0, size);
}

uint8_t get_u8(struct reader *r)
{
	uint8_t value;

	get_bytes(r, &value, sizeof(value));
	return value;
}

uint8_t get_enum(struct reader *r, uint8_t max)
{
	uint8_t value = get_u8(r);

	if (value > max) {
		r->failed = true;
		return 0;
	}
	return value;
}

bool get_bool(struct reader *r)
{
	return get_enum(r, 1) == 1;
}

uint16_t get_u16(struct reader *r)
{
	uint16_t value;

	get_bytes(r, &value, sizeof(value));
	return be16toh(value);
}

uint32_t get_u32(struct reader *r)
{
	uint32_t value;

	get_bytes(r, &value, sizeof(value));
	return be32toh(value);
}

uint64_t get_u64(struct reader *r)
{
	uint64_t value;

	get_bytes(r, &value, sizeof(value));
	return be64toh(value);
}

int64_t get_i64(struct reader *r)
{
	return (int64_t)get_u64(r);
}

void get_str(struct reader *r, char *str, size_t size)
{
	size_t length = get_u16(r);
	const uint8_t *place = consume(r, length);

	str[0] = '\0';
	if (!place)
		return;
	if (length >= size || memchr(place, '\0', length)) {
		r->failed = true;
		return;
	}
	memcpy(str, place, length);
	str[length] = '\0';
}

int reader_end(const struct reader *r)
{
	return r->failed || r->used != r->size ? ERR_INVALID : 0;
}

int reader_state(const struct reader *r)
{
	return r->failed ? ERR_INVALID : 0;
}
