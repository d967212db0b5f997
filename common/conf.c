/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables: every key that exists, once. To build a key that is "not built"
 * give it a member and take the mark off its row. The sentences are mdoc(7)
 * text in the manual page.
 */
#include "common/conf.h"

#include "common/conf_parts.h"
#include "common/err.h"
#include "common/xdg.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAEMON(member) .offset = offsetof(struct conf, member), .size = sizeof(((struct conf *)0)->member)
#define CLUSTER(member) \
	.offset = offsetof(struct conf_cluster, member), .size = sizeof(((struct conf_cluster *)0)->member)

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)
#define COUNT_MAX INT64_C(1000000000)

/* schema_value.c stores a word's value as an int. */
_Static_assert(sizeof(enum conf_backend) == sizeof(int), "enums are ints");

static const struct schema_list listens = {
	.max = CONF_LISTENS_MAX, .stride = sizeof(struct conf_listen), .count = offsetof(struct conf, listen_count),
	.line = offsetof(struct conf, listens[0].line),
};

static const struct schema_row daemon_table[] = {
	{"listen", SCHEMA_MAP, DAEMON(listens), .list = &listens,
	 .doc = "The Unix socket that clients connect to; or a list of sockets, of which the first is the daemon's own and "
		"each has its own path."},
	{"listen.path", SCHEMA_PATH, DAEMON(listens[0].path), .min = 1, .fallback = "/run/dbsnap/dbsnapd.sock",
	 .doc = "Where the socket is. A socket inherited from systemd must be at this path."},
	{"listen.mode", SCHEMA_MODE, DAEMON(listens[0].mode), .fallback = "0660",
	 .doc = "Its permissions. An inherited socket has its unit's. Without root the default is 0600."},
	{"listen.group", SCHEMA_NAME, DAEMON(listens[0].group), .fallback = "dbsnap",
	 .doc = "Its group; members of the first socket's may create and list backups where no policy says otherwise. Without "
		"root the default is the caller's own."},
	{"listen.require_signature", SCHEMA_BOOL, DAEMON(listens[0].require_signature), .fallback = "false",
	 .doc = "Whether requests without a signature are refused here: for a socket that a forwarder from TCP connects to, "
		"whose peer is always the forwarder."},
	{"state_dir", SCHEMA_PATH, DAEMON(state_dir), .min = 1, .fallback = DBSNAP_LOCALSTATEDIR "/lib/dbsnap",
	 .doc = "Where the catalogue is kept; not inside anything that is backed up."},
	{"region_id", SCHEMA_NAME, DAEMON(region_id), .min = 1, .fallback = "local",
	 .doc = "The region in resource names and answers."},
	{"account_id", SCHEMA_NAME, DAEMON(account_id), .min = 1, .fallback = "local",
	 .doc = "The account in resource names and answers."},
	{"clusters_dir", SCHEMA_PATH, DAEMON(clusters_dir), .min = 1,
	 .fallback = DBSNAP_SYSCONFDIR "/dbsnap/clusters.d", .doc = "The folder of cluster files. It may be missing."},
	{"policies_dir", SCHEMA_PATH, DAEMON(policies_dir), .min = 1,
	 .fallback = DBSNAP_SYSCONFDIR "/dbsnap/policies.d",
	 .doc = "The folder of policies, which say who may do what. It may be missing. Without a file in it root may do "
		"everything and the members of listen.group create and list backups."},
	{"access_keys", SCHEMA_PATH, DAEMON(access_keys), .min = 1, .fallback = DBSNAP_SYSCONFDIR "/dbsnap/access_keys.yaml",
	 .doc = "The file of keys for signed requests. It may be missing, unless it is named here: then there are none."},
	{"quota", SCHEMA_MAP, .doc = "How many manual backups a cluster may have."},
	{"quota.manual_per_day", SCHEMA_NUMBER, DAEMON(quota.manual_per_day), .max = COUNT_MAX, .fallback = "3",
	 .doc = "How many creates are accepted on one day, less those that were refunded; 0 allows none."},
	{"quota.manual_retained", SCHEMA_NUMBER, DAEMON(quota.manual_retained), .max = COUNT_MAX, .fallback = "3",
	 .doc = "How many may exist at once; 0 allows none."},
	{"quota.creates_per_day", SCHEMA_NUMBER, DAEMON(quota.creates_per_day), .max = COUNT_MAX, .fallback = "100",
	 .doc = "How many creates are accepted on one day whatever becomes of them; 0 allows none."},
	{"quota.utc_offset", SCHEMA_OFFSET, DAEMON(quota.utc_offset_min), .min = -14 * 60, .max = 14 * 60,
	 .fallback = "+00:00", .doc = "Where a day begins, east of UTC."},
	{"quota.refund_deleted", SCHEMA_BOOL, DAEMON(quota.refund_deleted), .fallback = "true",
	 .doc = "Whether deleting a backup on the day it was made gives that day's create back."},
	{"client_token", SCHEMA_MAP, .doc = "Idempotence of requests."},
	{"client_token.ttl", SCHEMA_DURATION, DAEMON(client_token_ttl_ms), .min = SECOND, .max = 400 * DAY,
	 .fallback = "24h", .doc = "How long a client token is remembered after its job has ended."},
	{"jobs", SCHEMA_MAP, .doc = "The work done for requests."},
	{"jobs.max_running", SCHEMA_NUMBER, DAEMON(jobs_max_running), .min = 1, .max = 64, .fallback = "2",
	 .doc = "How many jobs run at once; on one cluster's data it is always one."},
	{"jobs.timeout", SCHEMA_DURATION, DAEMON(jobs_timeout_ms), .min = SECOND, .max = 7 * DAY, .fallback = "1h",
	 .doc = "When a job that has not ended is killed."},
	{"limits", SCHEMA_MAP, .doc = "What a client may ask of the daemon."},
	{"limits.connections", SCHEMA_NUMBER, DAEMON(limits_connections), .min = 1, .max = 16384, .fallback = "1024",
	 .doc = "How many connections are open at once."},
	{"limits.connections_per_uid", SCHEMA_NUMBER, DAEMON(limits_connections_per_uid), .min = 1, .max = 16384,
	 .fallback = "256", .doc = "How many of them one user may have."},
	{"limits.request_timeout", SCHEMA_DURATION, DAEMON(limits_request_timeout_ms), .min = 100, .max = HOUR,
	 .fallback = "10s", .doc = "How long receiving a request, and sending its answer, may take."},
	{"limits.body", SCHEMA_SIZE, DAEMON(limits_body), .min = KIB, .max = MIB, .fallback = "64KiB",
	 .doc = "How large a request's body may be."},
	{"store", SCHEMA_MAP, .doc = "The catalogue."},
	/* The store takes no less (store.h). */
	{"store.map_size", SCHEMA_SIZE, DAEMON(store_map_size), .min = 4 * MIB, .max = TIB, .fallback = "1GiB",
	 .doc = "How large the catalogue may grow; creates are refused from 80% of it."},
	{"store.history", SCHEMA_DURATION, DAEMON(store_history_ms), .min = SECOND, .max = 36500 * DAY,
	 .fallback = "400d", .doc = "How long deleted backups and ended jobs stay listed."},
	{"metrics", SCHEMA_MAP, .not_built = true, .doc = "Metrics as a file."},
	{"metrics.textfile", SCHEMA_PATH, .not_built = true, .doc = "Where the metrics are written for node_exporter."},
	{NULL},
};

