/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One file a cluster. Memory is what counts while the engine runs; the files are
 * for the next one. They are written by the engine itself, though it waits for no disk elsewhere: a
 * reload reads files too, and what a probe brings changes once in a cluster's life.
 */
#include "daemon/engine/notes.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/note.h"
#include "daemon/engine/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct kept {
	struct conf_cluster cluster;
	struct nonce install;
	char *text; /* as in the file; NULL: not written yet */
};

static void file_name(const char *cluster, char name[static PLACE_NAME_SIZE])
{
	snprintf(name, PLACE_NAME_SIZE, "%.63s.json", cluster);
}

static struct kept *find(const struct notes *notes, const char *cluster)
{
	for (size_t i = 0; i < notes->count; i++) {
		if (strcmp(notes->list[i].cluster.id, cluster) == 0)
			return &notes->list[i];
	}
	return NULL;
}

/* A new one, of which only the id is set. NULL: no memory. */
static struct kept *add(struct notes *notes, const char *cluster)
{
	struct kept *more = reallocarray(notes->list, notes->count + 1, sizeof(*more));

	if (!more)
		return NULL;
	notes->list = more;
	more += notes->count++;
	memset(more, 0, sizeof(*more));
	snprintf(more->cluster.id, sizeof(more->cluster.id), "%s", cluster);
	return more;
}

/* ---- the folder ---- */

static int check_folder(const struct notes *notes)
{
	struct stat st;

	if (fstat(notes->fd, &st) < 0) {
		log_error("cannot look at %s: %s", notes->path, strerror(errno));
		return err_from_errno(errno);
	}
	if (st.st_uid == geteuid() && !(st.st_mode & 077))
		return 0;
	log_error("%s must belong to uid %u and be private, because dbsnapd believes what is in it: look at it, "
		  "then chown -R %u %s and chmod 0700 %s",
		  notes->path, (unsigned)geteuid(), (unsigned)geteuid(), notes->path, notes->path);
	return ERR_UNTRUSTED;
}

