/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tablespaces are copied into new folders beside the old ones, and nothing of the old ones is touched: a server on the old
 * directory finds them as they were, one on the copy its own. The list of the new ones is on disk before the first is made, so
 * that whoever undoes the restore finds all of them; a folder is believed to be the restore's by its intent alone.
 * What holds an old one may be the database user's.
 */
#include "daemon/engine/restore_parts.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/pg_label.h"
#include "daemon/engine/snap_walk.h"
#include "daemon/engine/space.h"
#include "daemon/engine/volume.h"
#include "daemon/engine/walker.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The server has to pass through. */
enum { FOLDER_MODE = 0711 };

static const char by_hand[] = "restore it by hand: README, Restoring", restored[] = ".restored-";

/* ---- which, and where ---- */

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

/* One that a restore has made, "/srv/fast.restored-7/16385", is called after what it was first: "/srv/fast". */
static void strip_restored(char *path, uint32_t oid)
{
	char number[16], *slash = strrchr(path, '/'), *mark = NULL;

	snprintf(number, sizeof(number), "%" PRIu32, oid);
	if (!slash || slash == path || strcmp(slash + 1, number) != 0)
		return;
	*slash = '\0';
	for (char *at = strstr(path, restored); at; at = strstr(at + 1, restored))
		mark = at;
	if (mark && mark[-1] != '/' && is_number(mark + strlen(restored)))
		*mark = '\0';
	else
		*slash = '/';
}

static int refuse_part(struct restore *r, const struct restore_part *part, const char *reason)
{
	return reason_set(r->why, ERR_LAYOUT, by_hand, "tablespace %" PRIu32 " at %.500s cannot be restored beside the old one: %s",
			  part->oid, part->old, reason);
}

/* What the map of a server can say, and a list of ours. */
static bool is_plain(const char *path)
{
	if (path[0] != '/' || strlen(path) > PG_MAP_PATH_SIZE - 64)
		return false;
	for (const char *c = path; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\')
			return false;
	}
	return true;
}

static int name_part(struct restore *r, const struct manifest_part *from, struct restore_part *part)
{
	char base[MSG_PATH_SIZE], folder[MSG_PATH_SIZE], job[24] = "JOB", *slash;

	*part = (struct restore_part){.oid = from->oid};
	snprintf(part->old, sizeof(part->old), "%s", from->path);
	if (!is_plain(from->path))
		return refuse_part(r, part, "its path is none that can be written down");
	snprintf(base, sizeof(base), "%s", from->path);
	strip_restored(base, from->oid);
	slash = strrchr(base, '/');
	snprintf(part->parent, sizeof(part->parent), "%.*s", slash == base ? 1 : (int)(slash - base), base);
	if (r->job->order.job)
		snprintf(job, sizeof(job), "%" PRIu64, r->job->order.job);
	snprintf(folder, sizeof(folder), "%.960s%s%s", base, restored, job);
	memcpy(part->folder, folder, sizeof(part->folder));
	snprintf(part->path, sizeof(part->path), "%.1000s/%" PRIu32, folder, from->oid);
	return slash[1] && strlen(strrchr(folder, '/')) <= NAME_MAX ? 0 : refuse_part(r, part, "its name is too long");
}

/* Beside the old one may be inside of what nothing is written into. */
static int refuse_inside(struct restore *r, const struct restore_part *part)
{
	const struct manifest *m = &r->manifest;

	if (restore_lies_inside(part->parent, r->job->cluster->data_dir) || restore_lies_inside(part->parent, m->data_dir))
		return refuse_part(r, part, "it lies inside the data directory");
	if (restore_lies_inside(part->parent, r->place.path))
		return refuse_part(r, part, "it lies inside snapshot_dir");
	for (size_t i = 0; i < m->part_count; i++) {
		if (strncmp(m->parts[i].role, "tablespace", 10) == 0 && restore_lies_inside(part->parent, m->parts[i].path))
			return refuse_part(r, part, "it lies inside another");
	}
	return 0;
}

/* As of all folders that copies are made in: whoever could rename what is in it is root, or the database's user. */
static int refuse_parent(struct restore *r, const struct restore_part *part, int parent_fd)
{
	const struct worker_job *job = r->job;
	struct stat st;

	if (fstat(parent_fd, &st) < 0)
		return reason_set_errno(r->why, errno, "cannot look at %s", part->parent);
	if (st.st_uid != 0 && st.st_uid != (job->as_root ? job->identity.uid : geteuid()))
		return refuse_part(r, part, "the folder that holds it belongs to another user");
	if (st.st_mode & 022)
		return refuse_part(r, part, "others may write into the folder that holds it");
	if (faccessat(parent_fd, ".", W_OK, AT_EACCESS) < 0)
		return refuse_part(r, part, errno == EROFS ? "its file system is read-only" :
							     "no folder may be made in the one that holds it");
	return 0;
}

