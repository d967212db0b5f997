/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where programs run that read what may be damaged, or was made to do harm: namespaces of their own, without network, in
 * which nothing but one folder can be written. Whoever is in it is number 1 there: with him goes all that he started.
 */
#ifndef DBSNAP_ENGINE_CELL_H
#define DBSNAP_ENGINE_CELL_H

#include "daemon/engine/job.h"

#include <stdbool.h>

/* Where the folder is in the cell. */
#define CELL_ROOT "/tmp/clone"

enum { CELL_HIDDEN_MAX = 4 };

struct cell {
	int root_fd;             /* the folder that can be written; of the outside */
	char path[MSG_PATH_SIZE]; /* its absolute path, by which the cell finds it; has to show the same folder */
	const char *hidden[CELL_HIDDEN_MAX]; /* more folders to be out of sight, ended by NULL; borrowed; may be missing */
};

/* The path by which this process knows the folder fd. 0 or a code with why. */
int cell_find_path(int fd, char path[static MSG_PATH_SIZE], struct reason *why);

/* What proc_fork_apart() needs for it. Without root a user namespace is among them. */
int cell_namespaces(bool as_root);

/* Says why those could not be had. The code. */
int cell_refuse(int errno_value, bool as_root, struct reason *why);

/* In the child, in a user namespace just made: it keeps its numbers, and is nobody else. 0 or a code with why. */
int cell_map_user(const struct proc_identity *identity, struct reason *why);

/*
 * In the child, before it becomes the database's user: no network but an unused loopback, everything read-only but
 * root_fd's folder at CELL_ROOT; /proc, /run, /dev/shm, /tmp, /var/tmp and hidden out of sight; limits. 0 or a code with why.
 */
int cell_enter(const struct cell *cell, const struct proc_identity *identity, bool as_root, struct reason *why);

#endif
