/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CHECK TABLE reads indexes. What lies beside them (long columns, undo logs, the system tablespace's own pages) has nothing
 * but its pages' checksums, at which the server's own innochecksum looks in every file of InnoDB's.
 *
 * Free pages hold whatever was left in them, and are skipped. So are the second and third extent of the system tablespace:
 * that is where the server puts its doublewrite buffer, copies of other pages, which innochecksum takes for damaged ones
 * (seen with 10.11).
 */
#include "daemon/engine/my_verify.h"

#include "common/err.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/db_mariadb.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_USUAL = 16384,
	EXTENT_BYTES = 1 << 20, /* of pages of up to PAGE_USUAL; of larger ones an extent is */
	EXTENT_PAGES = 64
};

struct pages {
	const struct my_verify *question;
	struct examine *x;
	unsigned files;
};

static char *const env[] = {"LC_ALL=C", "HOME=/nonexistent", NULL};

static bool is_numbered(const char *name, const char *kind)
{
	size_t length = strlen(kind);

	return strncmp(name, kind, length) == 0 && name[length] && strspn(name + length, "0123456789") == strlen(name + length);
}

/* A table's, in its database's folder; one of an undo log; of a system tablespace the first, which alone says what its pages are. */
static bool is_innodb(const struct tree_entry *entry)
{
	const char *slash = strchr(entry->path, '/');
	size_t length = strlen(entry->name);

	if (!S_ISREG(entry->st.st_mode))
		return false;
	if (slash)
		return !strchr(slash + 1, '/') && length > 4 && strcmp(entry->name + length - 4, ".ibd") == 0;
	return strcmp(entry->name, "ibdata1") == 0 || is_numbered(entry->name, "undo");
}

static void hear(void *arg, const char *line)
{
	struct examine *x = arg;

	examine_take_trouble(x, line);
	layout_add_line(x->said, sizeof(x->said), "%.400s", line);
}

/* first and last: numbers of pages; NULL: from its beginning, to its end. */
static int look_at(struct pages *pages, const char *path, const char *first, const char *last)
{
	char file[MSG_PATH_SIZE], what[MSG_PATH_SIZE + 32];
	char *argv[8] = {NULL, "--skip-freed-pages"};
	size_t count = 2;
	int error;

	if (first) {
		argv[count++] = "--start-page";
		argv[count++] = (char *)(uintptr_t)first;
	}
	if (last) {
		argv[count++] = "--end-page";
		argv[count++] = (char *)(uintptr_t)last;
	}
	snprintf(file, sizeof(file), CELL_ROOT "/%s", path);
	argv[count] = file;
	error = examine_run_tool(pages->x, pages->question->client_dir, "innochecksum", argv, env, NULL, hear, pages->x);
	if (error < 0 || program_succeeded(&pages->x->tool))
		return error;
	if (pages->x->trouble[0])
		return examine_refuse_trouble(pages->x, NULL);
	snprintf(what, sizeof(what), "%.200s: a page's checksum is wrong", path);
	return examine_judge_tool(pages->x, what);
}

/* Without its doublewrite buffer. */
static int look_at_system(struct pages *pages, const char *path)
{
	char value[ASK_PATH_SIZE], last[16], first[16];
	uint32_t page = PAGE_USUAL, extent;
	int error;

	if (my_find_setting(pages->question->settings, "innodb-page-size", value))
		page = (uint32_t)strtoul(value, NULL, 10);
	extent = page > 0 && page <= PAGE_USUAL ? EXTENT_BYTES / page : EXTENT_PAGES;
	snprintf(last, sizeof(last), "%" PRIu32, extent - 1);
	snprintf(first, sizeof(first), "%" PRIu32, 3 * extent);
	error = look_at(pages, path, NULL, last);
	return error == 0 ? look_at(pages, path, first, NULL) : error;
}

static int visit(void *arg, const struct tree_entry *entry, struct reason *why)
{
	struct pages *pages = arg;

	(void)why;
	if (!is_innodb(entry))
		return 0;
	pages->files++;
	return strcmp(entry->path, "ibdata1") == 0 ? look_at_system(pages, entry->path) : look_at(pages, entry->path, NULL, NULL);
}

int my_verify_pages(const struct my_verify *question, struct examine *x, int root_fd, unsigned *ret_files)
{
	struct pages pages = {.question = question, .x = x};
	int error = tree_walk(root_fd, visit, &pages, x->why);

	*ret_files = pages.files;
	return error;
}
