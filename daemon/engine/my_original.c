/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A copy of a data directory that is to be its source again, by the source's own option files: binary log, replication
 * and the logs of recovery stay as they were at the cut. It has to be one that a server starts on, and nothing in it may
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

/* Of a process that is no more: whoever has its number now would keep mysqld_safe from starting. */
static bool is_of_process(int root_fd, const char *name)
{
	size_t length = strlen(name);
	struct stat st;

	if (fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return S_ISSOCK(st.st_mode) || (S_ISREG(st.st_mode) && length > 4 && strcmp(name + length - 4, ".pid") == 0);
}

static int remove_of_process(int root_fd, struct reason *why)
{
	scope_closedir DIR *dir = names_open(root_fd);
	const char *name;
	int more = -1;

	while (dir && (more = names_next(dir, &name)) > 0) {
		if (is_of_process(root_fd, name) && unlinkat(root_fd, name, 0) < 0 && errno != ENOENT)
			return reason_set_errno(why, errno, "cannot remove %s from the copy", name);
	}
	return more < 0 ? reason_set_errno(why, errno, "cannot list the copy") : 0;
}

static int make(const void *arg, const int *fds, void *answer, struct reason *why)
{
	int error = check_index(fds[0], arg, why);

	(void)answer;
	return error < 0 ? error : remove_of_process(fds[0], why);
}

int my_make_original(struct worker_job *job, const struct manifest *manifest, const char *spaces, int copy_fd, struct reason *why)
{
	struct question question = {.manifest = manifest, .data_dir = job->cluster->data_dir};
	int error = check_tree(job, manifest, copy_fd, why);
	char nothing;

	(void)spaces;
	return error < 0 ? error : walker_run(job, make, &question, &copy_fd, 1, &nothing, 0, why);
}
