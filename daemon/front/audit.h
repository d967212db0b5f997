/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One record in the log for every request that changes something or is refused. */
#ifndef DBSNAP_FRONT_AUDIT_H
#define DBSNAP_FRONT_AUDIT_H

#include "daemon/front/call.h"

/* Notes the hash of the request's token, never the token. */
void audit_note_token(struct call *call, const char *token);
/* code: of the error; NULL: done. */
void audit_call(const struct call *call, const char *code);

#endif
