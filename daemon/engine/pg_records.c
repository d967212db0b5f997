/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checksums are not looked at: what ends a WAL is that the next record does not name the
 * last one. A torn record that is taken for a whole one says at worst more than is true.
 */
#include "daemon/engine/pg_records.h"

#include <string.h>

enum {
	AT_PREVIOUS = 8,
	AT_INFO = 16,
	AT_MANAGER = 17,
	INFO_MASK = 0xF0, /* the rest is not the manager's */
	MANAGER_XLOG = 0,
	XLOG_SWITCH = 0x40, /* nothing follows in its segment */
	MANAGER_TABLESPACE = 5,
	TABLESPACE_CREATE = 0,
	ALIGNMENT = 8,
	SEGMENT_MAX = 1 << 30
};

static uint64_t round_up(uint64_t number, uint64_t to)
{
	return (number + to - 1) / to * to;
}

void pg_records_begin(uint32_t major, uint32_t segment_size, uint64_t at, struct pg_records *ret_records)
{
	*ret_records = (struct pg_records){.major = major, .segment_size = segment_size, .at = at};
}

/* The page is the one that is wanted, and what it begins with goes on with what is open. */
static bool enter(struct pg_records *records, const uint8_t *bytes)
{
	uint64_t offset = records->at % PG_WAL_PAGE;
	struct pg_wal_page page;
	uint64_t header;

	if (pg_wal_page_parse(bytes, PG_WAL_HEADER, records->major, &page) < 0 ||
	    page.address != records->at - offset)
		return false;
	header = page.first ? PG_WAL_HEADER : PG_WAL_HEADER_SHORT;
	if (offset > 0)
		return offset >= header;
	/* After a crash amid a record its rest never came: the next one follows the one before it. */
	if (page.overwrites)
		records->left = 0;
	if (records->left > 0 ? page.continued != records->left : page.continued != 0)
		return false;
	records->at += header;
	return true;
}

static bool open_record(struct pg_records *records, const uint8_t *bytes)
{
	uint32_t length;

	if (records->at % ALIGNMENT != 0)
		return false;
	memcpy(&length, bytes + records->at % PG_WAL_PAGE, sizeof(length));
	records->begin = records->at;
	records->left = length;
	records->have = 0;
	return length >= PG_RECORD_HEAD;
}

/* Its head is whole: does it follow the last one? */
static bool take_head(struct pg_records *records)
{
	uint64_t previous;

	memcpy(&previous, records->head + AT_PREVIOUS, sizeof(previous));
	if (records->last ? previous != records->last : previous >= records->begin)
		return false;
	if (records->head[AT_MANAGER] == MANAGER_TABLESPACE &&
	    (records->head[AT_INFO] & INFO_MASK) == TABLESPACE_CREATE)
		records->tablespace = true;
	return true;
}

static void close_record(struct pg_records *records)
{
	records->last = records->begin;
	records->at = round_up(records->at, ALIGNMENT);
	if (records->head[AT_MANAGER] == MANAGER_XLOG && (records->head[AT_INFO] & INFO_MASK) == XLOG_SWITCH)
		records->at = round_up(records->at, records->segment_size);
}

/* What of the open record is on this page, which ends at end. */
static bool take(struct pg_records *records, const uint8_t *bytes, uint64_t end)
{
	uint64_t size = records->left < end - records->at ? records->left : end - records->at;
	uint64_t wanted = PG_RECORD_HEAD - records->have;
	uint64_t part = size < wanted ? size : wanted;

	memcpy(records->head + records->have, bytes + records->at % PG_WAL_PAGE, part);
	records->have += (uint32_t)part;
	if (part > 0 && part == wanted && !take_head(records))
		return false;
	records->at += size;
	records->left -= (uint32_t)size;
	if (records->left == 0)
		close_record(records);
	return true;
}

bool pg_records_page(struct pg_records *records, const uint8_t page[static PG_WAL_PAGE])
{
	uint64_t end = records->at - records->at % PG_WAL_PAGE + PG_WAL_PAGE;

	/* Where the rest of a segment would be more than there are numbers. */
	if (records->at > UINT64_MAX - 2 * (uint64_t)SEGMENT_MAX || !enter(records, page))
		return false;
	while (records->at < end) {
		if (records->left == 0 && !open_record(records, page))
			return false;
		if (!take(records, page, end))
			return false;
	}
	return true;
}
