/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The server uses old segments again: it gives one the name of a WAL to come, then
 * writes over it. So the copy counts only if the name still is the same file
 * afterwards, and if what was copied says that it is what its name says. The server
 * itself never tells that one was missing.
 */
#include "daemon/engine/pg_wal.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/file_copy.h"
#include "daemon/engine/names.h"
#include "daemon/engine/pg_label.h"
#include "daemon/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t first_segment(const struct pg_wal *wal)
{
	return wal->start / wal->segment_size;
}

static uint64_t last_segment(const struct pg_wal *wal)
{
	return (wal->stop - 1) / wal->segment_size;
}

uint64_t pg_wal_bytes(const struct pg_wal *wal)
{
	return (last_segment(wal) - first_segment(wal) + 1) * wal->segment_size;
}

static void name_segment(const struct pg_wal *wal, uint64_t number, char name[static PG_SEGMENT_NAME_SIZE])
{
	pg_control_segment(wal->timeline, number * wal->segment_size, wal->segment_size, name);
}

static int refuse_gone(const struct pg_wal *wal, const char *name, struct reason *why)
{
	return reason_set_retry(why, ERR_STATE,
				wal->slot ? "raise max_slot_wal_keep_size" :
					    "let a replication slot be free (max_replication_slots), or raise wal_keep_size",
				"the server has removed or used again WAL that the backup needs: %s", name);
}

static int refuse_foreign(const char *name, const char *what, struct reason *why)
{
	return reason_set(why, ERR_MISMATCH, NULL, "WAL segment %s is not what the server says it is: %s", name, what);
}

/* The header of the page that holds lsn. */
static int read_page(const struct pg_wal *wal, int fd, const char *name, uint64_t lsn, struct pg_wal_page *ret_page,
		     struct reason *why)
{
	off_t at = (off_t)(lsn % wal->segment_size / PG_WAL_PAGE * PG_WAL_PAGE);
	char bytes[PG_WAL_HEADER];
	ssize_t got = pread(fd, bytes, sizeof(bytes), at);

	if (got < 0)
		return reason_set_errno(why, errno, "cannot read WAL segment %s", name);
	if (pg_wal_page_parse(bytes, (size_t)got, wal->major, ret_page) < 0)
		return refuse_foreign(name, "no page of this release", why);
	if (ret_page->address != lsn / PG_WAL_PAGE * PG_WAL_PAGE)
		return refuse_gone(wal, name, why);
	return 0;
}

/* The segment in which a timeline began has pages of the one before it in front. */
static bool is_timeline(const struct pg_wal *wal, const struct pg_wal_page *page, bool may_be_older)
{
	return page->timeline == wal->timeline || (may_be_older && page->timeline < wal->timeline);
}

static int check_segment(const struct pg_wal *wal, int fd, const char *name, uint64_t number, struct reason *why)
{
	struct pg_wal_page page;
	struct stat st;
	int error;

	if (fstat(fd, &st) < 0)
		return reason_set_errno(why, errno, "cannot look at WAL segment %s", name);
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)wal->segment_size)
		return refuse_foreign(name, "it has another size", why);
	error = read_page(wal, fd, name, number * wal->segment_size, &page, why);
	if (error < 0)
		return error;
	if (!page.first || page.segment_size != wal->segment_size)
		return refuse_foreign(name, "its first page is of another segment size", why);
	if (page.system_identifier != wal->system_identifier)
		return refuse_foreign(name, "it is of another cluster", why);
	if (!is_timeline(wal, &page, number == first_segment(wal)))
		return refuse_foreign(name, "it is of another timeline", why);
	if (number != last_segment(wal))
		return 0;
	error = read_page(wal, fd, name, wal->stop - 1, &page, why);
	if (error == 0 && !is_timeline(wal, &page, false))
		error = refuse_foreign(name, "its end is of another timeline", why);
	return error;
}

