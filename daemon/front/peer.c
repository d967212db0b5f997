/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SO_PEERCRED and SO_PEERGROUPS: both are fixed when the client connects, so a later setuid changes nothing. */
#include "daemon/front/peer.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { GROUPS_FIRST = 32, GROUPS_MAX = 65536 };

static int read_groups(int fd, struct peer *peer)
{
	socklen_t size = GROUPS_FIRST * sizeof(gid_t);
	scope_free gid_t *groups = malloc(size);

	if (!groups)
		return ERR_NOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
		void *larger;

		/* ERANGE: the kernel has written how much there is. */
		if (errno != ERANGE || size > GROUPS_MAX * sizeof(gid_t))
			return ERR_IO;
		larger = realloc(groups, size);
		if (!larger)
			return ERR_NOMEM;
		groups = larger;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
			return ERR_IO;
	}
	peer->group_count = size / sizeof(gid_t);
	peer->groups = scope_take_ptr(groups);
	return 0;
}

int peer_read(int fd, struct peer *ret_peer)
{
	struct peer peer = {0};
	struct ucred credentials;
	socklen_t size = sizeof(credentials);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0 || size != sizeof(credentials))
		return ERR_IO;
	peer.uid = credentials.uid;
	peer.gid = credentials.gid;
	r = read_groups(fd, &peer);
	if (r == 0)
		*ret_peer = peer;
	return r;
}

void peer_clear(struct peer *peer)
{
	free(peer->groups);
	*peer = (struct peer){0};
}

int peer_copy(const struct peer *peer, struct peer *ret_copy)
{
	struct peer copy = *peer;

	copy.groups = calloc(peer->group_count + 1, sizeof(*copy.groups));
	if (!copy.groups)
		return ERR_NOMEM;
	if (peer->group_count > 0)
		memcpy(copy.groups, peer->groups, peer->group_count * sizeof(*copy.groups));
	*ret_copy = copy;
	return 0;
}

bool peer_in_group(const struct peer *peer, uint32_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->group_count; i++) {
		if (peer->groups[i] == gid)
			return true;
	}
	return false;
}
