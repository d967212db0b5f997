/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every message between the front, the engine and its workers.
 *
 * One message is one packet of a SEQPACKET socket pair: a 16-bit type, a 32-bit
 * tag, then the type's fields in the order of its struct below, encoded by
 * common/cursor (integers big-endian, strings with a 16-bit length, a nonce as
 * its 16 bytes, a boolean as one byte 0 or 1). A decoder consumes exactly the
 * packet. The tag of a question comes back in each of its answers; 0 elsewhere.
 *
 * Directions: F front, E engine, W worker. E>F answers are mostly W>E messages
 * that the engine has checked and passed on. Whoever receives a malformed
 * message ends the relation: the front exits, the engine replaces the front,
 * the engine takes a worker's job for unknown.
 *
 * Worked example: CANCEL (24) of job 7, tag 0:
 *   00 18  00 00 00 00  00 00 00 00 00 00 00 07
 */
#ifndef DBSNAP_MSG_H
#define DBSNAP_MSG_H

#include "common/ident.h"
#include "common/log.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	MSG_PROTOCOL = 1,
	MSG_SIZE_MAX = 32768,
	MSG_PATH_SIZE = 1024,
	MSG_TEXT_SIZE = 1024,
	MSG_CHECKED_SIZE = 256,
	MSG_LINES_SIZE = 4096, /* several lines, separated by newlines */
	MSG_NAME_SIZE = 264,   /* "clones/" and a name in a folder */
	MSG_SOCKET_SIZE = 108, /* sun_path */
	MSG_KEY_ID_SIZE = 65,
	MSG_SECRET_SIZE = 129,
	MSG_BLOB_SIZE = 16384,
	MSG_SERVERS_MAX = 8 /* clones that run at once */
};

enum msg_type {
	/* Configuration, at the front's start and after a reload: CONFIG, the four lists in any order, CONFIG_END. */
	MSG_CONFIG = 1,         /* E>F */
	MSG_CONFIG_CLUSTER = 2, /* E>F */
	MSG_CONFIG_END = 3,     /* E>F: from here on this generation is in force */
	MSG_CONFIG_LISTENER = 4, /* E>F */
	MSG_CONFIG_KEY = 5,      /* E>F */
	MSG_CONFIG_STATEMENT = 6, /* E>F */
	/* A front's start: RECORDS for each cluster in its store, in order, HELLO; the engine answers
	 * with RUNNING for each job in flight and RUNNING_END. Later the front says READY, once. */
	MSG_RECORDS = 10,     /* F>E: also later, of a cluster whose first record is an adopted one */
	MSG_HELLO = 11,       /* F>E */
	MSG_RUNNING = 12,     /* E>F: also sent when a worker has been started for a JOB */
	MSG_RUNNING_END = 13, /* E>F */
	MSG_READY = 14,       /* F>E: recovered, and serving from now on */
	/* Jobs. A JOB is answered by RUNNING, PROGRESS any number of times, and one RESULT. */
	MSG_JOB = 20,      /* F>E */
	MSG_PROGRESS = 22, /* W>E, E>F */
	MSG_RESULT = 23,   /* W>E, E>F */
	MSG_CANCEL = 24,   /* F>E, E>W */
	/* Questions about a cluster, each answered by a worker. */
	MSG_PROBE = 30,        /* F>E: what is on disk? Answers: PROBED_ITEM any number of times, PROBED */
	MSG_PROBED_ITEM = 31,  /* W>E, E>F */
	MSG_PROBED = 32,       /* W>E, E>F */
	MSG_CHECK = 33,        /* F>E: layout, space, or a restore that is thought of. Answers: CHECKED_PART any number of times, CHECKED */
	MSG_CHECKED_PART = 34, /* W>E, E>F */
	MSG_CHECKED = 35,      /* W>E, E>F */
	MSG_MEASURE = 36,      /* F>E: how large is this backup? Answer: MEASURED */
	MSG_MEASURED = 37,     /* W>E, E>F */
	/* A hold of the database that the engine keeps for a worker: asked for, granted or refused, given up. */
	MSG_HOLD = 40,    /* W>E: asked for; E>W: granted, the server stands still */
	MSG_RELEASE = 41, /* W>E: given up; E>W, once a HOLD: refused, or it has ended, and the server goes on */
	/*
	 * The server of a clone, run by a worker for as long as the clone is to run. SERVE may be said again of one
	 * that runs, by a new front: it is answered as if it had just begun. Answers: SERVING when it answers, SERVED when it is over.
	 */
	MSG_SERVE = 45,   /* F>E */
	MSG_SERVING = 46, /* W>E, E>F */
	MSG_SERVED = 47,  /* W>E, E>F */
	MSG_UNSERVE = 48, /* F>E: end it; the worker gets a CANCEL of job 0 */
	/* Life. */
	MSG_PING = 50, /* E>F */
	MSG_PONG = 51, /* F>E */
	MSG_STOP = 52, /* E>F: no new work; the link's end is the end */
	MSG_LOG = 60,  /* F>E, W>E */
	MSG_CLOCK = 99 /* E>F: the scripted clock moved. Only to a front that was started with --test-clock */
};

