/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nothing is in force before its CONFIG_END. */
#include "daemon/front/intake.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/policy.h"
#include "common/scope.h"
#include "daemon/front/quota.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 65536 };

static void free_list(struct intake_list *list, size_t item_size)
{
	if (list->items)
		explicit_bzero(list->items, list->size * item_size);
	free(list->items);
	*list = (struct intake_list){0};
}

void intake_clear(struct intake *intake)
{
	free_list(&intake->clusters, sizeof(struct msg_config_cluster));
	free_list(&intake->listeners, sizeof(struct msg_config_listener));
	free_list(&intake->keys, sizeof(struct msg_config_key));
	policy_free(intake->policy);
	*intake = (struct intake){0};
}

static int begin(struct intake *intake, const struct msg_config *conf)
{
	if (intake->open || conf->max_running == 0 || conf->utc_offset_min > QUOTA_OFFSET_MAX_MINUTES ||
	    conf->utc_offset_min < -QUOTA_OFFSET_MAX_MINUTES)
		return ERR_INVALID;
	intake_clear(intake);
	intake->policy = policy_new();
	if (!intake->policy)
		return ERR_NOMEM;
	intake->open = true;
	intake->conf = *conf;
	return 0;
}

/* As grow() does, but what was is wiped: it may hold secrets. */
static int enlarge(struct intake_list *list, size_t item_size)
{
	size_t room = list->size ? 2 * list->size : 16;
	void *items = calloc(room, item_size);

	if (!items)
		return ERR_NOMEM;
	if (list->count > 0)
		memcpy(items, list->items, list->count * item_size);
	if (list->items)
		explicit_bzero(list->items, list->size * item_size);
	free(list->items);
	list->items = items;
	list->size = room;
	return 0;
}

static int add(struct intake *intake, struct intake_list *list, uint32_t generation, const void *item, size_t size)
{
	if (!intake->open || generation != intake->conf.generation || list->count == LIST_MAX)
		return ERR_INVALID;
	if (list->count == list->size && enlarge(list, size) < 0)
		return ERR_NOMEM;
	memcpy((char *)list->items + list->count++ * size, item, size);
	return 0;
}

static int add_cluster(struct intake *intake, const struct msg_config_cluster *cluster)
{
	const struct msg_config_cluster *known = intake->clusters.items;

	for (size_t i = 0; i < intake->clusters.count; i++) {
		if (strcmp(known[i].cluster, cluster->cluster) == 0)
			return ERR_INVALID;
	}
	if (!cluster->cluster[0])
		return ERR_INVALID;
	return add(intake, &intake->clusters, cluster->generation, cluster, sizeof(*cluster));
}

static int add_statement(struct intake *intake, const struct msg_config_statement *message)
{
	if (!intake->open || message->generation != intake->conf.generation)
		return ERR_INVALID;
	return policy_add_encoded(intake->policy, message->statement.bytes, message->statement.size);
}

static int end(struct intake *intake, const struct msg_config_end *message, bool *ret_complete)
{
	if (!intake->open || message->generation != intake->conf.generation ||
	    message->clusters != intake->clusters.count || message->listeners != intake->listeners.count ||
	    message->keys != intake->keys.count || message->statements != policy_count(intake->policy) ||
	    (!message->policies && message->statements > 0))
		return ERR_INVALID;
	if (!message->policies)
		intake->policy = policy_free(intake->policy);
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
		return add_cluster(intake, &msg->u.config_cluster);
	case MSG_CONFIG_LISTENER:
		return add(intake, &intake->listeners, msg->u.config_listener.generation, &msg->u.config_listener,
			   sizeof(msg->u.config_listener));
	case MSG_CONFIG_KEY:
		return add(intake, &intake->keys, msg->u.config_key.generation, &msg->u.config_key,
			   sizeof(msg->u.config_key));
	case MSG_CONFIG_STATEMENT:
		return add_statement(intake, &msg->u.config_statement);
	case MSG_CONFIG_END:
		return end(intake, &msg->u.config_end, ret_complete);
	default:
		return ERR_INVALID;
	}
}

int intake_apply(struct intake *intake, struct front *front)
{
	const struct msg_config_cluster *clusters = intake->clusters.items;
	const struct nonces_now now = {clock_wall_ms(), clock_running_ms()};
	int r;

	if (intake->listeners.count == 0 || intake->listeners.count > FRONT_LISTENERS_MAX)
		return ERR_INVALID;
	/* First all that can fail. */
	for (size_t i = 0; i < intake->clusters.count; i++) {
		if (!cluster_ensure(front->clusters, clusters[i].cluster))
			return ERR_NOMEM;
	}
	r = sign_set_keys(front->sign, intake->keys.items, intake->keys.count, &now);
	if (r < 0)
		return r;
	front->conf = intake->conf;
	memcpy(front->listeners, intake->listeners.items, intake->listeners.count * sizeof(front->listeners[0]));
	policy_free(front->policy);
	front->policy = scope_take_ptr(intake->policy);
	for (size_t i = 0; i < cluster_count(front->clusters); i++)
		cluster_at(front->clusters, i)->registered = false;
	for (size_t i = 0; i < intake->clusters.count; i++) {
		struct cluster *cluster = cluster_find(front->clusters, clusters[i].cluster);

		cluster->registered = true;
		cluster->conf = clusters[i];
	}
	return 0;
}
