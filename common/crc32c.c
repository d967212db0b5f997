/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Eight bytes at a time, each by the table of its place: as fast as a disk, on any processor. */
#include "common/crc32c.h"

void crc32c_init(struct crc32c *ret_table)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
		ret_table->by_place[0][byte] = crc;
	}
	for (int place = 1; place < 8; place++) {
		for (int byte = 0; byte < 256; byte++) {
			uint32_t before = ret_table->by_place[place - 1][byte];

			ret_table->by_place[place][byte] = before >> 8 ^ ret_table->by_place[0][before & 0xff];
		}
	}
}

uint32_t crc32c_of(const struct crc32c *table, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint32_t crc = ~UINT32_C(0);

	for (; size >= 8; size -= 8, at += 8) {
		crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
		crc = table->by_place[7][crc & 0xff] ^ table->by_place[6][crc >> 8 & 0xff] ^ table->by_place[5][crc >> 16 & 0xff] ^
		      table->by_place[4][crc >> 24] ^ table->by_place[3][at[4]] ^ table->by_place[2][at[5]] ^
		      table->by_place[1][at[6]] ^ table->by_place[0][at[7]];
	}
	for (; size > 0; size--, at++)
		crc = crc >> 8 ^ table->by_place[0][(crc ^ *at) & 0xff];
	return ~crc;
}
