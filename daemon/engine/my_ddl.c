/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/my_ddl.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	LINE_SIZE = 4096, /* eight names of 64 characters at most, and little else */
	TABLES_MAX = 100000,
	PATH_SIZE = 1024
};

/* Of a line, each ended by a tab. Those of the new table are "" where there is none. */
enum field { DATE, KIND, ENGINE, PARTS, DB, TABLE, ID, NEW_ENGINE, NEW_PARTS, NEW_DB, NEW_TABLE, NEW_ID, FIELDS };

/* The engines whose copies it changes by the log, and the files that a table of them has beside its definition. */
struct engine {
	const char *name, *files[2];
};

static const struct engine engines[] = {
	{"Aria", {".MAI", ".MAD"}}, {"MyISAM", {".MYI", ".MYD"}}, {"MRG_MyISAM", {".MRG"}},
	{"ARCHIVE", {".ARZ"}},	    {"CSV", {".CSM", ".CSV"}},
};

/* A name, and what the log says that tables of that name went through. */
struct table {
	const struct engine *engine; /* of the last; NULL: one that is copied by other means, or a view */
	bool there;                  /* by the last line */
	bool dropped;                /* once: the program removes the copy of that name, whichever it is */
	bool moved;                  /* once: it gives that copy to another name */
	bool parts;                  /* of partitions, once */
	const char *name;            /* in db, within key; "" the database itself */
	char key[];                  /* "db<TAB>table" */
};

struct history {
	void *tables; /* tsearch()'s */
	size_t count;
	int data_fd, image_fd;
	int error; /* the first that was found, with why */
	struct reason *why;
};

static const char remedy[] = "make such tables InnoDB's, or drop, rename and empty them at other times; on btrfs none of this matters";

/* ---- names ---- */

/*
 * Writes name as the server names files, from path[used] on: names of ASCII alone, and without '#', which begins names that are a
 * file's. How long path is then; 0: not such a name, or too long.
 */
static size_t encode(const char *name, size_t length, char path[static PATH_SIZE], size_t used)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)name[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';

		if (c < 0x20 || c > 0x7e || c == '#' || used + 8 > PATH_SIZE)
			return 0;
		used += (size_t)snprintf(path + used, PATH_SIZE - used, plain ? "%c" : "@%04x", c);
	}
	return used;
}

/* The table's files without what comes after the dot, from the data directory: "shop/d". */
static bool file_path(const struct table *table, char path[static PATH_SIZE])
{
	size_t used = encode(table->key, (size_t)(table->name - table->key) - 1, path, 0);

	if (used == 0)
		return false;
	path[used++] = '/';
	return encode(table->name, strlen(table->name), path, used) > 0;
}

static int __attribute__((format(printf, 2, 3))) distrust(struct history *history, const char *format, ...)
{
	char text[PATH_SIZE + 200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return reason_set_retry(history->why, ERR_DATABASE, remedy, "mariadb-backup cannot be trusted: while it copied, %s", text);
}

static int distrust_table(struct history *history, const struct table *table)
{
	char path[PATH_SIZE];

	return distrust(history, "the table %s was dropped, renamed or given another engine, and made anew",
			file_path(table, path) ? path : "of a name that is not ASCII");
}

/* ---- the log ---- */

static int compare(const void *left, const void *right)
{
	return strcmp(((const struct table *)left)->key, ((const struct table *)right)->key);
}

static struct table *table_new(const char *db, const char *name)
{
	size_t size = strlen(db) + strlen(name) + 2;
	struct table *table = calloc(1, sizeof(*table) + size);

	if (table) {
		snprintf(table->key, size, "%s\t%s", db, name);
		table->name = table->key + strlen(db) + 1;
	}
	return table;
}

/* NULL: out of memory, or too many; why says so. */
static struct table *table_of(struct history *history, const char *db, const char *name)
{
	struct table *table = table_new(db, name), **found = table ? tsearch(table, &history->tables, compare) : NULL;

	if (!found) {
		free(table);
		reason_set_retry(history->why, ERR_IO, NULL, "out of memory for the server's ddl.log");
		return NULL;
	}
	if (*found != table)
		free(table);
	else if (++history->count > TABLES_MAX) {
		distrust(history, "over %d tables were made, changed or dropped", TABLES_MAX);
		return NULL;
	}
	return *found;
}

static const struct engine *engine_of(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		if (strcmp(engines[i].name, name) == 0)
			return &engines[i];
	}
	return NULL;
}

/* The name has a table, made or changed, or come to it. */
static int gain(struct history *history, const char *db, const char *name, const char *engine, bool parts)
{
	const struct table *database = table_of(history, db, "");
	struct table *table = database ? table_of(history, db, name) : NULL;

	if (!table)
		return history->why->code;
	table->engine = engine_of(engine);
	table->there = true;
	table->parts |= parts;
	/* Of the others files are missing in the end. */
	if (database->dropped || (table->engine && table->moved) || (table->parts && (table->dropped || table->moved)))
		return distrust_table(history, table);
	return 0;
}

