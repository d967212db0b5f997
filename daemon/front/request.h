/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parameters of one request: from the query, a form body or a JSON body,
 * each name at most once in all of them together. Names and values are UTF-8
 * without a NUL. Pure: no HTTP library, no policy.
 */
#ifndef DBSNAP_FRONT_REQUEST_H
#define DBSNAP_FRONT_REQUEST_H

#include <stddef.h>

enum {
	REQUEST_PARAMS_MAX = 128, /* what clients send of their own accord included */
	REQUEST_NAME_MAX = 128    /* bytes */
};

struct request_param {
	char *name; /* owned, as value */
	char *value;
};

struct request {
	struct request_param params[REQUEST_PARAMS_MAX];
	size_t count;
	size_t query_count; /* the first so many came from the query */
};

/*
 * Each adds what it finds: 0; ERR_INVALID: not well-formed (percent-encoding,
 * UTF-8, a NUL, no name); ERR_EXISTS: a name given twice; ERR_TOO_LONG: too many, or a name too long;
 * ERR_UNSUPPORTED: a JSON value that is an object or an array; ERR_NOMEM. On failure why is a sentence for the caller.
 */
enum { REQUEST_WHY_SIZE = 256 };
int request_add_form(struct request *request, const char *text, size_t size, char why[static REQUEST_WHY_SIZE]);
int request_add_json(struct request *request, const char *text, size_t size, char why[static REQUEST_WHY_SIZE]);

/* Borrowed; NULL if absent. An empty value counts as absent. */
const char *request_get(const struct request *request, const char *name);

void request_clear(struct request *request);

#endif
