/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The few things that are ever done to names in a snapshot_dir, each by an open
 * folder and one name, so that nothing on the way can be swapped.
 */
#include "daemon/engine/place.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

static int open_dir(int dir_fd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH,
	};

	return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

int place_open_dir(int dir_fd, const char *name, struct reason *why)
{
	int fd = open_dir(dir_fd, name);

	return fd >= 0 ? fd : reason_set_errno(why, errno, "cannot open the folder %s", name);
}

int place_make_dir(int dir_fd, const char *name, mode_t mode, struct reason *why)
{
	scope_close int fd = -1;

	if (mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST)
		return reason_set_errno(why, errno, "cannot make the folder %s", name);
	fd = open_dir(dir_fd, name);
	/* The umask may have taken bits away. */
	if (fd < 0 || fchmod(fd, mode) < 0)
		return reason_set_errno(why, errno, "cannot open the folder %s", name);
	return scope_take_fd(fd);
}

static bool is_trusted_file(const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & 022) &&
	       st->st_size <= MANIFEST_BYTES_MAX;
}

int place_read_file(int dir_fd, const char *name, char **ret_text, size_t *ret_size)
{
	scope_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	scope_free char *text = NULL;
	struct stat st;
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		return errno == ELOOP ? ERR_CORRUPT : err_from_errno(errno);
	if (fstat(fd, &st) < 0)
		return err_from_errno(errno);
	if (!is_trusted_file(&st))
		return ERR_CORRUPT;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return ERR_NOMEM;
	while (used < (size_t)st.st_size && (got = read(fd, text + used, (size_t)st.st_size - used)) != 0) {
		if (got < 0)
			return err_from_errno(errno);
		used += (size_t)got;
	}
	text[used] = '\0';
	*ret_size = used;
	*ret_text = scope_take_ptr(text);
	return 0;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t put = write(fd, text, size);

		if (put < 0)
			return -1;
		text += put;
		size -= (size_t)put;
	}
	return 0;
}

enum { ASIDE_SIZE = PLACE_NAME_SIZE + 8 };

static void name_aside(const char *name, char aside[static ASIDE_SIZE])
{
	snprintf(aside, ASIDE_SIZE, "%s.new", name);
}

static int write_aside(int dir_fd, const char *name, const char *text, bool sync, struct reason *why)
{
	char aside[ASIDE_SIZE];
	scope_close int fd = -1;
	int error = 0;

	name_aside(name, aside);
	fd = openat(dir_fd, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0 || write_all(fd, text, strlen(text)) < 0 || (sync && fsync(fd) < 0))
		error = reason_set_errno(why, errno, "cannot write %s", aside);
	if (error < 0)
		unlinkat(dir_fd, aside, 0);
	return error;
}

int place_write_aside(int dir_fd, const char *name, const char *text, struct reason *why)
{
	return write_aside(dir_fd, name, text, false, why);
}

int place_give_name(int dir_fd, const char *name, struct reason *why)
{
	char aside[ASIDE_SIZE];
	int error;

	name_aside(name, aside);
	if (renameat(dir_fd, aside, dir_fd, name) == 0)
		return 0;
	error = reason_set_errno(why, errno, "cannot rename %s", aside);
	unlinkat(dir_fd, aside, 0);
	return error;
}

int place_write_file(int dir_fd, const char *name, const char *text, struct reason *why)
{
	int error = write_aside(dir_fd, name, text, true, why);

	if (error == 0)
		error = place_give_name(dir_fd, name, why);
	return error == 0 ? place_sync(dir_fd, why) : error;
}

int place_rename(int dir_fd, const char *from, const char *to, struct reason *why)
{
	if (syscall(SYS_renameat2, dir_fd, from, dir_fd, to, RENAME_NOREPLACE) < 0)
		return reason_set_errno(why, errno, "cannot rename %s to %s", from, to);
	return place_sync(dir_fd, why);
}

int place_sync(int dir_fd, struct reason *why)
{
	return fsync(dir_fd) < 0 ? reason_set_errno(why, errno, "cannot sync a folder") : 0;
}
