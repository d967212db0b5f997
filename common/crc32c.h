/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The checksum CRC-32C (Castagnoli), as PostgreSQL and InnoDB write it. */
#ifndef DBSNAP_CRC32C_H
#define DBSNAP_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* What makes it fast; filled once, read from then on. */
struct crc32c {
	uint32_t by_place[8][256];
};

void crc32c_init(struct crc32c *ret_table);

uint32_t crc32c_of(const struct crc32c *table, const void *bytes, size_t size);

#endif
