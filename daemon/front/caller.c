/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What sign says, as api.md calls it. */
#include "daemon/front/caller.h"

#include "common/clock.h"
#include "daemon/front/front.h"
#include "daemon/front/reply.h"
#include "daemon/front/sign.h"

#include <stdio.h>
#include <string.h>

static void refuse(struct call *call, const struct sign_verdict *verdict)
{
	static const enum reply_code codes[] = {
		[SIGN_INCOMPLETE] = REPLY_INCOMPLETE_SIGNATURE,
		[SIGN_MALFORMED] = REPLY_MALFORMED_REQUEST,
		[SIGN_METHOD] = REPLY_SIGNATURE_METHOD,
		[SIGN_VERSION] = REPLY_INVALID_PARAMETER,
		[SIGN_NO_TIMESTAMP] = REPLY_NO_TIMESTAMP,
		[SIGN_TIMESTAMP_FORMAT] = REPLY_TIMESTAMP_FORMAT,
		[SIGN_NO_KEY] = REPLY_NO_ACCESS_KEY,
		[SIGN_EXPIRED] = REPLY_TIMESTAMP_EXPIRED,
		[SIGN_MISMATCH] = REPLY_SIGNATURE_MISMATCH,
		[SIGN_NONCE_USED] = REPLY_NONCE_USED,
		[SIGN_THROTTLED] = REPLY_THROTTLING,
	};

	if (verdict->result == SIGN_FAILED)
		reply_store_error(call, verdict->code);
	else
		reply_error(call, codes[verdict->result], verdict->why[0] ? "%s" : NULL, verdict->why);
}

static bool accept_unsigned(struct call *call)
{
	if (!call->require_signature)
		return true;
	reply_error(call, REPLY_INCOMPLETE_SIGNATURE,
		    "This socket takes signed requests only: sign with an AccessKey, or use the socket for this host's users.");
	return false;
}

bool caller_identify(struct call *call)
{
	static const struct sign_request nothing;
	const struct sign_request *wire = call->wire ? call->wire : &nothing;
	struct nonces_now now;
	struct sign_verdict verdict;

	if (!sign_is_claimed(&call->request, wire))
		return accept_unsigned(call);
	now = (struct nonces_now){clock_wall_ms(), clock_running_ms()};
	sign_verify(call->front->sign, &call->request, wire, call->peer, &now, &verdict);
	if (verdict.result != SIGN_VERIFIED) {
		refuse(call, &verdict);
		return false;
	}
	memcpy(call->key_id, verdict.key_id, sizeof(call->key_id));
	snprintf(call->principal, sizeof(call->principal), "key:%s", verdict.key_id);
	return true;
}

bool caller_identify_again(struct call *call)
{
	if (!call->key_id[0] || sign_has_key(call->front->sign, call->key_id, call->peer))
		return true;
	reply_error(call, REPLY_NO_ACCESS_KEY, NULL);
	return false;
}

struct token_owner caller_token_owner(const struct call *call)
{
	if (call->key_id[0])
		return (struct token_owner){.kind = TOKEN_OWNER_KEY, .key_id = call->key_id};
	return (struct token_owner){.kind = TOKEN_OWNER_UID, .uid = call->uid};
}
