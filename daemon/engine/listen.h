/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The listening socket: inherited from systemd, or bound. */
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

/* 0; or a code, logged: inherited with another path, another daemon answers, cannot bind. */
int listen_open(const struct conf_listen *conf, struct listen *ret_listen);
void listen_close(struct listen *listen);

#endif