enum msg_job_kind {
	JOB_CREATE = 1,
	JOB_DELETE = 2,
	JOB_CLONE = 3,
	JOB_DELETE_CLONE = 4,
	JOB_VERIFY = 5,
	JOB_RESTORE = 6,
	JOB_DELETE_QUARANTINED = 7,
	JOB_KIND_MAX = 7
};

enum msg_phase {
	PHASE_NONE = 0,
	PHASE_PREPARING = 1, /* layout, helper, flush */
	PHASE_CUTTING = 2,   /* "Uploading" on the wire */
	PHASE_CHECKING = 3,  /* checks, sync */
	PHASE_MAX = 3
};

enum msg_outcome {
	OUTCOME_DONE = 1,
	OUTCOME_FAILED = 2,    /* it failed and left nothing behind; retry tells whether another attempt may help */
	OUTCOME_CANCELLED = 3, /* it stopped when asked, and left nothing behind */
	OUTCOME_UNKNOWN = 4,   /* the worker died or was killed: probe before any retry */
	OUTCOME_BUSY = 5,      /* not begun: another process holds the marker, or the engine is stopping */
	OUTCOME_MAX = 5
};

enum msg_verdict { VERDICT_NONE = 0, VERDICT_GOOD = 1, VERDICT_BAD = 2, VERDICT_MAX = 2 }; /* as enum record_verdict */

enum msg_mode { MODE_NONE = 0, MODE_MANUAL = 1, MODE_AUTOMATED = 2, MODE_MAX = 2 }; /* as enum backup_mode */

enum msg_place {
	PLACE_ONLINE = 0,
	PLACE_OFFLINE = 1, /* no marker: not mounted yet, or gone */
	PLACE_BUSY = 2,    /* a worker of a dead engine still holds the marker */
	PLACE_REFUSED = 3, /* untrusted, another install's, unknown user: cause and remedy tell */
	PLACE_MAX = 3
};

enum msg_item {
	ITEM_BACKUP = 0,           /* <id>/ with its manifest */
	ITEM_PARTIAL = 1,          /* .<id>/ without a manifest; nonce from its intent, zero if unreadable */
	ITEM_PARTIAL_DONE = 2,     /* .<id>/ with its manifest: only the rename is missing */
	ITEM_DELETING = 3,         /* .del-<id>/; nonce from its manifest or intent */
	ITEM_CLONE = 4,            /* clones/<name> with its manifest */
	ITEM_CLONE_PARTIAL = 5,    /* clones/.<name>, or a clone's manifest without the clone */
	ITEM_STRANGER = 6,         /* anything else: never touched */
	ITEM_MAX = 6
};

