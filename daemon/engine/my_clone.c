/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes a fresh copy of a MariaDB data directory startable beside its source, and
 * unable to touch it: no link, no replication, no events, no TCP, a socket of its
 * own, and a binary log whose index names its own files. Nothing of the source's option files
 * is taken: they may name anything, so a server is started with the clone's own one alone. Runs in the walker.
 */
#include "daemon/engine/db_mariadb.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/names.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INDEX_MAX = 1 << 20, CONFIG_MAX = 16384 };

static const char config_name[] = MY_CLONE_CONFIG, temporary[] = ".dbsnap-tmp", again[] = "delete the backup, and make a new one";

struct my_clone {
	const char *path;     /* as the clone will be known */
	const char *settings; /* the manifest's */
	bool proof;           /* made to be looked at: what is missing and could be done without is told */
};

static bool ends(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return length > tail && strcmp(name + length - tail, end) == 0;
}

/* Nothing but files and folders stays: a link left could lead the clone's writes into the source. */
static int clean_entry(void *arg, const struct tree_entry *entry, struct reason *why)
{
	bool link = S_ISLNK(entry->st.st_mode);

	(void)arg;
	if ((link && !my_link_is_harmless(entry->path)) || ends(entry->name, ".isl"))
		return reason_set(why, ERR_LAYOUT, "make a new backup after moving the table back in the source",
				  "the backup has a link where MariaDB keeps data: %s", entry->path);
	if (S_ISREG(entry->st.st_mode) || S_ISDIR(entry->st.st_mode))
		return 0;
	if (unlinkat(entry->dir_fd, entry->name, 0) < 0 && errno != ENOENT)
		return reason_set_errno(why, errno, "cannot remove %s from the clone", entry->path);
	return 0;
}

/* Whose pid, whose lock, and of whom the source is a replica. */
static bool is_of_source(const char *name)
{
	static const char *const names[] = {"master.info", "relay-log.info", "multi-master.info", "aria_log.lock", config_name};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return my_is_of_backup(name) || ends(name, ".pid") ||
	       (ends(name, ".info") && (strncmp(name, "master-", 7) == 0 || strncmp(name, "relay-log-", 10) == 0));
}

static int remove_files(int root_fd, struct reason *why)
{
	scope_closedir DIR *dir = names_open(root_fd);
	const char *name;
	int more = -1;

	while (dir && (more = names_next(dir, &name)) > 0) {
		if (is_of_source(name) && unlinkat(root_fd, name, 0) < 0 && errno != ENOENT && errno != EISDIR)
			return reason_set_errno(why, errno, "cannot remove %s from the clone", name);
	}
	return more < 0 ? reason_set_errno(why, errno, "cannot list the clone") : 0;
}

