/* SPDX-License-Identifier: GPL-3.0-or-later */
/* May a new configuration take the place of the running one? */
#include "common/conf.h"

#include "common/err.h"

#include <inttypes.h>
#include <string.h>

/* Whether signatures are required may change: the front is told. */
static const char *find_fixed_listen(const struct conf_listen *old, const struct conf_listen *next)
{
	if (strcmp(old->path, next->path) != 0)
		return "listen.path";
	if (old->mode != next->mode)
		return "listen.mode";
	return strcmp(old->group, next->group) != 0 || old->gid != next->gid ? "listen.group" : NULL;
}

/* The first key that differs and is only read at start; NULL if there is none. */
static const char *find_fixed(const struct conf *old, const struct conf *next)
{
	if (old->listen_count != next->listen_count)
		return "listen";
	for (size_t i = 0; i < old->listen_count; i++) {
		const char *key = find_fixed_listen(&old->listens[i], &next->listens[i]);

		if (key)
			return key;
	}
	if (strcmp(old->state_dir, next->state_dir) != 0)
		return "state_dir";
	return old->store_map_size != next->store_map_size ? "store.map_size" : NULL;
}

/* The first key by which a job in flight would be pulled from under its feet; NULL if there is none. */
static const char *find_moved(const struct conf_cluster *old, const struct conf_cluster *next)
{
	if (strcmp(old->data_dir, next->data_dir) != 0)
		return "data_dir";
	if (strcmp(old->snapshot_dir, next->snapshot_dir) != 0)
		return "snapshot_dir";
	if (old->backend != next->backend)
		return "backend";
	if (strcmp(old->database.user, next->database.user) != 0 ||
	    old->identity_known != next->identity_known || old->identity.uid != next->identity.uid ||
	    old->identity_from_owner != next->identity_from_owner)
		return "database.user";
	return NULL;
}

int conf_reload_refusal(const struct conf *old, const struct conf *next,
			bool (*has_job)(void *arg, const char *cluster), void *arg, char *why, size_t why_size)
{
	const char *key = find_fixed(old, next);

	if (key) {
		snprintf(why, why_size, "%s is read at start only; restart dbsnapd to change it", key);
		return ERR_STATE;
	}
	for (size_t i = 0; i < old->cluster_count; i++) {
		const struct conf_cluster *cluster = &old->clusters[i];
		const struct conf_cluster *match = conf_find_cluster(next, cluster->id);

		key = match ? find_moved(cluster, match) : NULL;
		if ((match && !key) || !has_job(arg, cluster->id))
			continue;
		snprintf(why, why_size, "cluster %s has a job in flight and would %s%s; reload when it has ended",
			 cluster->id, key ? "get another " : "be removed", key ? key : "");
		return ERR_STATE;
	}
	return 0;
}
