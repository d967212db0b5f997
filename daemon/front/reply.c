/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of errors, and how objects are put together and sent. */
#include "daemon/front/reply.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/scope.h"
#include "daemon/front/audit.h"
#include "daemon/front/front.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_ID "dbsnapd"

enum { MESSAGE_SIZE = 2304, CODE_SIZE = 64, RETRY_AFTER_MS = 1000 };

struct code {
	int status;
	const char *code;
	const char *message;
};

static const struct code codes[REPLY_CODES] = {
	[REPLY_BACKUP_TYPE] = {400, "InvalidBackupType.Malformed", "The specified parameter BackupType is not valid."},
	[REPLY_BACKUP_METHOD] = {400, "InvalidBackupMethod.Malformed",
				 "The specified parameter BackupMethod is not valid."},
	[REPLY_QUOTA] = {403, "BackupTimesExceeded", "The maximum number of backups per day is exceeded."},
	[REPLY_CLUSTER_NOT_FOUND] = {404, "InvalidDBClusterId.NotFound",
				     "The DBClusterId provided does not exist in our records."},
	[REPLY_CLUSTER_MALFORMED_404] = {404, "InvalidDBClusterId.Malformed",
					 "The specified parameter DBClusterId is not valid."},
	[REPLY_CLUSTER_MALFORMED] = {400, "InvalidDBClusterId.Malformed",
				     "The specified parameter DBClusterId is not valid."},
	[REPLY_BACKUP_NOT_FOUND] = {400, "InvalidBackupSetID.NotFound",
				    "The specified parameter BackupId is not valid."},
	[REPLY_JOB_NOT_FOUND] = {404, "InvalidJobId.NotFound", "The specified job does not exist."},
	[REPLY_CLONE_NOT_FOUND] = {404, "InvalidCloneName.NotFound", "The specified clone does not exist."},
	[REPLY_QUARANTINED_NOT_FOUND] = {404, "InvalidName.NotFound", "The specified name is not in the quarantine."},
	[REPLY_PATH_NOT_FOUND] = {404, "InvalidPath.NotFound", "The path is not \"/\"."},
	[REPLY_MISSING_PARAMETER] = {400, "MissingParameter", "A required parameter is not specified."},
	[REPLY_INVALID_PARAMETER] = {400, "InvalidParameter", "A parameter is not valid."},
	[REPLY_INVALID_ACTION] = {403, "InvalidAction", "The specified action is not valid."},
	[REPLY_METHOD] = {403, "UnsupportedHTTPMethod", "This http method is not supported."},
	[REPLY_UNSUPPORTED_PARAMETER] = {400, "UnsupportedParameter", "A parameter is not supported."},
	[REPLY_TOKEN_MISMATCH] = {400, "IdempotentParameterMismatch",
				  "The ClientToken was used before with other parameters."},
	[REPLY_FORBIDDEN] = {403, "Forbidden.RAM", "You are not authorized to do this on this resource."},
	[REPLY_NO_ACCESS_KEY] = {404, "InvalidAccessKeyId.NotFound", "The specified AccessKeyId does not exist."},
	[REPLY_INCOMPLETE_SIGNATURE] = {400, "IncompleteSignature", "A part of the signature is missing."},
	[REPLY_SIGNATURE_METHOD] = {400, "InvalidSignatureMethod", "The specified parameter SignatureMethod is not valid."},
	[REPLY_SIGNATURE_MISMATCH] = {400, "SignatureDoesNotMatch",
				      "The signature is not the one that this key gives for this request."},
	[REPLY_NO_TIMESTAMP] = {400, "IllegalTimestamp", "The request has no timestamp."},
	[REPLY_TIMESTAMP_FORMAT] = {400, "InvalidTimeStamp.Format", "The timestamp is not yyyy-MM-ddTHH:mm:ssZ."},
	[REPLY_TIMESTAMP_EXPIRED] = {400, "InvalidTimeStamp.Expired", "The timestamp is too far from the time here."},
	[REPLY_NONCE_USED] = {400, "SignatureNonceUsed",
			      "A request with this nonce was served before: a retry needs a new nonce and signature."},
	[REPLY_THROTTLING] = {400, "Throttling", "There are too many requests: ask again later."},
	[REPLY_BACKUP_STATUS] = {403, "OperationDenied.BackupStatus", "The present state does not allow it."},
	[REPLY_DISK_FULL] = {403, "OperationDenied.DiskFull", "There is too little free space for a backup."},
	[REPLY_LAYOUT] = {403, "OperationDenied.Layout", "The cluster cannot be cut consistently."},
	[REPLY_TOO_LARGE] = {413, "RequestTooLarge", "The request is too large."},
	[REPLY_MALFORMED_REQUEST] = {400, "MalformedRequest", "The request is not well-formed."},
	[REPLY_INTERNAL] = {500, "InternalError", "The request failed because of an error of ours: the log has it."},
	[REPLY_UNAVAILABLE] = {503, "ServiceUnavailable", "The service cannot do this now: ask again later."},
};

