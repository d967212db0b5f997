/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration's tables and structs. conf_load() reads dbsnapd.yaml and
 * every cluster file, checks all of it and resolves names to numbers, so that
 * nothing later asks a name service. Only the engine loads it; the front is told
 * what it needs. Nothing here logs: errors come back as lines.
 *
 * Units: *_ms are milliseconds, sizes are bytes, counts are counts. Paths are
 * absolute and clean (no "..", no empty component, no trailing slash).
 */
#ifndef DBSNAP_CONF_H
#define DBSNAP_CONF_H

#include "common/conf_error.h"
#include "common/ident.h"
#include "common/policy.h"
#include "common/proc.h"
#include "common/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	CONF_CLUSTERS_MAX = 256,
	CONF_KEYS_MAX = 256,
	CONF_PATH_SIZE = 1024,
	CONF_LISTENS_MAX = 8,
	CONF_SOCKET_SIZE = 108, /* sun_path */
	CONF_NAME_SIZE = 33,    /* a user's or group's name */
	CONF_LABEL_SIZE = 64,
	CONF_DESCRIPTION_SIZE = 257,
	CONF_CONNINFO_SIZE = 1024,
	CONF_REFUSAL_SIZE = 256
};

enum conf_backend { CONF_BACKEND_AUTO, CONF_BACKEND_BTRFS, CONF_BACKEND_REFLINK, CONF_BACKEND_COPY };
enum conf_database { CONF_DATABASE_AUTO, CONF_DATABASE_POSTGRESQL, CONF_DATABASE_MARIADB, CONF_DATABASE_NONE };
enum conf_quiesce { CONF_QUIESCE_AUTO, CONF_QUIESCE_NONE };
enum conf_restore { CONF_RESTORE_OFF, CONF_RESTORE_IN_PLACE };

/* How errors and lists call them: "btrfs", "postgresql", ... Static strings. */
const char *conf_backend_name(enum conf_backend backend);
const char *conf_database_name(enum conf_database type);

struct conf_listen {
	char path[CONF_SOCKET_SIZE];
	uint32_t mode;
	char group[CONF_NAME_SIZE]; /* "" (only without root): the caller's own */
	gid_t gid;                  /* resolved from group */
	bool require_signature;     /* unsigned requests are refused */
	unsigned line;              /* in a list, for messages; else 0 */
};

struct conf_quota {
	int64_t manual_per_day;
	int64_t manual_retained;
	int64_t creates_per_day;
	int64_t utc_offset_min;
	bool refund_deleted;
};

struct conf_database_settings {
	enum conf_database type;
	char user[CONF_NAME_SIZE]; /* as configured, or the default's name; "" with identity_from_owner */
	char conninfo[CONF_CONNINFO_SIZE]; /* "": the default of what lies there */
	char bindir[CONF_PATH_SIZE]; /* "": where the running server's executable lies */
	enum conf_quiesce quiesce;
	int64_t max_freeze_ms; /* how long writers may be held */
};

/* How a server of that type is reached: as configured, or its default. Borrowed from database, or static. */
const char *conf_conninfo(const struct conf_database_settings *database, enum conf_database type);
/* NULL if text may be a conninfo of a MariaDB, else what was expected. */
const char *conf_check_conninfo_mariadb(const char *text);

enum { CONF_TARGET_SIZE = 1024 };

/* Where a conninfo of a MariaDB leads; what it does not name is the default. */
struct conf_target_mariadb {
	char socket[CONF_TARGET_SIZE]; /* a path */
	char user[CONF_TARGET_SIZE];
};

/* False: it is none. */
bool conf_read_conninfo_mariadb(const char *text, struct conf_target_mariadb *ret_target);

struct conf_cluster {
	char id[IDENT_CLUSTER_SIZE];
	char description[CONF_DESCRIPTION_SIZE];
	char data_dir[CONF_PATH_SIZE];
	char snapshot_dir[CONF_PATH_SIZE]; /* "": the default, which the engine finds */
	enum conf_backend backend;
	struct schema_floor min_free;
	enum conf_restore restore;
	int64_t verify_every_ms; /* 0: on request only */
	struct conf_database_settings database;

