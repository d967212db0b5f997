/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The small files of a snapshot_dir, as JSON in ASCII: marker.json (whose place
 * this is), intent (what a folder is going to be), manifest.json (what it is).
 * Written by our own emitter, read by libyaml, of which JSON is a part.
 *
 * Every file is one flat object but for lists; unknown keys are ignored, a
 * version above ours is refused. Example of an intent:
 *   {
 *     "version": 1,
 *     "kind": "intent",
 *     "install": "0123456789abcdef0123456789abcdef",
 *     "cluster": "pc-orders",
 *     "backup": 7,
 *     "nonce": "fedcba9876543210fedcba9876543210",
 *     "job": 7,
 *     "attempt": 1
 *   }
 */
#ifndef DBSNAP_ENGINE_MANIFEST_H
#define DBSNAP_ENGINE_MANIFEST_H

#include "common/ident.h"
#include "common/msg.h"

#include <stddef.h>
#include <stdint.h>

enum {
	MANIFEST_VERSION = 1,
	MANIFEST_PARTS_MAX = 68,
	MANIFEST_LINES_SIZE = 4096,
	MANIFEST_BYTES_MAX = 1 << 20
};

struct manifest_part {
	char role[32];
	uint32_t oid;
	char path[MSG_PATH_SIZE];      /* in the source */
	char fs_uuid[IDENT_UUID_SIZE];
	char subvolume_uuid[IDENT_UUID_SIZE]; /* of the image */
	char source_uuid[IDENT_UUID_SIZE];    /* of the source's subvolume */
};

/* marker.json */
struct marker {
	struct nonce install;
	char cluster[IDENT_CLUSTER_SIZE];
	char fs_uuid[IDENT_UUID_SIZE];
	char data_dir[MSG_PATH_SIZE];
};

/* intent of a backup, of a restore, and clones/.<name>.json from its beginning to the clone's end */
struct intent {
	struct nonce install;
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t backup;
	char clone[IDENT_CLONE_SIZE]; /* "" in a backup's */
	struct nonce nonce;
	uint64_t job;
	uint32_t attempt;
	struct nonce source;                  /* a clone's, a restore's: the backup's nonce */
	char subvolume_uuid[IDENT_UUID_SIZE]; /* a clone's, a restore's, once made */
	char backend[16];                     /* that makes it */
	char database[16];                    /* a clone's: db_ops's name */
	char bindir[MSG_PATH_SIZE];           /* a clone's: as in its backup's manifest */
	char socket_dir[MSG_PATH_SIZE];       /* a clone's, once made */
	uint32_t port;
	int64_t made_ms; /* a clone's, a restore's: wall time when it was whole; 0 before */
	uint64_t inode;  /* a restore's, once made: of the copy's folder */
};

/* manifest.json of a backup */
struct manifest {
	struct nonce install;
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t backup;
	uint64_t job;
	uint32_t attempt;
	struct msg_facts facts; /* facts.nonce: the backup's */
	char database[16];      /* db_ops's name */
	char data_dir[MSG_PATH_SIZE]; /* of the source */
	uint32_t uid, gid;            /* of the database's user */
	char bindir[MSG_PATH_SIZE];   /* where the server's executable lay; "" none ran */
	uint64_t files;               /* of a walk: names of regular files; 0: not known */
	char floor[64];               /* LSN that the cut is at or over, as the server writes it */
	char system_identifier[24];
	char settings[MANIFEST_LINES_SIZE]; /* lines: of an option file (MariaDB), without which no server starts on it */
	char skipped[MANIFEST_LINES_SIZE]; /* lines: names left out, links not followed */
	char config[MANIFEST_LINES_SIZE];  /* lines: files in config/, a '%' for each '/' of where they were */
	size_t part_count;
	struct manifest_part parts[MANIFEST_PARTS_MAX];
};

/*
 * Encoders give NUL-terminated text, which the caller frees. Bytes that are not
 * printable ASCII are written as \u00XX each, so that any path survives. NULL: no memory.
 */
char *marker_encode(const struct marker *marker);
char *intent_encode(const struct intent *intent);
char *manifest_encode(const struct manifest *manifest);

/*
 * Decoders: 0; ERR_CORRUPT (not what we write: malformed, a needed key missing, a value out of
 * its range); ERR_VERSION; ERR_NOMEM.
 */
int marker_decode(const char *text, size_t size, struct marker *ret_marker);
int intent_decode(const char *text, size_t size, struct intent *ret_intent);
int manifest_decode(const char *text, size_t size, struct manifest *ret_manifest);

#endif
