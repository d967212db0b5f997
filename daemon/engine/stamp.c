/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Field by field: a struct's padding says nothing. */
#include "daemon/engine/stamp.h"

void stamp_of(const struct stat *st, struct stamp *ret_stamp)
{
	*ret_stamp = (struct stamp){
		.device = st->st_dev,
		.inode = st->st_ino,
		.mtime_s = st->st_mtim.tv_sec,
		.mtime_ns = st->st_mtim.tv_nsec,
		.ctime_s = st->st_ctim.tv_sec,
		.ctime_ns = st->st_ctim.tv_nsec,
	};
}

bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->mtime_s == b->mtime_s &&
	       a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns;
}
