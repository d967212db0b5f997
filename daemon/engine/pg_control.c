/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fields by offset, checked by the CRC that the server itself checks. */
#include "daemon/engine/pg_control.h"

#include "common/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	VERSION = 1300,
	AT_SYSTEM_IDENTIFIER = 0,
	AT_VERSION = 8,
	AT_CATALOG_VERSION = 12,
	AT_STATE = 16,
	AT_CHECKPOINT = 32,
	AT_REDO = 40,
	AT_TIMELINE = 48,
	AT_CHECKPOINT_TIME = 104,
	AT_MIN_RECOVERY = 136,
	AT_MIN_RECOVERY_TIMELINE = 144,
	AT_MAX_CONNECTIONS = 180,
	AT_MAX_WORKER_PROCESSES = 184,
	AT_MAX_WAL_SENDERS = 188,
	AT_MAX_PREPARED = 192,
	AT_MAX_LOCKS = 196,
	AT_WAL_SEGMENT_SIZE = 228,
	AT_CHECKSUMS = 252,
	AT_CRC = 288,
	SIZE = AT_CRC + 4
};

/* CRC-32C (Castagnoli), bit by bit: 288 bytes once a job need no table. */
static uint32_t crc32c(const uint8_t *bytes, size_t size)
{
	uint32_t crc = ~UINT32_C(0);

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
	}
	return ~crc;
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

static bool is_possible(const struct pg_control *control, uint32_t state)
{
	uint32_t segment = control->wal_segment_size;

	return state <= PG_STATE_MAX && control->system_identifier != 0 && control->timeline != 0 &&
	       segment >= UINT32_C(1) << 20 && segment <= UINT32_C(1) << 30 && (segment & (segment - 1)) == 0;
}

static void read_limits(const uint8_t *bytes, struct pg_control *control)
{
	control->max_connections = u32_at(bytes, AT_MAX_CONNECTIONS);
	control->max_worker_processes = u32_at(bytes, AT_MAX_WORKER_PROCESSES);
	control->max_wal_senders = u32_at(bytes, AT_MAX_WAL_SENDERS);
	control->max_prepared_transactions = u32_at(bytes, AT_MAX_PREPARED);
	control->max_locks_per_transaction = u32_at(bytes, AT_MAX_LOCKS);
}

int pg_control_parse(const void *bytes, size_t size, struct pg_control *ret_control)
{
	const uint8_t *at = bytes;
	struct pg_control control = {0};
	uint32_t state;

	if (size < SIZE)
		return ERR_CORRUPT;
	/* Another version keeps its CRC elsewhere: look at the version first. */
	if (u32_at(at, AT_VERSION) != VERSION)
		return ERR_VERSION;
	if (crc32c(at, AT_CRC) != u32_at(at, AT_CRC))
		return ERR_CORRUPT;
	state = u32_at(at, AT_STATE);
	control.system_identifier = u64_at(at, AT_SYSTEM_IDENTIFIER);
	control.catalog_version = u32_at(at, AT_CATALOG_VERSION);
	control.state = (enum pg_state)state;
	control.checkpoint = u64_at(at, AT_CHECKPOINT);
	control.redo = u64_at(at, AT_REDO);
	control.timeline = u32_at(at, AT_TIMELINE);
	control.checkpoint_s = (int64_t)u64_at(at, AT_CHECKPOINT_TIME);
	control.min_recovery = u64_at(at, AT_MIN_RECOVERY);
	control.min_recovery_timeline = u32_at(at, AT_MIN_RECOVERY_TIMELINE);
	control.wal_segment_size = u32_at(at, AT_WAL_SEGMENT_SIZE);
	control.checksums = u32_at(at, AT_CHECKSUMS) != 0;
	read_limits(at, &control);
	if (!is_possible(&control, state))
		return ERR_CORRUPT;
	*ret_control = control;
	return 0;
}

const char *pg_control_state_name(enum pg_state state)
{
	static const char *const names[] = {
		[PG_STARTUP] = "starting up",
		[PG_SHUTDOWNED] = "shut down",
		[PG_SHUTDOWNED_IN_RECOVERY] = "shut down in recovery",
		[PG_SHUTDOWNING] = "shutting down",
		[PG_IN_CRASH_RECOVERY] = "in crash recovery",
		[PG_IN_ARCHIVE_RECOVERY] = "in archive recovery",
		[PG_IN_PRODUCTION] = "in production",
	};

	return state <= PG_STATE_MAX ? names[state] : "in an unknown state";
}

void pg_control_segment(uint32_t timeline, uint64_t lsn, uint32_t segment_size,
			char name[static PG_SEGMENT_NAME_SIZE])
{
	uint64_t number = lsn / segment_size;
	uint64_t per_id = (UINT64_C(1) << 32) / segment_size;

	snprintf(name, PG_SEGMENT_NAME_SIZE, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, timeline,
		 (uint32_t)(number / per_id), (uint32_t)(number % per_id));
}
