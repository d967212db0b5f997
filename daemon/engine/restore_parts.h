/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a backup that lay outside its data directory, in a restore in place. All of it may block on disks. */
#ifndef DBSNAP_ENGINE_RESTORE_PARTS_H
#define DBSNAP_ENGINE_RESTORE_PARTS_H

#include "daemon/engine/restore.h"

/* What the file is called, in the restore's folder, that lists where its tablespaces go: as a tablespace_map does. */
#define RESTORE_SPACES "tablespaces"

/* Parts of restore_examine(): which there are and where they go, refusing what cannot be; is there room for them? */
int restore_find_parts(struct restore *restore);
int restore_check_parts_room(struct restore *restore);
void restore_describe_parts(const struct restore *restore, char *lines, size_t size);

/* "16385 /srv/fast.restored-7/16385", a line each; "" without any. The caller frees; NULL: no memory. */
char *restore_list_parts(const struct restore *restore);

/* Makes each folder, with paper as its intent, and the copy in it, and writes all of it out. 0 or a code with why. */
int restore_make_parts(struct restore *restore, int backup_fd, const char *paper);

/*
 * By the list in the restore's folder, whichever of them were made: removes copies and folders; or lets them stay, as what
 * they are from now on. Both may be repeated. 0 or a code with why.
 */
int restore_remove_parts(struct restore *restore, int work_fd, const char *backend);
int restore_release_parts(struct restore *restore, int work_fd);

/* The backup's folder of WAL, if it has one, becomes the copy's. 0 or a code with why. */
int restore_copy_wal(struct restore *restore, int backup_fd, int copy_fd);

#endif
