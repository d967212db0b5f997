/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table's file that was cut off grows again when recovery writes behind its end, and what was lost between is pages of
 * zeros, which every program of the database takes for pages not used yet. But the visibility map still says that all rows on
 * them can be seen, which it says of no such page of a sound table.
 */
#include "daemon/engine/pg_verify.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/tree.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PAGE = PG_VERIFY_PAGE,
	PAGES_READ = 128,
	SEGMENT_PAGES = PG_VERIFY_SEGMENT_PAGES,
	UPPER_AT = 14,    /* pd_upper of a page's header: 0 in a page that was never used */
	MAP_HEADER = 24,
	MAP_BYTES = PAGE - MAP_HEADER,
	PAGES_PER_BYTE = 4
};

struct files {
	char *found;
	size_t size;
	uint8_t *pages;
};

/* "16384" or "16384.2": number and segment. */
static bool parse_name(const char *name, unsigned long *ret_number, unsigned long *ret_segment)
{
	char *end;

	if (!isdigit((unsigned char)name[0]))
		return false;
	*ret_number = strtoul(name, &end, 10);
	*ret_segment = *end == '.' && isdigit((unsigned char)end[1]) ? strtoul(end + 1, &end, 10) : 0;
	return *end == '\0';
}

/* All of a map, a byte for 32 KiB of what it is for. NULL: there is none. */
static uint8_t *read_map(int dir_fd, unsigned long number, size_t *ret_size)
{
	scope_close int fd = -1;
	scope_free uint8_t *bytes = NULL;
	char name[64];
	struct stat st;

	snprintf(name, sizeof(name), "%lu_vm", number);
	fd = tree_open(dir_fd, name, O_RDONLY, 0);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > INT32_MAX)
		return NULL;
	bytes = malloc((size_t)st.st_size);
	if (!bytes || pread(fd, bytes, (size_t)st.st_size, 0) != st.st_size)
		return NULL;
	*ret_size = (size_t)st.st_size;
	return scope_take_ptr(bytes);
}

static bool says_visible(const uint8_t *map, size_t size, uint64_t page)
{
	uint64_t byte = page / PAGES_PER_BYTE, at = byte / MAP_BYTES * PAGE + MAP_HEADER + byte % MAP_BYTES;

	return at < size && map[at] >> (page % PAGES_PER_BYTE * 2) & 1;
}

static bool is_unused(const uint8_t *page)
{
	return page[UPPER_AT] == 0 && page[UPPER_AT + 1] == 0;
}

/* How many pages of the file are unused that the map knows rows on; -1: cannot be read. */
static int64_t count_lost(const struct files *files, int fd, const uint8_t *map, size_t map_size, uint64_t first)
{
	int64_t lost = 0;
	uint64_t page = 0;
	ssize_t got;

	while ((got = pread(fd, files->pages, PAGES_READ * PAGE, (off_t)(page * PAGE))) > 0) {
		for (ssize_t at = 0; at + PAGE <= got; at += PAGE, page++)
			lost += is_unused(files->pages + at) && says_visible(map, map_size, first + page);
		if (got % PAGE)
			break;
	}
	return got < 0 ? -1 : lost;
}

static int look_at(void *arg, const struct tree_entry *entry, struct reason *why)
{
	const struct files *files = arg;
	unsigned long number, segment;
	scope_free uint8_t *map = NULL;
	scope_close int fd = -1;
	size_t map_size;
	int64_t lost;

	(void)why;
	if (!S_ISREG(entry->st.st_mode) || !parse_name(entry->name, &number, &segment))
		return 0;
	map = read_map(entry->dir_fd, number, &map_size);
	fd = map ? tree_open(entry->dir_fd, entry->name, O_RDONLY, 0) : -1;
	if (fd < 0)
		return 0;
	lost = count_lost(files, fd, map, map_size, (uint64_t)segment * SEGMENT_PAGES);
	if (lost < 0)
		layout_add_line(files->found, files->size, "%.200s cannot be read", entry->path);
	else if (lost > 0)
		layout_add_line(files->found, files->size, "%.200s: %" PRId64 " pages with rows on them are gone", entry->path, lost);
	return 0;
}

int pg_verify_files(int root_fd, char *found, size_t size, struct reason *why)
{
	scope_free uint8_t *pages = malloc((size_t)PAGES_READ * PAGE);
	struct files files = {.found = found, .size = size, .pages = pages};

	return pages ? tree_walk(root_fd, look_at, &files, why) : reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
}
