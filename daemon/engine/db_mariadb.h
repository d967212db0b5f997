/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the MariaDB side share; nobody else includes it. */
#ifndef DBSNAP_ENGINE_DB_MARIADB_H
#define DBSNAP_ENGINE_DB_MARIADB_H

#include "daemon/engine/db.h"
#include "daemon/engine/my_inspect.h"
#include "daemon/engine/server.h"
#include "daemon/engine/session.h"
#include "daemon/engine/volume.h"

/* In a clone. */
#define MY_CLONE_CONFIG "my.cnf"
#define MY_CLONE_SOCKET "mariadb.sock"

enum my_mode {
	MY_MODE_RUNNING, /* a session with the server */
	MY_MODE_STOPPED, /* proved that none runs */
	MY_MODE_UNASKED  /* quiesce: none */
};

/* What the server keeps in a folder that a setting names. */
enum my_role { MY_HOME, MY_REDO, MY_UNDO, MY_ARIA, MY_BINLOG, MY_INDEX, MY_ROLES };

struct my_part {
	int code;                 /* 0; or why the folder cannot be opened */
	bool inside;              /* the data directory, or that itself */
	char rest[ASK_PATH_SIZE]; /* then: its path from there; "" */
	struct volume volume;
};

struct db_mariadb {
	struct db base;
	struct worker_job *job;
	const char *conninfo;    /* borrowed from the configuration */
	enum my_mode mode;
	struct session *session; /* NULL unless running, and after the cut */
	struct server server;
	struct ask_my_facts facts;
	struct my_part parts[MY_ROLES]; /* as the server named them */
	struct my_question where;       /* for every look */
	struct my_tree tree;            /* the source, as opened */
	struct reason refused;          /* by my_admit(): why no snapshot would do */
	bool locks;                     /* writers are held for the cut, by the server's lock */
	bool freezes;                   /* the whole server is */
	bool backs_up;                  /* its own program makes the image; nobody is held */
	char backup_program[MSG_PATH_SIZE]; /* that program; "" not looked for */
	int64_t locked_us;              /* since then (monotonic); 0: not */
	uint64_t waited_us;             /* somebody may have been waiting before that */
};

/* How errors and logs name a role: "redo log". A static string. */
const char *my_role_name(enum my_role role);

/* See db_ops.admit. */
int my_admit(struct db *db, const struct snap_ops *snap, struct layout *layout, struct reason *why);

/* After what every procedure refuses: may the server be stopped for the cut? Says for how long. */
int my_admit_frozen(struct db_mariadb *my, struct layout *layout, struct reason *why);
/* Stops it, in what the lock has left of max_freeze. */
int my_freeze(struct db_mariadb *my, struct reason *why);

/* Finds mariadb-backup, of the server's release, where only root can have put it. */
int my_find_backup(struct db_mariadb *my, struct reason *why);
/* A tree_judge_fn for the data directory: what mariadb-backup does not take. arg: the struct db_mariadb. */
enum tree_fate my_judge_backup(const void *arg, size_t root, const char *path, const struct stat *st, struct reason *why);
/* See db_ops.make_image. */
int my_make_image(struct db *db, int image_fd, struct db_position *position, struct tree_report *ret_report, struct reason *why);

/* Refuses what lies elsewhere by a link. */
int my_refuse_links(const struct my_tree *tree, struct reason *why);

/* Looks where the server keeps what it names, for my_admit(), and adds it to layout's parts. */
int my_look_at_parts(struct db_mariadb *my, struct layout *layout, struct reason *why);
/* The folder that a role's setting names, as the server says it. */
void my_part_path(const struct db_mariadb *my, enum my_role role, char path[static ASK_PATH_SIZE]);

/* Lines of an option file without which no server starts on an image. 0 or ERR_LAYOUT with why. */
int my_settings(const struct db_mariadb *my, char settings[static MANIFEST_LINES_SIZE], struct reason *why);

/* The value of key among such lines; false: it is not there. */
bool my_find_setting(const char *lines, const char *key, char value[static ASK_PATH_SIZE]);

/*
 * Reaches the server behind conninfo, proves that it is data_dir's own and that its settings allow a cut;
 * fills session, server, facts and layout's server, warnings and weakened. 1; 0: proved that no server
 * runs; or a code with why.
 */
int my_connect(struct db_mariadb *my, struct layout *layout, struct reason *why);

/* 0 if no process serves or writes job's data_dir, else a code with why. */
int my_refuse_served(const struct db_mariadb *my, struct reason *why);

enum { MY_BACKUP_INFO_SIZE = ASK_GTID_SIZE + 512 };

/* Is it one of the files that mariadb-backup leaves beside those of the server? */
bool my_is_of_backup(const char *file);
/*
 * In the walker: where the binary log was, "mysql-bin.000002<TAB>1234<TAB>0-1-55". Its size, or a code: ERR_NOT_FOUND if there was no
 * binary log.
 */
int my_read_backup_info(int root_fd, char *text, size_t size);

/* What people are told of a place in a binary log; none if it names no file. */
void my_tell_position(const struct ask_my_position *from, struct db_position *position);

/* Holds writers, and says where that is; lets go of them. See db_ops.hold and db_ops.release. */
int my_hold(struct db *db, struct db_position *position, struct reason *why);
int my_release(struct db *db, uint64_t *ret_held_us, struct reason *why);

/* Adds a part for each option file that the server begins with. */
void my_list_config(const struct db_mariadb *my, struct layout *layout);
/* Copies the option files that lie outside data_dir, read by the database's user, into the folder config_fd. */
int my_save_config(struct db_mariadb *my, int config_fd, struct reason *why);

/* See db_ops.make_clone. */
int my_make_clone(struct worker_job *job, const struct manifest *manifest, int clone_fd, const char *path,
		  struct db_clone *ret_clone, struct reason *why);

/* See db_ops.prove_stopped and db_ops.make_original. */
int my_prove_stopped(struct worker_job *job, struct reason *why);
int my_make_original(struct worker_job *job, const struct manifest *manifest, const char *spaces, int copy_fd, struct reason *why);

/*
 * The folder of the server's program: database.bindir, else recorded ("" none), where the source's own lay, else the usual one.
 * And that of the client. 0 or a code with why: none, or not root's alone.
 */
int my_find_server(const struct worker_job *job, const char *recorded, char ret_path[static MSG_PATH_SIZE], struct reason *why);
int my_find_client(const struct worker_job *job, const char *bindir, char ret_path[static MSG_PATH_SIZE], struct reason *why);

/* See db_ops.verify. */
int my_verify(struct worker_job *job, const struct manifest *manifest, int clone_fd, struct db_verified *ret_verified,
	      struct reason *why);

/* See db_ops.server and db_ops.answers. */
int my_server(struct worker_job *job, const struct db_place *place, const struct db_clone *clone, struct db_server *ret_server,
	      struct reason *why);
bool my_answers(const struct db_clone *clone);

#endif