/* Whose an item is, by its papers. */
enum msg_owner {
	OWNER_NONE = 0,    /* none that can be read */
	OWNER_OURS = 1,    /* this install's and this cluster's */
	OWNER_INSTALL = 2, /* another install's */
	OWNER_CLUSTER = 3, /* this install's, of another cluster */
	OWNER_MAX = 3
};

enum msg_depth { DEPTH_SPACE = 0, DEPTH_LAYOUT = 1, DEPTH_RESTORE = 2, DEPTH_MAX = 2 };

/* What a finished backup is: in a create's RESULT and in the probe's items. From the manifest. */
struct msg_facts {
	struct nonce nonce;
	int64_t accepted_ms; /* wall time of acceptance */
	int64_t started_ms;
	int64_t ended_ms;
	int64_t consistent_ms; /* wall time of the cut */
	uint64_t cut_us;
	uint64_t freeze_us;
	uint64_t size; /* bytes; with size_known */
	bool size_known;
	uint8_t mode; /* enum msg_mode */
	int64_t expires_ms;
	char principal[IDENT_PRINCIPAL_SIZE];
	char request[IDENT_UUID_SIZE];
	char backend[16];
	char procedure[16];
	char promise[16];
	char weakened[MSG_TEXT_SIZE]; /* lines */
	char server[64];              /* "PostgreSQL 15.18" */
	char position[128];           /* "LSN 0/3000148, timeline 1" */
	char path[MSG_PATH_SIZE];     /* of the backup's folder, which holds data/ */
};

struct msg_config {
	uint32_t generation;
	char region_id[64];
	char account_id[64];
	uint32_t manual_per_day;
	uint32_t manual_retained;
	uint32_t creates_per_day;
	int64_t utc_offset_min;
	bool refund_deleted;
	int64_t token_ttl_ms;
	uint32_t max_running;
	int64_t job_timeout_ms;
	int64_t history_ms;
	uint32_t connections;
	uint32_t connections_per_uid;
	int64_t request_timeout_ms;
	uint64_t body_max;
	uint64_t map_size;
	uint32_t daemon_uid; /* the engine's own */
	uint32_t socket_gid; /* of the first socket: its members may CreateBackup and Describe */
	char state_dir[MSG_PATH_SIZE];
};

struct msg_config_cluster {
	uint32_t generation;
	char cluster[IDENT_CLUSTER_SIZE];
	char description[256];
	char data_dir[MSG_PATH_SIZE];
	char database[16];       /* configured type: auto, postgresql, none */
	uint8_t min_free_percent; /* 0 if min_free_bytes is meant */
	uint64_t min_free_bytes;
	char refusal[MSG_TEXT_SIZE]; /* known from the configuration alone; "" = none */
	char remedy[MSG_TEXT_SIZE];
	int64_t verify_every_ms; /* 0: backups are verified on request only */
	bool restore_in_place;
};

/* A listening socket, in the order of the front's descriptors. */
struct msg_config_listener {
	uint32_t generation;
	char path[MSG_SOCKET_SIZE];
	bool require_signature;
};

/* An access key. What holds one wipes it when it is done. */
struct msg_config_key {
	uint32_t generation;
	char id[MSG_KEY_ID_SIZE];
	char secret[MSG_SECRET_SIZE];
	bool has_uid; /* only peers with this uid may use it */
	uint32_t uid;
	bool has_gid; /* only peers in this group */
	uint32_t gid;
};

/* Bytes with a 16-bit length. */
struct msg_blob {
	uint16_t size;
	uint8_t bytes[MSG_BLOB_SIZE];
};

/* A statement of a policy with its principals, as common/policy.h encodes it. */
struct msg_config_statement {
	uint32_t generation;
	struct msg_blob statement;
};

struct msg_config_end {
	uint32_t generation;
	uint32_t clusters; /* how many messages of each list came */
	uint32_t listeners;
	uint32_t keys;
	uint32_t statements;
	bool policies; /* there is a policy file, with statements or without: the default is off */
};

