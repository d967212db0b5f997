/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Follows the records of a WAL, page by page, as far as recovery would: each says how
 * long it is and where the one before it began. Pure: bytes in, what they do out. The
 * layout is that of releases 13 to 17. A record's head, of 24 bytes:
 *   length of all of it (4), transaction (4), LSN of the record before (8), info (1), resource
 *   manager (1), two zeros, checksum (4)
 * It begins at a multiple of 8 and goes on behind the headers of as many pages as it needs.
 */
#ifndef DBSNAP_ENGINE_PG_RECORDS_H
#define DBSNAP_ENGINE_PG_RECORDS_H

#include "daemon/engine/pg_label.h"

#include <stdbool.h>
#include <stdint.h>

enum { PG_RECORD_HEAD = 24 };

struct pg_records {
	uint32_t major, segment_size;
	uint64_t at;     /* LSN of the byte that is wanted next: every record before it is known */
	bool tablespace; /* one of them makes a tablespace */
	/* Its own. */
	uint64_t begin, last; /* LSNs of the record that is open, and of the last whole one: 0 */
	uint32_t left;        /* bytes of it that are still to come; 0: none is open */
	uint32_t have;        /* bytes of its head that are there */
	uint8_t head[PG_RECORD_HEAD];
};

/* at: LSN of a record's beginning. */
void pg_records_begin(uint32_t major, uint32_t segment_size, uint64_t at, struct pg_records *ret_records);

/* Takes the page that records->at is in, and moves that on. False: here the WAL ends. */
bool pg_records_page(struct pg_records *records, const uint8_t page[static PG_WAL_PAGE]);

#endif
