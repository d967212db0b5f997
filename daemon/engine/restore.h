/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether and how a backup can take the place of its cluster's data directory: the plan and the job ask the same code. All of it
 * is exchanged in one step, so what lies outside that directory is never exchanged itself: the copy's tablespaces are new
 * folders beside the old ones, which only the copy's own map names, and its WAL is a folder in it.
 */
#ifndef DBSNAP_ENGINE_RESTORE_H
#define DBSNAP_ENGINE_RESTORE_H

#include "daemon/engine/db.h"
#include "daemon/engine/place.h"
#include "daemon/engine/snap.h"

#include <limits.h>
#include <sys/stat.h>

/*
 * Names beside data_dir. Below a folder of root's, 0700, the copy lies as "data" beside "intent": as .new until it is
 * whole; by its final name until the old directory, which takes the copy's place in it, has its own name. So a folder
 * of that name without intent is one whose restore is done.
 */
struct restore_names {
	char making[64]; /* .dbsnap-restore-<job>.new */
	char ready[64];  /* .dbsnap-restore-<job> */
	char kept[NAME_MAX + 64]; /* <data_dir>.before-<job>; one that is too long is refused */
};

enum { RESTORE_PARTS_MAX = SNAP_TABLESPACES_MAX };

/*
 * A tablespace. The folder is root's, and holds the job's intent beside the copy until the names are exchanged: whoever
 * finds it before that removes both.
 */
struct restore_part {
	uint32_t oid;
	char old[MSG_PATH_SIZE];    /* where its source lay; stays as it is */
	char parent[MSG_PATH_SIZE]; /* what holds both folders */
	char folder[MSG_PATH_SIZE]; /* the new one: <old>.restored-<job> */
	char path[MSG_PATH_SIZE];   /* of the copy: <folder>/<oid> */
	const struct snap_ops *snap; /* how it is made */
	uint64_t needed;            /* bytes that it takes on a file system that is not the data directory's; 0 */
};

struct restore {
	struct worker_job *job;
	struct reason *why;
	struct place place;
	struct manifest manifest;
	const struct snap_ops *snap; /* how the copy is made; NULL before restore_examine() */
	const struct db_ops *db;
	int parent_fd; /* the folder that holds data_dir; -1 */
	char parent[MSG_PATH_SIZE];
	const char *base; /* data_dir's own name; borrowed from the configuration */
	struct stat old;  /* data_dir; with has_old */
	bool has_old;
	uint64_t needed;  /* bytes that the copy takes; 0: it shares its blocks */
	struct restore_part parts[RESTORE_PARTS_MAX];
	size_t part_count; /* of the manifest's tablespaces; after restore_examine() */
	struct restore_names names;
};

/* On the heap: it is large. NULL without memory. restore_free() ends it; NULL is fine. */
struct restore *restore_new(struct worker_job *job, struct reason *why);
void restore_free(struct restore *restore);

/* Opens the place, data_dir (which may be missing) and the folder that holds it. 0 or a code with why. */
int restore_open(struct restore *restore);
/* Finds the backup, and refuses what cannot or must not be done, but for a running server. 0 or a code with why. */
int restore_examine(struct restore *restore);
/* Nobody serves data_dir, and no process holds a file of it. 0, or a code with why: ERR_BUSY names the process. */
int restore_prove_stopped(struct restore *restore);
/* What would be done, a line each. After restore_examine(). */
void restore_describe(const struct restore *restore, char *lines, size_t size);

/*
 * What a folder's intent says, path being the folder's for text. 1; 0: there is none; or a code with why: ERR_FOREIGN for one that
 * is not this job's.
 */
int restore_read_paper(struct restore *restore, int fd, const char *path, struct intent *ret_intent);

/* A folder by its path, no link passed. The descriptor, or -1 with errno. */
int restore_open_folder(int dir_fd, const char *path, uint64_t resolve);

/* By their texts. */
bool restore_lies_inside(const char *path, const char *folder);

/* "/srv/pg/NAME" of a name beside data_dir. */
void restore_path(const struct restore *restore, const char *name, char path[static MSG_PATH_SIZE]);

#endif
