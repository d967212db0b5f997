/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit record: who asked for what, on which cluster, with which result. */
#include "daemon/front/audit.h"

#include "common/log.h"
#include "daemon/front/api.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { ACTION_SHOWN = 64 };

void audit_note_token(struct call *call, const char *token)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (EVP_Digest(token, strlen(token), digest, &size, EVP_sha256(), NULL) != 1)
		return;
	hex_format(digest, (CALL_TOKEN_HASH_SIZE - 1) / 2, call->token_hash);
}

/* What the caller called it: an unknown name is shown cut and in ASCII, the log cleans the rest. */
static void show_action(const struct call *call, char shown[static ACTION_SHOWN])
{
	const char *name = call->row ? operation_name(call->row->operation) : request_get(&call->request, "Action");

	name = name ? name : call->header_action && !call->row ? call->header_action : "-";
	snprintf(shown, ACTION_SHOWN, "%s", name);
	for (char *c = shown; *c; c++)
		*c = *c < 0 ? '?' : *c;
}

void audit_call(const struct call *call, const char *code)
{
	struct log_about about = {.cluster = call->cluster[0] ? call->cluster : NULL,
				  .backup = call->about_backup,
				  .job = call->about_job,
				  .request = call->request_id};
	char action[ACTION_SHOWN];

	if (!code && call->row && call->row->level == API_LEVEL_GET)
		return;
	show_action(call, action);
	log_about(LOG_LEVEL_INFO, &about, "request %s by %s: %s \"%s\"%s%s%s%s%s%s%s%s%s", call->request_id,
		  call->principal[0] ? call->principal : "-", code ? "refused" : "accepted", action,
		  call->cluster[0] ? " on " : "", call->cluster, call->token_hash[0] ? " token " : "", call->token_hash,
		  code ? ": " : "", code ? code : "", call->decided[0] ? " (" : "", call->decided,
		  call->decided[0] ? ")" : "");
}
