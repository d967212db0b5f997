/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs in the walker. A database is a folder at the top, a table some files in
 * it; what is a link there (DATA DIRECTORY) or names another place (*.isl) would
 * be left out of a snapshot, and a clone would write into its source through it.
 */
#include "daemon/engine/my_inspect.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	INDEX_MAX = 1 << 20,
	FLAGS_AT = 38 + 16, /* of the tablespace's header in its first page */
	FULL_CRC32 = 0x10,
	PAGE_SIZE_DEFAULT = 16384
};

static bool ends(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return length > tail && strcmp(name + length - tail, end) == 0;
}

static bool ends_in_one_of(const char *name, const char *const ends_list[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ends(name, ends_list[i]))
			return true;
	}
	return false;
}

const char *my_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Keys, certificates, logs for people. */
bool my_link_is_harmless(const char *path)
{
	static const char *const kinds[] = {".pem", ".crt", ".key", ".cnf", ".sock", ".pid", ".err", ".log"};

	return !strchr(path, '/') && strncmp(path, "ib", 2) != 0 && strncmp(path, "aria_log", 8) != 0 &&
	       strncmp(path, "undo", 4) != 0 && strcmp(path, "tc.log") != 0 && strcmp(path, "ddl_recovery.log") != 0 &&
	       ends_in_one_of(path, kinds, sizeof(kinds) / sizeof(kinds[0]));
}

enum tree_fate my_walk_judge(const void *arg, size_t root, const char *path, const struct stat *st, struct reason *why)
{
	(void)arg;
	(void)root;
	if (!ends(path, ".isl") && (!S_ISLNK(st->st_mode) || my_link_is_harmless(path)))
		return TREE_TAKE;
	reason_set(why, ERR_LAYOUT, "replace it by what it leads to",
		   "part of the database lies elsewhere, by a link (DATA DIRECTORY): %.400s", path);
	return TREE_REFUSE;
}

const char *my_index_next(char **lines)
{
	char *line = strsep(lines, "\n");

	while (line && !*line)
		line = strsep(lines, "\n");
	return line ? my_base(line) : NULL;
}

static bool is_file(int dir_fd, const char *path, struct stat *ret_st)
{
	scope_close int fd = tree_open(dir_fd, path, O_PATH, 0);

	return fd >= 0 && fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode);
}

/* What InnoDB wrote into it when it was made. */
static uint32_t page_size_of(int root_fd)
{
	scope_close int fd = tree_open(root_fd, "ibdata1", O_RDONLY, 0);
	uint8_t bytes[4];
	uint32_t flags, shift;

	if (fd < 0 || pread(fd, bytes, sizeof(bytes), FLAGS_AT) != sizeof(bytes))
		return 0;
	flags = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
	shift = flags & FULL_CRC32 ? flags & 15 : flags >> 6 & 15;
	if (shift == 0)
		return PAGE_SIZE_DEFAULT;
	return shift >= 3 && shift <= 7 ? 512U << shift : 0;
}

static void look_at_innodb(int root_fd, const struct my_question *question, struct my_tree *tree)
{
	char path[ASK_PATH_SIZE + 16];
	struct stat st;

	tree->data = is_file(root_fd, "ibdata1", &st);
	if (tree->data)
		stamp_of(&st, &tree->stamps[MY_STAMP_DATA]);
	if (is_file(root_fd, "aria_log_control", &st))
		stamp_of(&st, &tree->stamps[MY_STAMP_ARIA]);
	snprintf(path, sizeof(path), "%s%sib_logfile0", question->redo, question->redo[0] ? "/" : "");
	tree->redo = is_file(root_fd, path, &st) && st.st_size > 0;
	if (tree->redo)
		stamp_of(&st, &tree->stamps[MY_STAMP_REDO]);
	tree->page_size = page_size_of(root_fd);
}

