/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Snapshot mechanisms behind one table of functions. A verb names what it makes
 * by an open folder and a single name below it; the caller's folder carries
 * the nonce that makes a repeated verb safe. Every verb fills why on failure and
 * leaves nothing half made. All of them may block on the disk.
 */
#ifndef DBSNAP_ENGINE_SNAP_H
#define DBSNAP_ENGINE_SNAP_H

#include "common/ident.h"
#include "daemon/engine/job.h"

#include <stdbool.h>
#include <stdint.h>

/* What was made, as the file system knows it: tells it from anything that took its name. */
struct snap_identity {
	char uuid[IDENT_UUID_SIZE];   /* of the subvolume; "" where there are none */
	char parent[IDENT_UUID_SIZE]; /* of what it is a snapshot of; "" */
	uint64_t id;                  /* of the subvolume; 0 */
	bool read_only;
};

struct snap_ops {
	const char *name; /* "btrfs" */
	bool atomic;      /* the cut is one moment for all of the tree */

	/*
	 * Can this backend cut data_fd's tree into snapshot_fd's folder? 0; ERR_LAYOUT or ERR_UNSUPPORTED
	 * with why.
	 */
	int (*probe)(int data_fd, int snapshot_fd, struct reason *why);
	/* 0; ERR_LAYOUT if fd is not the root of something this backend made or cuts. */
	int (*identify)(int fd, struct snap_identity *ret_identity, struct reason *why);
	/* Writes out what is dirty, so that the cut itself is short. */
	int (*flush)(int data_fd, struct reason *why);
	/*
	 * A read-only image of data_fd's tree as name below parent_fd, durable on return.
	 * ERR_EXISTS if the name is taken.
	 */
	int (*cut)(int data_fd, int parent_fd, const char *name, struct snap_identity *ret_identity,
		   struct reason *why);
	/* A writable copy of the image source_fd as name below parent_fd. ERR_EXISTS if the name is taken. */
	int (*clone)(int source_fd, int parent_fd, const char *name, struct snap_identity *ret_identity,
		     struct reason *why);
	/*
	 * Removes name below parent_fd with everything in it, innermost first. Not there: 0. Not
	 * this backend's (no subvolume): an empty folder is removed, anything else ERR_FOREIGN. Durable only
	 * after sync().
	 */
	int (*destroy)(int parent_fd, const char *name, struct reason *why);
	/* Returns when everything done so far on fd's file system survives a power cut. */
	int (*sync)(int fd, struct reason *why);
};

extern const struct snap_ops snap_btrfs;

/* By a manifest's name; NULL if this release has none such. */
const struct snap_ops *snap_find(const char *name);

/*
 * The backend for a cluster: the configured one, or with auto the best one whose probe()
 * succeeds. 0, or the refusal of the last one tried.
 */
int snap_choose(enum conf_backend backend, int data_fd, int snapshot_fd, const struct snap_ops **ret_ops,
		struct reason *why);

#endif
