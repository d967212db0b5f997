/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backup_label, tablespace_map and the header of a WAL page, which a server says or its user writes. What is taken
 * of a label or a map is written down again as the server writes it, and has to give the same bytes; of a
 * label only the time is not kept.
 */
#include "daemon/engine/pg_label.h"

#include "common/ask.h"
#include "common/err.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>

static void check_same(const char *made, const uint8_t *data, size_t size)
{
	must(strlen(made) == size && memcmp(made, data, size) == 0);
}

static void rebuild_label(const struct pg_label *label, const uint8_t *data, size_t size)
{
	static const char *const origins[][2] = {{"standby", "standby"}, {"primary", "master"}};
	const char *time = memmem(data, size, "START TIME: ", 12);
	const char *time_end = time ? memchr(time, '\n', (size_t)((const char *)data + size - time)) : NULL;
	char start[ASK_LSN_SIZE], checkpoint[ASK_LSN_SIZE], text[1024];
	bool same = false;

	must(time && time_end);
	ask_format_lsn(label->start, start);
	ask_format_lsn(label->checkpoint, checkpoint);
	/* A number may have been written with zeros in front: then lengths differ, and nothing else can. */
	for (int i = 0; i < 2; i++) {
		int length = snprintf(text, sizeof(text),
				      "START WAL LOCATION: %s (file %s)\nCHECKPOINT LOCATION: %s\nBACKUP METHOD: streamed\n"
				      "BACKUP FROM: %s\n%.*s\nLABEL: %s\nSTART TIMELINE: %" PRIu32 "\n",
				      start, label->segment, checkpoint, origins[label->from_primary][i],
				      (int)(time_end - time), time, label->name, label->timeline);

		must(length > 0 && (size_t)length < sizeof(text));
		same = same || (strlen(text) == size && memcmp(text, data, size) == 0) || strlen(text) < size;
	}
	must(same);
}

static void check_label(const uint8_t *data, size_t size)
{
	struct pg_label label;
	int error;

	fuzz_fill(&label, sizeof(label));
	error = pg_label_parse((const char *)data, size, &label);
	must(error == 0 || (error == ERR_CORRUPT && fuzz_untouched(&label, sizeof(label))));
	if (error < 0)
		return;
	must(label.timeline != 0 && label.name[0] && ask_is_clean(label.name, false));
	must(strlen(label.segment) == 24 && strspn(label.segment, "0123456789ABCDEF") == 24);
	rebuild_label(&label, data, size);
}

static void check_map(const uint8_t *data, size_t size)
{
	struct pg_map_entry entry;
	char text[PG_MAP_PATH_SIZE + 16];
	size_t at = 0, before = 0;
	int more;

	fuzz_fill(&entry, sizeof(entry));
	while ((more = pg_map_next((const char *)data, size, &at, &entry)) > 0) {
		must(at > before && at <= size && entry.oid != 0 && entry.path[0] == '/');
		must(ask_is_clean(entry.path, false) && !strchr(entry.path, '\\'));
		snprintf(text, sizeof(text), "%" PRIu32 " %s\n", entry.oid, entry.path);
		check_same(text, data + before, at - before);
		before = at;
		fuzz_fill(&entry, sizeof(entry));
	}
	must(fuzz_untouched(&entry, sizeof(entry)) && at == before);
	must(more == 0 ? at == size : more == ERR_CORRUPT && at < size);
}

static void check_page(const uint8_t *data, size_t size)
{
	struct pg_wal_page page;
	int taken = 0;

	for (uint32_t major = 12; major <= 18; major++) {
		int error;

		fuzz_fill(&page, sizeof(page));
		error = pg_wal_page_parse(data, size, major, &page);
		must(error == 0 || (error == ERR_CORRUPT && fuzz_untouched(&page, sizeof(page))));
		if (error < 0)
			continue;
		must(size >= PG_WAL_HEADER && page.timeline != 0 && page.address % PG_WAL_PAGE == 0);
		must(page.first || (page.system_identifier == 0 && page.segment_size == 0));
		taken++;
	}
	/* Each release has a number of its own. */
	must(taken <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_label(data, size);
	check_map(data, size);
	check_page(data, size);
	return 0;
}
