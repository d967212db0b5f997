/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A copy of a data directory that is to be its source again, by the source's own option files: binary log, replication
 * and the logs of recovery stay as they were at the cut; a copy by mariadb-backup has no binary log, and begins another. It has to be one that a server starts on, and nothing in it may
 * name another place. Runs in the walker.
 */
#include "daemon/engine/db_mariadb.h"

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
#include <sys/stat.h>
#include <unistd.h>

enum { INDEX_MAX = 1 << 20 };

static const char again[] = "restore another backup";

struct question {
	const struct manifest *manifest;
	const char *data_dir; /* where the copy is going to lie */
};

/* Where the source's settings, as the backup knows them, put what recovery needs. */
static void ask_for(const struct manifest *manifest, struct my_question *question)
{
	char base[ASK_PATH_SIZE];

	*question = (struct my_question){0};
	my_find_setting(manifest->settings, "innodb-log-group-home-dir", question->redo);
	my_find_setting(manifest->settings, "log-bin-index", question->index);
	if (my_find_setting(manifest->settings, "log-bin", base))
		snprintf(question->binlog, sizeof(question->binlog), "%.*s",
			 (int)(my_base(base) > base ? my_base(base) - base - 1 : 0), base);
}

static int check_tree(struct worker_job *job, const struct manifest *manifest, int copy_fd, struct reason *why)
{
	struct my_question question;
	struct my_tree tree;
	int error;

	ask_for(manifest, &question);
	error = my_inspect(job, copy_fd, &question, &tree, why);
	if (error == 0)
		error = my_refuse_links(&tree, why);
	if (error < 0)
		return error;
	if (!tree.data || !tree.redo)
		return reason_set(why, ERR_CORRUPT, again, "the backup has lost its %s", tree.data ? "redo log" : "ibdata1");
	if (question.index[0] && !tree.last_binlog)
		return reason_set(why, ERR_CORRUPT, again, "the backup has lost its binary log, without which no server starts on it");
	return 0;
}

/*
 * A server whose log_bin is a path notes the whole of it. It finds its files by that, and purges by it: in another folder
 * than it was made in they would be somebody else's.
 */
static int check_index(int root_fd, const struct question *question, struct reason *why)
{
	scope_free char *text = NULL;
	char index[ASK_PATH_SIZE];
	int size;

	if (strcmp(question->manifest->data_dir, question->data_dir) == 0 ||
	    !my_find_setting(question->manifest->settings, "log-bin-index", index))
		return 0;
	text = malloc(INDEX_MAX);
	size = text ? tree_read(root_fd, index, text, INDEX_MAX) : ERR_NOMEM;
	if (size < 0)
		return reason_set(why, size, again, "the copy's %s cannot be read: %s", index, err_text(size));
	if (text[0] != '/' && !strstr(text, "\n/"))
		return 0;
	return reason_set(why, ERR_LAYOUT, "restore it by hand, and correct that file: README, Restoring",
			  "the backup was made of %.400s, and its %.200s names the binary log's files there", question->manifest->data_dir,
			  index);
}

/* ---- what mariadb-backup has made ---- */

/* The folder of the binary log, from the data directory; false: it lies elsewhere, or there is none. */
static bool find_binlog(const struct manifest *manifest, const char **ret_rest)
{
	size_t length = strlen(manifest->data_dir);

	for (size_t i = 0; i < manifest->part_count; i++) {
		const struct manifest_part *part = &manifest->parts[i];

		if (strcmp(part->role, "binary log") != 0)
			continue;
		*ret_rest = part->path + length;
		*ret_rest += strspn(*ret_rest, "/");
		return strncmp(part->path, manifest->data_dir, length) == 0 && strchr("/", part->path[length]);
	}
	return false;
}

