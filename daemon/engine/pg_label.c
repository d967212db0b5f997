/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strict: what a server writes is known to the byte, and what is odd would be found by recovery, too late. */
#include "daemon/engine/pg_label.h"

#include "common/ask.h"
#include "common/err.h"

#include <string.h>

/* The rest of a text. */
struct text {
	const char *at, *end;
};

/* Is that next? Then it is passed. */
static bool skip(struct text *text, const char *expected)
{
	size_t length = strlen(expected);

	if ((size_t)(text->end - text->at) < length || memcmp(text->at, expected, length) != 0)
		return false;
	text->at += length;
	return true;
}

/* What stands before stop, which is passed; not empty, without control characters. */
static bool take_until(struct text *text, char stop, char *word, size_t size)
{
	const char *end = memchr(text->at, stop, (size_t)(text->end - text->at));
	size_t length = end ? (size_t)(end - text->at) : 0;

	if (length == 0 || length >= size || memchr(text->at, '\0', length))
		return false;
	memcpy(word, text->at, length);
	word[length] = '\0';
	text->at = end + 1;
	return ask_is_clean(word, false);
}

static bool take_lsn(struct text *text, char stop, uint64_t *ret_lsn)
{
	char word[ASK_LSN_SIZE];

	return take_until(text, stop, word, sizeof(word)) && ask_parse_lsn(word, ret_lsn) == 0;
}

/* 24 upper-case hexadecimal digits: of timeline, and of the number in two halves. */
static bool is_segment(const char *name)
{
	return strlen(name) == PG_SEGMENT_NAME_SIZE - 1 && strspn(name, "0123456789ABCDEF") == PG_SEGMENT_NAME_SIZE - 1;
}

/* Decimal, as the server prints it: no sign, no zero in front. */
static bool take_number(struct text *text, char stop, uint32_t *ret_number)
{
	uint64_t number = 0;
	char word[11];

	if (!take_until(text, stop, word, sizeof(word)) || word[0] == '0')
		return false;
	for (const char *c = word; *c; c++) {
		if (*c < '0' || *c > '9')
			return false;
		number = number * 10 + (uint64_t)(*c - '0');
	}
	*ret_number = (uint32_t)number;
	return number <= UINT32_MAX;
}

static bool take_origin(struct text *text, bool *ret_primary)
{
	/* 13 says master. */
	*ret_primary = skip(text, "primary\n") || skip(text, "master\n");
	return *ret_primary || skip(text, "standby\n");
}

static bool take_label(struct text *text, struct pg_label *label)
{
	char time[128];

	return skip(text, "START WAL LOCATION: ") && take_lsn(text, ' ', &label->start) && skip(text, "(file ") &&
	       take_until(text, ')', label->segment, sizeof(label->segment)) && is_segment(label->segment) &&
	       skip(text, "\n") && skip(text, "CHECKPOINT LOCATION: ") && take_lsn(text, '\n', &label->checkpoint) &&
	       skip(text, "BACKUP METHOD: streamed\n") && skip(text, "BACKUP FROM: ") &&
	       take_origin(text, &label->from_primary) && skip(text, "START TIME: ") &&
	       take_until(text, '\n', time, sizeof(time)) && skip(text, "LABEL: ") &&
	       take_until(text, '\n', label->name, sizeof(label->name)) && skip(text, "START TIMELINE: ") &&
	       take_number(text, '\n', &label->timeline) && text->at == text->end;
}

int pg_label_parse(const char *bytes, size_t size, struct pg_label *ret_label)
{
	struct text text = {.at = bytes, .end = bytes + size};
	struct pg_label label = {0};

	if (!take_label(&text, &label))
		return ERR_CORRUPT;
	*ret_label = label;
	return 0;
}

int pg_map_next(const char *bytes, size_t size, size_t *at, struct pg_map_entry *ret_entry)
{
	struct text text = {.at = bytes + *at, .end = bytes + size};
	struct pg_map_entry entry = {0};

	if (text.at == text.end)
		return 0;
	if (!take_number(&text, ' ', &entry.oid) || !take_until(&text, '\n', entry.path, sizeof(entry.path)) ||
	    entry.path[0] != '/' || strchr(entry.path, '\\'))
		return ERR_CORRUPT;
	*at = (size_t)(text.at - bytes);
	*ret_entry = entry;
	return 1;
}

enum {
	AT_INFO = 2,
	AT_TIMELINE = 4,
	AT_ADDRESS = 8,
	AT_CONTINUED = 16,
	AT_SYSTEM_IDENTIFIER = 24,
	AT_SEGMENT_SIZE = 32,
	AT_PAGE_SIZE = 36,
	CONTINUED = 1,
	LONG_HEADER = 2,
	OVERWRITES = 8,
	ALL_FLAGS = 15
};

/* 0 for a release that is not known. */
static uint16_t magic_of(uint32_t major)
{
	static const uint16_t magics[] = {0xD106, 0xD10D, 0xD110, 0xD113, 0xD116};

	return major >= 13 && major <= 17 ? magics[major - 13] : 0;
}

static uint16_t u16_at(const uint8_t *bytes, size_t at)
{
	uint16_t value;

	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

static uint32_t u32_at(const uint8_t *bytes, size_t at)
{
	uint32_t value;

	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

static uint64_t u64_at(const uint8_t *bytes, size_t at)
{
	uint64_t value;

	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

int pg_wal_page_parse(const void *bytes, size_t size, uint32_t major, struct pg_wal_page *ret_page)
{
	const uint8_t *at = bytes;
	struct pg_wal_page page = {0};
	uint16_t info;

	if (size < PG_WAL_HEADER || magic_of(major) == 0 || u16_at(at, 0) != magic_of(major))
		return ERR_CORRUPT;
	info = u16_at(at, AT_INFO);
	page.first = (info & LONG_HEADER) != 0;
	page.timeline = u32_at(at, AT_TIMELINE);
	page.address = u64_at(at, AT_ADDRESS);
	page.continued = info & CONTINUED ? u32_at(at, AT_CONTINUED) : 0;
	page.overwrites = (info & OVERWRITES) != 0;
	if ((info & ~ALL_FLAGS) != 0 || page.timeline == 0 || page.address % PG_WAL_PAGE != 0)
		return ERR_CORRUPT;
	if (page.first) {
		page.system_identifier = u64_at(at, AT_SYSTEM_IDENTIFIER);
		page.segment_size = u32_at(at, AT_SEGMENT_SIZE);
		if (u32_at(at, AT_PAGE_SIZE) != PG_WAL_PAGE)
			return ERR_CORRUPT;
	}
	*ret_page = page;
	return 0;
}
