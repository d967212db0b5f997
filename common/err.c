/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names and sentences of the project's error codes, and the errno boundary. */
#include "common/err.h"

#include <errno.h>
#include <stddef.h>

struct err_row {
	const char *name;
	const char *text;
};

static const struct err_row rows[] = {
	[-ERR_OK] = {"ERR_OK", "done"},
	[-ERR_NOMEM] = {"ERR_NOMEM", "out of memory"},
	[-ERR_IO] = {"ERR_IO", "input/output error"},
	[-ERR_INVALID] = {"ERR_INVALID", "malformed"},
	[-ERR_TOO_LONG] = {"ERR_TOO_LONG", "too long"},
	[-ERR_NOT_FOUND] = {"ERR_NOT_FOUND", "not found"},
	[-ERR_EXISTS] = {"ERR_EXISTS", "exists already"},
	[-ERR_DENIED] = {"ERR_DENIED", "permission denied"},
	[-ERR_BUSY] = {"ERR_BUSY", "busy"},
	[-ERR_FULL] = {"ERR_FULL", "no room left"},
	[-ERR_STATE] = {"ERR_STATE", "not possible in this state"},
	[-ERR_VERSION] = {"ERR_VERSION", "written by another version"},
	[-ERR_CORRUPT] = {"ERR_CORRUPT", "damaged"},
	[-ERR_TIMEOUT] = {"ERR_TIMEOUT", "timed out"},
	[-ERR_CLOSED] = {"ERR_CLOSED", "the other end is gone"},
	[-ERR_UNSUPPORTED] = {"ERR_UNSUPPORTED", "not supported"},
	[-ERR_UNTRUSTED] = {"ERR_UNTRUSTED", "owner or mode cannot be trusted"},
	[-ERR_OFFLINE] = {"ERR_OFFLINE", "not reachable now"},
	[-ERR_FOREIGN] = {"ERR_FOREIGN", "belongs to another install or cluster"},
	[-ERR_CANCELLED] = {"ERR_CANCELLED", "cancelled"},
	[-ERR_UNKNOWN] = {"ERR_UNKNOWN", "outcome unknown"},
	[-ERR_LAYOUT] = {"ERR_LAYOUT", "the cluster cannot be cut consistently"},
	[-ERR_DATABASE] = {"ERR_DATABASE", "the database server refused"},
	[-ERR_MISMATCH] = {"ERR_MISMATCH", "does not match"},
};

static const struct err_row *row_of(int code)
{
	static const struct err_row other = {"ERR_OTHER", "unknown error"};

	return code <= 0 && code >= ERR_LAST ? &rows[-code] : &other;
}

const char *err_name(int code)
{
	return row_of(code)->name;
}

const char *err_text(int code)
{
	return row_of(code)->text;
}

int err_from_errno(int errno_value)
{
	switch (errno_value) {
	case ENOMEM:
		return ERR_NOMEM;
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case EBUSY:
	case EAGAIN:
		return ERR_BUSY;
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case EPIPE:
	case ECONNRESET:
		return ERR_CLOSED;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ENOSYS:
	case EOPNOTSUPP:
	case ENOTTY:
		return ERR_UNSUPPORTED;
	case EINVAL:
		return ERR_INVALID;
	case ENAMETOOLONG:
		return ERR_TOO_LONG;
	default:
		return ERR_IO;
	}
}