/* The caller frees. NULL: not to be read. */
static char *read_index(int root_fd, const char *path)
{
	char *text = malloc(INDEX_MAX);

	if (text && tree_read(root_fd, path, text, INDEX_MAX) >= 0)
		return text;
	free(text);
	return NULL;
}

/* Are the lines those of a binary log? Then base gets its base name. */
static bool is_binlog(char *text, char *base, size_t size)
{
	char *lines = text;
	const char *name;
	size_t length;

	if (strncmp(text, "./", 2) != 0 && text[0] != '/')
		return false;
	name = my_index_next(&lines);
	length = name ? strlen(name) : 0;
	while (length > 0 && name[length - 1] >= '0' && name[length - 1] <= '9')
		length--;
	if (length < 2 || name[length - 1] != '.' || length > size)
		return false;
	snprintf(base, size, "%.*s", (int)length - 1, name);
	return true;
}

/* The last file that the index names is the one that recovery reads. */
static bool has_last_binlog(int root_fd, const char *folder, const char *index)
{
	scope_free char *text = read_index(root_fd, index);
	char *lines = text, path[2 * ASK_PATH_SIZE];
	const char *name, *last = NULL;
	struct stat st;

	while (lines && (name = my_index_next(&lines)))
		last = name;
	if (!last)
		return false;
	snprintf(path, sizeof(path), "%s%s%s", folder, folder[0] ? "/" : "", last);
	return is_file(root_fd, path, &st);
}

/* Does a server that does not run have a binary log, and here? A relay log's index looks the same. */
static void note_index(int root_fd, const char *name, struct my_tree *tree)
{
	scope_free char *text = ends(name, ".index") && !strstr(name, "relay") ? read_index(root_fd, name) : NULL;
	char base[128];
	struct stat st;

	if (!text || !text[0])
		return;
	if (tree->index[0] || strlen(name) >= sizeof(tree->index) || !is_binlog(text, base, sizeof(base)) ||
	    !has_last_binlog(root_fd, "", name)) {
		snprintf(tree->other_binlog, sizeof(tree->other_binlog), "%.120s", name);
		return;
	}
	snprintf(tree->index, sizeof(tree->index), "%s", name);
	snprintf(tree->binlog, sizeof(tree->binlog), "%s", base);
	if (is_file(root_fd, name, &st))
		stamp_of(&st, &tree->stamps[MY_STAMP_INDEX]);
}

static void note_link(int dir_fd, const char *path, const char *name, struct my_tree *tree)
{
	char target[120];
	ssize_t length = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	target[length < 0 ? 0 : length] = '\0';
	snprintf(tree->link, sizeof(tree->link), "%.120s%s%s", path, length > 0 ? " -> " : "", target);
}

static bool is_system(const char *database)
{
	return strcmp(database, "mysql") == 0 || strcmp(database, "sys") == 0 ||
	       strcmp(database, "performance_schema") == 0;
}

static void note_table(const char *database, const char *path, const char *name, struct my_tree *tree)
{
	static const char *const plain[] = {".MYD", ".MAD", ".CSV", ".ARZ"};

	if (is_system(database))
		tree->old_system |= ends(name, ".MYD");
	else if (!tree->plain[0] && ends_in_one_of(name, plain, sizeof(plain) / sizeof(plain[0])))
		snprintf(tree->plain, sizeof(tree->plain), "%.250s", path);
}

/* What mariadb-backup takes, and what no table needs. */
static bool is_of_known_engine(const char *name)
{
	static const char *const kinds[] = {".frm", ".ibd", ".isl", ".MYD", ".MYI", ".MAD", ".MAI", ".MRG", ".ARM", ".ARZ", ".CSM",
					    ".CSV", ".opt", ".par", ".TRG", ".TRN", ".cfg", ".cfp", ".TMD", ".BAK", ".old"};

	return strncmp(name, "#sql", 4) == 0 || ends_in_one_of(name, kinds, sizeof(kinds) / sizeof(kinds[0])) ||
	       strcmp(name, "db.opt") == 0;
}

