/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What no single key can be blamed for: clusters that would step on each
 * other. The comparison is of names; what lies behind them (links, mounts) the
 * engine sees when it opens them.
 */
#include "common/conf_parts.h"

#include <stdlib.h>
#include <string.h>

/* path is folder, or lies below it. Clean paths; an empty one is nowhere. */
static bool is_within(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* A type that is found out later may be either: the rules of PostgreSQL let a MariaDB's pass. */
static void check_conninfo(struct conf_draft *draft, const struct conf_entry *entry)
{
	const struct conf_database_settings *database = &entry->cluster.database;
	const char *expected = database->type == CONF_DATABASE_MARIADB ?
				       conf_check_conninfo_mariadb(database->conninfo) :
				       conf_check_conninfo(database->conninfo);

	if (expected)
		conf_add_cluster_error(draft, entry, "database.conninfo", "expected %s", expected);
}

static void check_alone(struct conf_draft *draft, const struct conf_entry *entry)
{
	const struct conf_cluster *c = &entry->cluster;

	check_conninfo(draft, entry);
	if (is_within(c->snapshot_dir, c->data_dir))
		conf_add_cluster_error(draft, entry, "snapshot_dir", "expected a path outside data_dir (%s)", c->data_dir);
	if (is_within(draft->conf->state_dir, c->data_dir))
		conf_add_cluster_error(draft, entry, "data_dir", "expected a path that does not hold state_dir (%s)",
				       draft->conf->state_dir);
}

/* Either of the two; called both ways round. */
static void check_snapshot_dir(struct conf_draft *draft, const struct conf_entry *entry, const struct conf_entry *other)
{
	const struct conf_cluster *c = &entry->cluster, *o = &other->cluster;

	if (is_within(c->snapshot_dir, o->data_dir))
		conf_add_cluster_error(draft, entry, "snapshot_dir", "expected a path outside the data_dir of cluster %s (%s)",
				       o->id, o->data_dir);
	if (is_within(c->snapshot_dir, o->snapshot_dir))
		conf_add_cluster_error(draft, entry, "snapshot_dir",
				       "expected a path outside the snapshot_dir of cluster %s (%s)", o->id, o->snapshot_dir);
}

static void check_pair(struct conf_draft *draft, const struct conf_entry *entry, const struct conf_entry *other)
{
	const struct conf_cluster *c = &entry->cluster, *o = &other->cluster;

	if (c->id[0] && strcmp(c->id, o->id) == 0)
		conf_add_cluster_error(draft, entry, "id", "expected an id of its own, %s has the same", o->file);
	if (c->data_dir[0] && strcmp(c->data_dir, o->data_dir) == 0)
		conf_add_cluster_error(draft, entry, "data_dir", "expected a path of its own, cluster %s (%s) has the same",
				       o->id, o->file);
	check_snapshot_dir(draft, entry, other);
	if (strcmp(c->snapshot_dir, o->snapshot_dir) != 0)
		check_snapshot_dir(draft, other, entry);
}

static int compare_entries(const void *a, const void *b)
{
	const struct conf_cluster *x = &((const struct conf_entry *)a)->cluster;
	const struct conf_cluster *y = &((const struct conf_entry *)b)->cluster;
	int order = strcmp(x->id, y->id);

	return order ? order : strcmp(x->file, y->file);
}

/* Locks and notes lie beside a socket under its own name, so no two may share one. */
static void check_listens(struct conf_draft *draft)
{
	const struct conf *conf = draft->conf;

	for (size_t i = 0; i < conf->listen_count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(conf->listens[i].path, conf->listens[k].path) == 0)
				conf_add_listen_error(draft, &conf->listens[i], "listen.path",
						      "expected a path of its own, another socket has %s",
						      conf->listens[i].path);
		}
	}
}

void conf_check(struct conf_draft *draft)
{
	check_listens(draft);
	if (draft->entry_count > 0)
		qsort(draft->entries, draft->entry_count, sizeof(draft->entries[0]), compare_entries);
	for (size_t i = 0; i < draft->entry_count; i++) {
		check_alone(draft, &draft->entries[i]);
		for (size_t k = 0; k < i; k++)
			check_pair(draft, &draft->entries[i], &draft->entries[k]);
	}
}
