/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The project's error codes. A function that can fail returns 0 (or a count)
 * or one of these, negative, and leaves its outputs untouched. Foreign errors
 * (errno, LMDB, libpq) become one of these at their boundary and nowhere else.
 */
#ifndef DBSNAP_ERR_H
#define DBSNAP_ERR_H

enum err {
	ERR_OK = 0,
	ERR_NOMEM = -1,        /* out of memory */
	ERR_IO = -2,           /* the system refused a read, write or sync */
	ERR_INVALID = -3,      /* malformed input */
	ERR_TOO_LONG = -4,     /* does not fit its bound */
	ERR_NOT_FOUND = -5,    /* no such thing */
	ERR_EXISTS = -6,       /* there already, and not ours or not the same */
	ERR_DENIED = -7,       /* not allowed */
	ERR_BUSY = -8,         /* held by another */
	ERR_FULL = -9,         /* no room: store map or disk */
	ERR_STATE = -10,       /* the thing's state does not allow it */
	ERR_VERSION = -11,     /* written by another version */
	ERR_CORRUPT = -12,     /* bytes that we wrote are not as we wrote them */
	ERR_TIMEOUT = -13,     /* a deadline passed */
	ERR_CLOSED = -14,      /* the other end is gone */
	ERR_UNSUPPORTED = -15, /* the system, or this release, cannot do it */
	ERR_UNTRUSTED = -16,   /* owner or mode would let another user interfere */
	ERR_OFFLINE = -17,     /* the place is not there now: cannot look is not gone */
	ERR_FOREIGN = -18,     /* made by another install or for another cluster */
	ERR_CANCELLED = -19,   /* asked to stop, and stopped */
	ERR_UNKNOWN = -20,     /* nobody can tell whether it happened */
	ERR_LAYOUT = -21,      /* the cluster cannot be cut consistently as it lies */
	ERR_DATABASE = -22,    /* the database server refused or answered nonsense */
	ERR_MISMATCH = -23,    /* two things that must be equal are not */
	ERR_LAST = -23
};

/* The code's name ("ERR_FULL") and its sentence ("no room left"). Static strings; never NULL. */
const char *err_name(int code);
const char *err_text(int code);

/* The project's code for an errno value (always negative, ERR_IO by default). */
int err_from_errno(int errno_value);

#endif
