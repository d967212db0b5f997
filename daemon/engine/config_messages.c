/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration as the front gets it: no path but for show, no conninfo. */
#include "daemon/engine/engine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void send_general(struct engine *engine)
{
	const struct conf *conf = engine->conf;
	struct msg msg = {.type = MSG_CONFIG};
	struct msg_config *to = &msg.u.config;

	to->generation = engine->generation;
	snprintf(to->region_id, sizeof(to->region_id), "%s", conf->region_id);
	snprintf(to->account_id, sizeof(to->account_id), "%s", conf->account_id);
	to->manual_per_day = (uint32_t)conf->quota.manual_per_day;
	to->manual_retained = (uint32_t)conf->quota.manual_retained;
	to->creates_per_day = (uint32_t)conf->quota.creates_per_day;
	to->utc_offset_min = conf->quota.utc_offset_min;
	to->refund_deleted = conf->quota.refund_deleted;
	to->token_ttl_ms = conf->client_token_ttl_ms;
	to->max_running = (uint32_t)conf->jobs_max_running;
	to->job_timeout_ms = conf->jobs_timeout_ms;
	to->history_ms = conf->store_history_ms;
	to->connections = (uint32_t)conf->limits_connections;
	to->connections_per_uid = (uint32_t)conf->limits_connections_per_uid;
	to->request_timeout_ms = conf->limits_request_timeout_ms;
	to->body_max = (uint64_t)conf->limits_body;
	to->map_size = (uint64_t)conf->store_map_size;
	to->daemon_uid = geteuid();
	to->socket_gid = conf->listens[0].gid;
	snprintf(to->state_dir, sizeof(to->state_dir), "%s", conf->state_dir);
	keeper_send(engine, &msg);
}

static void send_cluster(struct engine *engine, const struct conf_cluster *cluster)
{
	struct msg msg = {.type = MSG_CONFIG_CLUSTER};
	struct msg_config_cluster *to = &msg.u.config_cluster;

	to->generation = engine->generation;
	snprintf(to->cluster, sizeof(to->cluster), "%s", cluster->id);
	snprintf(to->description, sizeof(to->description), "%.255s", cluster->description);
	snprintf(to->data_dir, sizeof(to->data_dir), "%s", cluster->data_dir);
	snprintf(to->database, sizeof(to->database), "%s", conf_database_name(cluster->database.type));
	to->min_free_percent = (uint8_t)cluster->min_free.percent;
	to->min_free_bytes = (uint64_t)cluster->min_free.bytes;
	snprintf(to->refusal, sizeof(to->refusal), "%s", cluster->refusal);
	to->verify_every_ms = cluster->verify_every_ms;
	to->restore_in_place = cluster->restore == CONF_RESTORE_IN_PLACE;
	keeper_send(engine, &msg);
}

static void send_listener(struct engine *engine, const struct conf_listen *listen)
{
	struct msg msg = {.type = MSG_CONFIG_LISTENER};
	struct msg_config_listener *to = &msg.u.config_listener;

	to->generation = engine->generation;
	snprintf(to->path, sizeof(to->path), "%s", listen->path);
	to->require_signature = listen->require_signature;
	keeper_send(engine, &msg);
}

static void send_key(struct engine *engine, const struct conf_key *key)
{
	struct msg msg = {.type = MSG_CONFIG_KEY};
	struct msg_config_key *to = &msg.u.config_key;

	to->generation = engine->generation;
	snprintf(to->id, sizeof(to->id), "%s", key->id);
	snprintf(to->secret, sizeof(to->secret), "%s", key->secret);
	to->has_uid = key->has_uid;
	to->uid = key->uid;
	to->has_gid = key->has_gid;
	to->gid = key->gid;
	keeper_send(engine, &msg);
	explicit_bzero(&msg, sizeof(msg));
}

static void send_statement(struct engine *engine, const struct policy_statement *statement)
{
	struct msg msg = {.type = MSG_CONFIG_STATEMENT};
	struct msg_blob *to = &msg.u.config_statement.statement;

	_Static_assert((int)POLICY_STATEMENT_SIZE_MAX <= (int)MSG_BLOB_SIZE, "any statement fits");
	msg.u.config_statement.generation = engine->generation;
	to->size = (uint16_t)policy_statement_encode(statement, to->bytes, sizeof(to->bytes));
	keeper_send(engine, &msg);
}

void engine_send_config(struct engine *engine)
{
	const struct policy *policy = engine->conf->policy;
	struct msg end = {.type = MSG_CONFIG_END};

	send_general(engine);
	for (size_t i = 0; i < engine->conf->listen_count; i++)
		send_listener(engine, &engine->conf->listens[i]);
	for (size_t i = 0; i < engine->conf->cluster_count; i++)
		send_cluster(engine, &engine->conf->clusters[i]);
	for (size_t i = 0; i < engine->conf->key_count; i++)
		send_key(engine, &engine->conf->keys[i]);
	for (size_t i = 0; policy && i < policy_count(policy); i++)
		send_statement(engine, policy_at(policy, i));
	end.u.config_end.generation = engine->generation;
	end.u.config_end.clusters = (uint32_t)engine->conf->cluster_count;
	end.u.config_end.listeners = (uint32_t)engine->conf->listen_count;
	end.u.config_end.keys = (uint32_t)engine->conf->key_count;
	end.u.config_end.statements = policy ? (uint32_t)policy_count(policy) : 0;
	end.u.config_end.policies = policy != NULL;
	keeper_send(engine, &end);
}
