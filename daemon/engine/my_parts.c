/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A MariaDB may keep each of its logs anywhere on the machine: where its settings
 * say is looked at by its own user. Those that lie in the data directory are known by
 * their path from there, which a clone has to find them by.
 */
#include "daemon/engine/db_mariadb.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/place.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *my_role_name(enum my_role role)
{
	static const char *const names[] = {"InnoDB's system tablespace", "the redo log", "the undo log", "Aria's log",
					    "the binary log", "the binary log's index"};

	return names[role];
}

/* "/d/b" gives "/d", "b" gives "". */
static void folder_of(const char *path, char folder[static ASK_PATH_SIZE])
{
	int length = (int)(my_base(path) - path);

	snprintf(folder, ASK_PATH_SIZE, "%.*s", length > 1 ? length - 1 : length, path);
}

void my_part_path(const struct db_mariadb *my, enum my_role role, char path[static ASK_PATH_SIZE])
{
	const struct ask_my_facts *facts = &my->facts;
	const char *const dirs[] = {facts->home_dir, facts->redo_dir, facts->undo_dir, facts->aria_dir};

	if (role == MY_BINLOG)
		folder_of(facts->binlog, path);
	else if (role == MY_INDEX)
		folder_of(facts->binlog_index, path);
	else
		snprintf(path, ASK_PATH_SIZE, "%s", dirs[role]);
}

/* In the walker. A path below what the server calls its data directory is ours by the descriptor: it is that folder. */
static int open_part(const struct db_mariadb *my, int data_fd, const char *path)
{
	size_t length = strlen(my->facts.data_dir);

	while (length > 1 && my->facts.data_dir[length - 1] == '/')
		length--;
	if (path[0] == '/' && strncmp(path, my->facts.data_dir, length) == 0 &&
	    (path[length] == '/' || path[length] == '\0'))
		path += length + strspn(path + length, "/");
	return openat(data_fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
}

static bool real_path(int fd, char path[static ASK_PATH_SIZE])
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, ASK_PATH_SIZE - 1);
	path[length < 0 ? 0 : length] = '\0';
	return length > 0 && length < ASK_PATH_SIZE - 1;
}

/* Its path from the data directory, links resolved. False: it does not lie in there, as this process sees it. */
static bool find_rest(int data_fd, int fd, char rest[static ASK_PATH_SIZE])
{
	char top[ASK_PATH_SIZE], path[ASK_PATH_SIZE];
	size_t length;

	if (!place_is_inside(data_fd, fd) || !real_path(data_fd, top) || !real_path(fd, path))
		return false;
	length = strlen(top);
	if (strncmp(path, top, length) != 0 || (path[length] != '/' && path[length] != '\0'))
		return false;
	snprintf(rest, ASK_PATH_SIZE, "%s", path + length + (path[length] == '/'));
	return true;
}

static void look(const struct db_mariadb *my, enum my_role role, int data_fd, struct my_part *part)
{
	scope_close int fd = -1;
	struct stat top, st;
	char path[ASK_PATH_SIZE];

	my_part_path(my, role, path);
	fd = open_part(my, data_fd, path);
	if (fd < 0) {
		part->code = err_from_errno(errno);
		return;
	}
	part->code = volume_of(fd, &part->volume);
	part->inside = fstat(data_fd, &top) == 0 && fstat(fd, &st) == 0 && st.st_dev == top.st_dev &&
		       find_rest(data_fd, fd, part->rest);
}

static int look_at_all(const void *arg, const int *fds, void *answer, struct reason *why)
{
	struct my_part *parts = answer;

	(void)why;
	for (int role = 0; role < MY_ROLES; role++)
		look(arg, (enum my_role)role, fds[0], &parts[role]);
	return 0;
}

/* The walker is the database's user: its words are strings that end and codes that are some. */
static void tidy(struct my_part *part)
{
	struct volume *volume = &part->volume;

	volume->name[sizeof(volume->name) - 1] = '\0';
	volume->uuid[sizeof(volume->uuid) - 1] = '\0';
	part->rest[sizeof(part->rest) - 1] = '\0';
	part->inside = *(unsigned char *)&part->inside != 0;
	if (part->code > 0 || part->code < ERR_LAST)
		part->code = ERR_UNKNOWN;
}

/* begins: what the names of its files begin with. */
static void add_part(const struct db_mariadb *my, enum my_role role, const char *word, const char *begins,
		     struct layout *layout)
{
	const struct my_part *from = &my->parts[role];
	char path[MSG_PATH_SIZE], named[ASK_PATH_SIZE], prefix[MSG_PATH_SIZE];
	struct layout_part *part;

	snprintf(path, sizeof(path), "%.500s%s%.500s", my->job->cluster->data_dir, from->rest[0] ? "/" : "", from->rest);
	if (from->code == 0 && from->inside) {
		snprintf(prefix, sizeof(prefix), "%.500s%s%.500s", from->rest, from->rest[0] ? "/" : "", begins);
		layout_add_inside(layout, word, path, prefix);
		return;
	}
	my_part_path(my, role, named);
	part = layout_add_part(layout, word, named);
	if (!part || from->code < 0)
		return;
	volume_format_device(from->volume.device, part->device);
	snprintf(part->file_system, sizeof(part->file_system), "%s", from->volume.name);
	memcpy(part->fs_uuid, from->volume.uuid, sizeof(part->fs_uuid));
}