struct msg_records {
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t records; /* backups and clones that the store knows; no tombstones */
};

struct msg_hello {
	uint16_t protocol;
	struct nonce install;
	uint32_t clusters; /* RECORDS messages sent before */
};

struct msg_running {
	uint64_t job;
	uint8_t kind; /* enum msg_job_kind */
	char cluster[IDENT_CLUSTER_SIZE];
	uint32_t attempt;
	uint8_t phase; /* enum msg_phase */
	uint8_t percent;
};

struct msg_running_end {
	uint32_t jobs;
};

struct msg_job {
	uint64_t job;
	uint8_t kind; /* enum msg_job_kind */
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t backup;                 /* CREATE: the same as job; DELETE_CLONE: 0 */
	char clone[IDENT_CLONE_SIZE];    /* CLONE, DELETE_CLONE, DELETE_QUARANTINED of a clone; VERIFY: ident_verify_clone() */
	struct nonce nonce;              /* of what is made or deleted; VERIFY: the backup's */
	struct nonce source;             /* CLONE, VERIFY, RESTORE: the backup's nonce */
	uint32_t attempt;                /* from 1; RESTORE: 1 only if none was begun before */
	int64_t accepted_ms;
	uint8_t mode;                    /* enum msg_mode */
	int64_t expires_ms;
	uint64_t known_size;             /* the cluster's last known size, 0 = none */
	char principal[IDENT_PRINCIPAL_SIZE];
	char request[IDENT_UUID_SIZE];
	uint8_t item; /* enum msg_item; DELETE_QUARANTINED: what is to go; else 0 */
	bool settle;  /* RESTORE: only finish, or undo, what earlier attempts began */
};

struct msg_progress {
	uint64_t job;
	uint8_t phase;
	uint8_t percent;
	uint64_t bytes_done;
	uint64_t bytes_total;
};

struct msg_result {
	uint64_t job;
	uint32_t attempt;
	uint8_t outcome; /* enum msg_outcome */
	bool retry;      /* FAILED: another attempt may help */
	int64_t code;    /* enum err, 0 when DONE */
	char cause[MSG_TEXT_SIZE];
	char remedy[MSG_TEXT_SIZE];
	uint64_t free_bytes; /* of the cluster's file system after the job; both 0 = not known */
	uint64_t total_bytes;
	char socket_dir[MSG_PATH_SIZE]; /* CLONE */
	uint32_t port;                  /* CLONE */
	char kept[MSG_PATH_SIZE];       /* RESTORE and DONE: where the old data directory is now; "" there was none */
	struct msg_facts facts;         /* CREATE and DONE */
	uint8_t verdict;                /* enum msg_verdict; VERIFY and DONE: GOOD or BAD */
	char checked[MSG_CHECKED_SIZE]; /* VERIFY and DONE: what was looked at */
	char found[MSG_TEXT_SIZE];      /* BAD: what is wrong, in lines */
};

struct msg_cancel {
	uint64_t job;
};

struct msg_probe {
	char cluster[IDENT_CLUSTER_SIZE];
	bool exclusive; /* first probe of an engine's life, or after an unknown outcome: nobody else may hold the marker */
};

struct msg_probed_item {
	char cluster[IDENT_CLUSTER_SIZE];
	uint8_t item; /* enum msg_item */
	uint64_t backup;
	char name[MSG_NAME_SIZE]; /* as on disk, from snapshot_dir; a clone's its own; bytes outside 0x21..0x7e as '?' */
	uint8_t owner; /* enum msg_owner */
	struct msg_facts facts; /* of what has a manifest; of the others only the nonce */
};

struct msg_probed {
	char cluster[IDENT_CLUSTER_SIZE];
	uint8_t place; /* enum msg_place */
	int64_t code;
	char cause[MSG_TEXT_SIZE];
	char remedy[MSG_TEXT_SIZE];
	char snapshot_dir[MSG_PATH_SIZE];
	uint64_t free_bytes;
	uint64_t total_bytes;
	uint64_t file_system; /* jobs on clusters of the same number share a disk; 0 = not known */
	uint32_t items;       /* PROBED_ITEM messages sent before */
};

