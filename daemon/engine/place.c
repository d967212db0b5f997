/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding, trusting and opening a snapshot_dir. The one difficulty is that a
 * folder which is not there may be a file system that is not mounted: so a place is
 * made only for a cluster that has no records, and everywhere else a missing
 * marker means "cannot look", never "is gone".
 */
#include "daemon/engine/place.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/mounts.h"
#include "daemon/engine/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* So that a backup's and a clone's path fit into a message. */
enum { PATH_MAX_HERE = 900 };

/* The deepest folder on the way to path that is there and not behind a link: nobody leads us elsewhere. */
static int open_deepest(const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	char part[MSG_PATH_SIZE];
	int fd = -1;

	snprintf(part, sizeof(part), "%s", path);
	while (fd < 0) {
		char *slash = strrchr(part, '/');

		fd = (int)syscall(SYS_openat2, AT_FDCWD, part[0] ? part : "/", &how, sizeof(how));
		if (!slash || (fd < 0 && !part[0]))
			break;
		*slash = '\0';
	}
	return fd;
}

/* By what the file system is, which does not change: a place once made must be found again. */
static bool is_for_copies(enum conf_backend backend, const struct volume *volume)
{
	return backend == CONF_BACKEND_COPY ||
	       (backend == CONF_BACKEND_AUTO && volume->sharing == VOLUME_SHARES_NOT);
}

static int find_default(const struct worker_job *job, char path[static MSG_PATH_SIZE], struct reason *why)
{
	const struct conf_cluster *cluster = job->cluster;
	scope_close int deepest = job->data_fd < 0 ? open_deepest(cluster->data_dir) : -1;
	char top[MSG_PATH_SIZE];
	struct volume volume;
	int error = volume_of(job->data_fd < 0 ? deepest : job->data_fd, &volume);

	if (error == 0 && is_for_copies(cluster->backend, &volume)) {
		snprintf(path, MSG_PATH_SIZE, "%.*s/%s", PATH_MAX_HERE, job->copies_dir, cluster->id);
		return 0;
	}
	if (error == 0)
		error = mounts_point("/proc/self/mountinfo", volume.mount, top, sizeof(top));
	if (error < 0)
		return reason_set_retry(why, error, "set snapshot_dir in the cluster's file",
					"cannot find the top of the mount that holds %s: %s", cluster->data_dir,
					err_text(error));
	if (strcmp(top, cluster->data_dir) == 0)
		return reason_set(
			why, ERR_LAYOUT,
			"mount the file system's top level somewhere and set snapshot_dir to a folder in "
			"it, or move the database into a subvolume below the mount, or set backend: copy",
			"data_dir %s is the top of its mount, so there is no place beside it for snapshots",
			cluster->data_dir);
	/* The top of a mount is root's: without root beside the data. */
	if (!job->as_root)
		snprintf(top, sizeof(top), "%.*s", (int)(strrchr(cluster->data_dir, '/') - cluster->data_dir),
			 cluster->data_dir);
	/* One that is too long for its array is refused right after. */
	snprintf(path, MSG_PATH_SIZE, "%.*s/.dbsnap/%s", PATH_MAX_HERE, strcmp(top, "/") == 0 ? "" : top,
		 cluster->id);
	return 0;
}

