/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the PostgreSQL side share; nobody else includes it. */
#ifndef DBSNAP_ENGINE_DB_POSTGRESQL_H
#define DBSNAP_ENGINE_DB_POSTGRESQL_H

#include "daemon/engine/db.h"
#include "daemon/engine/pg_control.h"
#include "daemon/engine/pg_inspect.h"
#include "daemon/engine/pg_wal.h"
#include "daemon/engine/pg_walk.h"
#include "daemon/engine/server.h"
#include "daemon/engine/session.h"
#include "daemon/engine/volume.h"

enum pg_mode {
	PG_MODE_RUNNING, /* a session with the server */
	PG_MODE_STOPPED, /* proved that none runs */
	PG_MODE_UNASKED  /* quiesce: none */
};

/* Where a tablespace or the WAL lies, found by a walker. */
struct pg_space {
	int code;      /* 0; or why the folder cannot be opened */
	bool has_own;  /* this server's folder is in it */
	bool inside;   /* the data directory */
	char other[64]; /* something else that is in it; "" */
	struct volume volume;
	struct snap_identity subvolume; /* whose root it is; zero if it is none's */
};

struct pg_places {
	struct pg_space wal;
	struct pg_space spaces[ASK_TABLESPACES_MAX]; /* as the server named them */
};

/* The server's own backup, from before() to the end. */
struct pg_backup {
	char name[32];     /* "dbsnap 7" */
	int wal_fd;        /* of the backup's folder "wal", where the WAL goes there; -1 */
	bool slot;         /* holds the WAL back */
	char no_slot[128]; /* or why there is none */
	struct pg_wal wal;
};

struct db_postgresql {
	struct db base;
	struct worker_job *job;
	enum pg_mode mode;
	struct session *session; /* NULL unless running, and after the cut */
	struct server server;
	struct ask_facts facts;
	struct ask_tablespaces tablespaces; /* as the server named them first */
	struct pg_places places;   /* of the same moment */
	struct pg_tree tree;       /* the source, as opened */
	struct pg_control control; /* of the same moment */
	uint64_t floor;            /* LSN that the cut is at or over; 0 if not running */
	bool walks;                /* admitted to a backend that walks */
	bool apart;                /* admitted to procedure C: a snapshot each part, the WAL beside them */
	struct pg_walk walk;       /* of the one: what it takes */
	struct snap_tablespace parts[ASK_TABLESPACES_MAX]; /* of both: the tablespaces; each fd is ours */
	struct pg_backup backup;   /* of a running server that is not cut in one moment */
};

/* Procedures B and C: the server's own backup around the cut. */
static inline bool pg_is_recovered(const struct db_postgresql *pg)
{
	if (pg->apart)
		return true;
	return pg->walks && pg->mode == PG_MODE_RUNNING;
}

/* What the remedies say of a symbolic link or a tablespace that an atomic cut would leave out. */
int pg_refuse_links(const struct worker_job *job, const struct pg_tree *tree, struct reason *why);
/* And of a link among the data, which no procedure takes. */
int pg_refuse_data_link(const struct pg_tree *tree, struct reason *why);

/* See db_ops.admit and db_ops.walk. */
int pg_admit(struct db *db, const struct snap_ops *snap, struct layout *layout, struct reason *why);
void pg_describe_walk(struct db *db, struct db_walk *ret_walk);

/* Looks where the server's tablespaces and WAL lie, for pg_admit(), and says so in layout's parts. */
int pg_look_at_places(struct db_postgresql *pg, struct layout *layout, struct reason *why);

/* Asks the session. 0: done; or a code with why, also of what the server refused. */
int pg_ask(struct db_postgresql *pg, const struct ask_question *question, int timeout_ms, struct ask_answer *ret_answer,
	   struct reason *why);

/* Procedures B and C before the cut: the slot, the checkpoint, the server's own backup. */
int pg_backup_begin(struct db_postgresql *pg, struct reason *why);
/* And after it: ends that, adds the WAL, the label and the map to what is below backup_fd, sets pg->floor. */
int pg_backup_end(struct db_postgresql *pg, int backup_fd, struct reason *why);
/* Is all that in the image, and does pg_control belong to it? */
int pg_backup_check(struct db_postgresql *pg, int image_fd, const struct pg_tree *image,
		    const struct pg_control *control, struct reason *why);

/*
 * Reaches the server behind conninfo, proves that it is data_dir's own and that its settings allow a cut;
 * fills session, server, facts and layout's server, warnings and weakened. 1; 0: proved that no server
 * runs; or a code with why.
 */
int pg_connect(struct db_postgresql *pg, struct layout *layout, struct reason *why);

/* 0 if no process serves or writes job's data_dir, else a code with why. */
int pg_refuse_served(struct worker_job *job, struct reason *why);

/* Makes what was acknowledged so far durable and sets pg->floor. */
int pg_flush(struct db_postgresql *pg, struct reason *why);

/* Adds a part for what configures the server, if that lies outside data_dir. */
void pg_list_config(const struct db_postgresql *pg, struct layout *layout);
/* Copies the configuration that lies outside data_dir, read by the database's user, into the folder config_fd. */
int pg_save_config(struct db_postgresql *pg, int config_fd, struct reason *why);

/* See db_ops.prove_stopped and db_ops.make_original. */
int pg_prove_stopped(struct worker_job *job, struct reason *why);
int pg_make_original(struct worker_job *job, const struct manifest *manifest, const char *spaces, int copy_fd, struct reason *why);

/* See db_ops.make_clone. */
int pg_make_clone(struct worker_job *job, const struct manifest *manifest, int clone_fd, const char *path,
		  struct db_clone *ret_clone, struct reason *why);

/* See db_ops.verify. */
int pg_verify(struct worker_job *job, const struct manifest *manifest, int clone_fd, struct db_verified *ret_verified,
	      struct reason *why);

/*
 * The folder of the programs, which nobody but root can have had a hand in: database.bindir, else recorded ("": not known), else
 * where Debian has those of that release. 0 or a code with why.
 */
int pg_find_programs(const struct worker_job *job, const char *recorded, uint32_t major, const char *const programs[],
		     char ret_path[static MSG_PATH_SIZE], struct reason *why);
/* The release of the tree by its own file, for want of a better witness: only digits of it are used. 0: none there. */
int pg_read_major(struct worker_job *job, int root_fd, uint32_t *ret_major, struct reason *why);

/* See db_ops.server and db_ops.answers. */
int pg_server(struct worker_job *job, const struct db_place *place, const struct db_clone *clone, struct db_server *ret_server,
	      struct reason *why);
bool pg_answers(const struct db_clone *clone);

#endif