	/*
	 * Who the helper and the walker become. Three cases:
	 * - identity_known: identity is it.
	 * - identity_from_owner (type none without a user, as root): the owner of
	 *   data_dir, which only a worker may look at.
	 * - neither: refusal says why; the cluster is listed and every job on it refused.
	 */
	struct proc_identity identity;
	bool identity_known;
	bool identity_from_owner;
	char refusal[CONF_REFUSAL_SIZE]; /* "" or cause and remedy in one sentence */
	char file[CONF_PATH_SIZE];       /* that it was read from, for messages */
};

/* An access key. Its secret is wiped with it. */
struct conf_key {
	char id[65];
	char secret[129];
	bool has_uid, has_gid; /* only peers with this uid, and in this group, may use it */
	uint32_t uid, gid;
};

struct conf {
	struct conf_listen listens[CONF_LISTENS_MAX]; /* the first is the daemon's own: what lies beside it */
	size_t listen_count;                          /* at least 1 */
	char state_dir[CONF_PATH_SIZE];
	char region_id[CONF_LABEL_SIZE];
	char account_id[CONF_LABEL_SIZE];
	char clusters_dir[CONF_PATH_SIZE];
	char policies_dir[CONF_PATH_SIZE];
	char access_keys[CONF_PATH_SIZE];
	struct conf_quota quota;
	int64_t client_token_ttl_ms;
	int64_t jobs_max_running;
	int64_t jobs_timeout_ms;
	int64_t limits_connections;
	int64_t limits_connections_per_uid;
	int64_t limits_request_timeout_ms;
	int64_t limits_body;
	int64_t store_map_size;
	int64_t store_history_ms;
	char copies_dir[CONF_PATH_SIZE]; /* no key: where backups lie that need not be on their source's file system */
	struct conf_cluster *clusters; /* owned; sorted by id (strcmp) */
	size_t cluster_count;
	struct conf_key *keys; /* owned; in the order of the file */
	size_t key_count;
	struct policy *policy;       /* owned; NULL: there is no policy file, and the default holds */
	struct conf_errors warnings; /* owned: what is no error and probably not meant */
};

/* The tables, for the manual page and for tests. */
const struct schema_row *conf_daemon_table(void);
const struct schema_row *conf_cluster_table(void);

/* Where the file is when no option says: below sysconfdir as root, else in $XDG_CONFIG_HOME. 0 or ERR_TOO_LONG. */
int conf_default_path(char *path, size_t size);

/*
 * Loads path (NULL: the default path, which may be missing: then all defaults)
 * and the files in clusters_dir and policies_dir (which may be missing: none). 0 and a
 * configuration that conf_free() releases; or ERR_INVALID with at least one line
 * in errors (the caller clears it in any case), or ERR_NOMEM. Blocks on files
 * and name services: at start and on reload only.
 */
int conf_load(const char *path, struct conf_errors *errors, struct conf **ret_conf);
/* The same without a look at clusters_dir and access_keys: no cluster and no key is in it. */
int conf_load_policies(const char *path, struct conf_errors *errors, struct conf **ret_conf);
/*
 * Only path's own keys, whatever is wrong with it or elsewhere: what cannot be read is the default. For listens[], of which there
 * is one at least. 0 or ERR_NOMEM.
 */
int conf_load_listens(const char *path, struct conf **ret_conf);
/* The number of a user or group of this host. 0, ERR_NOT_FOUND, ERR_NOMEM, ERR_IO. Blocks on name services. */
int conf_resolve_id(const char *name, bool group, uint32_t *ret_id);

/* Wipes the access keys and lets them go: for a process that is forked from the one that needs them. */
void conf_forget_keys(struct conf *conf);

/* NULL is fine. Always NULL. */
struct conf *conf_free(struct conf *conf);

/* Borrowed from conf; NULL if there is none. */
const struct conf_cluster *conf_find_cluster(const struct conf *conf, const char *id);

/*
 * May next replace old while the daemon runs? 0; or ERR_STATE and one sentence
 * in why: a key that needs a restart changed, or a cluster with a job in flight
 * (has_job says so) was removed or had data_dir, snapshot_dir, backend or its database user changed.
 */
int conf_reload_refusal(const struct conf *old, const struct conf *next,
			bool (*has_job)(void *arg, const char *cluster), void *arg, char *why, size_t why_size);

#endif
