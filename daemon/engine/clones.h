/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The folder clones/ of a place: each clone NAME is a data directory of the
 * database's user, beside it the root-owned paper .NAME.json says whose it is
 * from before it begins until after it is gone. In the making, and while it goes, it is called .NAME.
 */
#ifndef DBSNAP_ENGINE_CLONES_H
#define DBSNAP_ENGINE_CLONES_H

#include "daemon/engine/place.h"

struct clone_names {
	char whole[PLACE_NAME_SIZE];
	char making[PLACE_NAME_SIZE];
	char paper[PLACE_NAME_SIZE];
};

void clones_name(const char *clone, struct clone_names *ret_names);

/* The descriptor of clones/; make: made if missing. ERR_NOT_FOUND without why when it is not there. */
int clones_open(const struct place *place, bool make, struct reason *why);

enum clone_paper { PAPER_NONE, PAPER_OURS, PAPER_OTHER };

struct clone_look {
	enum msg_owner owner;
	enum clone_paper paper; /* OTHER: another nonce's, another install's, or unreadable */
	struct intent intent;   /* with OURS; with OTHER as far as it was readable */
	bool has_whole, has_making;
};

/* nonce NULL: any clone of this install and cluster is OURS. 0 or a code with why when looking failed. */
int clones_look(const struct worker_job *job, int clones_fd, const char *clone, const struct nonce *nonce,
		struct clone_look *ret_look, struct reason *why);

/*
 * A clone's lock, by its paper: held by the worker that runs its server and by all of that server's processes, and by its
 * removal. The descriptor; or a code with why: ERR_BUSY when it is not to be had within some seconds.
 */
int clones_lock(int clones_fd, const char *clone, struct reason *why);

#endif
