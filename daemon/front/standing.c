/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cluster's state as callers see it, and the errors that come of it. */
#include "daemon/front/standing.h"

#include "daemon/front/reply.h"

static void reply_reason(struct call *call, enum reply_code code, const char *reason, const char *remedy)
{
	if (reason[0])
		reply_error(call, code, "%s%s%s", reason, remedy[0] ? "; " : "", remedy);
	else
		reply_error(call, code, NULL);
}

bool standing_check_place(struct call *call, const struct cluster *cluster)
{
	switch (cluster->place) {
	case PLACE_ONLINE:
		return true;
	case PLACE_REFUSED:
		reply_reason(call, REPLY_LAYOUT, cluster->cause, cluster->remedy);
		return false;
	default:
		reply_reason(call, REPLY_UNAVAILABLE, cluster->cause, cluster->remedy);
		return false;
	}
}

bool standing_check(struct call *call, const struct cluster *cluster)
{
	if (!cluster->registered) {
		reply_error(call, REPLY_CLUSTER_NOT_FOUND,
			    "The cluster is retired: no cluster file registers it any more, its backups are kept.");
		return false;
	}
	if (cluster->conf.refusal[0]) {
		reply_reason(call, REPLY_LAYOUT, cluster->conf.refusal, cluster->conf.remedy);
		return false;
	}
	return standing_check_place(call, cluster);
}

bool standing_check_layout(struct call *call, const struct cluster *cluster)
{
	if (!cluster->layout_known || cluster->layout_ok)
		return true;
	reply_reason(call, REPLY_LAYOUT, cluster->layout_refusal, cluster->layout_remedy);
	return false;
}

const char *standing_state(const struct cluster *cluster, const char **ret_reason, const char **ret_remedy)
{
	*ret_reason = cluster->cause;
	*ret_remedy = cluster->remedy;
	if (!cluster->registered) {
		*ret_reason = "";
		*ret_remedy = "";
		return "Retired";
	}
	if (cluster->conf.refusal[0]) {
		*ret_reason = cluster->conf.refusal;
		*ret_remedy = cluster->conf.remedy;
		return "Refused";
	}
	if (cluster->place != PLACE_ONLINE)
		return cluster->place == PLACE_REFUSED ? "Refused" : "Offline";
	if (cluster->layout_known && !cluster->layout_ok) {
		*ret_reason = cluster->layout_refusal;
		*ret_remedy = cluster->layout_remedy;
		return "Refused";
	}
	*ret_reason = "";
	*ret_remedy = "";
	return "Online";
}
