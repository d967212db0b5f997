/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CHECK TABLE reads indexes. What lies beside them (long columns, undo logs, the system tablespace's own pages) has nothing
 * but its pages' checksums, which are looked at here as the server itself does when it reads a page.
 *
 * Known are files with full_crc32, the default since 10.5. A file's first page tells its kind and how far it is in use; of
 * every extent a descriptor tells which of its pages are. The others hold whatever was left in them.
 */
#include "daemon/engine/my_verify.h"

#include "common/crc32c.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DATA = 38,           /* where a page's header ends */
	AT_TYPE = 24,
	TYPE_COMPRESSED = 0x8000,
	AT_SIZE = DATA + 8,   /* pages that it has */
	AT_LIMIT = DATA + 12, /* those from here on were never used; may be over its size */
	AT_FLAGS = DATA + 16,
	FULL_CRC32 = 0x10,
	COMPRESSED = 0xe0,
	DESCRIPTORS = DATA + 112, /* of extents, in the first of every page_size pages */
	AT_BITMAP = 24,      /* in a descriptor: two bits a page, the lower one says that it is free */
	SYSTEM_PAGE = 5,     /* of the system tablespace: names where the doublewrite buffer is */
	DOUBLEWRITE = 200,   /* before its end */
	DOUBLEWRITE_MAGIC = 536853855,
	PAGE_MAX = 65536,
	SHOWN_MAX = 5        /* of a file's pages, by number */
};

struct pages {
	char *found;
	size_t size;
	unsigned files;
	struct crc32c table;
	uint8_t page[PAGE_MAX], descriptors[PAGE_MAX];
};

/* Of one file. */
struct space {
	int fd;
	const char *path;
	uint32_t page_size, extent;
	uint32_t limit; /* pages that may be in use */
	uint32_t doublewrite[2]; /* the first page of each of two extents that are copies of others; 0: none */
};

static uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool is_innodb(const char *name)
{
	size_t length = strlen(name);

	return (length > 4 && strcmp(name + length - 4, ".ibd") == 0) || strncmp(name, "ibdata", 6) == 0 ||
	       (strncmp(name, "undo", 4) == 0 && strspn(name + 4, "0123456789") == length - 4 && length > 4);
}

static bool read_page(const struct space *space, uint32_t number, uint8_t *page)
{
	return pread(space->fd, page, space->page_size, (off_t)number * space->page_size) == (ssize_t)space->page_size;
}

static bool is_empty(const uint8_t *page, size_t size)
{
	return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

static bool is_sound(const struct pages *pages, const uint8_t *page, uint32_t size)
{
	return is_empty(page, size) || crc32c_of(&pages->table, page, size - 4) == u32_at(page + size - 4);
}

/* False: of a kind that is not known, or no file of InnoDB's at all. */
static bool open_space(struct pages *pages, struct space *space)
{
	static const uint32_t extent_bytes = 1 << 20;
	uint32_t flags, size;

	if (pread(space->fd, pages->page, DATA + 20, 0) != DATA + 20)
		return false;
	flags = u32_at(pages->page + AT_FLAGS);
	if (!(flags & FULL_CRC32) || flags & COMPRESSED || (flags & 15) < 3 || (flags & 15) > 7)
		return false;
	space->page_size = UINT32_C(512) << (flags & 15);
	size = u32_at(pages->page + AT_SIZE);
	space->limit = u32_at(pages->page + AT_LIMIT);
	if (space->limit > size)
		space->limit = size;
	space->extent = space->page_size > 16384 ? 64 : extent_bytes / space->page_size;
	return true;
}

static void find_doublewrite(struct pages *pages, struct space *space)
{
	const uint8_t *at = pages->page + space->page_size - DOUBLEWRITE;

	if (strncmp(space->path, "ibdata1", 7) != 0 || !read_page(space, SYSTEM_PAGE, pages->page) ||
	    u32_at(at + 10) != DOUBLEWRITE_MAGIC)
		return;
	space->doublewrite[0] = u32_at(at + 14);
	space->doublewrite[1] = u32_at(at + 18);
}

static bool is_copy(const struct space *space, uint32_t number)
{
	for (int i = 0; i < 2; i++) {
		if (space->doublewrite[i] && number >= space->doublewrite[i] && number - space->doublewrite[i] < space->extent)
			return true;
	}
	return false;
}

static bool is_free(const struct pages *pages, const struct space *space, uint32_t number)
{
	uint32_t in_page = number % space->page_size, bit = in_page % space->extent * 2;
	size_t entry = AT_BITMAP + (space->extent * 2 + 7) / 8;

	return pages->descriptors[DESCRIPTORS + in_page / space->extent * entry + AT_BITMAP + bit / 8] >> bit % 8 & 1;
}

/* A page that cannot be read is missing: the file was longer. */
static bool look_at(struct pages *pages, const struct space *space, uint32_t number)
{
	if (!read_page(space, number, pages->page))
		return false;
	if (number % space->page_size == 0)
		memcpy(pages->descriptors, pages->page, space->page_size);
	else if (is_copy(space, number) || is_free(pages, space, number))
		return true;
	return (pages->page[AT_TYPE] << 8 & TYPE_COMPRESSED) || is_sound(pages, pages->page, space->page_size);
}

static void look_through(struct pages *pages, const struct space *space)
{
	char shown[128] = "";
	size_t used = 0;
	unsigned bad = 0;

	for (uint32_t number = 0; number < space->limit; number++) {
		if (look_at(pages, space, number))
			continue;
		if (bad++ < SHOWN_MAX)
			used += (size_t)snprintf(shown + used, sizeof(shown) - used, " %" PRIu32, number);
		/* What follows is missing as well, or is judged by a descriptor that cannot be relied on. */
		if (number % space->page_size == 0)
			break;
	}
	if (bad)
		layout_add_line(pages->found, pages->size, "%.200s: %u pages with a wrong checksum:%s%s", space->path, bad, shown,
				bad > SHOWN_MAX ? " ..." : "");
}

static int visit(void *arg, const struct tree_entry *entry, struct reason *why)
{
	struct pages *pages = arg;
	scope_close int fd = -1;
	struct space space = {.path = entry->path};

	(void)why;
	if (!S_ISREG(entry->st.st_mode) || !is_innodb(entry->name))
		return 0;
	fd = tree_open(entry->dir_fd, entry->name, O_RDONLY, 0);
	space.fd = fd;
	if (fd < 0 || !open_space(pages, &space))
		return 0;
	find_doublewrite(pages, &space);
	look_through(pages, &space);
	pages->files++;
	return 0;
}

int my_verify_pages(int root_fd, char *found, size_t size, unsigned *ret_files, struct reason *why)
{
	scope_free struct pages *pages = calloc(1, sizeof(*pages));
	int error;

	if (!pages)
		return reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
	pages->found = found;
	pages->size = size;
	crc32c_init(&pages->table);
	error = tree_walk(root_fd, visit, pages, why);
	if (error == 0)
		*ret_files = pages->files;
	return error;
}