/* The copy has only folders of tables; a server does not make the one that its binary log is to lie in. */
static int make_folders(int root_fd, const char *path, struct reason *why)
{
	char begin[MSG_PATH_SIZE];

	for (const char *end = path; *end; end += *end == '/') {
		end += strcspn(end, "/");
		snprintf(begin, sizeof(begin), "%.*s", (int)(end - path), path);
		if (mkdirat(root_fd, begin, 0700) < 0 && errno != EEXIST)
			return reason_set_errno(why, errno, "cannot make %.400s in the copy", begin);
	}
	return 0;
}

static int write_state(int root_fd, const char *path, const char *gtids, struct reason *why)
{
	scope_close int fd = tree_open(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || dprintf(fd, "%s\n", gtids) < 0)
		return reason_set_errno(why, errno, "cannot write %.400s in the copy", path);
	return 0;
}

/*
 * There is no binary log in it, and the server begins a new one. By this file, which every server leaves at its end, it
 * knows which GTIDs there were: else it would give them a second time.
 */
static int begin_binlog(int root_fd, const char *folder, struct reason *why)
{
	char info[MY_BACKUP_INFO_SIZE], base[256] = "", gtids[ASK_GTID_SIZE + 1] = "", path[2 * MSG_PATH_SIZE];
	int size = my_read_backup_info(root_fd, info, sizeof(info)), error;

	if (size == ERR_NOT_FOUND)
		return 0;
	if (size < 0 || sscanf(info, "%255[^\t\n]\t%*u\t%1000[0-9,-]", base, gtids) < 1 || !strrchr(base, '.') || strchr(base, '/'))
		return reason_set(why, ERR_CORRUPT, again, "what the backup says of the binary log is damaged");
	*strrchr(base, '.') = '\0';
	for (char *c = gtids; *c; c++)
		*c = *c == ',' ? '\n' : *c;
	snprintf(path, sizeof(path), "%.1000s%s%s.state", folder, folder[0] ? "/" : "", base);
	error = make_folders(root_fd, folder, why);
	return error == 0 && gtids[0] ? write_state(root_fd, path, gtids, why) : error;
}

/* Of a process that is no more: whoever has its number now would keep mysqld_safe from starting. */
static bool is_of_process(int root_fd, const char *name)
{
	size_t length = strlen(name);
	struct stat st;

	if (fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return S_ISSOCK(st.st_mode) || (S_ISREG(st.st_mode) && length > 4 && strcmp(name + length - 4, ".pid") == 0);
}

static bool is_of_program(int root_fd, const char *name)
{
	struct stat st;

	return my_is_of_backup(name) && fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* prepared: by mariadb-backup, whose own files go as well. */
static int remove_others(int root_fd, bool prepared, struct reason *why)
{
	scope_closedir DIR *dir = names_open(root_fd);
	const char *name;
	int more = -1;

	while (dir && (more = names_next(dir, &name)) > 0) {
		if ((is_of_process(root_fd, name) || (prepared && is_of_program(root_fd, name))) &&
		    unlinkat(root_fd, name, 0) < 0 && errno != ENOENT)
			return reason_set_errno(why, errno, "cannot remove %s from the copy", name);
	}
	return more < 0 ? reason_set_errno(why, errno, "cannot list the copy") : 0;
}

static int make(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct question *question = arg;
	bool prepared = strcmp(question->manifest->facts.procedure, "F") == 0;
	int error = check_index(fds[0], question, why);
	const char *folder;

	(void)answer;
	if (error == 0 && prepared && find_binlog(question->manifest, &folder))
		error = begin_binlog(fds[0], folder, why);
	return error < 0 ? error : remove_others(fds[0], prepared, why);
}

int my_make_original(struct worker_job *job, const struct manifest *manifest, const char *spaces, int copy_fd, struct reason *why)
{
	struct question question = {.manifest = manifest, .data_dir = job->cluster->data_dir};
	int error = check_tree(job, manifest, copy_fd, why);
	char nothing;

	(void)spaces;
	return error < 0 ? error : walker_run(job, make, &question, &copy_fd, 1, &nothing, 0, why);
}
