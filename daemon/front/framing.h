/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Refuses a request whose HTTP form could be read in two ways, or that is none of
 * ours, before anything in it is acted on. evhttp has read it already: what evhttp
 * took for the body is what came, so only what it overlooks is checked here.
 */
#ifndef DBSNAP_FRONT_FRAMING_H
#define DBSNAP_FRONT_FRAMING_H

#include "daemon/front/reply.h"

struct evhttp_request;

struct framing_fault {
	enum reply_code code;
	const char *why; /* static; NULL: the code's own sentence */
};

/* True: well-formed. */
bool framing_check(struct evhttp_request *req, struct framing_fault *ret_fault);

#endif