static int open_parent(struct restore *r, const char *parent)
{
	int fd = restore_open_folder(AT_FDCWD, parent, 0);

	if (fd < 0 && errno == ELOOP)
		return reason_set(r->why, ERR_LAYOUT, by_hand, "%.600s, which holds a tablespace, is or passes a symbolic link", parent);
	return fd < 0 ? reason_set_errno(r->why, errno, "cannot open %.600s, which holds a tablespace", parent) : fd;
}

/* The new one has to lie on the disk that the old one is on: it was put there on purpose. */
static int refuse_disk(struct restore *r, const struct manifest_part *from, const struct restore_part *part,
		       const struct volume *volume)
{
	scope_close int fd = restore_open_folder(AT_FDCWD, part->old, 0);
	struct volume old;

	if (fd >= 0 && volume_of(fd, &old) == 0)
		return volume_same(&old, volume) ? 0 : refuse_part(r, part, "it is the top of a mount");
	if (!from->fs_uuid[0] || strcmp(from->fs_uuid, volume->uuid) == 0)
		return 0;
	return reason_set(r->why, ERR_OFFLINE, "mount the file system that holds it, or restore it by hand: README, Restoring",
			  "tablespace %" PRIu32 " was at %.500s, on another file system than %.400s is now: not mounted?", part->oid,
			  part->old, part->parent);
}

static int open_image(struct restore *r, int backup_fd, uint32_t oid)
{
	scope_close int folder = place_open_dir(backup_fd, "tblspc", r->why);
	char name[16];

	snprintf(name, sizeof(name), "%" PRIu32, oid);
	return folder < 0 ? folder : place_open_dir(folder, name, r->why);
}

static int open_backup(struct restore *r)
{
	char name[PLACE_ID_SIZE];

	place_name(PLACE_WHOLE, r->job->order.backup, name);
	return place_open_dir(r->place.fd, name, r->why);
}

/* On the data directory's file system its bytes are counted with the whole; elsewhere they are that one's alone. */
static int count_bytes(struct restore *r, const struct volume *volume, struct restore_part *part)
{
	scope_close int backup_fd = -1, image_fd = -1;
	struct volume data;
	uint64_t bytes;
	int error;

	if (!part->snap->measure || (volume_of(r->parent_fd, &data) == 0 && volume_same(&data, volume)))
		return 0;
	backup_fd = open_backup(r);
	image_fd = backup_fd < 0 ? backup_fd : open_image(r, backup_fd, part->oid);
	error = image_fd < 0 ? image_fd : walker_measure(r->job, image_fd, &bytes, r->why);
	if (error < 0)
		return error;
	part->needed = bytes;
	r->needed -= bytes < r->needed ? bytes : r->needed;
	return 0;
}

static int choose_copy(struct restore *r, const struct volume *volume, struct restore_part *part)
{
	bool same = volume_same(volume, &r->place.volume);

	part->snap = snap_find(r->manifest.facts.backend);
	if (part->snap == &snap_btrfs && (!same || r->snap != &snap_btrfs))
		return refuse_part(r, part, "it does not lie on the file system of its backup, as a subvolume has to");
	if (!same)
		part->snap = &snap_copy;
	return count_bytes(r, volume, part);
}

static int find_part(struct restore *r, const struct manifest_part *from, struct restore_part *part)
{
	scope_close int parent_fd = -1;
	struct volume volume;
	struct stat st;
	int error = name_part(r, from, part);

	if (error == 0)
		error = refuse_inside(r, part);
	if (error < 0)
		return error;
	parent_fd = open_parent(r, part->parent);
	error = parent_fd < 0 ? parent_fd : refuse_parent(r, part, parent_fd);
	if (error == 0 && volume_of(parent_fd, &volume) < 0)
		error = reason_set_errno(r->why, errno, "cannot look at the file system of %s", part->parent);
	if (error == 0)
		error = refuse_disk(r, from, part, &volume);
	if (error == 0 && fstatat(parent_fd, strrchr(part->folder, '/') + 1, &st, AT_SYMLINK_NOFOLLOW) == 0)
		error = reason_set(r->why, ERR_EXISTS, "move it away", "%.700s is there already", part->folder);
	return error < 0 ? error : choose_copy(r, &volume, part);
}

