/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a clone that is to stay and one that is thrown away have in common: a writable copy of a backup as .NAME in
 * clones/, beside it the paper .NAME.json that says whose it is from before it begins until after it is gone.
 */
#ifndef DBSNAP_ENGINE_CLONE_MAKE_H
#define DBSNAP_ENGINE_CLONE_MAKE_H

#include "daemon/engine/clones.h"
#include "daemon/engine/job.h"
#include "daemon/engine/manifest.h"
#include "daemon/engine/place.h"

struct clone {
	struct worker_job *job;
	struct reason *why;
	struct place place;
	struct manifest manifest; /* of the backup */
	struct intent intent;
	struct clone_names names;
	const struct snap_ops *snap;
	int fd; /* of clones/; -1 */
	bool begun; /* the paper may be there */
};

/* For the clone that job's order names. NULL with why: out of memory. The place is not open yet. */
struct clone *clone_begin(struct worker_job *job, struct reason *why);
/* What the file system has left, into result; closes and frees. */
void clone_end(struct clone *c, struct msg_result *result);

/* Each of the following: 0, or a code with c->why. The place is open. */

/* Finds the order's backup: manifest, snap. */
int clone_find_backup(struct clone *c);
/* A database that is gone can still be cloned, by the user whom note or manifest names: settles job->identity. */
void clone_settle_identity(struct clone *c);
/* Room, paper, copy. c->fd is open, nothing of the name is there. */
int clone_make_image(struct clone *c);
/* Makes it startable beside its source, to be known as path. */
int clone_make_startable(struct clone *c, const char *path);
/* Adds to why of a failed attempt what the file system and the owner have to do with it. Before anything of it is removed. */
void clone_explain(struct clone *c);
/* The paper as intent says. */
int clone_write_paper(struct clone *c);
/* Removes the half or whole clone under its dot-name, then the paper. */
int clone_remove_making(struct clone *c, struct reason *why);

#endif
