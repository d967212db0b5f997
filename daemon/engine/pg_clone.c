/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes a fresh copy of a data directory startable beside its source, and
 * unable to touch it: no link, no slot, no archiving, no replication, no
 * subscription, no job scheduler, no TCP, a socket of its own, no WAL that
 * makes tablespaces. Runs in the walker. Settings: pg_clone_config.
 */
#include "daemon/engine/pg_clone.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/db_postgresql.h"
#include "daemon/engine/pg_label.h"
#include "daemon/engine/pg_replay.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char again[] = "delete the backup, and make a new one";

/* A folder in which PostgreSQL keeps data: what is a link there would be missing in the clone. */
static bool holds_data(const char *path)
{
	return strncmp(path, "base/", 5) == 0 || strncmp(path, "global/", 7) == 0 || strncmp(path, "pg_", 3) == 0 ||
	       strcmp(path, "base") == 0 || strcmp(path, "global") == 0;
}

static bool is_config(const char *path)
{
	return strcmp(path, "pg_hba.conf") == 0 || strcmp(path, "pg_ident.conf") == 0;
}

/* Nothing but files and folders stays: a link left could lead the clone's writes into the source. */
static int clean_entry(void *arg, const struct tree_entry *entry, struct reason *why)
{
	bool link = S_ISLNK(entry->st.st_mode);

	(void)arg;
	if (S_ISREG(entry->st.st_mode) || S_ISDIR(entry->st.st_mode))
		return 0;
	if (link && holds_data(entry->path) && !is_config(entry->path))
		return reason_set(why, ERR_LAYOUT, "make a new backup after replacing the link in the source",
				  "the backup has a symbolic link where PostgreSQL keeps data: %s", entry->path);
	if (unlinkat(entry->dir_fd, entry->name, 0) < 0 && errno != ENOENT)
		return reason_set_errno(why, errno, "cannot remove %s from the clone", entry->path);
	return 0;
}

static int remove_files(int root_fd, struct reason *why)
{
	static const char *const files[] = {"postmaster.pid",  "postmaster.opts",         "standby.signal",
					    "recovery.signal", "postgresql.auto.conf.tmp", "current_logfiles"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (unlinkat(root_fd, files[i], 0) < 0 && errno != ENOENT)
			return reason_set_errno(why, errno, "cannot remove %s from the clone", files[i]);
	}
	return 0;
}

static int empty_folders(int root_fd, struct reason *why)
{
	static const char *const folders[] = {"pg_replslot", "pg_dynshmem", "pg_stat_tmp"};
	int error = 0;

	for (size_t i = 0; error == 0 && i < sizeof(folders) / sizeof(folders[0]); i++)
		error = tree_empty(root_fd, folders[i], why);
	return error;
}

static int read_control(int root_fd, struct pg_control *control, struct reason *why)
{
	/* The file has 8192 bytes. */
	char bytes[16384];
	int size = tree_read(root_fd, "global/pg_control", bytes, sizeof(bytes));
	int error = size < 0 ? size : pg_control_parse(bytes, (size_t)size, control);

	if (error < 0)
		return reason_set(why, error, NULL, "the clone's global/pg_control cannot be read: %s", err_text(error));
	return 0;
}

static int read_major(int root_fd, uint32_t *ret_major, struct reason *why)
{
	char text[32];
	unsigned major;
	int size = tree_read(root_fd, "PG_VERSION", text, sizeof(text));

	if (size <= 0 || sscanf(text, "%u", &major) != 1)
		return reason_set(why, ERR_CORRUPT, NULL, "the clone's PG_VERSION cannot be read");
	*ret_major = major;
	return 0;
}

int pg_clone_read(int root_fd, struct pg_clone *clone, struct reason *why)
{
	int error = read_control(root_fd, &clone->control, why);

	return error < 0 ? error : read_major(root_fd, &clone->major, why);
}

/* Where recovery begins, if a label says so: without one 0, and pg_clone_map() sees to it that there should be none. */
static int read_start(int root_fd, uint64_t *ret_start, struct reason *why)
{
	scope_free char *text = malloc(ASK_BLOB_SIZE);
	int size = text ? tree_read(root_fd, "backup_label", text, ASK_BLOB_SIZE) : ERR_NOMEM;
	struct pg_label label = {.start = 0};

	if (size < 0 && size != ERR_NOT_FOUND)
		return reason_set(why, size, NULL, "the backup's backup_label cannot be read: %s", err_text(size));
	if (size >= 0 && pg_label_parse(text, (size_t)size, &label) < 0)
		return reason_set(why, ERR_CORRUPT, again, "the backup's backup_label is damaged");
	*ret_start = label.start;
	return 0;
}

/* The image was looked at when it was made; this is what the source's safety hangs on. */
int pg_clone_check_replay(int root_fd, const struct pg_clone *clone, struct reason *why)
{
	struct pg_replay replay;
	uint64_t start = 0;
	int error = read_start(root_fd, &start, why);

	if (error < 0)
		return error;
	pg_replay_of(&clone->control, clone->major, start, &replay);
	error = pg_replay_check(&replay, root_fd, why);
	if (why->retry && (error == ERR_LAYOUT || error == ERR_STATE)) {
		/* It stays as it is: neither waiting nor a checkpoint helps. */
		why->retry = false;
		snprintf(why->remedy, sizeof(why->remedy), "%s", again);
	}
	return error;
}

static int make(const void *arg, const int *fds, void *answer, struct reason *why)
{
	struct pg_clone clone = *(const struct pg_clone *)arg;
	int root = fds[0];
	uint32_t *port = answer;
	int error = pg_clone_read(root, &clone, why);

	if (error == 0 && clone.apart)
		error = pg_clone_join(root, why);
	if (error == 0)
		error = tree_walk(root, clean_entry, NULL, why);
	if (error == 0)
		error = pg_clone_check_replay(root, &clone, why);
	if (error == 0)
		error = remove_files(root, why);
	if (error == 0)
		error = empty_folders(root, why);
	if (error == 0)
		error = pg_clone_map(root, &clone, why);
	if (error == 0)
		error = pg_clone_configure(root, &clone, port, why);
	if (error == 0 && fchmod(root, 0700) < 0)
		error = reason_set_errno(why, errno, "cannot set the clone's mode");
	return error;
}

int pg_make_clone(struct worker_job *job, const struct manifest *manifest, int clone_fd, const char *path,
		  struct db_clone *ret_clone, struct reason *why)
{
	bool apart = strcmp(manifest->facts.procedure, "C") == 0;
	struct pg_clone clone = {
		.path = path, .recovered = apart || strcmp(manifest->facts.procedure, "B") == 0, .apart = apart,
	};
	uint32_t port = 0;
	int error;

	/* It stands in a configuration file, in quotes: what no sane path has is not worth the risk. */
	for (const char *c = path; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return reason_set(why, ERR_INVALID, NULL, "the clone's path has control characters in it");
	}
	error = walker_run(job, make, &clone, &clone_fd, 1, &port, sizeof(port), why);
	if (error < 0)
		return error;
	snprintf(ret_clone->socket_dir, sizeof(ret_clone->socket_dir), "%s", path);
	ret_clone->port = port >= 1 && port <= 65535 ? port : 5432;
	return 0;
}
