/* SPDX-License-Identifier: GPL-3.0-or-later */
/* copy: every byte again. Works everywhere, takes as long and as much room as the bytes do. */
#include "daemon/engine/snap_walk.h"

static int probe(struct worker_job *job, int snapshot_fd, struct reason *why)
{
	(void)job;
	(void)snapshot_fd;
	(void)why;
	return 0;
}

/* Reading finds what is dirty in the page cache: writing it out first would only take time. */
static int flush(int data_fd, struct reason *why)
{
	(void)data_fd;
	(void)why;
	return 0;
}

static int cut(const struct snap_order *order, struct snap_made *ret_made, struct reason *why)
{
	return snap_walk_cut(order, FILE_COPY, ret_made, why);
}

static int clone(struct worker_job *job, int backup_fd, int parent_fd, const char *name,
		 struct snap_identity *ret_identity, struct reason *why)
{
	return snap_walk_clone(job, backup_fd, parent_fd, name, FILE_EITHER, ret_identity, why);
}

static int clone_image(struct worker_job *job, int image_fd, int parent_fd, const char *name,
		       struct snap_identity *ret_identity, struct reason *why)
{
	return snap_walk_clone_image(job, image_fd, parent_fd, name, FILE_EITHER, ret_identity, why);
}

const struct snap_ops snap_copy = {
	.name = "copy",
	.probe = probe,
	.measure = snap_walk_measure,
	.flush = flush,
	.cut = cut,
	.clone = clone,
	.clone_image = clone_image,
	.destroy = snap_walk_destroy,
	.sync = snap_walk_sync,
};
