/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which snapshot mechanisms there are, best first. */
#include "daemon/engine/snap.h"

#include <string.h>

static const struct {
	enum conf_backend backend;
	const struct snap_ops *ops;
} backends[] = {
	{CONF_BACKEND_BTRFS, &snap_btrfs},
	{CONF_BACKEND_REFLINK, &snap_reflink},
	{CONF_BACKEND_COPY, &snap_copy},
};

enum { BACKENDS = sizeof(backends) / sizeof(backends[0]) };

const struct snap_ops *snap_find(const char *name)
{
	for (size_t i = 0; i < BACKENDS; i++) {
		if (strcmp(backends[i].ops->name, name) == 0)
			return backends[i].ops;
	}
	return NULL;
}

const struct snap_ops *snap_candidate(enum conf_backend backend, size_t number)
{
	for (size_t i = 0; i < BACKENDS; i++) {
		bool wanted = backend == CONF_BACKEND_AUTO || backends[i].backend == backend;

		if (wanted && number-- == 0)
			return backends[i].ops;
	}
	return NULL;
}
