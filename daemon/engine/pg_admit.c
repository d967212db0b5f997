/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which procedure cuts this database with that backend: A and the crash image are
 * one moment and want all of it in one place; B is the server's own backup
 * around a walk, C the same around a snapshot of each part, and both want the server's
 * help; G is a server that does not run.
 */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "daemon/engine/walker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void set_procedure(struct layout *layout, const char *procedure, const char *promise)
{
	snprintf(layout->procedure, sizeof(layout->procedure), "%s", procedure);
	snprintf(layout->promise, sizeof(layout->promise), "%s", promise);
}

int pg_refuse_data_link(const struct pg_tree *tree, struct reason *why)
{
	return tree->link[0] ? reason_set(why, ERR_LAYOUT, "replace the link by what it leads to",
					  "part of the database is a link out of it: %s", tree->link) : 0;
}

int pg_refuse_links(const struct worker_job *job, const struct pg_tree *tree, struct reason *why)
{
	if (tree->wal == PG_THING_LINK)
		return reason_set(why, ERR_LAYOUT, "move it back into the data directory, or set backend: auto",
				  "pg_wal is a link to %s: its WAL would not be in the snapshot", tree->wal_target);
	if (tree->wal != PG_THING_FOLDER)
		return reason_set(why, ERR_LAYOUT, NULL, "%s/pg_wal is no folder", job->cluster->data_dir);
	if (tree->tablespace[0])
		return reason_set(why, ERR_LAYOUT,
				  "move its tables back (ALTER TABLE ... SET TABLESPACE pg_default), drop it and run CHECKPOINT, or set "
				  "backend: auto",
				  "there is a tablespace, which a snapshot would leave out: pg_tblspc/%s",
				  tree->tablespace);
	return pg_refuse_data_link(tree, why);
}

static int admit_atomic(struct db_postgresql *pg, struct layout *layout, struct reason *why)
{
	int error = pg_refuse_links(pg->job, &pg->tree, why);

	if (error < 0)
		return error;
	/* Not what the walker has seen, but what the server says. */
	if (pg->tablespaces.count > 0)
		return reason_set(why, ERR_LAYOUT,
				  "move its tables back (ALTER TABLE ... SET TABLESPACE pg_default), drop it and run CHECKPOINT, or set "
				  "backend: auto",
				  "there is a tablespace, which a snapshot would leave out: %s",
				  pg->tablespaces.items[0].location);
	if (pg->mode == PG_MODE_RUNNING)
		set_procedure(layout, "A", "atomic");
	else if (pg->mode == PG_MODE_STOPPED)
		set_procedure(layout, "G", "stopped");
	else
		set_procedure(layout, "crash", "crash");
	if (pg->mode == PG_MODE_RUNNING && !pg->facts.full_page_writes)
		layout_add_line(layout->weakened, sizeof(layout->weakened),
				"full_page_writes was off: a page torn at the cut would not be repaired");
	return 0;
}

/* Nobody tells where they end, and the server that would is not there. */
static int refuse_stopped(const struct db_postgresql *pg, struct reason *why)
{
	static const char start[] = "start the server: running, it is backed up with all of them";

	if (pg->tree.wal == PG_THING_LINK)
		return reason_set(why, ERR_LAYOUT, start, "no server runs, and pg_wal is a link to %s",
				  pg->tree.wal_target);
	if (pg->tree.wal != PG_THING_FOLDER)
		return reason_set(why, ERR_LAYOUT, NULL, "%s/pg_wal is no folder", pg->job->cluster->data_dir);
	if (pg->tree.tablespace[0])
		return reason_set(why, ERR_LAYOUT, start, "no server runs, and there is a tablespace: pg_tblspc/%s",
				  pg->tree.tablespace);
	return 0;
}