static int open_folder(struct notes *notes)
{
	if (mkdir(notes->path, 0700) < 0 && errno != EEXIST) {
		log_error("cannot make %s: %s", notes->path, strerror(errno));
		return err_from_errno(errno);
	}
	notes->fd = open(notes->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (notes->fd < 0) {
		log_error("cannot open the folder %s: %s", notes->path, strerror(errno));
		return err_from_errno(errno);
	}
	return check_folder(notes);
}

/* 1: the name is no note's; 0: read; or a code. */
static int read_note(struct notes *notes, const char *file)
{
	char cluster[IDENT_CLUSTER_SIZE];
	const char *dot = strrchr(file, '.');
	scope_free char *text = NULL;
	struct kept *kept;
	size_t size;
	int error;

	if (!dot || strcmp(dot, ".json") != 0 || (size_t)(dot - file) >= sizeof(cluster))
		return 1;
	snprintf(cluster, sizeof(cluster), "%.*s", (int)(dot - file), file);
	if (!ident_is_cluster(cluster))
		return 1;
	error = place_read_file(notes->fd, file, &text, &size);
	if (error < 0)
		return error;
	kept = add(notes, cluster);
	if (!kept)
		return ERR_NOMEM;
	error = note_decode(text, size, &kept->cluster, &kept->install);
	if (error == 0 && strcmp(kept->cluster.id, cluster) != 0)
		error = ERR_CORRUPT;
	if (error == 0)
		kept->text = scope_take_ptr(text);
	else
		notes->count--;
	return error;
}

static int read_all(struct notes *notes)
{
	DIR *dir = fdopendir(dup(notes->fd));
	const struct dirent *entry;
	int error;

	if (!dir) {
		log_error("cannot read %s: %s", notes->path, strerror(errno));
		return err_from_errno(errno);
	}
	while ((entry = readdir(dir))) {
		error = read_note(notes, entry->d_name);
		if (error < 0)
			log_warning("%s/%s is no note that can be used: %s", notes->path, entry->d_name,
				    err_text(error));
	}
	closedir(dir);
	return 0;
}

int notes_open(struct engine *engine)
{
	struct notes *notes = &engine->notes;
	int error;

	snprintf(notes->path, sizeof(notes->path), "%s.engine", engine->conf->state_dir);
	error = open_folder(notes);
	return error < 0 ? error : read_all(notes);
}

void notes_close(struct engine *engine)
{
	struct notes *notes = &engine->notes;

	for (size_t i = 0; i < notes->count; i++)
		free(notes->list[i].text);
	free(notes->list);
	notes->list = NULL;
	notes->count = 0;
	if (notes->fd >= 0)
		close(notes->fd);
	notes->fd = -1;
}

/* ---- keeping them up to date ---- */

static void write_note(struct notes *notes, struct kept *kept)
{
	scope_free char *text = note_encode(&kept->cluster, &kept->install);
	struct log_about about = {.cluster = kept->cluster.id};
	struct reason why = {0};
	char name[PLACE_NAME_SIZE];

	if (text && kept->text && strcmp(text, kept->text) == 0)
		return;
	free(kept->text);
	kept->text = NULL;
	file_name(kept->cluster.id, name);
	if (!text)
		reason_set(&why, ERR_NOMEM, NULL, "out of memory");
	else if (place_write_file(notes->fd, name, text, &why) == 0)
		kept->text = scope_take_ptr(text);
	if (why.code)
		log_about(LOG_LEVEL_WARNING, &about,
			  "what must be known to delete its backups after it is no longer registered could not be "
			  "noted in %s: %s",
			  notes->path, why.cause);
}

/* Its place as last found stays, as long as the file does not say which one. */
static void take_cluster(struct kept *kept, const struct conf_cluster *cluster)
{
	char found[CONF_PATH_SIZE] = "";

	if (!cluster->snapshot_dir[0] && strcmp(kept->cluster.data_dir, cluster->data_dir) == 0)
		memcpy(found, kept->cluster.snapshot_dir, sizeof(found));
	kept->cluster = *cluster;
	/* Of creates only, and said where they are refused. */
	kept->cluster.refusal[0] = '\0';
	if (found[0])
		memcpy(kept->cluster.snapshot_dir, found, sizeof(found));
}

static void drop(struct notes *notes, struct kept *kept)
{
	struct log_about about = {.cluster = kept->cluster.id};
	char name[PLACE_NAME_SIZE];

	file_name(kept->cluster.id, name);
	if (unlinkat(notes->fd, name, 0) < 0 && errno != ENOENT)
		log_about(LOG_LEVEL_WARNING, &about, "cannot remove %s/%s: %s", notes->path, name, strerror(errno));
	free(kept->text);
	*kept = notes->list[--notes->count];
}

/*
 * Only a front that has told the whole of its store knows that there is nothing, and only of its own
 * install: another store may be one that was made because the real one is not mounted.
 */
static void drop_unneeded(struct engine *engine)
{
	struct notes *notes = &engine->notes;

	if (!engine->keeper.hello)
		return;
	for (size_t i = notes->count; i-- > 0;) {
		const char *cluster = notes->list[i].cluster.id;

		if (nonce_equal(&notes->list[i].install, &engine->install) &&
		    !conf_find_cluster(engine->conf, cluster) && records_of(engine, cluster) == 0 &&
		    !worker_has_job(engine, cluster))
			drop(notes, &notes->list[i]);
	}
}

void notes_update(struct engine *engine)
{
	struct notes *notes = &engine->notes;

	for (size_t i = 0; i < engine->conf->cluster_count; i++) {
		const struct conf_cluster *cluster = &engine->conf->clusters[i];
		struct kept *kept = find(notes, cluster->id);

		if (!kept)
			kept = add(notes, cluster->id);
		if (!kept) {
			log_error("no memory for a note of cluster %s", cluster->id);
			continue;
		}
		take_cluster(kept, cluster);
		if (engine->keeper.hello)
			kept->install = engine->install;
		write_note(notes, kept);
	}
	drop_unneeded(engine);
}

void notes_take_probed(struct engine *engine, const struct msg_probed *probed)
{
	const struct conf_cluster *cluster = conf_find_cluster(engine->conf, probed->cluster);
	struct kept *kept = find(&engine->notes, probed->cluster);

	if (!cluster || !kept || cluster->snapshot_dir[0] || probed->place != PLACE_ONLINE ||
	    probed->snapshot_dir[0] != '/')
		return;
	snprintf(kept->cluster.snapshot_dir, sizeof(kept->cluster.snapshot_dir), "%s", probed->snapshot_dir);
	write_note(&engine->notes, kept);
}

const struct conf_cluster *notes_find_retired(const struct engine *engine, const char *cluster)
{
	const struct kept *kept = find(&engine->notes, cluster);

	if (!kept || conf_find_cluster(engine->conf, cluster) || records_of(engine, cluster) == 0)
		return NULL;
	return &kept->cluster;
}