/* Kind of a name; what the folder does not tell is asked. DT_UNKNOWN: gone. */
static unsigned char kind_of(int dir_fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? IFTODT(st.st_mode) : DT_UNKNOWN;
}

static int look_at_database(int root_fd, const char *database, struct my_tree *tree, struct reason *why)
{
	scope_close int fd = tree_open(root_fd, database, O_RDONLY | O_DIRECTORY, 0);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	const struct dirent *entry;
	char path[2 * NAME_MAX + 2];

	if (!dir)
		return errno == ENOENT ? 0 : reason_set_errno(why, errno, "cannot list %s", database);
	while (errno = 0, (entry = readdir(dir))) {
		tree->files++;
		snprintf(path, sizeof(path), "%.255s/%s", database, entry->d_name);
		if (!tree->link[0] && (kind_of(fd, entry) == DT_LNK || ends(entry->d_name, ".isl")))
			note_link(fd, path, entry->d_name, tree);
		if (ends(entry->d_name, ".index") && !strstr(entry->d_name, "relay"))
			snprintf(tree->other_binlog, sizeof(tree->other_binlog), "%.120s", path);
		note_table(database, path, entry->d_name, tree);
		if (!tree->odd[0] && kind_of(fd, entry) == DT_REG && !is_of_known_engine(entry->d_name))
			snprintf(tree->odd, sizeof(tree->odd), "%.250s", path);
	}
	return errno ? reason_set_errno(why, errno, "cannot list %s", database) : 0;
}

static int look_at_top(int root_fd, struct my_tree *tree, struct reason *why)
{
	scope_closedir DIR *dir = names_open(root_fd);
	const struct dirent *entry;
	int error = 0;

	if (!dir)
		return reason_set_errno(why, errno, "cannot list the data directory");
	while (error == 0 && (errno = 0, (entry = readdir(dir)))) {
		const char *name = entry->d_name;
		unsigned char kind = kind_of(root_fd, entry);

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		tree->files++;
		if (kind == DT_LNK && !my_link_is_harmless(name) && !tree->link[0])
			note_link(root_fd, name, name, tree);
		else if (kind == DT_DIR)
			error = look_at_database(root_fd, name, tree, why);
		else if (strncmp(name, "ibdata", 6) == 0 && strcmp(name, "ibdata1") != 0)
			snprintf(tree->more, sizeof(tree->more), "%.120s", name);
		else
			note_index(root_fd, name, tree);
		errno = 0;
	}
	return error == 0 && errno ? reason_set_errno(why, errno, "cannot list the data directory") : error;
}

static int inspect(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct my_question *question = arg;
	struct my_tree *tree = answer;

	*tree = (struct my_tree){0};
	look_at_innodb(fds[0], question, tree);
	if (question->index[0])
		tree->last_binlog = has_last_binlog(fds[0], question->binlog, question->index);
	return look_at_top(fds[0], tree, why);
}

/* Strings end, and are one line: the rest may say what it likes. */
static void tidy_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

static void tidy(struct my_tree *tree)
{
	tidy_text(tree->more, sizeof(tree->more));
	tidy_text(tree->binlog, sizeof(tree->binlog));
	tidy_text(tree->index, sizeof(tree->index));
	tidy_text(tree->other_binlog, sizeof(tree->other_binlog));
	tidy_text(tree->link, sizeof(tree->link));
	tidy_text(tree->plain, sizeof(tree->plain));
	tidy_text(tree->odd, sizeof(tree->odd));
}

int my_inspect(struct worker_job *job, int root_fd, const struct my_question *question, struct my_tree *ret_tree,
	       struct reason *why)
{
	int error = walker_run(job, inspect, question, &root_fd, 1, ret_tree, sizeof(*ret_tree), why);

	if (error == 0)
		tidy(ret_tree);
	return error;
}
