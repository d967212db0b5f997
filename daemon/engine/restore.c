/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands against a restore in place. Refused is what the copy could not be: the source as its configuration wants
 * to find it. The folder that holds data_dir may be the database user's: nothing in it is trusted by its name alone.
 */
#include "daemon/engine/restore.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/holder.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/restore_parts.h"
#include "daemon/engine/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char by_hand[] = "restore it by hand: README, Restoring";

void restore_path(const struct restore *restore, const char *name, char path[static MSG_PATH_SIZE])
{
	snprintf(path, MSG_PATH_SIZE, "%.700s/%.300s", strcmp(restore->parent, "/") == 0 ? "" : restore->parent, name);
}

static void make_names(struct restore *r)
{
	struct restore_names *names = &r->names;
	char job[24] = "JOB"; /* a plan has no number yet */

	if (r->job->order.job)
		snprintf(job, sizeof(job), "%" PRIu64, r->job->order.job);
	snprintf(names->making, sizeof(names->making), ".dbsnap-restore-%s.new", job);
	snprintf(names->ready, sizeof(names->ready), ".dbsnap-restore-%s", job);
	snprintf(names->kept, sizeof(names->kept), "%.*s.before-%s", NAME_MAX, r->base, job);
}

struct restore *restore_new(struct worker_job *job, struct reason *why)
{
	struct restore *r = calloc(1, sizeof(*r));

	if (!r) {
		reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
		return NULL;
	}
	r->job = job;
	r->why = why;
	r->place = PLACE_NONE;
	r->parent_fd = -1;
	return r;
}

void restore_free(struct restore *r)
{
	if (!r)
		return;
	if (r->parent_fd >= 0)
		close(r->parent_fd);
	place_close(&r->place);
	free(r);
}

int restore_open_folder(int dir_fd, const char *path, uint64_t resolve)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve,
	};

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

int restore_read_paper(struct restore *r, int fd, const char *path, struct intent *ret_intent)
{
	scope_free char *text = NULL;
	const struct worker_job *job = r->job;
	struct intent intent;
	size_t size;
	int error = place_read_file(fd, "intent", &text, &size);

	if (error == 0)
		error = intent_decode(text, size, &intent);
	if (error == ERR_NOT_FOUND)
		return 0;
	if (error == ERR_IO || error == ERR_NOMEM)
		return reason_set_retry(r->why, error, NULL, "cannot read %.700s/intent: %s", path, err_text(error));
	if (error < 0 || !nonce_equal(&intent.nonce, &job->order.nonce) || !nonce_equal(&intent.install, &job->install))
		return reason_set(r->why, ERR_FOREIGN, "look at it, and move it away", "%.700s is there and is not this job's", path);
	*ret_intent = intent;
	return 1;
}