/* fd's bytes and belongings as a new file. The descriptor, or a code. */
static int copy_file(int fd, const struct stat *st, int to_dir, const char *name, struct reason *why)
{
	scope_close int to = tree_open(to_dir, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	uint64_t bytes;
	unsigned lost;
	int error;

	if (to < 0)
		return reason_set_errno(why, errno, "cannot make pg_wal/%s", name);
	error = file_copy_bytes(fd, to, FILE_EITHER, true, &bytes);
	if (error < 0)
		return reason_set_errno(why, errno, "cannot copy pg_wal/%s", name);
	error = file_copy_belongings(fd, to, st, &lost);
	if (error < 0)
		return reason_set_errno(why, errno, "cannot copy what belongs to pg_wal/%s", name);
	return scope_take_fd(to);
}

static bool is_still(int dir_fd, const char *name, const struct stat *st)
{
	struct stat now;

	return fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == st->st_dev &&
	       now.st_ino == st->st_ino;
}

/* A regular file. The descriptor; ERR_NOT_FOUND, without a word; or a code. */
static int open_file(int dir_fd, const char *name, struct stat *ret_st, struct reason *why)
{
	scope_close int fd = tree_open(dir_fd, name, O_RDONLY, 0);

	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : reason_set_errno(why, errno, "cannot open pg_wal/%s", name);
	if (fstat(fd, ret_st) < 0)
		return reason_set_errno(why, errno, "cannot look at pg_wal/%s", name);
	if (!S_ISREG(ret_st->st_mode))
		return refuse_foreign(name, "it is no regular file", why);
	return scope_take_fd(fd);
}

static int copy_segment(const struct pg_wal *wal, int from_dir, int to_dir, uint64_t number, struct reason *why)
{
	scope_close int from = -1, to = -1;
	char name[PG_SEGMENT_NAME_SIZE];
	struct stat st;

	name_segment(wal, number, name);
	from = open_file(from_dir, name, &st, why);
	if (from == ERR_NOT_FOUND)
		return refuse_gone(wal, name, why);
	to = from < 0 ? from : copy_file(from, &st, to_dir, name, why);
	if (to < 0)
		return to;
	return is_still(from_dir, name, &st) ? check_segment(wal, to, name, number, why) : refuse_gone(wal, name, why);
}

/* "00000002.history" */
static bool is_history(const char *name)
{
	return strspn(name, "0123456789ABCDEF") == 8 && strcmp(name + 8, ".history") == 0;
}

static int copy_history(int from_dir, int to_dir, const char *name, struct reason *why)
{
	scope_close int from = -1, to = -1;
	struct stat st;

	from = open_file(from_dir, name, &st, why);
	if (from == ERR_NOT_FOUND)
		return 0;
	to = from < 0 ? from : copy_file(from, &st, to_dir, name, why);
	return to < 0 ? to : 0;
}

static int copy_histories(int from_dir, int to_dir, struct reason *why)
{
	scope_closedir DIR *dir = names_open(from_dir);
	const char *name;
	int error = 0, more = -1;

	while (dir && error == 0 && (more = names_next(dir, &name)) > 0) {
		if (is_history(name))
			error = copy_history(from_dir, to_dir, name, why);
	}
	return error == 0 && more < 0 ? reason_set_errno(why, errno, "cannot list pg_wal") : error;
}

static int write_text(int dir_fd, const char *name, const char *text, struct reason *why)
{
	scope_close int fd = tree_open(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	size_t size = strlen(text);
	ssize_t done = fd < 0 ? -1 : write(fd, text, size);

	if (done == (ssize_t)size)
		return 0;
	return reason_set_errno(why, done < 0 ? errno : ENOSPC, "cannot write %s", name);
}

/* Where the source's is a link the walk has left it out. */
static int open_target(int image_fd, struct reason *why)
{
	int fd;

	if (mkdirat(image_fd, "pg_wal", 0700) < 0 && errno != EEXIST)
		return reason_set_errno(why, errno, "cannot make pg_wal in the image");
	fd = tree_open(image_fd, "pg_wal", O_RDONLY | O_DIRECTORY, 0);
	return fd >= 0 ? fd : reason_set_errno(why, errno, "cannot open pg_wal in the image");
}

int pg_wal_add(const struct pg_wal *wal, int data_fd, int image_fd, struct reason *why)
{
	scope_close int to = open_target(image_fd, why);

	return to < 0 ? to : pg_wal_add_apart(wal, data_fd, image_fd, to, why);
}

int pg_wal_add_apart(const struct pg_wal *wal, int data_fd, int image_fd, int to, struct reason *why)
{
	/* Its own user follows the link, with no more rights than the server had. */
	scope_close int from = openat(data_fd, "pg_wal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = 0;

	if (from < 0)
		return reason_set_errno(why, errno, "cannot open pg_wal");
	for (uint64_t number = first_segment(wal); error == 0 && number <= last_segment(wal); number++)
		error = copy_segment(wal, from, to, number, why);
	if (error == 0)
		error = copy_histories(from, to, why);
	if (error == 0)
		error = write_text(image_fd, "backup_label", wal->label, why);
	if (error == 0 && wal->map[0])
		error = write_text(image_fd, "tablespace_map", wal->map, why);
	return error;
}

int pg_wal_check(const struct pg_wal *wal, int image_fd, struct reason *why)
{
	scope_close int dir_fd = tree_open(image_fd, "pg_wal", O_RDONLY | O_DIRECTORY, 0);

	if (dir_fd < 0)
		return reason_set_errno(why, errno, "cannot open pg_wal in the image");
	return pg_wal_check_apart(wal, dir_fd, why);
}

int pg_wal_check_apart(const struct pg_wal *wal, int dir_fd, struct reason *why)
{
	int error = 0;

	for (uint64_t number = first_segment(wal); error == 0 && number <= last_segment(wal); number++) {
		char name[PG_SEGMENT_NAME_SIZE];
		scope_close int fd = -1;
		struct stat st;

		name_segment(wal, number, name);
		fd = open_file(dir_fd, name, &st, why);
		if (fd == ERR_NOT_FOUND)
			error = reason_set_retry(why, ERR_STATE, NULL, "WAL segment %s is not in the image", name);
		else
			error = fd < 0 ? fd : check_segment(wal, fd, name, number, why);
	}
	return error;
}
