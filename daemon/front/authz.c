/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The default policy. */
#include "daemon/front/authz.h"

bool authz_allows(const struct msg_config *conf, const struct peer *peer, const char *key_id, bool group_may)
{
	if (key_id[0])
		return false;
	if (peer->uid == 0 || peer->uid == conf->daemon_uid)
		return true;
	return group_may && peer_in_group(peer, conf->socket_gid);
}