/* Each right of those that B needs, and how it is given. */
static int refuse_rights(const struct db_postgresql *pg, struct reason *why)
{
	const struct ask_facts *facts = &pg->facts;
	bool renamed = facts->version >= 150000;
	const char *start = renamed ? "pg_backup_start(text, boolean)" : "pg_start_backup(text, boolean, boolean)";
	const char *stop = renamed ? "pg_backup_stop(boolean)" : "pg_stop_backup(boolean, boolean)";
	char remedy[MSG_TEXT_SIZE] = "as a superuser, in the database and for the role of database.conninfo (here dbsnap): ";
	size_t used = strlen(remedy);

	if (facts->may_start && facts->may_stop && facts->may_slot)
		return 0;
	if (!facts->may_start)
		used += (size_t)snprintf(remedy + used, sizeof(remedy) - used, "GRANT EXECUTE ON FUNCTION %s TO dbsnap; ",
					 start);
	if (!facts->may_stop)
		used += (size_t)snprintf(remedy + used, sizeof(remedy) - used, "GRANT EXECUTE ON FUNCTION %s TO dbsnap; ",
					 stop);
	if (!facts->may_slot)
		snprintf(remedy + used, sizeof(remedy) - used, "ALTER ROLE dbsnap REPLICATION; ");
	remedy[strlen(remedy) - 2] = '\0';
	return reason_set(why, ERR_DATABASE, remedy, "the role of conninfo may not %s",
			  !facts->may_start ? "begin a backup of the server" :
			  !facts->may_stop  ? "end a backup of the server" : "make a replication slot");
}

static int refuse_server(const struct db_postgresql *pg, struct reason *why)
{
	if (pg->facts.wal_level == ASK_WAL_MINIMAL)
		return reason_set(why, ERR_LAYOUT, "set wal_level = replica and restart the server",
				  "wal_level is minimal: a copy of the running server could not be recovered");
	return refuse_rights(pg, why);
}