static int lose(struct history *history, char *const *field, bool moved)
{
	struct table *table = table_of(history, field[DB], field[TABLE]);

	if (!table)
		return history->why->code;
	table->there = false;
	table->parts |= field[PARTS][0] == '1';
	if (engine_of(field[ENGINE])) {
		table->moved |= moved;
		table->dropped |= !moved;
	}
	return 0;
}

static int take_database(struct history *history, char *const *field)
{
	struct table *database = table_of(history, field[DB], "");

	if (!database)
		return history->why->code;
	if (strcmp(field[KIND], "DROP") == 0)
		database->dropped = true;
	else if (database->dropped)
		return distrust(history, "a database was dropped and made anew");
	return 0;
}

/* What it was is over, and it is there under the new name or by the new engine. */
static int take_change(struct history *history, char *const *field)
{
	bool renamed = strcmp(field[DB], field[NEW_DB]) != 0 || strcmp(field[TABLE], field[NEW_TABLE]) != 0;
	int error = 0;

	if (renamed || strcmp(field[ENGINE], field[NEW_ENGINE]) != 0)
		error = lose(history, field, renamed);
	return error < 0 ? error : gain(history, field[NEW_DB], field[NEW_TABLE], field[NEW_ENGINE], field[NEW_PARTS][0] == '1');
}

static int take(struct history *history, char *const *field)
{
	if (strcmp(field[ENGINE], "DATABASE") == 0)
		return take_database(history, field);
	if (strcmp(field[KIND], "DROP") == 0)
		return lose(history, field, false);
	/* Of EXCHANGE PARTITION both tables stay. */
	if (field[NEW_TABLE][0] && strcmp(field[KIND], "EXCHANGE_PARTITION") != 0)
		return take_change(history, field);
	return gain(history, field[DB], field[TABLE], field[ENGINE], field[PARTS][0] == '1');
}

static int take_line(struct history *history, char *line)
{
	static char none[] = "";
	char *field[FIELDS], *rest = line;
	int count = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *part; count < FIELDS && (part = strsep(&rest, "\t")) != NULL;)
		field[count++] = part;
	if (count <= ID)
		return reason_set_retry(history->why, ERR_INVALID, NULL, "the server's ddl.log has a line that is none of it");
	while (count < FIELDS)
		field[count++] = none;
	return take(history, field);
}

/* No such file: a server that notes nothing, which its mariadb-backup does not expect either. */
static int read_log(struct history *history)
{
	scope_fclose FILE *file = NULL;
	char line[LINE_SIZE];
	int fd = tree_open(history->data_fd, "ddl.log", O_RDONLY | O_NONBLOCK, 0), error = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : reason_set_errno(history->why, errno, "cannot read the server's ddl.log");
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return reason_set_errno(history->why, errno, "cannot read the server's ddl.log");
	}
	while (error == 0 && fgets(line, sizeof(line), file))
		error = take_line(history, line);
	if (error == 0 && ferror(file))
		return reason_set_errno(history->why, errno, "cannot read the server's ddl.log");
	return error;
}

/* ---- the image ---- */

static bool has(int fd, const char *path, const char *end)
{
	char whole[PATH_SIZE + 8];
	struct stat st;

	snprintf(whole, sizeof(whole), "%s%s", path, end);
	return fstatat(fd, whole, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int check_files(struct history *history, const struct table *table, const char *path)
{
	bool whole = has(history->image_fd, path, ".frm");

	for (size_t i = 0; whole && table->engine && !table->parts && i < 2 && table->engine->files[i]; i++)
		whole = has(history->image_fd, path, table->engine->files[i]);
	return whole ? 0 : distrust_table(history, table);
}

static int check_table(struct history *history, const struct table *table)
{
	char path[PATH_SIZE];

	if (!table->name[0] || !table->there)
		return 0;
	if (!file_path(table, path))
		return table->dropped ? distrust_table(history, table) : 0;
	return check_files(history, table, path);
}

static void check_node(const void *node, VISIT visit, void *arg)
{
	struct history *history = arg;

	if ((visit == postorder || visit == leaf) && history->error == 0)
		history->error = check_table(history, *(struct table *const *)node);
}

/* A file of rows never gets shorter but by TRUNCATE, or by a statement that makes the table anew. */
static int check_length(void *arg, const struct tree_entry *entry, struct reason *why)
{
	struct history *history = arg;
	const char *end = strrchr(entry->name, '.');
	struct stat st;

	(void)why;
	if (!end || (strcmp(end, ".MYD") != 0 && strcmp(end, ".MAD") != 0))
		return 0;
	if (fstatat(history->data_fd, entry->path, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size >= entry->st.st_size)
		return 0;
	return distrust(history, "a table without transactions was emptied: it keeps its rows in the image");
}

int my_ddl_judge(int data_fd, int image_fd, struct reason *why)
{
	struct history history = {.data_fd = data_fd, .image_fd = image_fd, .why = why};

	history.error = read_log(&history);
	if (history.error == 0)
		twalk_r(history.tables, check_node, &history);
	tdestroy(history.tables, free);
	return history.error;
}

int my_ddl_find_emptied(int data_fd, int image_fd, struct reason *why)
{
	struct history history = {.data_fd = data_fd, .image_fd = image_fd, .why = why};

	return tree_walk(image_fd, check_length, &history, why);
}
