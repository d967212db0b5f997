/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nothing is in force before its CONFIG_END. */
#include "daemon/front/intake.h"

#include "common/err.h"
#include "common/grow.h"
#include "daemon/front/quota.h"

#include <stdlib.h>
#include <string.h>

enum { CLUSTERS_MAX = 65536 };

void intake_clear(struct intake *intake)
{
	free(intake->clusters);
	*intake = (struct intake){0};
}

static int begin(struct intake *intake, const struct msg_config *conf)
{
	if (intake->open || conf->max_running == 0 || conf->utc_offset_min > QUOTA_OFFSET_MAX_MINUTES ||
	    conf->utc_offset_min < -QUOTA_OFFSET_MAX_MINUTES)
		return ERR_INVALID;
	intake_clear(intake);
	intake->open = true;
	intake->conf = *conf;
	return 0;
}

static int add(struct intake *intake, const struct msg_config_cluster *cluster)
{
	struct msg_config_cluster *more;

	if (!intake->open || cluster->generation != intake->conf.generation || !cluster->cluster[0] ||
	    intake->count == CLUSTERS_MAX)
		return ERR_INVALID;
	for (size_t i = 0; i < intake->count; i++) {
		if (strcmp(intake->clusters[i].cluster, cluster->cluster) == 0)
			return ERR_INVALID;
	}
	more = grow(intake->clusters, intake->count, &intake->size, sizeof(*more));
	if (!more)
		return ERR_NOMEM;
	intake->clusters = more;
	intake->clusters[intake->count++] = *cluster;
	return 0;
}

static int end(struct intake *intake, const struct msg_config_end *message, bool *ret_complete)
{
	if (!intake->open || message->generation != intake->conf.generation || message->clusters != intake->count)
		return ERR_INVALID;
	intake->open = false;
	*ret_complete = true;
	return 0;
}

int intake_take(struct intake *intake, const struct msg *msg, bool *ret_complete)
{
	*ret_complete = false;
	switch (msg->type) {
	case MSG_CONFIG:
		return begin(intake, &msg->u.config);
	case MSG_CONFIG_CLUSTER:
		return add(intake, &msg->u.config_cluster);
	case MSG_CONFIG_END:
		return end(intake, &msg->u.config_end, ret_complete);
	default:
		return ERR_INVALID;
	}
}

int intake_apply(const struct intake *intake, struct front *front)
{
	/* First all that can fail. */
	for (size_t i = 0; i < intake->count; i++) {
		if (!cluster_ensure(front->clusters, intake->clusters[i].cluster))
			return ERR_NOMEM;
	}
	front->conf = intake->conf;
	for (size_t i = 0; i < cluster_count(front->clusters); i++)
		cluster_at(front->clusters, i)->registered = false;
	for (size_t i = 0; i < intake->count; i++) {
		struct cluster *cluster = cluster_find(front->clusters, intake->clusters[i].cluster);

		cluster->registered = true;
		cluster->conf = intake->clusters[i];
	}
	return 0;
}
