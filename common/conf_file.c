/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opens and reads a file of the configuration after a look at who may write it:
 * what stands in it is done as root. The look is at the opened descriptor, so
 * that what was checked is what is read.
 */
#include "common/conf_parts.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ERR_UNTRUSTED, added to errors, if another user could have written what st describes. */
static int check_writers(const struct stat *st, const char *shown, struct conf_errors *errors)
{
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		conf_errors_add(errors, shown, 0, NULL, "expected to be owned by %s, is owned by uid %lu (chown it)",
				geteuid() == 0 ? "root" : "root or the caller", (unsigned long)st->st_uid);
		return ERR_UNTRUSTED;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		conf_errors_add(errors, shown, 0, NULL,
				"expected to be writable by its owner alone, has mode %04o (chmod go-w it)",
				(unsigned)(st->st_mode & 07777));
		return ERR_UNTRUSTED;
	}
	return 0;
}

/* The same if another user could read it. */
static int check_readers(int fd, const char *shown, struct conf_errors *errors)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		conf_errors_add(errors, shown, 0, NULL, "cannot be looked at: %s", strerror(errno));
		return ERR_IO;
	}
	if (st.st_uid != geteuid()) {
		conf_errors_add(errors, shown, 0, NULL, "expected to be owned by %s, is owned by uid %lu (chown it)",
				geteuid() == 0 ? "root" : "the caller", (unsigned long)st.st_uid);
		return ERR_UNTRUSTED;
	}
	if (st.st_mode & 077) {
		conf_errors_add(errors, shown, 0, NULL,
				"expected to be its owner's alone, has mode %04o (chmod 0600 it, and make new keys if others have read it)",
				(unsigned)(st.st_mode & 07777));
		return ERR_UNTRUSTED;
	}
	return 0;
}

static int open_trusted(int dir, const char *name, int flags, mode_t type, const char *shown,
			struct conf_errors *errors, int *ret_fd)
{
	/* Not to wait for a writer, should it be a FIFO. */
	scope_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return ERR_NOT_FOUND;
	if (fd < 0 || fstat(fd, &st) < 0) {
		conf_errors_add(errors, shown, 0, NULL, "cannot be opened: %s", strerror(errno));
		return ERR_IO;
	}
	if ((st.st_mode & S_IFMT) != type) {
		conf_errors_add(errors, shown, 0, NULL, "expected a %s", type == S_IFDIR ? "folder" : "regular file");
		return ERR_INVALID;
	}
	if (check_writers(&st, shown, errors) < 0)
		return ERR_UNTRUSTED;
	*ret_fd = scope_take_fd(fd);
	return 0;
}

bool conf_file_ends(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return name[0] != '.' && length > tail && strcmp(name + length - tail, end) == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int conf_file_list(const char *path, int (*filter)(const struct dirent *entry), struct conf_errors *errors,
		   int *ret_dir, struct dirent ***ret_files)
{
	int dir, count;

	if (open_trusted(AT_FDCWD, path, O_DIRECTORY, S_IFDIR, path, errors, &dir) < 0)
		return 0;
	count = scandirat(dir, ".", ret_files, filter, compare_names);
	if (count < 0) {
		close(dir);
		conf_errors_add(errors, path, 0, NULL, "cannot be listed");
		return 0;
	}
	*ret_dir = dir;
	return count;
}

void conf_file_free_list(struct dirent **files, int count)
{
	for (int i = 0; i < count; i++)
		free(files[i]);
	free(files);
}

/* Up to size bytes. Their number, or -1 with errno. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = read(fd, bytes + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

/* All of an open file. 0, or a code with its line in errors. */
static int read_file(int fd, const char *shown, struct conf_errors *errors, char **ret_bytes, size_t *ret_size)
{
	char *bytes = malloc(SCHEMA_BYTES_MAX + 1);
	ssize_t size;

	if (!bytes)
		return ERR_NOMEM;
	size = read_all(fd, bytes, SCHEMA_BYTES_MAX + 1);
	if (size >= 0 && size <= SCHEMA_BYTES_MAX) {
		*ret_bytes = bytes;
		*ret_size = (size_t)size;
		return 0;
	}
	if (size < 0)
		conf_errors_add(errors, shown, 0, NULL, "cannot be read: %s", strerror(errno));
	else
		conf_errors_add(errors, shown, 0, NULL, "expected at most %d bytes", SCHEMA_BYTES_MAX);
	explicit_bzero(bytes, SCHEMA_BYTES_MAX + 1);
	free(bytes);
	return size < 0 ? ERR_IO : ERR_TOO_LONG;
}

int conf_file_read(int dir, const char *name, const char *shown, struct conf_errors *errors, char **ret_bytes,
		   size_t *ret_size)
{
	scope_close int fd = -1;
	int error = open_trusted(dir, name, 0, S_IFREG, shown, errors, &fd);

	return error < 0 ? error : read_file(fd, shown, errors, ret_bytes, ret_size);
}

int conf_file_read_secret(const char *path, struct conf_errors *errors, char **ret_bytes, size_t *ret_size)
{
	scope_close int fd = -1;
	int error = open_trusted(AT_FDCWD, path, O_NOFOLLOW, S_IFREG, path, errors, &fd);

	if (error == 0)
		error = check_readers(fd, path, errors);
	return error < 0 ? error : read_file(fd, path, errors, ret_bytes, ret_size);
}