static const struct schema_word backends[] = {
	{"auto", CONF_BACKEND_AUTO}, {"btrfs", CONF_BACKEND_BTRFS}, {"reflink", CONF_BACKEND_REFLINK},
	{"copy", CONF_BACKEND_COPY}, {NULL},
};

#define DEFAULT_POSTGRESQL "host=/var/run/postgresql dbname=postgres"
#define DEFAULT_MARIADB "socket=/run/mysqld/mysqld.sock user=mysql"

static const struct schema_word databases[] = {
	{"auto", CONF_DATABASE_AUTO}, {"postgresql", CONF_DATABASE_POSTGRESQL}, {"mariadb", CONF_DATABASE_MARIADB},
	{"none", CONF_DATABASE_NONE}, {NULL},
};

static const struct schema_word quiesces[] = {
	{"auto", CONF_QUIESCE_AUTO}, {"none", CONF_QUIESCE_NONE}, {NULL},
};

static const struct schema_word restores[] = {
	{"off", CONF_RESTORE_OFF}, {"in-place", CONF_RESTORE_IN_PLACE}, {NULL},
};

static const struct schema_row cluster_table[] = {
	{"id", SCHEMA_CLUSTER, CLUSTER(id), .min = 1, .doc = "The cluster's name in every request."},
	{"description", SCHEMA_TEXT, CLUSTER(description), .max = CONF_DESCRIPTION_SIZE - 1, .fallback = "",
	 .doc = "A line for people."},
	{"data_dir", SCHEMA_PATH, CLUSTER(data_dir), .min = 1, .doc = "The database's data directory."},
	{"snapshot_dir", SCHEMA_PATH, CLUSTER(snapshot_dir), .fallback = "",
	 .doc = "Where its backups lie. Empty: .dbsnap/<id> at the top of data_dir's mount (without "
		"root in the folder that holds data_dir), on whose file system btrfs and "
		"reflink need it; for copy, and for auto where files cannot share blocks, <id> in /var/backups/dbsnap "
		"(without root in $XDG_DATA_HOME/dbsnap/backups)."},
	{"backend", SCHEMA_WORD, CLUSTER(backend), .words = backends, .fallback = "auto",
	 .doc = "How a snapshot is made: by btrfs in one moment; by reflink, whose files share their blocks with the "
		"source's; by copy, byte by byte. auto takes the first of these that can."},
	{"min_free", SCHEMA_FLOOR, CLUSTER(min_free), .max = 90, .fallback = "5%",
	 .doc = "How much of the file system stays free: below it creates are refused, deletes never."},
	{"protect", SCHEMA_MAP, .not_built = true, .doc = "What the engine enforces whatever it is asked."},
	{"protect.min_age", SCHEMA_DURATION, .not_built = true, .doc = "A younger backup is not deleted."},
	{"protect.keep", SCHEMA_NUMBER, .not_built = true, .doc = "This many are always kept."},
	{"protect.deletes_per_hour", SCHEMA_NUMBER, .not_built = true, .doc = "How fast backups may go."},
	{"restore", SCHEMA_WORD, CLUSTER(restore), .words = restores, .fallback = "off",
	 .doc = "Whether a backup may take the place of the data directory, which is kept under another name: in-place, "
		"or off. The server has to be stopped; see dbsnap restore in dbsnap(1)."},
	{"verify", SCHEMA_MAP, .doc = "The verification of backups without a request."},
	{"verify.every", SCHEMA_DURATION, CLUSTER(verify_every_ms), .max = 400 * DAY, .fallback = "0s",
	 .doc = "When the last verification is older, the newest backup that was never verified is. 0: never; on request always."},
	{"database", SCHEMA_MAP, .doc = "The server whose data it is."},
	{"database.type", SCHEMA_WORD, CLUSTER(database.type), .words = databases, .fallback = "auto",
	 .doc = "What lies in data_dir; auto looks at its files and refuses what it does not know."},
	{"database.user", SCHEMA_NAME, CLUSTER(database.user), .fallback = "",
	 .doc = "The operating-system user of the database. Empty: postgres; for type mariadb mysql; for type none the owner "
		"of data_dir; without root always the caller."},
	{"database.conninfo", SCHEMA_TEXT, CLUSTER(database.conninfo), .max = CONF_CONNINFO_SIZE - 1, .fallback = "",
	 .doc = "How the server is reached: key=value pairs, a Unix socket, no password. For PostgreSQL as libpq reads "
		"them; for MariaDB socket=PATH and user=NAME. Empty: \"" DEFAULT_POSTGRESQL "\" or \"" DEFAULT_MARIADB "\"."},
	{"database.bindir", SCHEMA_PATH, CLUSTER(database.bindir), .fallback = "",
	 .doc = "The folder of the server's programs, which verify and clones that run are served by, and of mariadb-backup: root's, and no other's to write, as each folder above it. "
		"Empty: where the server's executable lay when the backup was made, else where Debian has those of its release."},
	{"database.quiesce", SCHEMA_WORD, CLUSTER(database.quiesce), .words = quiesces, .fallback = "auto",
	 .doc = "How the server is made consistent around the cut; none: as after a crash."},
	{"database.max_freeze", SCHEMA_DURATION, CLUSTER(database.max_freeze_ms), .min = 100, .max = 10 * MINUTE,
	 .fallback = "5s",
	 .doc = "How long writers may be held for a cut, by a lock or, on XFS, by stopping the server: after that they are let go "
		"and the backup has failed."},
	{NULL},
};

