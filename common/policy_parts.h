/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of policy share with each other, and nobody else uses: a compiled statement.
 *
 * Encoded, a statement is (common/cursor.h):
 *   bool allow, str file, u32 line,
 *   bool anybody, u16 n and n u32 uids, u16 n and n u32 gids (both ascending), u16 n and n str key ids,
 *   u64 actions (bit 1 << enum operation),
 *   u16 n and n str resource patterns, at least one,
 *   u16 n conditions: u8 key, u8 operator, u16 n and n values, at least one: i64, or str for text.
 * {Allow, "a", line 7, anybody, CreateBackup, "*", no condition}:
 *   01  00 01 61  00 00 00 07  01  00 00  00 00  00 00  00 00 00 00 00 00 00 01  00 01 00 01 2a  00 00
 */
#ifndef DBSNAP_POLICY_PARTS_H
#define DBSNAP_POLICY_PARTS_H

#include "common/policy.h"

enum { POLICY_KEY_ID_MAX = 64, POLICY_FILE_SIZE = 256, POLICY_RESOURCE_SIZE = 256 };

/* Bytes that another owns. */
struct policy_text {
	const char *bytes;
	size_t size;
};

enum policy_type { POLICY_TYPE_TEXT, POLICY_TYPE_NUMBER, POLICY_TYPE_DATE, POLICY_TYPE_BOOL };

enum policy_relation {
	POLICY_EQUAL,
	POLICY_EQUAL_IGNORING_CASE,
	POLICY_LIKE,
	POLICY_LESS,
	POLICY_LESS_OR_EQUAL,
	POLICY_GREATER,
	POLICY_GREATER_OR_EQUAL
};

struct policy_operator {
	const char *name;
	enum policy_type type;
	enum policy_relation relation;
	bool negated; /* no value may be in the relation */
};

enum policy_key { POLICY_KEY_TIME, POLICY_KEY_UID, POLICY_KEY_GID, POLICY_KEY_MODE };

struct policy_key_row {
	const char *name;
	enum policy_type type;
};

/* policy_words.c: both by the numbers that are encoded. */
enum { POLICY_OPERATORS = 19, POLICY_KEYS = 4 };
extern const struct policy_operator policy_operators[POLICY_OPERATORS];
extern const struct policy_key_row policy_keys[POLICY_KEYS];

/* Principals. */
struct policy_who {
	bool anybody;
	size_t uid_count, gid_count, key_count;
	uint32_t *uids, *gids; /* owned, ascending */
	struct policy_text *keys; /* owned */
	struct policy_text encoded;
};

struct policy_condition {
	const struct policy_operator *operator;
	enum policy_key key;
	size_t count;
	int64_t *numbers; /* owned; one of the two, by the operator's type */
	struct policy_text *texts;
};

/* A part of a pattern between two of ':' and '/'. */
struct policy_piece {
	enum { POLICY_PIECE_ANY, POLICY_PIECE_LITERAL, POLICY_PIECE_ENDS, POLICY_PIECE_GLOB } kind;
	struct policy_text text; /* ENDS: what stands before its one "*" */
	struct policy_text tail; /* ENDS: what stands behind it */
};

struct policy_resource {
	enum { POLICY_RESOURCE_EVERYTHING, POLICY_RESOURCE_PIECES, POLICY_RESOURCE_GLOB, POLICY_RESOURCE_NOTHING } form;
	struct policy_text text;
	struct policy_piece region, account, id; /* PIECES */
	bool id_is_possible;                     /* some id matches it */
};

struct policy_statement {
	uint64_t actions;
	bool allow;
	bool owns_who; /* else it is an earlier statement's: those of a file have the same */
	struct policy_who *who;
	size_t resource_count, condition_count;
	struct policy_resource *resources;   /* owned */
	struct policy_condition *conditions; /* owned */
	uint32_t line;
	size_t size;
	uint8_t *bytes; /* owned: the encoded statement, which all texts lie in */
	char file[POLICY_FILE_SIZE];
};

struct policy {
	struct policy_statement **statements; /* owned, each */
	size_t count, room;
};

/* How a cluster is named. */
enum policy_scope {
	POLICY_ONE,  /* by its id */
	POLICY_EACH, /* the pattern must match whatever the id is */
	POLICY_SOME  /* the pattern must match some text of the characters of an id, or none, in its place */
};

/* What resources are compared with: its whole name, and the parts that may differ. */
struct policy_target {
	char name[POLICY_RESOURCE_SIZE]; /* "acs:polardb:REGION:ACCOUNT:dbcluster/ID" */
	struct policy_text whole, region, account, id;
	size_t word; /* where in it "dbcluster" begins */
};

/* policy.c: drops the statements from number count on. */
void policy_truncate(struct policy *policy, size_t count);

/* policy_match.c: all pure. "*": any text, "?": any byte. */
bool policy_match_text(struct policy_text pattern, struct policy_text text);
bool policy_match_text_ignoring_case(struct policy_text pattern, struct policy_text text);
bool policy_equal_ignoring_case(struct policy_text a, struct policy_text b);
void policy_compile_resource(struct policy_text text, struct policy_resource *ret_resource);
/* cluster: an id, or "". */
void policy_target_of(const char *region_id, const char *account_id, const char *cluster,
		      struct policy_target *ret_target);
bool policy_match_resource(const struct policy_resource *resource, const struct policy_target *target,
			   enum policy_scope scope);

#endif
