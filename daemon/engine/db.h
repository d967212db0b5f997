/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a database wants before, during and after the cut and in a clone,
 * behind one table of functions. Knows nothing of snapshots: steps call both.
 */
#ifndef DBSNAP_ENGINE_DB_H
#define DBSNAP_ENGINE_DB_H

#include "daemon/engine/job.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/manifest.h"

#include <stdint.h>

struct db_ops;

/* One open database; each implementation's struct begins with it. */
struct db {
	const struct db_ops *ops;
};

/* What the backup is a state of. */
struct db_position {
	char floor[64];             /* LSN that the cut is at or over, as the server writes it; "" */
	char position[128];         /* for people: "LSN 0/3000148, timeline 1"; "" */
	char system_identifier[24]; /* "" for none */
	uint64_t added;             /* bytes that after() put into the backup beside the cut */
	/* Lines of an option file, without which no server starts on the image. "" */
	char settings[MANIFEST_LINES_SIZE];
};

/* What whoever starts a clone needs. */
struct db_clone {
	char socket_dir[MSG_PATH_SIZE]; /* "" for none */
	uint32_t port;                  /* of PostgreSQL, whose socket's name has it; 0 for none */
};

/* Where a clone lies. */
struct db_place {
	int fd;
	const char *path;   /* as it is known; borrowed */
	const char *bindir; /* where its source's programs lay; "" not known. Borrowed */
};

enum { DB_SERVER_ARGS = 20, DB_SERVER_ARG_SIZE = MSG_PATH_SIZE + 64 };

/* How a clone's server is run: in the foreground, what it says on standard error. */
struct db_server {
	char program[DB_SERVER_ARG_SIZE]; /* one that root alone could have put there */
	char args[DB_SERVER_ARGS][DB_SERVER_ARG_SIZE];
	size_t arg_count;
	int end_signal;  /* ends it in order, whoever is connected */
	int hard_signal; /* ends it when that took too long */
};

/* What the cut has to respect; plan is a walk's, and plan.way the backend's. */
struct db_walk {
	struct tree_plan plan;
	bool held; /* by hold(), until release(): all of the tree in one state, if it is quick */
	const struct snap_tablespace *tablespaces;
	size_t tablespace_count;
	bool adds;  /* after() adds to the image */
	bool makes; /* make_image() takes the place of the backend's cut, which is to copy */
};

/* What a verification that was carried out has to say. */
struct db_verified {
	bool good;
	char checked[MSG_CHECKED_SIZE]; /* what was looked at, one sentence */
	char found[MSG_TEXT_SIZE];      /* not good: what is wrong, one thing a line */
};

struct db_ops {
	const char *name; /* "postgresql", "mariadb", "none": as the manifest and the messages say it */

