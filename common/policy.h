/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policies: who may do what to which cluster, as RAM documents say it. The files are read and
 * checked by whoever can read them (the engine; `dbsnap policy test`), compiled to
 * statements, and judged without any look at the world: policy_decide() is a pure function.
 * Nothing is skipped: a key, operator or value that is not understood is an error of the file.
 */
#ifndef DBSNAP_POLICY_H
#define DBSNAP_POLICY_H

#include "common/conf_error.h"
#include "common/operation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct policy;
struct policy_statement;

enum { POLICY_STATEMENTS_MAX = 4096, POLICY_STATEMENT_SIZE_MAX = 16384 /* encoded: fits a message */ };

/* Who asks. A signed caller is its key alone: its uid and groups count for conditions, never as a principal. */
struct policy_caller {
	const char *key_id; /* NULL: unsigned */
	uint32_t uid;       /* of the peer, in either case */
	uint32_t gid;
	const gid_t *groups; /* supplementary */
	size_t group_count;
};

struct policy_question {
	struct policy_caller caller;
	enum operation operation;
	const char *region_id;  /* as configured: at most 63 bytes, without ':' and '/' */
	const char *account_id; /* the same */
	/*
	 * "" (or longer than an id can be): one that nobody knows. It is allowed what is allowed on every
	 * cluster, so that the answer tells nothing: an Allow matches if its resource ends in a wildcard and
	 * matches the empty id, a Deny if its resource matches with any characters of an id, or none, for it.
	 */
	const char *cluster;
	const char *mode; /* dbsnap:BackupMode: "Manual", "Automated", or NULL: the key is absent */
	int64_t now_ms;   /* wall time; acs:CurrentTime is its whole seconds */
};

enum policy_answer {
	POLICY_SILENT = 0, /* no statement matches: not allowed */
	POLICY_ALLOWED = 1,
	POLICY_DENIED = 2 /* by a Deny */
};

struct policy_decision {
	enum policy_answer answer;
	const struct policy_statement *by; /* the first that decided; NULL with SILENT. Borrowed from the policy */
};

/* NULL: out of memory. */
struct policy *policy_new(void);
/* Takes NULL. Returns NULL. */
struct policy *policy_free(struct policy *policy);

/* Name service of the reader: fills in the number, or 0 or ERR_NOT_FOUND (any other code: cannot be asked). */
typedef int policy_lookup_fn(void *arg, const char *name, bool group, uint32_t *ret_id);

/*
 * Adds the statements of one file, all or none. Every error of the file is a line in errors; what is no error but
 * does nothing (an action that is no operation here) a line in warnings. 0, ERR_INVALID (with at least one line),
 * ERR_NOMEM. file: for messages, and its last component for decisions. Does not block but in lookup.
 */
int policy_parse(struct policy *policy, const char *file, const char *bytes, size_t size, policy_lookup_fn *lookup,
		 void *arg, struct conf_errors *errors, struct conf_errors *warnings);

size_t policy_count(const struct policy *policy);
/* Number 0 to policy_count() - 1, in the order of files and lines. Borrowed. */
const struct policy_statement *policy_at(const struct policy *policy, size_t number);
/* Borrowed from the statement. */
const char *policy_statement_file(const struct policy_statement *statement);
unsigned policy_statement_line(const struct policy_statement *statement);
bool policy_statement_allows(const struct policy_statement *statement);
/* 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-": may it stand after "accesskey:"? */
bool policy_is_key_id(const char *text);

/* Is there a cluster, with whichever id, that one of its resources matches? */
bool policy_statement_can_match(const struct policy_statement *statement, const char *region_id,
				const char *account_id);
/* "10-dba.yaml, line 7: Allow". text is cut to size. */
void policy_statement_describe(const struct policy_statement *statement, char *text, size_t size);

/* For the way to the front. The number of bytes, or ERR_TOO_LONG. POLICY_STATEMENT_SIZE_MAX suffices for any. */
int policy_statement_encode(const struct policy_statement *statement, void *bytes, size_t size);
/* Adds one. 0, ERR_INVALID, ERR_NOMEM, ERR_TOO_LONG (POLICY_STATEMENTS_MAX). */
int policy_add_encoded(struct policy *policy, const void *bytes, size_t size);

/* An explicit Deny wins, then an Allow. Allocates nothing. */
void policy_decide(const struct policy *policy, const struct policy_question *question,
		   struct policy_decision *ret_decision);
/*
 * Is there a cluster that this caller might be allowed to do this to? For lists that name none: whatever
 * exists, the answer is the same. The question's cluster is not looked at. A Deny counts here only if its
 * resource matches whatever the id.
 */
bool policy_allows_some(const struct policy *policy, const struct policy_question *question);

#endif
