/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looks at where a data directory lies, and words the cluster file or the remedy. */
#include "client/propose.h"

#include "client/client.h"
#include "client/mounts.h"
#include "client/text.h"
#include "common/clock.h"
#include "common/scope.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum {
	SUBVOLUME_INODE = 256, /* of the top of every btrfs subvolume */
	ID_PARTS = 3,
	LINE_SIZE = 8192
};

/* Names that say nothing about what is in there. */
static bool is_generic(const char *name)
{
	static const char *const words[] = {"data", "main", "pgdata", "db", "pg_data"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(name, words[i]) == 0)
			return true;
	}
	return name[0] && strspn(name, "0123456789.") == strlen(name);
}

/* "/var/lib/postgresql/15/main" gives "postgresql-15-main", "/srv/pg/orders" gives "orders". */
static void id_from_path(const char *path, bool mariadb, char id[static IDENT_CLUSTER_SIZE])
{
	const char *from = path + strlen(path);
	size_t used = 0;

	for (int parts = 0; parts < ID_PARTS && from > path; parts++) {
		scope_free char *part = NULL;
		const char *end = from;

		while (from > path && from[-1] != '/')
			from--;
		part = text_format("%.*s", (int)(end - from), from);
		if (!is_generic(part))
			break;
		/* Only the step over the slash, when something lies above. */
		if (from > path + 1 && parts + 1 < ID_PARTS)
			from--;
	}
	for (; *from && used < IDENT_CLUSTER_SIZE - 8; from++) {
		char c = (char)tolower((unsigned char)*from);
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (plain || (used > 0 && id[used - 1] != '-'))
			id[used++] = plain ? c : '-';
	}
	while (used > 0 && id[used - 1] == '-')
		used--;
	id[used] = '\0';
	if (used < 2)
		strncat(id, used ? (mariadb ? "-my" : "-pg") : (mariadb ? "mariadb" : "postgresql"),
			IDENT_CLUSTER_SIZE - 1 - used);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool choose_file(struct proposal *proposal, const char *clusters_dir)
{
	int length =
		snprintf(proposal->file, sizeof(proposal->file), "%s/%s.yaml", clusters_dir, proposal->id);

	return length < (int)sizeof(proposal->file) && !exists(proposal->file);
}

static int choose_id(struct proposal *proposal, const char *wanted_id, const char *clusters_dir)
{
	if (wanted_id && !ident_is_cluster(wanted_id)) {
		text_complain("'%s' is no cluster id: 2 to 63 of a-z, 0-9 and -, not - first", wanted_id);
		return STATUS_USAGE;
	}
	if (wanted_id)
		snprintf(proposal->id, sizeof(proposal->id), "%s", wanted_id);
	else
		id_from_path(proposal->server->data_dir, proposal->server->kind == SERVER_MARIADB, proposal->id);
	if (choose_file(proposal, clusters_dir))
		return 0;
	if (!wanted_id) {
		size_t used = strlen(proposal->id);

		if (proposal->server->kind == SERVER_MARIADB)
			snprintf(proposal->id + used, sizeof(proposal->id) - used, "-mariadb");
		else
			snprintf(proposal->id + used, sizeof(proposal->id) - used, "-%u", proposal->server->port % 65536);
		if (choose_file(proposal, clusters_dir))
			return 0;
	}
	text_complain("%s exists already and is not overwritten", proposal->file);
	text_advise("give the cluster another id with --id");
	return STATUS_REFUSED;
}

/* Whether the file names this data directory: "data_dir: /srv/pg", quoted or not. */
static bool names_data_dir(const char *path, const char *data_dir)
{
	scope_fclose FILE *file = fopen(path, "re");
	char line[LINE_SIZE];

	while (file && fgets(line, sizeof(line), file)) {
		char *value = line + strspn(line, " ");

		if (strncmp(value, "data_dir:", 9) != 0)
			continue;
		value += 9 + strspn(value + 9, " \"'");
		value[strcspn(value, "\"'#\n")] = '\0';
		for (size_t length = strlen(value); length > 1 && strchr(" /", value[length - 1]); length--)
			value[length - 1] = '\0';
		if (strcmp(value, data_dir) == 0)
			return true;
	}
	return false;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int check_not_registered(const char *clusters_dir, const char *data_dir)
{
	__attribute__((cleanup(close_dir))) DIR *dir = opendir(clusters_dir);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		scope_free char *path = text_format("%s/%s", clusters_dir, entry->d_name);
		size_t length = strlen(entry->d_name);

		if (length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0 &&
		    names_data_dir(path, data_dir)) {
			text_complain("%s is registered already, by %s", data_dir, path);
			return STATUS_REFUSED;
		}
	}
	return 0;
}

/* Not in the way: its files can share their blocks with a backup's. */
static void advise_subvolume(const char *data_dir, const struct mount *mount)
{
	scope_free char *dir = text_shell(data_dir);
	scope_free char *old_path = text_format("%s.old", data_dir);
	scope_free char *old = text_shell(old_path);

	text_advise("%s is a folder of the btrfs file system at %s, not a subvolume: backups are walked file by "
		    "file, not made by one snapshot", data_dir, mount->point);
	text_advise("to make it a subvolume: stop the server, then");
	text_advise("  mv %s %s", dir, old);
	text_advise("  btrfs subvolume create %s", dir);
	text_advise("  chown --reference=%s %s && chmod --reference=%s %s", old, dir, old, dir);
	text_advise("  cp -a --reflink=always %s/. %s/", old, dir);
	text_advise("start the server, and remove %s when all is well", old);
}

/* data_dir is mounted by itself: what is not a copy needs a place on the same file system that is seen elsewhere. */
static int choose_snapshot_dir(struct proposal *proposal, const struct mount *mount)
{
	scope_free char *source = text_shell(mount->source);
	struct mount other;

	if (mounts_find_other(mount, &other) == 0) {
		int length = snprintf(proposal->snapshot_dir, sizeof(proposal->snapshot_dir), "%s/.dbsnap/%s",
				      strcmp(other.point, "/") == 0 ? "" : other.point, proposal->id);

		return length < (int)sizeof(proposal->snapshot_dir) ? 0 : STATUS_REFUSED;
	}
	text_complain(
		"%s is a mount of its own: there is no place beside it on its file system for snapshots",
		proposal->server->data_dir);
	if (strcmp(mount->type, "btrfs") == 0) {
		text_advise("mount the file system's top as well, from /etc/fstab too:");
		text_advise("  mkdir -p /srv/btrfs-top && mount -o subvolid=5 %s /srv/btrfs-top", source);
		text_advise("and repeat 'dbsnap cluster add'");
	} else {
		text_advise("move the data into a folder below the mount, or write a file with 'backend: copy' by hand, "
			    "see dbsnapd.yaml(5)");
	}
	return STATUS_REFUSED;
}

/* Of those that cannot, backups are copies and lie elsewhere. */
static bool may_share(const struct statfs *fs)
{
	return (unsigned long)fs->f_type == BTRFS_SUPER_MAGIC || (unsigned long)fs->f_type == XFS_SUPER_MAGIC;
}

static int check_layout(struct proposal *proposal)
{
	const char *data_dir = proposal->server->data_dir;
	struct mount mount;
	struct statfs fs;
	struct stat st;

	if (statfs(data_dir, &fs) < 0 || stat(data_dir, &st) < 0 || mounts_find(data_dir, &mount) < 0) {
		text_complain("cannot look at %s: %s", data_dir, strerror(errno));
		return STATUS_REFUSED;
	}
	if ((unsigned long)fs.f_type != BTRFS_SUPER_MAGIC)
		text_advise("%s lies on %s: backups are walked file by file; 'dbsnap cluster check' says whether they "
			    "share its blocks or are copies",
			    data_dir, mount.type);
	else if (st.st_ino != SUBVOLUME_INODE)
		advise_subvolume(data_dir, &mount);
	if (strcmp(mount.point, data_dir) == 0 && may_share(&fs))
		return choose_snapshot_dir(proposal, &mount);
	return 0;
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

static int check_server(const struct server *server)
{
	if (server->kind == SERVER_MARIADB && !server->socket[0])
		text_complain("the server in %s listens on no Unix socket that can be seen here", server->data_dir);
	else if (server->kind == SERVER_POSTGRESQL && !server->socket_dir[0])
		text_complain("the server in %s has no Unix socket that is known (postmaster.pid, "
			      "unix_socket_directories)",
			      server->data_dir);
	else if (!server->user[0])
		text_complain("the server in %s runs as user id %u, which has no name", server->data_dir,
			      (unsigned)server->uid);
	else if (has_control(server->data_dir) || has_control(server->socket_dir) || has_control(server->socket))
		text_complain("%s: a path with control characters cannot be registered", server->data_dir);
	else
		return 0;
	return STATUS_REFUSED;
}

int propose_cluster(const struct server *server, const char *wanted_id, const char *clusters_dir,
		    struct proposal *ret_proposal)
{
	struct proposal proposal = {.server = server};
	int r = check_server(server);

	if (r == 0)
		r = check_not_registered(clusters_dir, server->data_dir);
	if (r == 0)
		r = choose_id(&proposal, wanted_id, clusters_dir);
	if (r == 0)
		r = check_layout(&proposal);
	if (r == 0)
		*ret_proposal = proposal;
	return r;
}

/* A double-quoted YAML scalar; paths without control characters need no more. */
static char *quote_yaml(const char *text)
{
	char *quoted = calloc(strlen(text) * 2 + 3, 1), *to = quoted;

	if (!quoted)
		return text_format("(out of memory)");
	*to++ = '"';
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			*to++ = '\\';
		*to++ = *text;
	}
	*to = '"';
	return quoted;
}

/* A value of libpq's "name=value" strings, quoted where it must be. */
static char *quote_conninfo(const char *text)
{
	char *quoted, *to;

	if (!strpbrk(text, " '\\"))
		return text_format("%s", text);
	to = quoted = calloc(strlen(text) * 2 + 3, 1);
	if (!quoted)
		return text_format("(out of memory)");
	*to++ = '\'';
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			*to++ = '\\';
		*to++ = *text;
	}
	*to = '\'';
	return quoted;
}

