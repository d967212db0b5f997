/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers and errors as JSON. Each reply_* but reply_begin() and the put
 * functions answers the call, which is gone afterwards.
 */
#ifndef DBSNAP_FRONT_REPLY_H
#define DBSNAP_FRONT_REPLY_H

#include "daemon/front/call.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum reply_code {
	REPLY_BACKUP_TYPE,
	REPLY_BACKUP_METHOD,
	REPLY_QUOTA,
	REPLY_CLUSTER_NOT_FOUND,
	REPLY_CLUSTER_MALFORMED_404,
	REPLY_CLUSTER_MALFORMED,
	REPLY_BACKUP_NOT_FOUND,
	REPLY_JOB_NOT_FOUND,
	REPLY_CLONE_NOT_FOUND,
	REPLY_QUARANTINED_NOT_FOUND,
	REPLY_PATH_NOT_FOUND,
	REPLY_MISSING_PARAMETER,
	REPLY_INVALID_PARAMETER,
	REPLY_INVALID_ACTION,
	REPLY_METHOD,
	REPLY_UNSUPPORTED_PARAMETER,
	REPLY_TOKEN_MISMATCH,
	REPLY_FORBIDDEN,
	REPLY_NO_ACCESS_KEY,
	REPLY_INCOMPLETE_SIGNATURE,
	REPLY_SIGNATURE_METHOD,
	REPLY_SIGNATURE_MISMATCH,
	REPLY_NO_TIMESTAMP,
	REPLY_TIMESTAMP_FORMAT,
	REPLY_TIMESTAMP_EXPIRED,
	REPLY_NONCE_USED,
	REPLY_THROTTLING,
	REPLY_BACKUP_STATUS,
	REPLY_DISK_FULL,
	REPLY_LAYOUT,
	REPLY_TOO_LARGE,
	REPLY_MALFORMED_REQUEST,
	REPLY_INTERNAL,
	REPLY_UNAVAILABLE,
	REPLY_CODES
};

/* An error. format NULL: the code's own sentence. */
void reply_error(struct call *call, enum reply_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, and the connection is closed after it: what follows on it cannot be told apart. */
void reply_error_and_close(struct call *call, enum reply_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Invalid<parameter>.Malformed. */
void reply_malformed(struct call *call, const char *parameter);
/* The same, with a sentence that tells the form. */
void reply_malformed_because(struct call *call, const char *parameter, const char *sentence);
void reply_missing(struct call *call, const char *parameter);
/* An error of the store: ServiceUnavailable or InternalError. An unknown outcome of a commit ends the process: nobody is answered. */
void reply_store_error(struct call *call, int error);

/* The body of an error without a call: for a connection that is refused before it says anything. The caller frees it. */
char *reply_error_text(enum reply_code code, int *ret_status);

/* A new object that begins with RequestId. Never NULL (out of memory ends the process: every answer would be a lie). */
json_t *reply_begin(const struct call *call);
/* Status 200; takes the object. */
void reply_send(struct call *call, json_t *object);
/* RequestId only. */
void reply_done(struct call *call);

/* A field without a value (NULL or "") is left out; bytes that are not UTF-8 become '?'. */
void reply_put(json_t *object, const char *name, const char *value);
void reply_put_number(json_t *object, const char *name, uint64_t value); /* as a string */
void reply_put_bool(json_t *object, const char *name, bool value);       /* as a string */
void reply_put_time(json_t *object, const char *name, int64_t wall_ms);  /* left out when 0 */
/* An array of the lines; left out when there are none. */
void reply_put_lines(json_t *object, const char *name, const char *lines);
/* Takes value. */
void reply_put_new(json_t *object, const char *name, json_t *value);
/* A string for an array or object, bytes as above. */
json_t *reply_text(const char *value);

#endif