_Static_assert(sizeof(daemon_table) / sizeof(daemon_table[0]) <= SCHEMA_ROWS_MAX, "rows have lines");
_Static_assert(sizeof(cluster_table) / sizeof(cluster_table[0]) <= SCHEMA_ROWS_MAX, "rows have lines");

const struct schema_row *conf_daemon_table(void)
{
	return daemon_table;
}

const struct schema_row *conf_cluster_table(void)
{
	return cluster_table;
}

static const char *word_of(const struct schema_word *words, int value)
{
	while (words->word && words->value != value)
		words++;
	return words->word ? words->word : "unknown";
}

const char *conf_backend_name(enum conf_backend backend)
{
	return word_of(backends, (int)backend);
}

const char *conf_database_name(enum conf_database type)
{
	return word_of(databases, (int)type);
}

const char *conf_conninfo(const struct conf_database_settings *database, enum conf_database type)
{
	if (database->conninfo[0])
		return database->conninfo;
	return type == CONF_DATABASE_MARIADB ? DEFAULT_MARIADB : DEFAULT_POSTGRESQL;
}

int conf_default_path(char *path, size_t size)
{
	int length;

	if (geteuid() != 0)
		return xdg_path(XDG_CONFIG("dbsnapd.yaml"), path, size);
	length = snprintf(path, size, "%s/dbsnap/dbsnapd.yaml", DBSNAP_SYSCONFDIR);
	return length > 0 && (size_t)length < size ? 0 : ERR_TOO_LONG;
}

