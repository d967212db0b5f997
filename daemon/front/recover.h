/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Brings catalogue and disk together: given what a probe of one cluster saw, puts
 * the records right in one transaction, and says what the scheduler has to do about
 * the rest. Doing it twice equals doing it once. Nothing on disk is touched here; what
 * no record speaks of goes to the cluster's quarantine.
 */
#ifndef DBSNAP_FRONT_RECOVER_H
#define DBSNAP_FRONT_RECOVER_H

#include "common/msg.h"
#include "daemon/front/front.h"
#include "daemon/front/job.h"

#include <stddef.h>
#include <stdint.h>

struct recover_item {
	uint8_t item; /* enum msg_item */
	uint64_t backup;
	uint8_t owner; /* enum msg_owner */
	uint8_t mode;  /* and the next three: of what has a manifest */
	struct nonce nonce;
	int64_t accepted_ms;
	int64_t consistent_ms;
	uint64_t size;           /* 0: not known */
	char *name;              /* owned; NULL: the backup's id */
	struct msg_facts *facts; /* owned; of a BACKUP whose create is open or that is to be adopted, else NULL */
};

enum recover_standing {
	RECOVER_IDLE,    /* nobody works on it */
	RECOVER_MOVING,  /* a worker has it, or had it while the probe looked: what was seen means nothing */
	RECOVER_SETTLING /* its last attempt's outcome is unknown, and the scheduler counts it */
};

/* What to do about a job, a backup or a leftover; told after the commit. */
enum recover_what {
	RECOVER_JOB_ENDED,   /* its records say so now */
	RECOVER_JOB_PARTIAL, /* its attempt left something behind; run again after pause_ms */
	RECOVER_JOB_WHOLE,   /* its work is done but for the last step: the next attempt finishes it, whatever became of this one */
	RECOVER_FOUND,       /* the backup was LOST and is AVAILABLE */
	RECOVER_CLEAN        /* remove a leftover: a removal without a record */
};

struct recover_note {
	enum recover_what what;
	uint64_t job; /* the job; with CLEAN: the number that the removal goes by */
	enum job_kind kind; /* CLEAN: DELETE or DELETE_CLONE */
	int64_t pause_ms;
	uint64_t backup;
	char clone[IDENT_CLONE_SIZE];
	struct nonce nonce;
};

struct recover_calls {
	/* of the job with this number */
	enum recover_standing (*standing)(void *arg, uint64_t job);
	/* did a worker touch this backup or clone (the other is 0 or "") since the probe was asked for? */
	bool (*touched)(void *arg, uint64_t backup, const char *clone);
	void (*note)(void *arg, const struct recover_note *note);
	void *arg;
};

/*
 * cluster is ONLINE. 0; ERR_FULL, ERR_NOMEM: nothing changed, to be tried again; any
 * other code: the store is not to be trusted any more.
 */
int recover_cluster(struct front *front, struct cluster *cluster, const struct recover_item *items, size_t count,
		    const struct recover_calls *calls);

void recover_items_free(struct recover_item *items, size_t count);

#endif