int my_look_at_parts(struct db_mariadb *my, struct layout *layout, struct reason *why)
{
	int error = walker_run(my->job, look_at_all, my, &my->job->data_fd, 1, my->parts, sizeof(my->parts), why);
	char binlog[ASK_PATH_SIZE + 1];

	for (int role = 0; error == 0 && role < MY_ROLES; role++)
		tidy(&my->parts[role]);
	if (error < 0)
		return error;
	add_part(my, MY_REDO, "redo", "ib_logfile", layout);
	add_part(my, MY_UNDO, "undo", "undo", layout);
	add_part(my, MY_ARIA, "aria log", "aria_log", layout);
	snprintf(binlog, sizeof(binlog), "%s.", my_base(my->facts.binlog));
	if (my->facts.log_bin)
		add_part(my, MY_BINLOG, "binary log", binlog, layout);
	return 0;
}

/* What needs no quotes in an option file, whoever reads it. */
static bool is_plain(const char *text)
{
	for (; *text; text++) {
		bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');

		if (!letter && !(*text >= '0' && *text <= '9') && !strchr("._-/:;@+", *text))
			return false;
	}
	return true;
}

/* All of them fit a manifest. */
enum { VALUE_MAX = 300 };

struct lines {
	char *text;
	const char *odd; /* a key whose value is none that can be written; NULL */
};

static void __attribute__((format(printf, 3, 4))) add(struct lines *lines, const char *key, const char *format, ...)
{
	char value[2 * ASK_PATH_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (!is_plain(value) || strlen(value) > VALUE_MAX)
		lines->odd = key;
	else
		layout_add_line(lines->text, MANIFEST_LINES_SIZE, "%s = %s", key, value);
}

static void add_folder(struct lines *lines, const char *key, const struct my_part *part)
{
	if (part->rest[0])
		add(lines, key, "%s", part->rest);
}

static void add_below(struct lines *lines, const char *key, const char *folder, const char *name)
{
	add(lines, key, "%s%s%s", folder, folder[0] ? "/" : "", name);
}

static void add_of_server(const struct db_mariadb *my, struct lines *lines)
{
	const struct ask_my_facts *facts = &my->facts;

	/* What its own program has prepared needs none: no transaction in it is undecided. */
	if (facts->log_bin && !my->backs_up) {
		add_below(lines, "log-bin", my->parts[MY_BINLOG].rest, my_base(facts->binlog));
		add_below(lines, "log-bin-index", my->parts[MY_INDEX].rest, my_base(facts->binlog_index));
	}
	add(lines, "innodb-data-file-path", "%s", facts->data_files);
	add(lines, "innodb-page-size", "%" PRIu32, facts->page_size);
	add_folder(lines, "innodb-data-home-dir", &my->parts[MY_HOME]);
	add_folder(lines, "innodb-log-group-home-dir", &my->parts[MY_REDO]);
	add_folder(lines, "innodb-undo-directory", &my->parts[MY_UNDO]);
	add_folder(lines, "aria-log-dir-path", &my->parts[MY_ARIA]);
	if (facts->aria_block_size)
		add(lines, "aria-block-size", "%" PRIu32, facts->aria_block_size);
	add(lines, "lower-case-table-names", "%" PRIu32, facts->lower_case_names);
}

/* Nobody tells but the files. */
static void add_of_files(const struct my_tree *tree, struct lines *lines)
{
	if (tree->index[0]) {
		add(lines, "log-bin", "%s", tree->binlog);
		add(lines, "log-bin-index", "%s", tree->index);
	}
	if (tree->page_size)
		add(lines, "innodb-page-size", "%" PRIu32, tree->page_size);
}

int my_settings(const struct db_mariadb *my, char settings[static MANIFEST_LINES_SIZE], struct reason *why)
{
	char text[MANIFEST_LINES_SIZE] = "";
	struct lines lines = {.text = text};

	if (my->mode == MY_MODE_RUNNING)
		add_of_server(my, &lines);
	else
		add_of_files(&my->tree, &lines);
	if (lines.odd)
		return reason_set(why, ERR_LAYOUT, "give it a name of letters, digits and . _ - only",
				  "the server's %s has a name that a clone could not be told", lines.odd);
	memcpy(settings, text, sizeof(text));
	return 0;
}

bool my_find_setting(const char *lines, const char *key, char value[static ASK_PATH_SIZE])
{
	size_t length = strlen(key);

	for (; lines && *lines; lines = strchr(lines, '\n'), lines += lines != NULL) {
		if (strncmp(lines, key, length) != 0 || strncmp(lines + length, " = ", 3) != 0)
			continue;
		lines += length + 3;
		snprintf(value, ASK_PATH_SIZE, "%.*s", (int)strcspn(lines, "\n"), lines);
		return true;
	}
	return false;
}