/* An answer that cannot be put together must not look like one that was. */
static void *need(void *memory)
{
	if (memory)
		return memory;
	front_die("answering a request", ERR_NOMEM);
}

static void finish(struct call *call, json_t *object, const char *code, struct call_answer *answer)
{
	scope_free char *text = need(json_dumps(object, JSON_COMPACT));

	json_decref(object);
	answer->text = text;
	answer->size = strlen(text);
	audit_call(call, code);
	call->answer(call, answer);
}

static json_t *error_object(const char *request_id, const char *code, const char *message)
{
	json_t *object = need(json_object());

	reply_put(object, "RequestId", request_id);
	reply_put(object, "HostId", HOST_ID);
	reply_put(object, "Code", code);
	reply_put(object, "Message", message);
	return object;
}

static void answer_error(struct call *call, enum reply_code code, bool close, const char *format, va_list args)
{
	char message[MESSAGE_SIZE];
	struct call_answer answer = {.status = codes[code].status, .close = close};

	if (format)
		vsnprintf(message, sizeof(message), format, args);
	if (code == REPLY_THROTTLING || code == REPLY_UNAVAILABLE)
		answer.retry_after_ms = RETRY_AFTER_MS;
	finish(call, error_object(call->request_id, codes[code].code, format ? message : codes[code].message), codes[code].code,
	       &answer);
}

void reply_error(struct call *call, enum reply_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer_error(call, code, false, format, args);
	va_end(args);
}

void reply_error_and_close(struct call *call, enum reply_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer_error(call, code, true, format, args);
	va_end(args);
}

void reply_malformed_because(struct call *call, const char *parameter, const char *sentence)
{
	char code[CODE_SIZE], message[MESSAGE_SIZE];
	struct call_answer answer = {.status = 400};

	snprintf(code, sizeof(code), "Invalid%s.Malformed", parameter);
	snprintf(message, sizeof(message), "The specified parameter %s is not valid.%s%s", parameter, sentence[0] ? " " : "",
		 sentence);
	finish(call, error_object(call->request_id, code, message), code, &answer);
}

void reply_malformed(struct call *call, const char *parameter)
{
	reply_malformed_because(call, parameter, "");
}

void reply_missing(struct call *call, const char *parameter)
{
	reply_error(call, REPLY_MISSING_PARAMETER, "The required parameter \"%s\" is not specified.", parameter);
}

void reply_store_error(struct call *call, int error)
{
	switch (error) {
	case ERR_FULL:
		reply_error(call, REPLY_UNAVAILABLE, "The catalogue has no room: free space for it, or raise store.map_size.");
		return;
	case ERR_UNKNOWN:
		front_die("committing a request", error);
	default:
		log_error("request %s: the catalogue failed: %s", call->request_id, err_text(error));
		reply_error(call, REPLY_INTERNAL, NULL);
	}
}

char *reply_error_text(enum reply_code code, int *ret_status)
{
	char request_id[IDENT_UUID_SIZE];
	json_t *object;
	char *text;

	uuid_make(request_id);
	object = error_object(request_id, codes[code].code, codes[code].message);
	text = need(json_dumps(object, JSON_COMPACT));
	json_decref(object);
	*ret_status = codes[code].status;
	return text;
}

json_t *reply_begin(const struct call *call)
{
	json_t *object = need(json_object());

	reply_put(object, "RequestId", call->request_id);
	return object;
}

void reply_send(struct call *call, json_t *object)
{
	finish(call, object, NULL, &(struct call_answer){.status = 200});
}

void reply_done(struct call *call)
{
	reply_send(call, reply_begin(call));
}

json_t *reply_text(const char *value)
{
	json_t *text = json_string(value);
	scope_free char *clean = NULL;

	if (text)
		return text;
	clean = need(strdup(value));
	for (char *c = clean; *c; c++)
		*c = *c < 0 ? '?' : *c;
	return need(json_string(clean));
}

void reply_put_new(json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, name, value) < 0)
		need(NULL);
}

void reply_put(json_t *object, const char *name, const char *value)
{
	if (value && value[0])
		reply_put_new(object, name, reply_text(value));
}

void reply_put_number(json_t *object, const char *name, uint64_t value)
{
	char text[IDENT_ID_SIZE];

	ident_format_id(value, text);
	reply_put(object, name, text);
}

void reply_put_bool(json_t *object, const char *name, bool value)
{
	reply_put(object, name, value ? "true" : "false");
}

void reply_put_time(json_t *object, const char *name, int64_t wall_ms)
{
	char text[21];

	if (wall_ms == 0)
		return;
	clock_format(wall_ms, text);
	reply_put(object, name, text);
}

void reply_put_lines(json_t *object, const char *name, const char *lines)
{
	scope_free char *copy = need(strdup(lines));
	json_t *array = need(json_array());
	char *rest = copy, *line;

	while ((line = strsep(&rest, "\n"))) {
		if (line[0] && json_array_append_new(array, reply_text(line)) < 0)
			need(NULL);
	}
	if (json_array_size(array) > 0)
		reply_put_new(object, name, array);
	else
		json_decref(array);
}
