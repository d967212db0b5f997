/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * No database: a tree of which nothing is known. What an atomic cut gives is
 * what a power cut would have left.
 */
#include "daemon/engine/db.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 20 };

static int open_none(struct worker_job *job, struct layout *layout, struct db **ret_db, struct reason *why)
{
	static struct db only = {.ops = &db_none}; /* nothing in it ever changes */

	(void)job;
	(void)layout;
	(void)why;
	*ret_db = &only;
	return 0;
}

static int admit(struct db *db, const struct snap_ops *snap, struct layout *layout, struct reason *why)
{
	(void)db;
	(void)why;
	snprintf(layout->procedure, sizeof(layout->procedure), "none");
	snprintf(layout->promise, sizeof(layout->promise), "%s", snap->atomic ? "crash" : "per-file");
	return 0;
}

/*
 * Everything as it lies. Sharing a file's blocks takes them at one moment; bytes are read one after the other, and
 * what is written in place meanwhile shows it. Only a file that is replaced by rename is whole in any copy.
 */
static void walk(struct db *db, struct db_walk *ret_walk)
{
	(void)db;
	*ret_walk = (struct db_walk){0};
}

static int before(struct db *db, struct db_position *ret_position, struct reason *why)
{
	(void)db;
	(void)why;
	*ret_position = (struct db_position){0};
	return 0;
}

static int after(struct db *db, int backup_fd, struct db_position *position, struct reason *why)
{
	(void)db;
	(void)backup_fd;
	(void)position;
	(void)why;
	return 0;
}

static int check_image(struct db *db, int image_fd, struct db_position *position, struct reason *why)
{
	(void)db;
	(void)image_fd;
	(void)position;
	(void)why;
	return 0;
}

static void close_none(struct db *db)
{
	(void)db;
}

/* Its owner may give himself the right to change a read-only folder, and takes it back. 0 or an errno. */
static int unlink_in(const struct tree_entry *entry, mode_t folder_mode)
{
	int error = unlinkat(entry->dir_fd, entry->name, 0) < 0 ? errno : 0;

	if (error != EACCES || fchmod(entry->dir_fd, folder_mode | S_IRWXU) < 0)
		return error;
	error = unlinkat(entry->dir_fd, entry->name, 0) < 0 ? errno : 0;
	if (fchmod(entry->dir_fd, folder_mode) < 0 && error == 0)
		error = errno;
	return error;
}

/* The folder keeps its times as well: the copy's are the source's. */
static int unlink_from(const struct tree_entry *entry)
{
	struct stat folder;
	int error = fstat(entry->dir_fd, &folder) < 0 ? errno : unlink_in(entry, folder.st_mode & 07777);

	if (error == 0 && futimens(entry->dir_fd, (struct timespec[]){folder.st_atim, folder.st_mtim}) < 0)
		error = errno;
	return error;
}

/* A link left could lead who writes into the clone to the source, or out of both. */
static int remove_link(void *arg, const struct tree_entry *entry, struct reason *why)
{
	int error = S_ISLNK(entry->st.st_mode) ? unlink_from(entry) : 0;

	(void)arg;
	return error == 0 || error == ENOENT ? 0 : reason_set_errno(why, error, "cannot remove the link %s from the clone",
								    entry->path);
}

static int remove_links(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)arg;
	(void)answer;
	return tree_walk(fds[0], remove_link, NULL, why);
}

static int make_clone(struct worker_job *job, const struct manifest *manifest, int clone_fd, const char *path,
		      struct db_clone *ret_clone, struct reason *why)
{
	char nothing;
	int error = walker_run(job, remove_links, NULL, &clone_fd, 1, &nothing, 0, why);

	(void)manifest;
	(void)path;
	if (error == 0)
		*ret_clone = (struct db_clone){0};
	return error;
}

/* Of files of which nothing is known it can be said that they can be read. */
static int read_file(void *arg, const struct tree_entry *entry, struct reason *why)
{
	struct db_verified *verified = arg;
	scope_close int fd = S_ISREG(entry->st.st_mode) ? tree_open(entry->dir_fd, entry->name, O_RDONLY, 0) : -1;
	scope_free char *bytes = fd < 0 ? NULL : malloc(READ_SIZE);
	ssize_t got = 1;

	(void)why;
	while (bytes && got > 0)
		got = read(fd, bytes, READ_SIZE);
	if (S_ISREG(entry->st.st_mode) && (fd < 0 || got < 0))
		layout_add_line(verified->found, sizeof(verified->found), "%.800s cannot be read: %s", entry->path, strerror(errno));
	return 0;
}

static int read_files(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)arg;
	return tree_walk(fds[0], read_file, answer, why);
}

static int verify(struct worker_job *job, const struct manifest *manifest, int clone_fd, struct db_verified *ret_verified,
		  struct reason *why)
{
	struct db_verified verified = {.good = false};
	int error = walker_run(job, read_files, NULL, &clone_fd, 1, &verified, sizeof(verified), why);

	(void)manifest;
	if (error < 0)
		return error;
	verified.found[sizeof(verified.found) - 1] = '\0';
	verified.good = !verified.found[0];
	snprintf(verified.checked, sizeof(verified.checked), "every file was read; what is in them is not known");
	*ret_verified = verified;
	return 0;
}

const struct db_ops db_none = {
	.name = "none",
	.open = open_none,
	.admit = admit,
	.walk = walk,
	.before = before,
	.after = after,
	.check_image = check_image,
	.close = close_none,
	.make_clone = make_clone,
	.verify_path = "",
	.verify = verify,
};
