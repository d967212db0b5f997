/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Snapshot mechanisms behind one table of functions. A verb names what it makes
 * by an open folder and a single name below it; the caller's folder carries
 * the nonce that makes a repeated verb safe. Every verb fills why on failure; a walk
 * that failed leaves what it made, for the caller to remove by destroy(). All of them may block on the disk.
 */
#ifndef DBSNAP_ENGINE_SNAP_H
#define DBSNAP_ENGINE_SNAP_H

#include "common/ident.h"
#include "daemon/engine/job.h"
#include "daemon/engine/tree_copy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was made, as the file system knows it: tells it from anything that took its name. */
struct snap_identity {
	char uuid[IDENT_UUID_SIZE];   /* of the subvolume; "" where there are none */
	char parent[IDENT_UUID_SIZE]; /* of what it is a snapshot of; "" */
	uint64_t id;                  /* of the subvolume; 0 */
	bool read_only;
};

enum { SNAP_TABLESPACES_MAX = 64 };

/* A tablespace: goes from path to tblspc/<oid> below the backup's folder. */
struct snap_tablespace {
	uint32_t oid;
	char path[MSG_PATH_SIZE]; /* of the folder, as the server named it: only a walker opens it */
	int fd;                   /* of the same, where probe_part() has taken it; -1 */
};

/* What is to be cut. All borrowed. */
struct snap_order {
	struct worker_job *job; /* its source is open */
	int to_fd;              /* the backup's folder in the making: gets "data" and perhaps "tblspc" */
	bool adds;              /* the database will add to the image, which stays writable until seal() */
	/* The database's wishes, for backends that walk; plan's way is the backend's own. */
	struct tree_plan plan;
	bool held; /* the database's writers are held for the cut: prepare() comes first, where there is one */
	const struct snap_tablespace *tablespaces;
	size_t tablespace_count;
};

struct snap_made {
	struct snap_identity image;
	char spaces[SNAP_TABLESPACES_MAX][IDENT_UUID_SIZE]; /* of the order's tablespaces, in its order; "" of a walk */
	struct tree_report report; /* of a walk; zero without one */
};

struct snap_ops {
	const char *name; /* "btrfs" */
	bool atomic;      /* the cut is one moment for all of the tree; else it is walked, file by file */

	/*
	 * Can this backend cut job's data_dir into snapshot_fd's folder (-1: there is none yet)? 0; ERR_LAYOUT or
	 * ERR_UNSUPPORTED with why.
	 */
	int (*probe)(struct worker_job *job, int snapshot_fd, struct reason *why);
	/*
	 * Can it cut the folder that fd shows as well, which is the database's tablespace at path? 0 or as probe(). NULL:
	 * tablespaces are walked.
	 */
	int (*probe_part)(struct worker_job *job, int fd, const char *path, struct reason *why);
	/* Bytes that the image takes. NULL where it shares its source's blocks. */
	int (*measure)(const struct snap_order *order, uint64_t *ret_bytes, struct reason *why);
	/* Writes out what is dirty in the source, where that makes the cut shorter. */
	int (*flush)(int data_fd, struct reason *why);
	/*
	 * Makes what a cut of a held database then only fills; ret_made goes on to cut(). NULL: nothing can be done before, or
	 * the cut is a moment anyway.
	 */
	int (*prepare)(const struct snap_order *order, struct snap_made *ret_made, struct reason *why);
	/*
	 * An image of the tree as "data" below order->to_fd; durable only after sync() unless atomic. ERR_EXISTS if the
	 * name is taken.
	 */
	int (*cut)(const struct snap_order *order, struct snap_made *ret_made, struct reason *why);
	/* Nothing can be changed any more in the image that was cut, with adds, into the folder to_fd. NULL: nothing to do. */
	int (*seal)(int to_fd, struct reason *why);
	/*
	 * A writable copy of the backup whose folder is backup_fd as name below parent_fd, the database user's; its
	 * tablespaces in tblspc/ inside it, and what lies in its "wal" in SNAP_WAL. ERR_EXISTS if the name is taken. Durable
	 * only after sync().
	 */
	int (*clone)(struct worker_job *job, int backup_fd, int parent_fd, const char *name,
		     struct snap_identity *ret_identity, struct reason *why);
	/* The same of one image alone, "data" or one of "tblspc", which image_fd shows. */
	int (*clone_image)(struct worker_job *job, int image_fd, int parent_fd, const char *name,
			   struct snap_identity *ret_identity, struct reason *why);
	/*
	 * Removes name below parent_fd with everything in it, innermost first. Not there: 0. Not
	 * of this backend's kind: an empty folder is removed, anything else ERR_FOREIGN. Durable only
	 * after sync().
	 */
	int (*destroy)(struct worker_job *job, int parent_fd, const char *name, struct reason *why);
	/* Returns when everything done so far on fd's file system survives a power cut. */
	int (*sync)(int fd, struct reason *why);
};

/* What a clone's copy of the backup's folder "wal" is called until the database takes it. */
#define SNAP_WAL ".dbsnap-wal"

extern const struct snap_ops snap_btrfs;
extern const struct snap_ops snap_reflink;
extern const struct snap_ops snap_copy;

/* What fd is, if it is the root of a btrfs subvolume; else ERR_LAYOUT. */
int snap_btrfs_identify(int fd, struct snap_identity *ret_identity, struct reason *why);

/* The backends that the configuration allows, from number 0 in the order in which they are tried; NULL after the last. */
const struct snap_ops *snap_candidate(enum conf_backend backend, size_t number);

/* By a manifest's name; NULL if this release has none such. */
const struct snap_ops *snap_find(const char *name);

#endif
