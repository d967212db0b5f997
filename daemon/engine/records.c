/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How many records of each cluster the front's store has: whether a place may be made for it. Kept in
 * the order of the ids, which is the store's.
 */
#include "daemon/engine/engine.h"

#include "common/err.h"
#include "common/grow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far more than a host has, retired ones included; a front that names more is none of ours. */
enum { RECORDS_MAX = 65536 };

/* Where cluster is, or would have to be inserted. */
static size_t position(const struct engine *engine, const char *cluster)
{
	size_t low = 0, high = engine->record_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(engine->records[middle].cluster, cluster) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct records *find(const struct engine *engine, const char *cluster)
{
	size_t at = position(engine, cluster);

	if (at == engine->record_count || strcmp(engine->records[at].cluster, cluster) != 0)
		return NULL;
	return &engine->records[at];
}

uint64_t records_of(const struct engine *engine, const char *cluster)
{
	const struct records *records = find(engine, cluster);

	return records ? records->count : 0;
}

static int insert(struct engine *engine, const char *cluster, uint64_t count)
{
	size_t at = position(engine, cluster);
	struct records *records;

	if (engine->record_count >= RECORDS_MAX)
		return ERR_INVALID;
	records = grow(engine->records, engine->record_count, &engine->record_room, sizeof(*records));
	if (!records)
		return ERR_NOMEM;
	engine->records = records;
	memmove(records + at + 1, records + at, (engine->record_count - at) * sizeof(*records));
	records[at] = (struct records){.count = count};
	snprintf(records[at].cluster, sizeof(records[at].cluster), "%s", cluster);
	engine->record_count++;
	return 0;
}

int records_set(struct engine *engine, const char *cluster, uint64_t count)
{
	struct records *records = find(engine, cluster);

	if (!records)
		return insert(engine, cluster, count);
	records->count = count;
	return 0;
}

int records_add_last(struct engine *engine, const char *cluster, uint64_t count)
{
	if (position(engine, cluster) != engine->record_count || find(engine, cluster))
		return ERR_INVALID;
	return insert(engine, cluster, count);
}

void records_clear(struct engine *engine)
{
	free(engine->records);
	engine->records = NULL;
	engine->record_count = engine->record_room = 0;
}
