/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many records of each cluster the front's store has: whether a place may be made for it. */
#include "daemon/engine/engine.h"

#include "common/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct records *find(const struct engine *engine, const char *cluster)
{
	for (size_t i = 0; i < engine->record_count; i++) {
		if (strcmp(engine->records[i].cluster, cluster) == 0)
			return &engine->records[i];
	}
	return NULL;
}

uint64_t records_of(const struct engine *engine, const char *cluster)
{
	const struct records *records = find(engine, cluster);

	return records ? records->count : 0;
}

int records_set(struct engine *engine, const char *cluster, uint64_t count)
{
	struct records *records = find(engine, cluster), *more;

	if (!records) {
		more = reallocarray(engine->records, engine->record_count + 1, sizeof(*more));
		if (!more)
			return ERR_NOMEM;
		engine->records = more;
		records = &more[engine->record_count++];
		snprintf(records->cluster, sizeof(records->cluster), "%s", cluster);
	}
	records->count = count;
	return 0;
}

void records_clear(struct engine *engine)
{
	free(engine->records);
	engine->records = NULL;
	engine->record_count = 0;
}
