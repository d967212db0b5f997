/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A cluster's snapshot_dir: where it is, whether it may be trusted, whose it is
 * (marker.json), what lies in it, and the few changes made to names in it. All
 * of it runs in workers; everything is relative to the descriptor held, no name is
 * looked up twice, no link is followed.
 */
#ifndef DBSNAP_ENGINE_PLACE_H
#define DBSNAP_ENGINE_PLACE_H

#include "common/msg.h"
#include "daemon/engine/job.h"
#include "daemon/engine/manifest.h"
#include "daemon/engine/volume.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The intent of the last restore whose copy was whole. It stays: that data_dir is that copy says that the restore was done. */
#define PLACE_RESTORE "restore.json"

enum place_lock { PLACE_SHARED, PLACE_EXCLUSIVE };

struct place {
	char path[MSG_PATH_SIZE];
	int fd;        /* the folder; -1 */
	int marker_fd; /* marker.json, locked for the worker's life; walkers inherit it; -1 */
	struct marker marker;
	struct volume volume;
	enum msg_place state;
};

#define PLACE_NONE ((struct place){.fd = -1, .marker_fd = -1})

enum {
	PLACE_ID_SIZE = 32,     /* ".del-" and an id */
	PLACE_NAME_SIZE = 80,   /* "." and a clone's name and ".json" */
	PLACE_DIR_MODE = 0711,
	PLACE_BACKUP_MODE = 0700
};

/* How a backup's folder is called: in the making, whole, going. */
enum place_form { PLACE_MAKING, PLACE_WHOLE, PLACE_GOING };
void place_name(enum place_form form, uint64_t backup, char name[static PLACE_ID_SIZE]);

/*
 * Where the cluster's snapshots go: as configured, or .dbsnap/<id> at the top of data_dir's mount (with the
 * source not open: of the mount where it would lie), without root in the folder that holds data_dir; or, where only
 * copies are to be made, <id> in job->copies_dir. 0; ERR_LAYOUT with why (data_dir is that top; one lies inside the
 * other).
 */
int place_find(const struct worker_job *job, char path[static MSG_PATH_SIZE], struct reason *why);

/*
 * Opens the place and takes its lock (job->lock_fd becomes it). create: makes folders and marker where that is
 * allowed: a cluster without records whose source is open, and nothing in the folder. Only the probe
 * does, so that a create is accepted only where a marker was seen. ret_place->state and why say what is
 * wrong: OFFLINE, BUSY (lock not to be had), REFUSED. place_close() ends it in any case.
 */
int place_open(struct worker_job *job, enum place_lock lock, bool create, struct place *ret_place,
	       struct reason *why);
/*
 * Whether what fd shows lies in the folder that outer_fd shows, by whatever mount it was
 * reached. fd may be O_PATH; false also when the one or the other cannot be looked at.
 */
bool place_is_inside(int outer_fd, int fd);

/* The lock goes with the last descriptor of it, a walker's included. */
void place_close(struct place *place);

/* A folder below dir_fd by a single name, no link followed. The descriptor, or a code from errno with why. */
int place_open_dir(int dir_fd, const char *name, struct reason *why);
/* As place_open_dir, made with the mode if missing (not durable yet). */
int place_make_dir(int dir_fd, const char *name, mode_t mode, struct reason *why);

/*
 * Reads a whole file of at most MANIFEST_BYTES_MAX. Root's (or ours), a regular file; else ERR_CORRUPT.
 * Caller frees.
 */
int place_read_file(int dir_fd, const char *name, char **ret_text, size_t *ret_size);
/* Writes aside, fsyncs file, renames, fsyncs the folder. */
int place_write_file(int dir_fd, const char *name, const char *text, struct reason *why);
/*
 * The same in two steps that sync nothing: NAME.new, and its name. Between them the caller has the file system written
 * out, or a power cut leaves the name without the text. What place_give_name() did is on disk with whatever the caller
 * makes so next.
 */
int place_write_aside(int dir_fd, const char *name, const char *text, struct reason *why);
int place_give_name(int dir_fd, const char *name, struct reason *why);
/* renameat2 without replacing, then fsync of the folder(s). */
int place_rename(int dir_fd, const char *from, const char *to, struct reason *why);
int place_sync(int dir_fd, struct reason *why);

/* What lies at a name in the place. */
enum place_thing {
	THING_NONE,     /* nothing */
	THING_OURS,     /* with this nonce (from the manifest, else from the intent) */
	THING_OTHER,    /* with another nonce, or another install's */
	THING_EMPTY,    /* unreadable intent, and nothing but at most an empty data in it */
	THING_STRANGER  /* anything else */
};

struct place_look {
	enum place_thing thing;
	enum msg_owner owner;
	bool has_manifest;
	bool has_intent;
	struct nonce nonce; /* zero if not known */
	char backend[16];   /* that made or was to make its images; "" if not known */
};

/*
 * Looks at one backup folder. nonce NULL: anything of this install and cluster is OURS. ret_manifest may be
 * NULL; filled with has_manifest. A code with why when looking failed.
 */
int place_look_at(const struct worker_job *job, const struct place *place, const char *name,
		  const struct nonce *nonce, struct place_look *ret_look, struct manifest *ret_manifest,
		  struct reason *why);

#endif
