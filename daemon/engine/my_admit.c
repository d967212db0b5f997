/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which procedure cuts this MariaDB with that backend: D is one moment, under the
 * server's lock where tables without transactions would be torn; E a walk while the server stands still; G is a
 * server that does not run; F a copy by the server's own program, which brings it to one moment.
 */
#include "daemon/engine/db_mariadb.h"

#include "common/err.h"
#include "daemon/engine/account.h"

#include <stdio.h>
#include <string.h>

static void set_procedure(struct layout *layout, const char *procedure, const char *promise)
{
	snprintf(layout->procedure, sizeof(layout->procedure), "%s", procedure);
	snprintf(layout->promise, sizeof(layout->promise), "%s", promise);
}

int my_refuse_links(const struct my_tree *tree, struct reason *why)
{
	return tree->link[0] ? reason_set(why, ERR_LAYOUT,
					  "move the table back into the data directory: ALTER TABLE ... ENGINE=InnoDB without DATA "
					  "DIRECTORY; of a database's folder or a log: replace the link by what it leads to",
					  "part of the database lies elsewhere, by a link (DATA DIRECTORY): %s", tree->link) : 0;
}

static const char *remedy_of(enum my_role role)
{
	if (role == MY_BINLOG || role == MY_INDEX)
		return "set log_bin to a name without a path (log_bin = mysql-bin) and restart the server: recovery of a "
		       "clone needs it";
	return "set it to a folder of the data directory, by a path from there, and restart the server as its manual says";
}

static int refuse_part(const struct db_mariadb *my, enum my_role role, struct reason *why)
{
	char path[ASK_PATH_SIZE];
	const struct my_part *part = &my->parts[role];

	if ((role == MY_BINLOG || role == MY_INDEX) && !my->facts.log_bin)
		return 0;
	my_part_path(my, role, path);
	if (part->code < 0)
		return reason_set(why, ERR_LAYOUT, "let database.user reach it", "%s cannot be looked at: %.400s: %s",
				  my_role_name(role), path, err_text(part->code));
	if (part->inside)
		return 0;
	return reason_set(why, ERR_LAYOUT, remedy_of(role),
			  "%s lies outside the data directory, and would not be in the snapshot: %.400s", my_role_name(role),
			  path);
}

/* "ibdata1:12M;/disk2/ibdata2:50M:autoextend": names, and no paths but from the home directory. */
static int refuse_data_files(const struct db_mariadb *my, struct reason *why)
{
	const char *files = my->facts.data_files;

	if (!strchr(files, '/') && strncmp(files, "ibdata1:", 8) == 0)
		return 0;
	return reason_set(why, ERR_LAYOUT, "let innodb_data_file_path begin with ibdata1, and name files without paths",
			  "InnoDB's system tablespace is made of files that this release does not follow: %.400s", files);
}

static int refuse_running(const struct db_mariadb *my, struct reason *why)
{
	char ignored[MANIFEST_LINES_SIZE];
	int error = refuse_data_files(my, why);

	for (int role = 0; error == 0 && role < (my->backs_up ? MY_BINLOG : MY_ROLES); role++)
		error = refuse_part(my, (enum my_role)role, why);
	if (error == 0 && !my->tree.redo)
		error = reason_set(why, ERR_LAYOUT, NULL, "there is no redo log (ib_logfile0) where the server says");
	return error < 0 ? error : my_settings(my, ignored, why);
}

/* Nobody tells where the logs are, and the server that would is not there. */
static int refuse_stopped(const struct db_mariadb *my, struct reason *why)
{
	static const char start[] = "start the server: running, it says where all of it is";
	char ignored[MANIFEST_LINES_SIZE];

	if (!my->tree.redo)
		return reason_set(why, ERR_LAYOUT, start, "no server tells where the redo log is: there is no ib_logfile0 in %s",
				  my->job->cluster->data_dir);
	if (my->tree.more[0])
		return reason_set(why, ERR_LAYOUT, start, "no server tells of what the system tablespace is made: there is %s",
				  my->tree.more);
	if (my->tree.other_binlog[0])
		return reason_set(why, ERR_LAYOUT, start, "no server tells which binary log is its own: there is %s",
				  my->tree.other_binlog);
	return my_settings(my, ignored, why);
}

/* To the account of database.conninfo. */
static void format_grant(const struct db_mariadb *my, const char *rights, const char *or_else, char *remedy, size_t size)
{
	char account[ACCOUNT_SIZE];

	account_mariadb(&my->job->cluster->database, account);
	snprintf(remedy, size, "as an administrator: GRANT %s ON *.* TO %.300s (the account of database.conninfo)%s", rights,
		 account, or_else);
}

static int refuse_rights(const struct db_mariadb *my, struct reason *why)
{
	const struct ask_my_facts *facts = &my->facts;
	char remedy[MSG_TEXT_SIZE];

	if (facts->may_lock && (facts->may_position || !facts->log_bin))
		return 0;
	format_grant(my, "RELOAD, BINLOG MONITOR", "; or turn the tables into InnoDB", remedy, sizeof(remedy));
	return reason_set(why, ERR_DATABASE, remedy,
			  "there are tables without transactions (%s), and the account may not hold their writers",
			  my->tree.plain);
}

static void warn_of_recovery(const struct db_mariadb *my, struct layout *layout)
{
	const struct ask_my_facts *facts = &my->facts;

	if (my->locks && layout->expected.freeze_us == 0)
		layout->expected.freeze_us = -1;
	if (my->locks)
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"there are tables without transactions (%s): writers are held for the moment of the cut",
				my->tree.plain);
	else if (my->tree.old_system && strcmp(facts->myisam_recover, "OFF") == 0)
		layout_add_line(layout->weakened, sizeof(layout->weakened),
				"myisam_recover_options was OFF: a clone may find MyISAM tables of the system crashed");
}

