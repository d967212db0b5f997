/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * reflink: a new tree whose files share their blocks with the source's. Takes
 * time by the number of files and of their extents, and no room. XFS and btrfs say whether they can; another
 * file system is asked by doing it once, with two files that never get a name.
 */
#include "daemon/engine/snap_walk.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char remedy[] = "set backend: copy (or auto), or move the data to btrfs or an XFS made with reflink=1";

static int refuse_other_place(struct reason *why)
{
	return reason_set(why, ERR_LAYOUT, "put snapshot_dir on the file system of data_dir, or set backend: copy",
			  "snapshot_dir lies on another file system than data_dir: blocks cannot be shared between them");
}

static int open_nameless(int dir_fd)
{
	return openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* 0: two files there can share blocks. */
static int try_it(int snapshot_fd, const struct volume *volume, struct reason *why)
{
	scope_close int from = open_nameless(snapshot_fd), to = from < 0 ? -1 : open_nameless(snapshot_fd);
	char block[4096];

	memset(block, 'x', sizeof(block));
	if (to >= 0 && write(from, block, sizeof(block)) == (ssize_t)sizeof(block) && ioctl(to, FICLONE, from) == 0)
		return 0;
	if (errno == ENOSPC || errno == EDQUOT || errno == EROFS || errno == EACCES)
		return reason_set_errno(why, errno, "cannot try whether %s shares blocks", volume->name);
	return reason_set(why, ERR_UNSUPPORTED, remedy, "%s here does not share blocks between files (%s)", volume->name,
			  strerror(errno));
}

static int probe(struct worker_job *job, int snapshot_fd, struct reason *why)
{
	struct volume volume, place;
	int error = volume_of(job->data_fd, &volume);

	if (error == 0 && snapshot_fd >= 0)
		error = volume_of(snapshot_fd, &place);
	if (error < 0)
		return reason_set(why, error, NULL, "cannot look at the file system: %s", err_text(error));
	if (volume.sharing == VOLUME_SHARES_NOT)
		return reason_set(why, ERR_UNSUPPORTED, remedy, "%s on %s shares no blocks between files",
				  job->cluster->data_dir, volume.name);
	if (snapshot_fd >= 0 && !volume_same(&volume, &place))
		return refuse_other_place(why);
	if (volume.sharing == VOLUME_SHARES || snapshot_fd < 0)
		return 0;
	return try_it(snapshot_fd, &volume, why);
}

/* Cloning a file writes out what is dirty in it, with its writers held: so do it before. */
static int flush(int data_fd, struct reason *why)
{
	return syncfs(data_fd) < 0 ? reason_set_errno(why, errno, "cannot write out what is dirty") : 0;
}

static int cut(const struct snap_order *order, struct snap_made *ret_made, struct reason *why)
{
	return snap_walk_cut(order, FILE_CLONE, ret_made, why);
}

static int clone(struct worker_job *job, int backup_fd, int parent_fd, const char *name,
		 struct snap_identity *ret_identity, struct reason *why)
{
	return snap_walk_clone(job, backup_fd, parent_fd, name, FILE_CLONE, ret_identity, why);
}

static int clone_image(struct worker_job *job, int image_fd, int parent_fd, const char *name,
		       struct snap_identity *ret_identity, struct reason *why)
{
	return snap_walk_clone_image(job, image_fd, parent_fd, name, FILE_CLONE, ret_identity, why);
}

const struct snap_ops snap_reflink = {
	.name = "reflink",
	.probe = probe,
	.flush = flush,
	.prepare = snap_walk_prepare,
	.cut = cut,
	.clone = clone,
	.clone_image = clone_image,
	.destroy = snap_walk_destroy,
	.sync = snap_walk_sync,
};