int restore_find_parts(struct restore *r)
{
	const struct manifest *m = &r->manifest;
	bool by_map = strcmp(m->facts.procedure, "B") == 0 || strcmp(m->facts.procedure, "C") == 0;
	int error = 0;

	r->part_count = 0;
	for (size_t i = 0; error == 0 && i < m->part_count; i++) {
		struct restore_part *part = &r->parts[r->part_count];

		if (strncmp(m->parts[i].role, "tablespace", 10) != 0)
			continue;
		if (!by_map || r->part_count == RESTORE_PARTS_MAX)
			return reason_set(r->why, ERR_LAYOUT, by_hand, "a backup by procedure %s has tablespaces only by links", m->facts.procedure);
		error = find_part(r, &m->parts[i], part);
		r->part_count += error == 0;
	}
	return error;
}

int restore_check_parts_room(struct restore *r)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < r->part_count; i++) {
		const struct restore_part *part = &r->parts[i];
		scope_close int fd = open_parent(r, part->parent);
		struct space space;

		error = fd < 0 ? fd : space_check(fd, part->parent, &r->job->cluster->min_free, part->needed, &space, r->why);
	}
	return error;
}

void restore_describe_parts(const struct restore *r, char *lines, size_t size)
{
	for (size_t i = 0; i < r->part_count; i++) {
		const struct restore_part *part = &r->parts[i];

		layout_add_line(lines, size, "the same of tablespace %" PRIu32 " as %.400s; %.400s stays as it is, for the old data directory",
				part->oid, part->path, part->old);
	}
	for (size_t i = 0; i < r->manifest.part_count; i++) {
		const struct manifest_part *part = &r->manifest.parts[i];

		if (restore_lies_inside(part->path, r->manifest.data_dir))
			continue;
		if (strcmp(part->role, "wal") == 0)
			layout_add_line(lines, size, "pg_wal becomes a folder in it; %.400s stays as it is, for the old data directory",
					part->path);
		if (strcmp(part->role, "binary log") == 0)
			layout_add_line(lines, size, "the binary log in %.400s stays as it is, and goes on after what came after the backup",
					part->path);
	}
}

char *restore_list_parts(const struct restore *r)
{
	size_t size;
	scope_free char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; out && i < r->part_count; i++)
		fprintf(out, "%" PRIu32 " %s\n", r->parts[i].oid, r->parts[i].path);
	if (!out || fclose(out) != 0)
		return NULL;
	return scope_take_ptr(text);
}

/* ---- made ---- */

/* Root's own, whoever owns what it lies in. The descriptor, or a code with why, *ret_gone if it is not there. */
static int open_folder(struct restore *r, int parent_fd, const char *path, bool *ret_gone)
{
	int fd = openat(parent_fd, strrchr(path, '/') + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	*ret_gone = fd < 0 && errno == ENOENT;
	if (fd < 0)
		return reason_set_errno(r->why, errno, "cannot open %.700s", path);
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 022))
		return fd;
	close(fd);
	return reason_set(r->why, ERR_FOREIGN, "look at it, and move it away", "%.700s is there and is not this job's", path);
}

/* Two tablespaces may have been one after the other at one place: they share the folder. */
static bool is_shared(const struct restore *r, size_t number)
{
	for (size_t i = 0; i < number; i++) {
		if (strcmp(r->parts[i].folder, r->parts[number].folder) == 0)
			return true;
	}
	return false;
}

static int make_folder(struct restore *r, const struct restore_part *part, int parent_fd, const char *paper)
{
	scope_close int fd = -1;
	bool gone;
	int error;

	if (mkdirat(parent_fd, strrchr(part->folder, '/') + 1, FOLDER_MODE) < 0)
		return reason_set_errno(r->why, errno, "cannot make %.700s", part->folder);
	fd = open_folder(r, parent_fd, part->folder, &gone);
	if (fd >= 0 && fchmod(fd, FOLDER_MODE) < 0)
		return reason_set_errno(r->why, errno, "cannot set the mode of %.700s", part->folder);
	error = fd < 0 ? fd : place_write_file(fd, "intent", paper, r->why);
	return error < 0 ? error : place_sync(parent_fd, r->why);
}

static int make_copy(struct restore *r, const struct restore_part *part, int parent_fd, int backup_fd)
{
	bool gone;
	scope_close int fd = open_folder(r, parent_fd, part->folder, &gone), image_fd = -1;
	struct snap_identity identity;
	int error;

	if (fd < 0)
		return fd;
	image_fd = open_image(r, backup_fd, part->oid);
	error = image_fd < 0 ? image_fd :
			       part->snap->clone_image(r->job, image_fd, fd, strrchr(part->path, '/') + 1, &identity, r->why);
	return error < 0 ? error : part->snap->sync(fd, r->why);
}

int restore_make_parts(struct restore *r, int backup_fd, const char *paper)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < r->part_count; i++) {
		const struct restore_part *part = &r->parts[i];
		scope_close int parent_fd = open_parent(r, part->parent);

		error = parent_fd < 0 ? parent_fd : is_shared(r, i) ? 0 : make_folder(r, part, parent_fd, paper);
		if (error == 0)
			error = make_copy(r, part, parent_fd, backup_fd);
	}
	return error;
}