/* As an account of the database user's own name, which needs no password. */
static char *conninfo_of(const struct server *server)
{
	bool mariadb = server->kind == SERVER_MARIADB;
	scope_free char *place = quote_conninfo(mariadb ? server->socket : server->socket_dir);
	scope_free char *user = quote_conninfo(server->user);

	if (mariadb)
		return text_format("socket=%s user=%s", place, user);
	return text_format("host=%s port=%u dbname=postgres", place, server->port);
}

char *propose_text(const struct proposal *proposal)
{
	const struct server *server = proposal->server;
	scope_free char *conninfo_raw = conninfo_of(server);
	scope_free char *conninfo = quote_yaml(conninfo_raw);
	scope_free char *data_dir = quote_yaml(server->data_dir);
	scope_free char *snapshot_dir = quote_yaml(proposal->snapshot_dir);
	scope_free char *user = quote_yaml(server->user);
	char now[21];

	clock_format(clock_wall_ms(), now);
	return text_format("# Written by 'dbsnap cluster add' at %s; dbsnapd.yaml(5) has every key.\n"
			   "id: %s\n"
			   "data_dir: %s\n"
			   "%s%s%s"
			   "database:\n"
			   "  type: %s\n"
			   "  user: %s\n"
			   "  conninfo: %s\n",
			   now, proposal->id, data_dir, proposal->snapshot_dir[0] ? "snapshot_dir: " : "",
			   proposal->snapshot_dir[0] ? snapshot_dir : "",
			   proposal->snapshot_dir[0] ? "\n" : "",
			   server->kind == SERVER_MARIADB ? "mariadb" : "postgresql", user, conninfo);
}
