/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is at the other end of a Unix stream connection: as the kernel noted it at connect(). */
#ifndef DBSNAP_FRONT_PEER_H
#define DBSNAP_FRONT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
	uint32_t uid;
	uint32_t gid;
	gid_t *groups; /* supplementary; owned */
	size_t group_count;
};

/* 0, ERR_IO or ERR_NOMEM. peer_clear() gives up what it holds. Never blocks. */
int peer_read(int fd, struct peer *ret_peer);
void peer_clear(struct peer *peer);
/* 0 or ERR_NOMEM. */
int peer_copy(const struct peer *peer, struct peer *ret_copy);
/* By its effective group or one of the supplementary ones. */
bool peer_in_group(const struct peer *peer, uint32_t gid);

#endif