struct msg_check {
	char cluster[IDENT_CLUSTER_SIZE];
	uint8_t depth; /* enum msg_depth */
	bool survey;   /* LAYOUT: look at every name as well, which takes time; a person asks */
	uint64_t needed; /* bytes that the next backup takes, if its backend copies and that is known; 0 */
	uint64_t backup;    /* RESTORE: which one; else 0 */
	struct nonce nonce; /* RESTORE: its */
};

/* How much of a part a survey has seen. */
enum msg_measured_part {
	PART_NOT_MEASURED = 0,
	PART_MEASURED = 1,
	PART_AT_LEAST = 2, /* it was not done in time, or could not see everything */
	PART_MEASURED_MAX = 2
};

struct msg_checked_part {
	char cluster[IDENT_CLUSTER_SIZE];
	char role[32]; /* data, wal, redo, undo, aria log, binary log, tablespace <oid>, configuration, snapshots */
	char path[MSG_PATH_SIZE];
	char device[32];      /* "0:45" */
	char file_system[32]; /* "btrfs" */
	char subvolume[64];   /* "id 257", "" where there are none */
	bool inside;          /* inside the data directory's own subvolume */
	char taken[16];       /* how it comes into a backup: snapshot, walk, program, log, config; "" it does not */
	uint8_t measured;     /* enum msg_measured_part; of what follows. What is in another part is not counted here */
	uint64_t bytes;       /* allocated, each inode once */
	uint64_t files;       /* regular ones, each name */
	char largest[256];    /* path of the largest file, from the part's folder on, escaped; "" none */
	uint64_t extents;     /* of that one; 0: not known */
	bool more_extents;    /* it has more than that */
};

struct msg_checked {
	char cluster[IDENT_CLUSTER_SIZE];
	uint8_t depth;
	uint8_t place; /* enum msg_place */
	bool ok;       /* LAYOUT: a create would be tried; RESTORE: so would the restore */
	int64_t code;
	bool retry;    /* not ok, and may pass by itself: a server that is starting, stopping, hung */
	char backend[16];
	char procedure[16];
	char promise[16];
	char database[16]; /* postgresql, none */
	char server[64];
	char snapshot_dir[MSG_PATH_SIZE];
	char warnings[MSG_LINES_SIZE];
	char why_not[MSG_LINES_SIZE]; /* each better backend, and why it is not the one: "btrfs: ..." */
	char refusal[MSG_TEXT_SIZE];
	char remedy[MSG_TEXT_SIZE];
	uint64_t free_bytes;
	uint64_t total_bytes;
	bool space_low;          /* below min_free or the backend's own floor */
	char space[MSG_TEXT_SIZE]; /* space_low: which file system, what is free, what is needed */
	char steps[MSG_LINES_SIZE]; /* RESTORE: what would be done, a line each */
	/* LAYOUT. */
	char weakened[MSG_TEXT_SIZE]; /* what the server's settings make weaker, a line each */
	char account[MSG_TEXT_SIZE]; /* SQL that makes an account with the rights that the procedure needs, a line each */
	int64_t cut_us;    /* that the next cut is expected to take; -1: not known */
	int64_t freeze_us; /* that writers are expected to be held; -1: not known */
	char expected[MSG_TEXT_SIZE]; /* where these two come from, or why nothing can be said; "" */
};

struct msg_measure {
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t backup;
	struct nonce nonce;
};

struct msg_measured {
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t backup;
	int64_t code;
	uint64_t size;
	int64_t measured_ms;
};

struct msg_hold {
	uint64_t job;
	uint32_t pid;       /* what is to be held still */
	uint64_t pid_start; /* its start time, field 22 of /proc/PID/stat */
	uint32_t max_ms;    /* W>E: no longer than that, and than its configuration allows */
};

