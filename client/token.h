/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A create's ClientToken: with one, asking again after a broken connection is safe. */
#ifndef DBSNAP_CLIENT_TOKEN_H
#define DBSNAP_CLIENT_TOKEN_H

#include "common/ident.h"

#include <string.h>

enum { TOKEN_MADE_SIZE = 7 + IDENT_HEX_SIZE };

/* The one given, or a new random one in made. */
static inline const char *token_choose(const char *given, char made[static TOKEN_MADE_SIZE])
{
	struct nonce nonce;

	if (given)
		return given;
	nonce_make(&nonce);
	memcpy(made, "dbsnap-", 7);
	nonce_format(&nonce, made + 7);
	return made;
}

#endif