	/*
	 * Finds the server, or that none runs; proves that it is the one whose directory is job->data_fd;
	 * reads its settings. Refuses what no backend could cut. Fills layout's server, warnings, weakened and the
	 * parts that the server names.
	 */
	int (*open)(struct worker_job *job, struct layout *layout, struct db **ret_db, struct reason *why);
	/*
	 * Can snap cut this database as it lies? Fills layout's procedure and promise, and adds to warnings and
	 * weakened. ERR_LAYOUT with why: another backend may. Changes nothing on failure; asks the server nothing.
	 */
	int (*admit)(struct db *db, const struct snap_ops *snap, struct layout *layout, struct reason *why);
	/* After admit(): how to cut. What ret_walk points to is borrowed from db. */
	void (*walk)(struct db *db, struct db_walk *ret_walk);
	/*
	 * Makes what was acknowledged so far durable, and says where that is. Before the flush; begins the server's own
	 * backup where the procedure has one, which ends with the session at the latest.
	 */
	int (*before)(struct db *db, struct db_position *ret_position, struct reason *why);
	/*
	 * The last thing before the cut, after the flush: writers are held, if there have to be, until release() or the
	 * end of the session. Optional: NULL.
	 */
	int (*hold)(struct db *db, struct db_position *position, struct reason *why);
	/*
	 * The first thing after it. 0 only if they were held until now, and for no longer than is allowed; *ret_held_us:
	 * how long, 0 if nobody was. With hold().
	 */
	int (*release)(struct db *db, uint64_t *ret_held_us, struct reason *why);
	/*
	 * Instead of the backend's cut, if walk() says so: fills the image at image_fd, an empty folder that is the database
	 * user's, so that it is what the backend would have left, and says what it made. Counts bytes for the job's gauge.
	 * position may be completed. On failure what was made stays, and no process. Optional: NULL.
	 */
	int (*make_image)(struct db *db, int image_fd, struct db_position *position, struct tree_report *ret_report,
			  struct reason *why);
	/*
	 * Right after the cut: is it still the same server (or still none)? Ends the server's own backup and adds to
	 * backup_fd (the backup's folder, its image in data) what a start needs beside the image. position may be completed.
	 * Done, the session is ended: nothing asks the server any more.
	 */
	int (*after)(struct db *db, int backup_fd, struct db_position *position, struct reason *why);
	/* Would the image at image_fd start, and is it ours? */
	int (*check_image)(struct db *db, int image_fd, struct db_position *position, struct reason *why);
	/*
	 * Copies configuration that lies outside data_dir into the folder config_fd (for people). Optional:
	 * NULL.
	 */
	int (*save_config)(struct db *db, int config_fd, struct reason *why);
	/* Ends the session, and with it whatever before() began, and frees it. NULL is fine. */
	void (*close)(struct db *db);

	/*
	 * Makes the fresh writable copy at clone_fd (its tablespaces in tblspc/), to be known as path, startable beside its
	 * source.
	 */
	int (*make_clone)(struct worker_job *job, const struct manifest *manifest, int clone_fd,
			  const char *path, struct db_clone *ret_clone, struct reason *why);
	/*
	 * How the server of a clone is run. Looks at its programs. NULL: there is
	 * none to run, and no answers().
	 */
	int (*server)(struct worker_job *job, const struct db_place *place, const struct db_clone *clone,
		      struct db_server *ret_server, struct reason *why);
	/* Does the clone's server answer? For the database's user, with the clone as its working directory. May block for seconds. */
	bool (*answers)(const struct db_clone *clone);

	/*
	 * Where make_clone() has to be told that a clone lies which is verified: the server is started where its folder has
	 * that path. verify() then looks at everything in the clone at clone_fd, which it may change. 0 and the verdict; or a
	 * code with why: it could not be carried out, and nothing is known. Optional: NULL.
	 */
	const char *verify_path;
	int (*verify)(struct worker_job *job, const struct manifest *manifest, int clone_fd, struct db_verified *ret_verified,
		      struct reason *why);

	/*
	 * Does a server of job's data_dir answer, wherever its processes may be? 0 if none does; ERR_BUSY with why, or
	 * another code: it is not known. That no process holds a file there is proved elsewhere. Optional: NULL.
	 */
	int (*prove_stopped)(struct worker_job *job, struct reason *why);
	/*
	 * Makes the fresh writable copy at copy_fd the source again, with its own configuration: only what a process
	 * that ran at the cut had for itself goes. spaces: where its tablespaces lie from now on, a line each, "16385 /srv/fast";
	 * "" for none. What lies in the backup's "wal" is in SNAP_WAL. Optional: NULL.
	 */
	int (*make_original)(struct worker_job *job, const struct manifest *manifest, const char *spaces, int copy_fd,
			     struct reason *why);
};

extern const struct db_ops db_mariadb;
extern const struct db_ops db_none;
extern const struct db_ops db_postgresql;

/* By a manifest's name; NULL if this release has none such. */
const struct db_ops *db_find(const char *name);

/* Appends to a server's arguments; of more than fit the rest is left out. */
void db_server_add(struct db_server *server, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
