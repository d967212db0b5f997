/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who makes a call: the AccessKey that signed it, or else the peer's uid. */
#ifndef DBSNAP_FRONT_CALLER_H
#define DBSNAP_FRONT_CALLER_H

#include "daemon/front/call.h"
#include "daemon/front/token.h"

#include <stdbool.h>

/* True: call's key_id and principal say who it is. False: it was refused, and answered. */
bool caller_identify(struct call *call);

/* After a reload. False: its key is none any more, and the call is answered. */
bool caller_identify_again(struct call *call);

/* Whose ClientTokens the call's are: a key's are never its uid's too. Borrows from call. */
struct token_owner caller_token_owner(const struct call *call);

#endif
