/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The listening sockets: inherited from systemd, or bound. */
#ifndef DBSNAP_ENGINE_LISTEN_H
#define DBSNAP_ENGINE_LISTEN_H

#include "common/conf.h"

#include <stdbool.h>
#include <sys/types.h>

struct listen {
	int fd;     /* -1 */
	bool bound; /* by us: unlinked at the end, if it is still ours */
	dev_t device; /* bound: of its name */
	ino_t inode;
	char path[CONF_SOCKET_SIZE];
};

struct listens {
	struct listen at[CONF_LISTENS_MAX]; /* in the order of the configuration */
	size_t count;
};

/*
 * One for each that the configuration names; what systemd did not hand on is bound. 0; or a code, logged: inherited
 * with a path that is not named, another daemon answers, cannot bind. What was opened stays for listens_close().
 */
int listens_open(const struct conf *conf, struct listens *ret_listens);
void listens_close(struct listens *listens);

#endif
