/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A call put as a policy's question, and the default policy. */
#include "daemon/front/authz.h"

#include "common/clock.h"
#include "common/policy.h"
#include "daemon/front/front.h"

#include <stdio.h>

static bool default_allows(const struct call *call)
{
	const struct msg_config *conf = &call->front->conf;
	const struct peer *peer = call->peer;

	if (call->key_id[0])
		return false;
	if (peer->uid == 0 || peer->uid == conf->daemon_uid)
		return true;
	return operation_is_for_group(call->row->operation) && peer_in_group(peer, conf->socket_gid);
}

static struct policy_question question_of(const struct call *call, const char *cluster, const char *mode)
{
	const struct msg_config *conf = &call->front->conf;

	return (struct policy_question){
		.caller = {.key_id = call->key_id[0] ? call->key_id : NULL,
			   .uid = call->peer->uid,
			   .gid = call->peer->gid,
			   .groups = call->peer->groups,
			   .group_count = call->peer->group_count},
		.operation = call->row->operation,
		.region_id = conf->region_id,
		.account_id = conf->account_id,
		.cluster = cluster,
		.mode = mode,
		.now_ms = clock_wall_ms(),
	};
}

bool authz_allows(const struct call *call, const char *cluster, const char *mode, struct policy_decision *ret_decision)
{
	struct policy_question question;

	*ret_decision = (struct policy_decision){.answer = POLICY_SILENT};
	if (!call->front->policy)
		return default_allows(call);
	question = question_of(call, cluster, mode);
	policy_decide(call->front->policy, &question, ret_decision);
	return ret_decision->answer == POLICY_ALLOWED;
}

bool authz_allows_some(const struct call *call, const char *mode)
{
	struct policy_question question;

	if (!call->front->policy)
		return default_allows(call);
	question = question_of(call, "", mode);
	return policy_allows_some(call->front->policy, &question);
}

void authz_note(struct call *call, const struct policy_decision *decision)
{
	if (!call->front->policy)
		return;
	if (decision->by)
		policy_statement_describe(decision->by, call->decided, sizeof(call->decided));
	else
		snprintf(call->decided, sizeof(call->decided), "no statement allows it");
}