static int open_parent(struct restore *r)
{
	const char *path = r->job->cluster->data_dir, *slash = strrchr(path, '/');

	r->base = slash + 1;
	snprintf(r->parent, sizeof(r->parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	make_names(r);
	r->parent_fd = r->base[0] ? restore_open_folder(AT_FDCWD, r->parent, 0) : -1;
	if (!r->base[0])
		return reason_set(r->why, ERR_LAYOUT, by_hand, "data_dir is the root folder");
	return r->parent_fd < 0 ? reason_set_errno(r->why, errno, "cannot open %s, which holds data_dir", r->parent) : 0;
}

int restore_open(struct restore *r)
{
	struct reason source = {0};
	int error = job_open_source(r->job, &source);

	/* A directory that is lost can be restored as well; one that cannot be looked at cannot. */
	if (error < 0 && error != ERR_OFFLINE) {
		*r->why = source;
		return error;
	}
	r->has_old = error == 0;
	if (r->has_old && fstat(r->job->data_fd, &r->old) < 0)
		return reason_set_errno(r->why, errno, "cannot look at data_dir");
	error = place_open(r->job, PLACE_SHARED, false, &r->place, r->why);
	return error < 0 ? error : open_parent(r);
}

static int find_backup(struct restore *r)
{
	char name[PLACE_ID_SIZE];
	struct place_look look;
	int error;

	place_name(PLACE_WHOLE, r->job->order.backup, name);
	error = place_look_at(r->job, &r->place, name, &r->job->order.source, &look, &r->manifest, r->why);
	if (error < 0)
		return error;
	if (look.thing != THING_OURS || !look.has_manifest)
		return reason_set(r->why, ERR_NOT_FOUND, NULL, "backup %s is not in %s", name, r->place.path);
	r->snap = snap_find(r->manifest.facts.backend);
	r->db = db_find(r->manifest.database);
	if (r->snap && r->db)
		return 0;
	return reason_set(r->why, ERR_UNSUPPORTED, "use the release that made it",
			  "this release cannot restore a backup of %s on %s", r->manifest.database,
			  r->manifest.facts.backend);
}

/* Files keep their owner, and whose the database is now has to be he. */
static int settle_identity(struct restore *r)
{
	struct worker_job *job = r->job;
	const struct manifest *m = &r->manifest;

	if (!job->as_root)
		proc_identity_self(&job->identity);
	else if (!r->has_old)
		job->identity = job->cluster->identity_known ? job->cluster->identity :
							       (struct proc_identity){.uid = m->uid, .gid = m->gid};
	if (job->as_root && (job->identity.uid != m->uid || (r->has_old && r->old.st_uid != m->uid)))
		return reason_set(r->why, ERR_DENIED, "let database.user and the owner of data_dir be that user, or restore it by hand",
				  "the backup's files belong to uid %u, the database is uid %u's and data_dir uid %u's now",
				  (unsigned)m->uid, (unsigned)job->identity.uid, (unsigned)(r->has_old ? r->old.st_uid : m->uid));
	return 0;
}

static int refuse_off(struct restore *r)
{
	if (r->job->cluster->restore == CONF_RESTORE_IN_PLACE)
		return 0;
	return reason_set(r->why, ERR_STATE, "set restore: in-place in the cluster's file and reload, or restore it by hand: README, Restoring",
			  "restore in place is off for cluster %s", r->job->cluster->id);
}

bool restore_lies_inside(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* What its own program makes starts without the binary log that was, and with one that is there as well. */
static bool is_dispensable(const struct manifest *m, const struct manifest_part *part)
{
	if (strcmp(part->role, "wal") == 0)
		return true; /* what recovery needs of it is in the backup, and becomes a folder of the copy */
	return strcmp(part->role, "binary log") == 0 && strcmp(m->facts.procedure, "F") == 0;
}

/* The source's configuration would look for it where it was. */
static int refuse_parts(struct restore *r)
{
	const struct manifest *m = &r->manifest;

	for (size_t i = 0; i < m->part_count; i++) {
		const struct manifest_part *part = &m->parts[i];

		if (strcmp(part->role, "data") == 0 || strncmp(part->role, "tablespace", 10) == 0 ||
		    restore_lies_inside(part->path, m->data_dir) || is_dispensable(m, part))
			continue;
		return reason_set(r->why, ERR_LAYOUT, by_hand,
				  "the backup's %s was at %.600s: only what lies in the data directory, and tablespaces, can be restored in place",
				  part->role, part->path);
	}
	return 0;
}

/* Beside it has to be possible, in one rename. */
static int refuse_mount(struct restore *r)
{
	scope_close int fd = -1;
	struct stat st;

	if (!r->has_old)
		return 0;
	fd = restore_open_folder(r->parent_fd, r->base, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
	if (fd < 0 && errno == EXDEV)
		return reason_set(r->why, ERR_LAYOUT,
				  "move the database into a folder or subvolume below the mount, or restore it by hand: README, Restoring",
				  "data_dir %s is the top of a mount, which cannot be exchanged for another folder",
				  r->job->cluster->data_dir);
	if (fd < 0 || fstat(fd, &st) < 0)
		return reason_set_errno(r->why, errno, "cannot open data_dir");
	if (st.st_dev != r->old.st_dev || st.st_ino != r->old.st_ino)
		return reason_set_retry(r->why, ERR_STATE, NULL, "data_dir was replaced in this moment");
	return layout_check_inside(r->job, r->why);
}

/* Where a directory is missing its file system may be: what is restored beside it nobody would look for. */
static int refuse_other_disk(struct restore *r, const struct volume *volume)
{
	const struct manifest *m = &r->manifest;
	const char *was = m->part_count > 0 ? m->parts[0].fs_uuid : "";

	if (r->has_old || !was[0] || strcmp(was, volume->uuid) == 0)
		return 0;
	return reason_set(r->why, ERR_OFFLINE,
			  "mount the file system that holds it; if it is lost, make an empty data_dir, owned by the database's user, on the new one",
			  "data_dir %s is missing, and %s does not lie on the file system that it was on: not mounted?",
			  r->job->cluster->data_dir, r->parent);
}

/* A subvolume is what the backups of a subvolume are made of, so one has to come back. */
static int refuse_folder(struct restore *r, const struct volume *volume)
{
	struct snap_identity identity;
	struct reason ignored = {0};

	if (r->snap == &snap_btrfs || !r->has_old || !volume_is_btrfs(volume) ||
	    snap_btrfs_identify(r->job->data_fd, &identity, &ignored) < 0)
		return 0;
	return reason_set(r->why, ERR_LAYOUT, by_hand,
			  "data_dir %s is a btrfs subvolume, the backup would come back as a plain folder",
			  r->job->cluster->data_dir);
}

static int choose_copy(struct restore *r)
{
	struct volume volume;
	int error = volume_of(r->parent_fd, &volume);

	if (error < 0)
		return reason_set(r->why, error, NULL, "cannot look at the file system of %s: %s", r->parent, err_text(error));
	if (!volume_same(&volume, &r->place.volume))
		r->snap = &snap_copy;
	r->needed = r->snap->measure ? r->manifest.facts.size : 0;
	error = refuse_other_disk(r, &volume);
	return error < 0 ? error : refuse_folder(r, &volume);
}

static int refuse_names(struct restore *r)
{
	struct stat st;

	if (strlen(r->names.kept) > NAME_MAX || strlen(r->job->cluster->data_dir) > 900)
		return reason_set(r->why, ERR_TOO_LONG, by_hand, "the name of data_dir is too long for another beside it");
	if (fstatat(r->parent_fd, r->names.kept, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	return reason_set(r->why, ERR_EXISTS, "move it away", "%s/%s is there already", r->parent, r->names.kept);
}

static int check_room(struct restore *r)
{
	struct space space;
	int error = space_check(r->parent_fd, r->parent, &r->job->cluster->min_free, r->needed, &space, r->why);

	return error < 0 ? error : restore_check_parts_room(r);
}

int restore_examine(struct restore *r)
{
	static int (*const checks[])(struct restore *r) = {
		refuse_off, find_backup, refuse_parts, settle_identity, refuse_mount, choose_copy, restore_find_parts, refuse_names,
		check_room,
	};
	int error = 0;

	for (size_t i = 0; error == 0 && i < sizeof(checks) / sizeof(checks[0]); i++)
		error = checks[i](r);
	return error;
}

int restore_prove_stopped(struct restore *r)
{
	struct worker_job *job = r->job;
	char who[MSG_TEXT_SIZE - 200];
	int found = 0, error = r->db->prove_stopped ? r->db->prove_stopped(job, r->why) : 0;

	if (error == 0 && r->has_old)
		found = holder_find(job, job->data_fd, job->cluster->data_dir, who, sizeof(who), r->why);
	if (error < 0 || found <= 0)
		return error < 0 ? error : found;
	return reason_set(r->why, ERR_BUSY, "stop the server, and keep it stopped until the restore is done; end whatever else works there",
			  "%s", who);
}

static void describe_copy(const struct restore *r, char *lines, size_t size)
{
	const char *how = r->snap == &snap_btrfs ? "a writable snapshot" : "a full copy";

	layout_add_line(lines, size, "make %s of backup %" PRIu64 " (%s) in %.500s/%s", how, r->job->order.backup,
			r->manifest.facts.server[0] ? r->manifest.facts.server : r->manifest.database, r->parent, r->names.making);
	restore_describe_parts(r, lines, size);
	if (r->needed)
		layout_add_line(lines, size, "it takes %" PRIu64 " MiB of the disk", (r->needed >> 20) + 1);
	if (r->manifest.skipped[0])
		layout_add_line(lines, size, "what the backup does not have as it was: %.900s", r->manifest.skipped);
}

void restore_describe(const struct restore *r, char *lines, size_t size)
{
	const char *data_dir = r->job->cluster->data_dir;

	layout_add_line(lines, size, "prove that no server answers and no process holds a file of %s", data_dir);
	describe_copy(r, lines, size);
	layout_add_line(lines, size, "write it out to the disk, and prove once more that nobody works in %s", data_dir);
	if (r->has_old) {
		layout_add_line(lines, size, "exchange the two in one step: %s is the backup from then on", data_dir);
		layout_add_line(lines, size, "keep what is there now as %.500s/%.250s; nothing is deleted", r->parent, r->names.kept);
	} else {
		layout_add_line(lines, size, "give it the name %s, which is missing now", data_dir);
	}
}