struct msg_release {
	uint64_t job;
	int64_t code; /* E>W: 0: given up by the worker, and the server stood still until then; else why. W>E: 0 */
	uint64_t held_us; /* E>W: how long it was held. W>E: 0 */
};

struct msg_serve {
	char cluster[IDENT_CLUSTER_SIZE];
	char clone[IDENT_CLONE_SIZE];
	uint64_t backup;
	struct nonce nonce; /* the clone's */
	int64_t ttl_ms;     /* running time that is left to it; 0: no end */
};

struct msg_serving {
	char cluster[IDENT_CLUSTER_SIZE];
	char clone[IDENT_CLONE_SIZE];
	struct nonce nonce;
};

struct msg_served {
	char cluster[IDENT_CLUSTER_SIZE];
	char clone[IDENT_CLONE_SIZE];
	struct nonce nonce;
	int64_t code; /* enum err; 0: ended as it was told. BUSY: not begun, to be asked for again */
	char cause[MSG_TEXT_SIZE];
	char remedy[MSG_TEXT_SIZE];
};

struct msg_ping {
	uint64_t number;
};

struct msg_log {
	uint8_t level; /* enum log_level */
	char cluster[IDENT_CLUSTER_SIZE];
	uint64_t backup;
	uint64_t job;
	char clone[IDENT_CLONE_SIZE];
	char request[IDENT_UUID_SIZE];
	char text[LOG_LINE_SIZE];
};

/* A decoded message. READY, STOP and CLOCK have no fields; PONG has PING's, UNSERVE has SERVING's. */
struct msg {
	enum msg_type type;
	uint32_t tag;
	union {
		struct msg_config config;
		struct msg_config_cluster config_cluster;
		struct msg_config_end config_end;
		struct msg_config_listener config_listener;
		struct msg_config_key config_key;
		struct msg_config_statement config_statement;
		struct msg_records records;
		struct msg_hello hello;
		struct msg_running running;
		struct msg_running_end running_end;
		struct msg_job job;
		struct msg_progress progress;
		struct msg_result result;
		struct msg_cancel cancel;
		struct msg_probe probe;
		struct msg_probed_item probed_item;
		struct msg_probed probed;
		struct msg_check check;
		struct msg_checked_part checked_part;
		struct msg_checked checked;
		struct msg_measure measure;
		struct msg_measured measured;
		struct msg_hold hold;
		struct msg_release release;
		struct msg_serve serve;
		struct msg_serving serving;
		struct msg_served served;
		struct msg_ping ping;
		struct msg_log log;
	} u;
};

/* The type's name ("JOB"), or NULL if there is no such type. */
const char *msg_name(unsigned type);

/* The number of bytes written, or ERR_TOO_LONG. bytes: MSG_SIZE_MAX suffices for any message. */
int msg_encode(const struct msg *msg, void *bytes, size_t size);

/*
 * 0, or ERR_INVALID: unknown type, a field out of its range, bytes missing or left over.
 * Beyond the encoding it checks what every receiver needs: cluster ids and clone
 * names are valid or empty, enumerations within their maximum, percent at most 100. On failure *ret_msg is as it was.
 */
int msg_decode(const void *bytes, size_t size, struct msg *ret_msg);

/*
 * One packet on a socket. Sending never waits: 0, ERR_BUSY (would block), ERR_CLOSED, ERR_IO, ERR_TOO_LONG.
 * Receiving: 0; ERR_BUSY (nothing there, on a non-blocking socket or with MSG_DONTWAIT in flags);
 * ERR_CLOSED (end of file); ERR_INVALID (malformed, or over MSG_SIZE_MAX).
 */
int msg_send(int fd, const struct msg *msg);
int msg_receive(int fd, int flags, struct msg *ret_msg);

/* Sends, waiting until there is room or the other end is gone: for workers. */
int msg_send_wait(int fd, const struct msg *msg);

#endif