/* The default of key without root; by the key's own rules, for the environment is not ours. */
static int set_own_place(struct conf *conf, const char *key, const char *variable, const char *fallback,
			 const char *tail)
{
	char path[CONF_PATH_SIZE], expected[CONF_ERROR_SIZE];
	int error = xdg_path(variable, fallback, tail, path, sizeof(path));

	if (error < 0)
		return error;
	return schema_set_value(&daemon_table[schema_find(daemon_table, key)], path, conf, expected, sizeof(expected));
}

static int set_own_places(struct conf *conf)
{
	int error = set_own_place(conf, "listen.path", XDG_SOCKET);

	conf->listens[0].group[0] = '\0';
	/* The caller's own group may be everybody's. */
	conf->listens[0].mode = 0600;
	if (error == 0)
		error = set_own_place(conf, "state_dir", "XDG_STATE_HOME", ".local/state", "dbsnap");
	if (error == 0)
		error = set_own_place(conf, "clusters_dir", XDG_CONFIG("clusters.d"));
	if (error == 0)
		error = set_own_place(conf, "policies_dir", XDG_CONFIG("policies.d"));
	if (error == 0)
		error = set_own_place(conf, "access_keys", XDG_CONFIG("access_keys.yaml"));
	if (error == 0)
		error = xdg_path("XDG_DATA_HOME", ".local/share", "dbsnap/backups", conf->copies_dir,
				 sizeof(conf->copies_dir));
	return error;
}

int conf_set_defaults(struct conf *conf)
{
	schema_set_defaults(daemon_table, conf);
	if (geteuid() != 0)
		return set_own_places(conf);
	snprintf(conf->copies_dir, sizeof(conf->copies_dir), "%s/backups/dbsnap", DBSNAP_LOCALSTATEDIR);
	return 0;
}

struct conf *conf_free(struct conf *conf)
{
	if (conf) {
		free(conf->clusters);
		conf_forget_keys(conf);
		policy_free(conf->policy);
		conf_errors_clear(&conf->warnings);
	}
	free(conf);
	return NULL;
}

static int compare_with_id(const void *id, const void *cluster)
{
	return strcmp(id, ((const struct conf_cluster *)cluster)->id);
}

const struct conf_cluster *conf_find_cluster(const struct conf *conf, const char *id)
{
	if (conf->cluster_count == 0)
		return NULL;
	return bsearch(id, conf->clusters, conf->cluster_count, sizeof(conf->clusters[0]), compare_with_id);
}
