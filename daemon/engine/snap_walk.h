/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the backends that walk share: an image is a plain folder that a walker fills, copies and empties. */
#ifndef DBSNAP_ENGINE_SNAP_WALK_H
#define DBSNAP_ENGINE_SNAP_WALK_H

#include "daemon/engine/snap.h"

/* What the image would take: data_dir and each tablespace, and the WAL that is taken later, if it lies there. */
int snap_walk_measure(const struct snap_order *order, uint64_t *ret_bytes, struct reason *why);
/* As snap_ops.prepare. */
int snap_walk_prepare(const struct snap_order *order, struct snap_made *ret_made, struct reason *why);
/* As snap_ops.cut, clone, clone_image and destroy; way says how a file gets its bytes. */
int snap_walk_cut(const struct snap_order *order, enum file_way way, struct snap_made *ret_made, struct reason *why);
int snap_walk_clone(struct worker_job *job, int backup_fd, int parent_fd, const char *name, enum file_way way,
		    struct snap_identity *ret_identity, struct reason *why);
int snap_walk_clone_image(struct worker_job *job, int image_fd, int parent_fd, const char *name, enum file_way way,
			  struct snap_identity *ret_identity, struct reason *why);
int snap_walk_destroy(struct worker_job *job, int parent_fd, const char *name, struct reason *why);
/* By a walker that is the folder's owner: everything below fd, which stays. As tree_clear(). */
int snap_walk_empty(struct worker_job *job, int fd, struct reason *why);
int snap_walk_sync(int fd, struct reason *why);

/* An empty folder, the database user's, in one that is ours. The descriptor, or a code with why. */
int snap_walk_make_image(const struct worker_job *job, int dir_fd, const char *name, struct reason *why);
/* By a walker, in a folder that is the database user's: an empty one, or a copy of all that is in from_fd. */
int snap_walk_make_below(struct worker_job *job, int dir_fd, const char *name, struct reason *why);
int snap_walk_copy_below(struct worker_job *job, int from_fd, int dir_fd, const char *name, struct reason *why);

#endif
