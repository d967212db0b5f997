/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which snapshot mechanism a cluster gets. */
#include "daemon/engine/snap.h"

#include "common/err.h"

#include <string.h>

/* Best first: what auto tries, in order. */
static const struct snap_ops *const backends[] = {&snap_btrfs};

enum { BACKENDS = sizeof(backends) / sizeof(backends[0]) };

const struct snap_ops *snap_find(const char *name)
{
	for (size_t i = 0; i < BACKENDS; i++) {
		if (strcmp(backends[i]->name, name) == 0)
			return backends[i];
	}
	return NULL;
}

static int choose_named(const char *name, int data_fd, int snapshot_fd, const struct snap_ops **ret_ops,
			struct reason *why)
{
	const struct snap_ops *ops = snap_find(name);
	int error;

	if (!ops)
		return reason_set(why, ERR_UNSUPPORTED, "use backend: btrfs on a btrfs file system",
				  "the backend %s is not built yet", name);
	error = ops->probe(data_fd, snapshot_fd, why);
	if (error == 0)
		*ret_ops = ops;
	return error;
}

int snap_choose(enum conf_backend backend, int data_fd, int snapshot_fd, const struct snap_ops **ret_ops,
		struct reason *why)
{
	int error = ERR_UNSUPPORTED;

	if (backend != CONF_BACKEND_AUTO)
		return choose_named(conf_backend_name(backend), data_fd, snapshot_fd, ret_ops, why);
	for (size_t i = 0; i < BACKENDS && error < 0; i++)
		error = choose_named(backends[i]->name, data_fd, snapshot_fd, ret_ops, why);
	return error;
}
