/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names to numbers. A missing group of the socket is the configuration's
 * error; a missing user of a database is that cluster's alone, which is then
 * refused by name while the others are served.
 */
#include "common/conf_parts.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

/* What the name services say when they can be asked and know no such name (getpwnam_r(3)). */
static int id_error(int error)
{
	return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM ? ERR_NOT_FOUND :
												     ERR_IO;
}

int conf_resolve_id(const char *name, bool group, uint32_t *ret_id)
{
	enum { BUFFER_SIZE = 65536 };
	scope_free char *buffer = malloc(BUFFER_SIZE);
	struct passwd user, *found_user = NULL;
	struct group entry, *found_group = NULL;
	int error;

	if (!buffer)
		return ERR_NOMEM;
	error = group ? getgrnam_r(name, &entry, buffer, BUFFER_SIZE, &found_group) :
			getpwnam_r(name, &user, buffer, BUFFER_SIZE, &found_user);
	if (!found_group && !found_user)
		return id_error(error);
	*ret_id = group ? found_group->gr_gid : found_user->pw_uid;
	return 0;
}

static void resolve_group(struct conf_draft *draft, struct conf_listen *listen)
{
	uint32_t gid;

	if (!listen->group[0] && geteuid() != 0) {
		listen->gid = getegid();
		return;
	}
	if (!listen->group[0]) {
		conf_add_listen_error(draft, listen, "listen.group", "expected the name of a group");
		return;
	}
	if (conf_resolve_id(listen->group, true, &gid) == 0)
		listen->gid = gid;
	else
		conf_add_listen_error(draft, listen, "listen.group", "there is no group \"%s\"; make it with: groupadd --system %s",
			       listen->group, listen->group);
}

static void use_self(struct conf_cluster *cluster)
{
	const struct passwd *entry = getpwuid(geteuid());

	if (!cluster->database.user[0] && entry)
		snprintf(cluster->database.user, sizeof(cluster->database.user), "%s", entry->pw_name);
	proc_identity_self(&cluster->identity);
	cluster->identity_known = true;
}

static void resolve_user(struct conf_cluster *cluster)
{
	const struct conf_database_settings *database = &cluster->database;
	int error = proc_identity_of(database->user, &cluster->identity);

	if (error == ERR_NOT_FOUND)
		snprintf(cluster->refusal, sizeof(cluster->refusal),
			 "database.user: there is no user \"%s\" here; make it, or correct %.160s", database->user,
			 cluster->file);
	else if (error < 0)
		snprintf(cluster->refusal, sizeof(cluster->refusal), "database.user: user \"%s\" cannot be looked up: %s",
			 database->user, err_text(error));
	else if (geteuid() != 0 && cluster->identity.uid != geteuid())
		snprintf(cluster->refusal, sizeof(cluster->refusal),
			 "database.user: only root can become \"%s\"; start dbsnapd as root or as that user", database->user);
	else if (cluster->identity.uid == 0 && database->type == CONF_DATABASE_POSTGRESQL)
		snprintf(cluster->refusal, sizeof(cluster->refusal),
			 "database.user: PostgreSQL never runs as root; name the user that it runs as");
	else if (cluster->identity.uid == 0 && database->type == CONF_DATABASE_MARIADB)
		snprintf(cluster->refusal, sizeof(cluster->refusal),
			 "database.user: a MariaDB that runs as root is not backed up; let it run as a user of its own");
	else if (geteuid() != 0)
		use_self(cluster);
	else
		cluster->identity_known = true;
}

static void resolve_cluster(struct conf_cluster *cluster)
{
	struct conf_database_settings *database = &cluster->database;

	if (!database->user[0] && geteuid() != 0) {
		use_self(cluster);
		return;
	}
	if (!database->user[0] && database->type == CONF_DATABASE_NONE) {
		cluster->identity_from_owner = true;
		return;
	}
	if (!database->user[0])
		snprintf(database->user, sizeof(database->user),
			 database->type == CONF_DATABASE_MARIADB ? "mysql" : "postgres");
	resolve_user(cluster);
}

void conf_resolve(struct conf_draft *draft)
{
	for (size_t i = 0; i < draft->conf->listen_count; i++)
		resolve_group(draft, &draft->conf->listens[i]);
	for (size_t i = 0; i < draft->entry_count; i++)
		resolve_cluster(&draft->entries[i].cluster);
}