static bool is_below(const char *path, const char *top)
{
	size_t length = strlen(top);

	return strncmp(path, top, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

int place_find(const struct worker_job *job, char path[static MSG_PATH_SIZE], struct reason *why)
{
	const struct conf_cluster *cluster = job->cluster;
	char found[MSG_PATH_SIZE];
	int error = 0;

	if (cluster->snapshot_dir[0])
		snprintf(found, sizeof(found), "%s", cluster->snapshot_dir);
	else
		error = find_default(job, found, why);
	if (error < 0)
		return error;
	if (strlen(found) >= PATH_MAX_HERE)
		return reason_set(why, ERR_TOO_LONG, "set snapshot_dir to a shorter path",
				  "snapshot_dir may have at most %d bytes", PATH_MAX_HERE - 1);
	if (is_below(found, cluster->data_dir))
		return reason_set(why, ERR_LAYOUT, "set snapshot_dir to a folder outside data_dir",
				  "snapshot_dir %.400s lies inside data_dir %.400s", found, cluster->data_dir);
	if (is_below(cluster->data_dir, found))
		return reason_set(why, ERR_LAYOUT, "set snapshot_dir to a folder beside data_dir",
				  "data_dir %.400s lies inside snapshot_dir %.400s", cluster->data_dir, found);
	memcpy(path, found, MSG_PATH_SIZE);
	return 0;
}

/* Folders are opened one by one; what is missing is made where that is allowed. */
struct way {
	const struct worker_job *job;
	struct place *place;
	bool fresh; /* no records: what is missing was never made */
	bool make;
	struct reason *why;
};

static int refuse(struct way *way, enum msg_place state)
{
	way->place->state = state;
	return way->why->code;
}

static int check_owner(struct way *way, int fd, const char *path, bool last)
{
	const struct worker_job *job = way->job;
	struct stat st;

	if (fstat(fd, &st) < 0) {
		reason_set_errno(way->why, errno, "cannot look at %s", path);
		return refuse(way, PLACE_OFFLINE);
	}
	if (st.st_uid != 0 && st.st_uid != geteuid() && (last || st.st_uid != job->identity.uid)) {
		reason_set(way->why, ERR_UNTRUSTED,
			   last ? "chown root: it" : "chown it to root, or choose another snapshot_dir",
			   "%s%s belongs to uid %u, who could replace what lies in it",
			   last ? "snapshot_dir " : "", path, (unsigned)st.st_uid);
		return refuse(way, PLACE_REFUSED);
	}
	if ((st.st_mode & 022) && (last || !(st.st_mode & S_ISVTX))) {
		reason_set(way->why, ERR_UNTRUSTED, "chmod go-w it", "%s%s is writable by others (mode %04o)",
			   last ? "snapshot_dir " : "", path, (unsigned)(st.st_mode & 07777));
		return refuse(way, PLACE_REFUSED);
	}
	return 0;
}

static int open_component(int dir_fd, const char *name, bool last)
{
	struct open_how how = {
		.flags = (last ? O_RDONLY : O_PATH) | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH,
	};

	return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

/* A new place beside data that lies elsewhere is a mount that is missing, not a choice. */
static int check_volume(struct way *way, int dir_fd)
{
	scope_close int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct volume here, data;

	if (fd < 0 || volume_of(fd, &here) < 0 || volume_of(way->job->data_fd, &data) < 0 || volume_same(&here, &data) ||
	    is_for_copies(way->job->cluster->backend, &data))
		return 0;
	reason_set_retry(
		way->why, ERR_OFFLINE, "mount it, or set snapshot_dir to a folder on data_dir's file system, or set backend: copy",
		"snapshot_dir %s is not there, and would lie on another file system (%s) than data_dir (%s): "
		"not mounted yet?",
		way->place->path, here.name, data.name);
	return refuse(way, PLACE_OFFLINE);
}

/* What stands in the way of making it, so that a check tells the same as a probe. */
static int check_makeable(struct way *way, int dir_fd, const char *name)
{
	int error = check_volume(way, dir_fd);

	if (error < 0 || faccessat(dir_fd, ".", W_OK, AT_EACCESS) == 0)
		return error;
	reason_set_errno(way->why, errno, "cannot make %s for snapshot_dir %s", name, way->place->path);
	return refuse(way, PLACE_REFUSED);
}

static int make_component(struct way *way, int dir_fd, const char *name)
{
	scope_close int parent = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* With its mode from the beginning: where the folder above is the database user's, he may put another there. */
	mode_t mask = umask(0);
	bool made = mkdirat(dir_fd, name, PLACE_DIR_MODE) == 0 || errno == EEXIST;

	umask(mask);
	if (!made || parent < 0 || fsync(parent) < 0) {
		reason_set_errno(way->why, errno, "cannot make %s for snapshot_dir %s", name, way->place->path);
		return refuse(way, PLACE_REFUSED);
	}
	return 0;
}

static int refuse_component(struct way *way, int errno_value, const char *path)
{
	if (errno_value == ENOENT) {
		reason_set_retry(way->why, ERR_OFFLINE, "mount the file system that holds it",
				 "snapshot_dir %s is not there (no %s)", way->place->path, path);
		return refuse(way, PLACE_OFFLINE);
	}
	if (errno_value == ELOOP || errno_value == ENOTDIR) {
		reason_set(way->why, ERR_UNTRUSTED,
			   "put a real folder there, or set snapshot_dir to the real path",
			   "snapshot_dir %s: %s is a symbolic link or no folder", way->place->path, path);
		return refuse(way, PLACE_REFUSED);
	}
	reason_set_errno(way->why, errno_value, "cannot open %s", path);
	return refuse(way, errno_value == EACCES || errno_value == EPERM ? PLACE_REFUSED : PLACE_OFFLINE);
}

/* One step down from *fd, which is replaced. path: so far, for messages. */
static int descend(struct way *way, int *fd, const char *name, const char *path, bool last)
{
	int next = open_component(*fd, name, last), error;

	if (next < 0 && errno == ENOENT && way->fresh) {
		error = check_makeable(way, *fd, name);
		if (error == 0 && way->make)
			error = make_component(way, *fd, name);
		if (error < 0)
			return error;
		next = open_component(*fd, name, last);
	}
	if (next < 0)
		return refuse_component(way, errno, path);
	close(*fd);
	*fd = next;
	return check_owner(way, next, path, last);
}

static int walk(struct way *way)
{
	char path[MSG_PATH_SIZE];
	scope_close int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *at = path;
	int error = 0;

	if (fd < 0)
		return refuse_component(way, errno, "/");
	memcpy(path, way->place->path, sizeof(path));
	while (error == 0 && at) {
		char *name = at + 1, *slash = strchr(name, '/');

		if (slash)
			*slash = '\0';
		error = descend(way, &fd, name, path, !slash);
		if (slash)
			*slash = '/';
		at = slash;
	}
	if (error == 0)
		way->place->fd = scope_take_fd(fd);
	return error;
}

/* Whatever the paths say (a bind mount has two): is one an ancestor of the other? */
static bool is_ancestor(int ancestor_fd, int fd)
{
	scope_close int at = openat(fd, ".", O_PATH | O_CLOEXEC);
	struct stat top, here, last = {0};

	if (fstat(ancestor_fd, &top) < 0)
		return false;
	for (int depth = 0; depth < 256 && at >= 0 && fstat(at, &here) == 0; depth++) {
		int up;

		if (here.st_dev == top.st_dev && here.st_ino == top.st_ino)
			return true;
		if (here.st_dev == last.st_dev && here.st_ino == last.st_ino)
			return false;
		last = here;
		up = openat(at, "..", O_PATH | O_CLOEXEC);
		close(at);
		at = up;
	}
	return false;
}

/* A data_dir that is a subvolume holds all of it: also what a mount shows elsewhere. */
static bool is_in_subvolume(int subvolume_fd, int fd)
{
	enum { TOP_INODE = 256 };
	struct volume volume;
	struct stat top, here;

	return fstat(subvolume_fd, &top) == 0 && fstat(fd, &here) == 0 && top.st_ino == TOP_INODE &&
	       top.st_dev == here.st_dev && volume_of(subvolume_fd, &volume) == 0 && volume_is_btrfs(&volume);
}

bool place_is_inside(int outer_fd, int fd)
{
	return is_ancestor(outer_fd, fd) || is_in_subvolume(outer_fd, fd);
}

static int check_nesting(struct way *way)
{
	const struct worker_job *job = way->job;

	if (job->data_fd < 0 || (!place_is_inside(job->data_fd, way->place->fd) &&
				 !is_ancestor(way->place->fd, job->data_fd)))
		return 0;
	reason_set(way->why, ERR_LAYOUT, "set snapshot_dir to a folder beside data_dir",
		   "snapshot_dir %.400s and data_dir %.400s lie one inside the other", way->place->path,
		   job->cluster->data_dir);
	return refuse(way, PLACE_REFUSED);
}

/* -1 when it cannot be read. */
static int count_entries(int fd)
{
	scope_closedir DIR *dir = names_open(fd);
	const char *name;
	int count = 0, more = -1;

	while (dir && (more = names_next(dir, &name)) > 0)
		count += strcmp(name, "marker.json.new") != 0;
	return more < 0 ? -1 : count;
}

static int refuse_unmarked(struct way *way)
{
	if (way->job->records == 0 && count_entries(way->place->fd) > 0) {
		reason_set(way->why, ERR_FOREIGN,
			   "set snapshot_dir to an empty folder, or to one that does not exist yet",
			   "snapshot_dir %s holds files and has no marker.json: it is not dbsnap's",
			   way->place->path);
		return refuse(way, PLACE_REFUSED);
	}
	reason_set_retry(way->why, ERR_OFFLINE, "mount the file system that holds the cluster's backups",
			 "snapshot_dir %s has no marker.json: not mounted yet, or gone", way->place->path);
	return refuse(way, PLACE_OFFLINE);
}

static int make_marker(struct way *way)
{
	const struct worker_job *job = way->job;
	struct marker marker = {.install = job->install};
	scope_free char *text = NULL;

	if (!way->make || count_entries(way->place->fd) != 0)
		return refuse_unmarked(way);
	snprintf(marker.cluster, sizeof(marker.cluster), "%s", job->cluster->id);
	snprintf(marker.data_dir, sizeof(marker.data_dir), "%s", job->cluster->data_dir);
	memcpy(marker.fs_uuid, way->place->volume.uuid, sizeof(marker.fs_uuid));
	text = marker_encode(&marker);
	if (!text)
		reason_set_retry(way->why, ERR_NOMEM, NULL, "out of memory");
	else if (place_write_file(way->place->fd, "marker.json", text, way->why) == 0)
		return 0;
	return refuse(way, PLACE_REFUSED);
}

static int read_marker(struct way *way)
{
	struct place *place = way->place;
	scope_free char *text = NULL;
	size_t size;
	int error = place_read_file(place->fd, "marker.json", &text, &size);

	if (error == 0)
		error = marker_decode(text, size, &place->marker);
	if (error == 0)
		return 0;
	reason_set(way->why, error, "look at that file; another release or another program may have written it",
		   "marker.json in %s cannot be read: %s", place->path, err_text(error));
	return refuse(way, error == ERR_IO || error == ERR_NOMEM ? PLACE_OFFLINE : PLACE_REFUSED);
}

static int check_marker(struct way *way)
{
	const struct place *place = way->place;
	const struct marker *marker = &place->marker;

	if (!nonce_equal(&marker->install, &way->job->install)) {
		reason_set(way->why, ERR_FOREIGN,
			   "set snapshot_dir to another folder, or restore the state directory that these "
			   "backups belong to",
			   "snapshot_dir %s belongs to another install of dbsnap", place->path);
		return refuse(way, PLACE_REFUSED);
	}
	if (strcmp(marker->cluster, way->job->cluster->id) != 0) {
		reason_set(way->why, ERR_FOREIGN, "give every cluster a snapshot_dir of its own",
			   "snapshot_dir %s belongs to cluster %s", place->path, marker->cluster);
		return refuse(way, PLACE_REFUSED);
	}
	if (marker->fs_uuid[0] && place->volume.uuid[0] && strcmp(marker->fs_uuid, place->volume.uuid) != 0) {
		reason_set_retry(way->why, ERR_OFFLINE, "mount the file system that the backups were made on",
				 "snapshot_dir %s lies on another file system (%s) than its marker says (%s)",
				 place->path, place->volume.uuid, marker->fs_uuid);
		return refuse(way, PLACE_OFFLINE);
	}
	return 0;
}

static int take_lock(struct way *way, enum place_lock lock)
{
	struct place *place = way->place;
	int fd = openat(place->fd, "marker.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? refuse_unmarked(way) : refuse_component(way, errno, "marker.json");
	place->marker_fd = fd;
	if (flock(fd, (lock == PLACE_EXCLUSIVE ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return refuse_component(way, errno, "marker.json");
	reason_set_retry(way->why, ERR_BUSY,
			 "it ends by itself; if it does not, look for a dbsnapd process in state D",
			 "another dbsnapd process still works in snapshot_dir %s", place->path);
	return refuse(way, PLACE_BUSY);
}

static int open_marked(struct way *way, enum place_lock lock)
{
	struct place *place = way->place;
	int error = volume_of(place->fd, &place->volume);

	if (error < 0) {
		reason_set_retry(way->why, error, NULL, "cannot ask the file system of %s: %s", place->path,
				 err_text(error));
		return refuse(way, PLACE_OFFLINE);
	}
	if (faccessat(place->fd, "marker.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		error = make_marker(way);
	if (error == 0)
		error = take_lock(way, lock);
	if (error == 0)
		error = read_marker(way);
	return error == 0 ? check_marker(way) : error;
}

int place_open(struct worker_job *job, enum place_lock lock, bool create, struct place *ret_place,
	       struct reason *why)
{
	struct way way = {
		.job = job, .place = ret_place, .why = why,
		.fresh = job->records == 0 && job->data_fd >= 0,
	};
	int error;

	way.make = create && way.fresh;
	*ret_place = PLACE_NONE;
	error = place_find(job, ret_place->path, why);
	if (error < 0)
		return refuse(&way,
			      error == ERR_LAYOUT || error == ERR_TOO_LONG ? PLACE_REFUSED : PLACE_OFFLINE);
	error = walk(&way);
	if (error == 0)
		error = check_nesting(&way);
	if (error == 0)
		error = open_marked(&way, lock);
	job->lock_fd = ret_place->marker_fd;
	return error;
}

void place_close(struct place *place)
{
	if (place->marker_fd >= 0)
		close(place->marker_fd);
	if (place->fd >= 0)
		close(place->fd);
	place->fd = place->marker_fd = -1;
}
