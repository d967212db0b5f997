/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pages of a WAL, which its user writes: 8 bytes say where it begins in the first of them. It is followed forwards only. */
#include "daemon/engine/pg_records.h"

#include "tests/fuzz/fuzz.h"

enum { SEGMENT = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pg_records records;
	uint64_t base, before;
	uint8_t page[PG_WAL_PAGE];

	if (size < sizeof(base))
		return 0;
	memcpy(&base, data, sizeof(base));
	data += sizeof(base);
	size -= sizeof(base);
	pg_records_begin(15, SEGMENT, base, &records);
	base -= base % PG_WAL_PAGE;
	do {
		uint64_t offset = records.at - records.at % PG_WAL_PAGE - base;

		memset(page, 0, sizeof(page));
		if (offset >= size)
			break;
		memcpy(page, data + offset, size - offset < sizeof(page) ? size - offset : sizeof(page));
		before = records.at;
		if (!pg_records_page(&records, page)) {
			must(records.at >= before && records.at - before <= PG_WAL_PAGE);
			break;
		}
		must(records.at / PG_WAL_PAGE > before / PG_WAL_PAGE && records.at - before <= SEGMENT + PG_WAL_PAGE);
		must(records.left == 0 || records.at % PG_WAL_PAGE == 0);
		must(records.have <= PG_RECORD_HEAD);
	} while (true);
	return 0;
}