/* A node that is frozen, or desynced for a copy, may be put out of its cluster. */
static int refuse_galera(const struct db_mariadb *my, struct reason *why)
{
	return my->facts.wsrep ? reason_set(why, ERR_LAYOUT, "put the data directory into a subvolume of a btrfs file system",
					    "the server is a node of a Galera cluster (wsrep_on), which is cut by a btrfs "
					    "snapshot only") : 0;
}

static int admit_running(struct db_mariadb *my, bool atomic, struct layout *layout, struct reason *why)
{
	int error = refuse_running(my, why);

	my->freezes = my->backs_up = false;
	my->locks = my->tree.plain[0] != '\0';
	if (error == 0 && my->locks)
		error = refuse_rights(my, why);
	if (error == 0 && !atomic)
		error = refuse_galera(my, why);
	if (error == 0 && !atomic)
		error = my_admit_frozen(my, layout, why);
	if (error < 0)
		return error;
	warn_of_recovery(my, layout);
	set_procedure(layout, atomic ? "D" : "E", atomic ? "atomic" : "recovered");
	return 0;
}

static int admit_files(struct db_mariadb *my, bool atomic, struct layout *layout, struct reason *why)
{
	int error;

	if (my->mode == MY_MODE_UNASKED && !atomic)
		return reason_set(why, ERR_LAYOUT, "set database.quiesce: auto, or backend: btrfs",
				  "quiesce is none: what is walked while a server may write is no image of anything");
	error = refuse_stopped(my, why);
	if (error < 0)
		return error;
	if (my->mode == MY_MODE_UNASKED && my->tree.plain[0])
		layout_add_line(layout->weakened, sizeof(layout->weakened),
				"quiesce is none: tables without transactions may be torn (%s)", my->tree.plain);
	set_procedure(layout, my->mode == MY_MODE_STOPPED ? "G" : "crash",
		      my->mode == MY_MODE_STOPPED ? "stopped" : "crash");
	return 0;
}

/* The program puts them all into one folder, and so does not make what the server's own option files would start on. */
static int refuse_folders(const struct db_mariadb *my, struct reason *why)
{
	for (int role = 0; role < MY_BINLOG; role++) {
		if (my->parts[role].rest[0])
			return reason_set(why, ERR_LAYOUT,
					  "leave the setting at its default and restart the server as its manual says; or put the "
					  "data directory on btrfs (a subvolume) or on an XFS made with reflink=1",
					  "%s lies in a folder of its own (%.400s): mariadb-backup would not leave it there",
					  my_role_name((enum my_role)role), my->parts[role].rest);
	}
	return 0;
}

/* It leaves out what it does not know, and does not say so. */
static int refuse_engines(const struct db_mariadb *my, struct reason *why)
{
	if (!my->tree.odd[0])
		return 0;
	return reason_set(why, ERR_LAYOUT,
			  "turn the table into one of InnoDB, Aria or MyISAM, or move the file out of the data directory, if it is no "
			  "table's; or put the data directory on btrfs (a subvolume) or on an XFS made with reflink=1",
			  "mariadb-backup would leave out a file, which is of an engine that it does not know: %s", my->tree.odd);
}

static int refuse_backup_rights(const struct db_mariadb *my, struct reason *why)
{
	const struct ask_my_facts *facts = &my->facts;
	bool position = facts->may_position || !facts->log_bin;
	char remedy[MSG_TEXT_SIZE];

	if (facts->may_lock && facts->may_watch && position)
		return 0;
	format_grant(my, "RELOAD, PROCESS, BINLOG MONITOR", "", remedy, sizeof(remedy));
	return reason_set(why, ERR_DATABASE, remedy,
			  "mariadb-backup copies the running server, and the account lacks%s%s%s", facts->may_lock ? "" : " RELOAD",
			  facts->may_watch ? "" : " PROCESS", position ? "" : " BINLOG MONITOR");
}

static int admit_copied(struct db_mariadb *my, struct layout *layout, struct reason *why)
{
	int error = refuse_galera(my, why);

	my->locks = my->freezes = false;
	my->backs_up = true;
	if (error == 0)
		error = refuse_running(my, why);
	if (error == 0)
		error = refuse_folders(my, why);
	if (error == 0)
		error = refuse_engines(my, why);
	/* What a better backend was refused for is what there is to do, where the copy has no layout either. */
	if (error < 0 && my->refused.code)
		*why = my->refused;
	if (error < 0)
		return why->code;
	error = refuse_backup_rights(my, why);
	if (error == 0)
		error = my_find_backup(my, why);
	if (error < 0)
		return error;
	if (my->tree.plain[0])
		layout->expected = (struct layout_expected){-1, -1, "as long as mariadb-backup takes to copy all of it; who writes "
							    "tables without transactions waits while those are copied"};
	if (my->tree.plain[0])
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"there are tables without transactions (%s): who writes them waits while mariadb-backup copies them",
				my->tree.plain);
	set_procedure(layout, "F", "recovered");
	return 0;
}

int my_admit(struct db *db, const struct snap_ops *snap, struct layout *layout, struct reason *why)
{
	struct db_mariadb *my = (struct db_mariadb *)db;
	int error = my_refuse_links(&my->tree, why);

	if (error < 0)
		return error;
	if (my->mode != MY_MODE_RUNNING)
		return admit_files(my, snap->atomic, layout, why);
	if (!snap->atomic && !snap->prepare)
		return admit_copied(my, layout, why);
	error = admit_running(my, snap->atomic, layout, why);
	my->refused = *why;
	return error;
}