static bool is_below(const char *path, const char *dir)
{
	size_t length = strlen(dir);

	return strncmp(path, dir, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int refuse_space(const struct db_postgresql *pg, uint32_t i, struct reason *why)
{
	const struct ask_tablespace *tablespace = &pg->tablespaces.items[i];
	const struct pg_space *space = &pg->places.spaces[i];

	if (tablespace->location[0] != '/' || space->inside || is_below(tablespace->location, pg->job->cluster->data_dir))
		return reason_set(why, ERR_LAYOUT, "move its tables to one that lies elsewhere, and drop it",
				  "tablespace %" PRIu32 " lies inside the data directory: %.400s", tablespace->oid,
				  tablespace->location);
	if (strchr(tablespace->location, '\\'))
		return reason_set(why, ERR_LAYOUT, "move its tables to one that lies elsewhere, and drop it",
				  "the path of tablespace %" PRIu32 " has a backslash in it: %.400s", tablespace->oid,
				  tablespace->location);
	if (space->code < 0)
		return reason_set(why, ERR_LAYOUT, "let database.user reach it",
				  "tablespace %" PRIu32 " cannot be opened: %.400s: %s", tablespace->oid,
				  tablespace->location, err_text(space->code));
	if (!space->has_own)
		return reason_set(why, ERR_LAYOUT, NULL, "tablespace %" PRIu32 " at %.400s has no folder %s",
				  tablespace->oid, tablespace->location, pg->walk.folder);
	return 0;
}

/* Blocks are shared on one file system only. */
static int refuse_other_volume(const struct db_postgresql *pg, uint32_t i, const struct volume *data,
			       struct reason *why)
{
	if (volume_same(data, &pg->places.spaces[i].volume))
		return 0;
	return reason_set(why, ERR_LAYOUT, "set backend: copy (or auto)",
			  "tablespace %" PRIu32 " lies on another file system than data_dir: %.400s",
			  pg->tablespaces.items[i].oid, pg->tablespaces.items[i].location);
}

static int refuse_spaces(const struct db_postgresql *pg, bool copies, struct reason *why)
{
	struct volume data;
	int error = volume_of(pg->job->data_fd, &data);

	if (error < 0)
		return reason_set(why, error, NULL, "cannot look at the file system: %s", err_text(error));
	if (pg->tablespaces.count > ASK_TABLESPACES_MAX)
		return reason_set(why, ERR_LAYOUT, NULL, "there are %" PRIu32 " tablespaces: this release takes %d",
				  pg->tablespaces.count, ASK_TABLESPACES_MAX);
	if (pg->tablespaces.count > 0 && pg->tree.tblspc)
		return reason_set(why, ERR_LAYOUT, "move it elsewhere: it is none of PostgreSQL's",
				  "there are tablespaces, which a clone has in its folder tblspc, but there is a %s/tblspc",
				  pg->job->cluster->data_dir);
	for (uint32_t i = 0; error == 0 && i < pg->tablespaces.count; i++) {
		error = refuse_space(pg, i, why);
		if (error == 0 && !copies)
			error = refuse_other_volume(pg, i, &data, why);
	}
	return error;
}

static int refuse_walk(const struct db_postgresql *pg, bool copies, struct reason *why)
{
	int error = pg_refuse_data_link(&pg->tree, why);

	if (error < 0)
		return error;
	if (pg->mode == PG_MODE_STOPPED)
		return refuse_stopped(pg, why);
	if (pg->mode == PG_MODE_UNASKED)
		return reason_set(why, ERR_LAYOUT, "set database.quiesce: auto, or backend: btrfs",
				  "quiesce is none: what is walked while a server may write is no image of anything");
	error = refuse_server(pg, why);
	return error < 0 ? error : refuse_spaces(pg, copies, why);
}

/* Each with its folder open, if it was. */
static void list_parts(struct db_postgresql *pg)
{
	for (uint32_t i = 0; i < pg->tablespaces.count; i++) {
		_Static_assert(sizeof(pg->parts[i].path) >= ASK_PATH_SIZE, "a server's path fits");
		pg->parts[i].oid = pg->tablespaces.items[i].oid;
		memcpy(pg->parts[i].path, pg->tablespaces.items[i].location, ASK_PATH_SIZE);
	}
}

/* A snapshot would take along what is none of this server's. */
static int refuse_other_things(const struct db_postgresql *pg, uint32_t i, struct reason *why)
{
	if (!pg->places.spaces[i].other[0])
		return 0;
	return reason_set(why, ERR_LAYOUT, "move it out of there, or set backend: auto",
			  "the folder of tablespace %" PRIu32 " holds more than what is this server's: %.400s/%s",
			  pg->tablespaces.items[i].oid, pg->tablespaces.items[i].location, pg->places.spaces[i].other);
}

static int open_part(struct db_postgresql *pg, const struct snap_ops *snap, struct snap_tablespace *part,
		     struct reason *why)
{
	struct reason refusal = {0};
	int error = part->fd >= 0 ? 0 : walker_open(pg->job, part->path, &part->fd, why);

	if (error == 0)
		error = snap->probe_part(pg->job, part->fd, part->path, &refusal);
	if (refusal.code < 0) {
		*why = refusal;
		snprintf(why->cause, sizeof(why->cause), "tablespace %" PRIu32 ": %.450s", part->oid, refusal.cause);
	}
	return error;
}

/* Not all of it is in data_dir's subvolume: each part is one of its own, but for the WAL, which is taken file by file. */
static int admit_apart(struct db_postgresql *pg, const struct snap_ops *snap, struct layout *layout,
		       struct reason *why)
{
	int error = pg_refuse_data_link(&pg->tree, why);

	if (error == 0)
		error = refuse_server(pg, why);
	if (error == 0)
		error = refuse_spaces(pg, false, why);
	if (error < 0)
		return error;
	list_parts(pg);
	for (uint32_t i = 0; error == 0 && i < pg->tablespaces.count; i++) {
		error = open_part(pg, snap, &pg->parts[i], why);
		if (error == 0)
			error = refuse_other_things(pg, i, why);
	}
	if (error < 0)
		return error;
	pg->apart = true;
	set_procedure(layout, "C", "recovered");
	return 0;
}

static bool is_apart(const struct db_postgresql *pg)
{
	return pg->mode == PG_MODE_RUNNING && (pg->tree.wal == PG_THING_LINK || pg->tablespaces.count > 0);
}

static int admit_walk(struct db_postgresql *pg, bool copies, struct layout *layout, struct reason *why)
{
	bool running = pg->mode == PG_MODE_RUNNING;
	int error = refuse_walk(pg, copies, why);

	if (error < 0)
		return error;
	pg->walks = true;
	pg->walk.takes_wal = !running;
	list_parts(pg);
	set_procedure(layout, running ? "B" : "G", running ? "recovered" : "stopped");
	return 0;
}

int pg_admit(struct db *db, const struct snap_ops *snap, struct layout *layout, struct reason *why)
{
	struct db_postgresql *pg = (struct db_postgresql *)db;

	if (snap->probe_part && is_apart(pg))
		return admit_apart(pg, snap, layout, why);
	return snap->atomic ? admit_atomic(pg, layout, why) : admit_walk(pg, snap->measure != NULL, layout, why);
}

void pg_describe_walk(struct db *db, struct db_walk *ret_walk)
{
	const struct db_postgresql *pg = (const struct db_postgresql *)db;

	*ret_walk = (struct db_walk){.adds = pg->apart};
	ret_walk->plan = (struct tree_plan){
		.ranges = true, .judge = pg_walk_judge, .arg = &pg->walk, .is_whole = pg_walk_is_whole};
	ret_walk->tablespaces = pg->parts;
	ret_walk->tablespace_count = pg->tablespaces.count;
}