int restore_copy_wal(struct restore *r, int backup_fd, int copy_fd)
{
	scope_close int wal_fd = -1;
	struct stat st;

	if (fstatat(backup_fd, "wal", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : reason_set_errno(r->why, errno, "cannot look at the backup's wal");
	wal_fd = place_open_dir(backup_fd, "wal", r->why);
	return wal_fd < 0 ? wal_fd : snap_walk_copy_below(r->job, wal_fd, copy_fd, SNAP_WAL, r->why);
}

/* ---- removed, or released ---- */

struct listed {
	struct restore *r;
	const char *backend;
	char folder[MSG_PATH_SIZE], parent[MSG_PATH_SIZE];
	uint32_t oid;
	int parent_fd, fd; /* fd: -1 the folder is not there */
	bool ours;         /* by its intent */
};

typedef int listed_fn(struct listed *listed);

static int destroy_copy(struct listed *l)
{
	const struct snap_ops *snap = snap_find(l->backend);
	char name[16];

	if (!l->ours)
		return 0;
	snprintf(name, sizeof(name), "%" PRIu32, l->oid);
	return snap ? snap->destroy(l->r->job, l->fd, name, l->r->why) :
		      reason_set(l->r->why, ERR_UNSUPPORTED, "use the release that made it",
				 "this release cannot remove a copy on %s", l->backend);
}

static int remove_intent(struct listed *l)
{
	if (!l->ours)
		return 0;
	if ((unlinkat(l->fd, "intent.new", 0) < 0 && errno != ENOENT) || (unlinkat(l->fd, "intent", 0) < 0 && errno != ENOENT))
		return reason_set_errno(l->r->why, errno, "cannot remove %.700s/intent", l->folder);
	return place_sync(l->fd, l->r->why);
}

/* One without intent has not got it yet, or no more: there is nothing in it, or it is somebody else's, and stays. */
static int remove_folder(struct listed *l)
{
	int error = remove_intent(l);

	if (error < 0)
		return error;
	if (!l->ours && unlinkat(l->fd, "intent.new", 0) < 0 && errno != ENOENT)
		return reason_set_errno(l->r->why, errno, "cannot remove %.700s/intent.new", l->folder);
	if (unlinkat(l->parent_fd, strrchr(l->folder, '/') + 1, AT_REMOVEDIR) < 0 && errno != ENOENT &&
	    (l->ours || errno != ENOTEMPTY))
		return reason_set_errno(l->r->why, errno, "cannot remove %.700s", l->folder);
	return place_sync(l->parent_fd, l->r->why);
}

static int visit(struct listed *l, const char *path, listed_fn *fn)
{
	struct intent intent;
	bool gone = false;
	int error = 0;

	snprintf(l->folder, sizeof(l->folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	snprintf(l->parent, sizeof(l->parent), "%.*s", (int)(strrchr(l->folder, '/') - l->folder), l->folder);
	l->parent_fd = open_parent(l->r, l->parent[0] ? l->parent : "/");
	l->fd = l->parent_fd < 0 ? l->parent_fd : open_folder(l->r, l->parent_fd, l->folder, &gone);
	error = l->fd < 0 ? l->fd : restore_read_paper(l->r, l->fd, l->folder, &intent);
	l->ours = error > 0;
	if (error >= 0)
		error = fn(l);
	else if (gone || error == ERR_FOREIGN)
		error = 0;
	if (l->fd >= 0)
		close(l->fd);
	if (l->parent_fd >= 0)
		close(l->parent_fd);
	return error;
}

static int each(struct restore *r, int work_fd, const char *backend, listed_fn *fn)
{
	scope_free char *text = NULL;
	struct listed l = {.r = r, .backend = backend};
	struct pg_map_entry entry;
	size_t size, at = 0;
	int error = place_read_file(work_fd, RESTORE_SPACES, &text, &size), more = 0;

	if (error == ERR_NOT_FOUND)
		return 0;
	while (error == 0 && (more = pg_map_next(text, size, &at, &entry)) > 0) {
		l.oid = entry.oid;
		error = visit(&l, entry.path, fn);
	}
	if (error == 0 && more < 0)
		error = reason_set(r->why, ERR_CORRUPT, "look at it, and remove by hand what it names",
				   "the list of tablespaces in %.700s is damaged", r->parent);
	return error;
}

int restore_remove_parts(struct restore *r, int work_fd, const char *backend)
{
	int error = each(r, work_fd, backend, destroy_copy);

	return error < 0 ? error : each(r, work_fd, backend, remove_folder);
}

int restore_release_parts(struct restore *r, int work_fd)
{
	return each(r, work_fd, "", remove_intent);
}
