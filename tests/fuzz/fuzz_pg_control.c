/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * global/pg_control, which the database's user can write. The input's first byte says whether its CRC is made right
 * first: no mutation finds one, and whoever writes the file can.
 */
#include "daemon/engine/pg_control.h"

#include "common/err.h"
#include "tests/fuzz/fuzz.h"

enum { AT_CRC = 288 };

static uint32_t crc32c(const uint8_t *at, size_t size)
{
	uint32_t crc = UINT32_MAX;

	while (size-- > 0) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) * UINT32_C(0x82f63b78));
	}
	return ~crc;
}

static void check_taken(const struct pg_control *control)
{
	char name[PG_SEGMENT_NAME_SIZE];

	must(control->state <= PG_STATE_MAX && strcmp(pg_control_state_name(control->state), "in an unknown state") != 0);
	must(control->system_identifier != 0 && control->timeline != 0);
	must(__builtin_popcount(control->wal_segment_size) == 1);
	must(control->wal_segment_size >= 1U << 20 && control->wal_segment_size <= 1U << 30);
	fuzz_fill(name, sizeof(name));
	pg_control_segment(control->timeline, control->redo, control->wal_segment_size, name);
	must(memchr(name, '\0', sizeof(name)) == name + 24 && strspn(name, "0123456789ABCDEF") == 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pg_control control;
	size_t length = size ? size - 1 : 0;
	uint8_t *bytes = malloc(length ? length : 1);
	uint32_t crc;
	bool right;
	int error;

	must(bytes);
	memcpy(bytes, data + (size ? 1 : 0), length);
	if (size && data[0] & 1 && length >= AT_CRC + sizeof(crc)) {
		crc = crc32c(bytes, AT_CRC);
		memcpy(bytes + AT_CRC, &crc, sizeof(crc));
	}
	right = length >= AT_CRC + sizeof(crc);
	if (right) {
		memcpy(&crc, bytes + AT_CRC, sizeof(crc));
		right = crc == crc32c(bytes, AT_CRC);
	}
	fuzz_fill(&control, sizeof(control));
	error = pg_control_parse(bytes, length, &control);
	must(error == 0 || error == ERR_CORRUPT || error == ERR_VERSION);
	must(error < 0 || right);
	if (error == 0)
		check_taken(&control);
	else
		must(fuzz_untouched(&control, sizeof(control)));
	free(bytes);
	return 0;
}
