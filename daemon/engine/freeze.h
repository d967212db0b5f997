/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A process held still by SIGSTOP, and let go. It stays held when whoever holds it dies, so each hold is
 * noted before it begins, in frozen/ beside the socket: one file a cluster, "PID START", START being
 * the process's start time (field 22 of /proc/PID/stat), so that no other process of that number is ever
 * touched.
 */
#ifndef DBSNAP_ENGINE_FREEZE_H
#define DBSNAP_ENGINE_FREEZE_H

#include "common/ident.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum freeze_state {
	FREEZE_NONE,
	FREEZE_STOPPING, /* told to stop; some of its threads may still run */
	FREEZE_STILL     /* all of them stood still when last looked at */
};

/* One hold. Starts as {0}; owns its descriptors from freeze_begin() to freeze_end(). */
struct freeze {
	enum freeze_state state;
	char cluster[IDENT_CLUSTER_SIZE];
	int folder_fd; /* frozen/ */
	pid_t pid;
	int pidfd;
	int proc_fd;   /* /proc/PID */
	timer_t guard; /* lets it go shortly after until_us, should nobody have called freeze_end() */
	int64_t since_us, until_us; /* clock_measure_us(): when it was told to stop, and must go on at the latest */
	bool settled;               /* all of them stood still at one look */
	uint64_t threads, switches; /* at that look: how many, and how often they had run */
};

/* What is to be held. */
struct freeze_order {
	const char *cluster;
	pid_t pid;
	uint64_t start; /* field 22 of /proc/PID/stat */
	uid_t uid;      /* whose it has to be, really and effectively */
	int64_t max_ms; /* from its stop on */
};

/*
 * Notes it and stops it; waits for nothing. From its time on a signal of this process (SIGALRM) lets it go, whatever the
 * process waits for, but not a disk that does not answer; freeze_end() is to be called all the same. 0, and the hold is in FREEZE_STOPPING. On a failure nothing is held or
 * noted: ERR_NOT_FOUND (ended), ERR_MISMATCH (another process of that number), ERR_UNTRUSTED (another user's process or folder),
 * ERR_EXISTS (there is a note of that cluster), or the note cannot be written.
 */
int freeze_begin(struct freeze *freeze, const char *socket_path, const struct freeze_order *order);
/*
 * Looks at all threads. FREEZE_STOPPING: 1 when none has moved since the look before, and the hold is in
 * FREEZE_STILL; 0: not yet. FREEZE_STILL: 1, or ERR_STATE: it has run since then, whatever it does now. ERR_NOT_FOUND: it
 * has ended.
 */
int freeze_look(struct freeze *freeze);
/* Lets it go on and removes the note; *ret_us: how long it was held. 0, or a code: it could not be told, the note stays. */
int freeze_end(struct freeze *freeze, uint64_t *ret_us);

/* Of a process that lives; 0: it does not, or its start cannot be read. */
uint64_t freeze_start_of(pid_t pid);

/*
 * Lets every process noted in the folder run again and removes the notes. Returns how many
 * notes there were, 0 when there is no such folder, or a code when one could not be undone or the folder is not ours alone
 * (it is logged; what there is stays).
 */
int freeze_thaw_all(const char *socket_path);

#endif