static int write_file(int root_fd, const char *path, const char *text, struct reason *why)
{
	scope_close int fd = tree_open(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t done = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (done == (ssize_t)strlen(text))
		return 0;
	return reason_set_errno(why, done < 0 ? errno : ENOSPC, "cannot write the clone's %s", path);
}

/* Each name that is there, by its path in the clone; missing gets one that is not. The caller frees; NULL: no memory. */
static char *own_names(int root_fd, const char *folder, char *old, char missing[static ASK_PATH_SIZE])
{
	size_t size, length;
	scope_free char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	char path[2 * ASK_PATH_SIZE];
	const char *name;
	struct stat st;

	while (out && (name = my_index_next(&old))) {
		length = (size_t)snprintf(path, sizeof(path), "%s%s%s", folder, folder[0] ? "/" : "", name);
		if (length < sizeof(path) && fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			fprintf(out, "./%s\n", path);
		else
			snprintf(missing, ASK_PATH_SIZE, "%s", name);
	}
	if (!out || fclose(out) != 0)
		return NULL;
	return scope_take_ptr(text);
}

/*
 * A server whose log_bin is a path notes absolute ones, and purges by them: left alone, a clone would remove the
 * source's binary log. What it may have noted of others' logs is gone with the clone's own setting relay-log.
 */
static int rewrite_index(int root_fd, const struct my_clone *clone, struct reason *why)
{
	scope_free char *old = malloc(INDEX_MAX), *text = NULL;
	char index[ASK_PATH_SIZE], base[ASK_PATH_SIZE], missing[ASK_PATH_SIZE] = "";
	int size;

	if (!my_find_setting(clone->settings, "log-bin-index", index) || !my_find_setting(clone->settings, "log-bin", base))
		return 0;
	size = old ? tree_read(root_fd, index, old, INDEX_MAX) : ERR_NOMEM;
	if (size < 0)
		return reason_set(why, size, again, "the clone's %s cannot be read: %s", index, err_text(size));
	base[my_base(base) > base ? my_base(base) - base - 1 : 0] = '\0';
	text = own_names(root_fd, base, old, missing);
	if (clone->proof && missing[0])
		return reason_set(why, ERR_NOT_FOUND, again, "the binary log %.200s is not there, and its index names it", missing);
	return text ? write_file(root_fd, index, text, why) : reason_set(why, ERR_NOMEM, NULL, "out of memory");
}

/* A value in double quotes, as option files read them. */
static void put_path(FILE *out, const char *key, const char *path, const char *below)
{
	fprintf(out, "%s = \"", key);
	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			fputc('\\', out);
		fputc(*path, out);
	}
	fprintf(out, "%s\"\n", below);
}

static void put_config(FILE *out, const struct my_clone *clone, uint32_t server_id)
{
	fprintf(out, "# Made by dbsnap: this is a clone. Start it with this file alone:\n"
		     "#   mariadbd --defaults-file=%s/%s\n"
		     "# These lines keep it from touching its source.\n"
		     "[mysqld]\n", clone->path, config_name);
	put_path(out, "datadir", clone->path, "");
	put_path(out, "tmpdir", clone->path, "/.dbsnap-tmp");
	fprintf(out, "ignore-db-dir = %s\n"
		     "socket = " MY_CLONE_SOCKET "\n"
		     "pid-file = mariadb.pid\n"
		     "log-error = mariadb.err\n"
		     "skip-networking\n"
		     "skip-slave-start\n"
		     "relay-log = dbsnap-relay-bin\n"
		     "event-scheduler = OFF\n"
		     "server-id = %" PRIu32 "\n", temporary, server_id);
	fprintf(out, "# As its source has them: no server starts on these files with others.\n%s\n", clone->settings);
}

static int write_config(int root_fd, const struct my_clone *clone, struct reason *why)
{
	size_t size;
	scope_free char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	uint32_t server_id = 0;

	if (!out || getrandom(&server_id, sizeof(server_id), 0) != sizeof(server_id))
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	/* Servers made by people have small numbers. */
	put_config(out, clone, server_id | UINT32_C(1) << 31);
	if (fclose(out) != 0)
		return reason_set(why, ERR_NOMEM, NULL, "out of memory");
	return write_file(root_fd, config_name, text, why);
}

static int make_temporary(int root_fd, struct reason *why)
{
	int error = tree_empty(root_fd, temporary, why);

	if (error == 0 && mkdirat(root_fd, temporary, 0700) < 0 && errno != EEXIST)
		error = reason_set_errno(why, errno, "cannot make the clone's %s", temporary);
	return error;
}

static int make(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct my_clone *clone = arg;
	int root = fds[0];
	int error = tree_walk(root, clean_entry, NULL, why);

	(void)answer;
	if (error == 0)
		error = remove_files(root, why);
	if (error == 0)
		error = rewrite_index(root, clone, why);
	if (error == 0)
		error = make_temporary(root, why);
	if (error == 0)
		error = write_config(root, clone, why);
	if (error == 0 && fchmod(root, 0700) < 0)
		error = reason_set_errno(why, errno, "cannot set the clone's mode");
	return error;
}

int my_make_clone(struct worker_job *job, const struct manifest *manifest, int clone_fd, const char *path,
		  struct db_clone *ret_clone, struct reason *why)
{
	struct my_clone clone = {.path = path, .settings = manifest->settings, .proof = strcmp(path, CELL_ROOT) == 0};
	char nothing;
	int error;

	/* It stands in an option file: what no sane path has is not worth the risk. */
	for (const char *c = path; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return reason_set(why, ERR_INVALID, NULL, "the clone's path has control characters in it");
	}
	error = walker_run(job, make, &clone, &clone_fd, 1, &nothing, 0, why);
	if (error < 0)
		return error;
	*ret_clone = (struct db_clone){.port = 0};
	snprintf(ret_clone->socket_dir, sizeof(ret_clone->socket_dir), "%s", path);
	return 0;
}
