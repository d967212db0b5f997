/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Brings backend and database together: what a cluster is, where it lies, and
 * whether this release can cut it.
 */
#include "daemon/engine/layout.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/db.h"
#include "daemon/engine/mounts.h"
#include "daemon/engine/pg_inspect.h"
#include "daemon/engine/place.h"
#include "daemon/engine/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void layout_add_line(char *lines, size_t size, const char *format, ...)
{
	char line[MSG_TEXT_SIZE];
	size_t used = strlen(lines);
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (used + strlen(line) + 2 <= size)
		snprintf(lines + used, size - used, "%s%s", used ? "\n" : "", line);
}

struct layout_part *layout_add_part(struct layout *layout, const char *role, const char *path)
{
	struct layout_part *part;

	if (layout->part_count >= LAYOUT_PARTS_MAX)
		return NULL;
	part = &layout->parts[layout->part_count++];
	*part = (struct layout_part){0};
	snprintf(part->role, sizeof(part->role), "%s", role);
	snprintf(part->path, sizeof(part->path), "%s", path);
	return part;
}

void layout_add_inside(struct layout *layout, const char *role, const char *path, const char *prefix)
{
	struct layout_part *part = layout_add_part(layout, role, path);

	if (!part)
		return;
	memcpy(part->device, layout->parts[0].device, sizeof(part->device));
	memcpy(part->file_system, layout->parts[0].file_system, sizeof(part->file_system));
	memcpy(part->fs_uuid, layout->parts[0].fs_uuid, sizeof(part->fs_uuid));
	memcpy(part->subvolume, layout->parts[0].subvolume, sizeof(part->subvolume));
	memcpy(part->subvolume_uuid, layout->parts[0].subvolume_uuid, sizeof(part->subvolume_uuid));
	part->inside = true;
	snprintf(part->prefix, sizeof(part->prefix), "%s", prefix);
}

/* What cannot be found out stays empty: the part is for people and for the manifest. */
static void describe(struct layout_part *part, int fd)
{
	struct snap_identity identity;
	struct volume volume;
	struct reason ignored;

	if (volume_of(fd, &volume) < 0)
		return;
	volume_format_device(volume.device, part->device);
	snprintf(part->file_system, sizeof(part->file_system), "%s", volume.name);
	memcpy(part->fs_uuid, volume.uuid, sizeof(part->fs_uuid));
	if (volume_is_btrfs(&volume) && snap_btrfs_identify(fd, &identity, &ignored) == 0) {
		snprintf(part->subvolume, sizeof(part->subvolume), "id %" PRIu64, identity.id);
		memcpy(part->subvolume_uuid, identity.uuid, sizeof(part->subvolume_uuid));
	}
}

static void add_known_parts(const struct worker_job *job, int snapshot_fd, const char *snapshot_dir,
			    struct layout *layout)
{
	struct layout_part *part = layout_add_part(layout, "data", job->cluster->data_dir);

	if (part) {
		describe(part, job->data_fd);
		part->inside = true;
	}
	part = snapshot_fd >= 0 ? layout_add_part(layout, "snapshots", snapshot_dir) : NULL;
	if (part)
		describe(part, snapshot_fd);
}

/* PostgreSQL and MariaDB run as the owner of their directory; to another's walker the folder is empty. */
static int refuse_owner(const struct worker_job *job, struct reason *why)
{
	const struct conf_cluster *cluster = job->cluster;
	struct stat st;

	if (fstat(job->data_fd, &st) < 0)
		return reason_set_errno(why, errno, "cannot look at data_dir %s", cluster->data_dir);
	if (st.st_uid == job->identity.uid)
		return 0;
	return reason_set(why, ERR_LAYOUT,
			  "set database.user to the user whom the server runs as, or give the files back to "
			  "database.user",
			  "data_dir %s belongs to uid %u, and database.user is %s (uid %u)", cluster->data_dir,
			  (unsigned)st.st_uid, cluster->database.user, (unsigned)job->identity.uid);
}

static int find_database(struct worker_job *job, const struct db_ops **ret_ops, struct reason *why)
{
	struct pg_tree tree;
	int error = refuse_owner(job, why);

	if (error == 0)
		error = pg_inspect(job, job->data_fd, 0, &tree, why);
	if (error < 0)
		return error;
	if (tree.major && tree.control_size) {
		*ret_ops = &db_postgresql;
		return 0;
	}
	if (tree.mariadb) {
		*ret_ops = &db_mariadb;
		return 0;
	}
	return reason_set(why, ERR_LAYOUT, "correct data_dir; for files of another kind set database.type: none",
			  "%s holds no database (no PG_VERSION with global/pg_control, no ibdata1)",
			  job->cluster->data_dir);
}

static int choose_database(struct worker_job *job, const struct db_ops **ret_ops, struct reason *why)
{
	switch (job->cluster->database.type) {
	case CONF_DATABASE_NONE:
		*ret_ops = &db_none;
		return 0;
	case CONF_DATABASE_POSTGRESQL:
		*ret_ops = &db_postgresql;
		return refuse_owner(job, why);
	case CONF_DATABASE_MARIADB:
		*ret_ops = &db_mariadb;
		return refuse_owner(job, why);
	case CONF_DATABASE_AUTO:
		break;
	}
	return find_database(job, ret_ops, why);
}

/* Told before a job fails of it. -1: there is no place yet, which was refused elsewhere. */
static int refuse_read_only(int snapshot_fd, const char *snapshot_dir, struct reason *why)
{
	if (snapshot_fd < 0 || faccessat(snapshot_fd, ".", W_OK, AT_EACCESS) == 0)
		return 0;
	return reason_set_errno(why, errno, "cannot write into snapshot_dir %s", snapshot_dir);
}

/* The configuration has compared the names; a mount or a link hides it from them. */
static int refuse_state_inside(const struct worker_job *job, struct reason *why)
{
	scope_close int fd = job->state_dir ? open(job->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0 || !place_is_inside(job->data_fd, fd))
		return 0;
	return reason_set(why, ERR_LAYOUT, "move state_dir, or what is mounted there, out of the data directory",
			  "state_dir %.400s lies inside data_dir %.400s: a restore would take the records back with it",
			  job->state_dir, job->cluster->data_dir);
}

static int refuse_mounts(const struct worker_job *job, struct reason *why)
{
	char point[MSG_PATH_SIZE / 2];
	int found = mounts_below("/proc/self/mountinfo", job->cluster->data_dir, point, sizeof(point));

	if (found < 0)
		return reason_set(why, found, NULL, "cannot see what is mounted: %s", err_text(found));
	if (found == 0)
		return 0;
	return reason_set(why, ERR_LAYOUT, "move what is mounted there out of the data directory",
			  "%s is mounted inside the data directory: a snapshot would leave it out", point);
}

int layout_check_inside(const struct worker_job *job, struct reason *why)
{
	int error = refuse_mounts(job, why);

	return error < 0 ? error : refuse_state_inside(job, why);
}

/* Another backend may do better than one that refuses so. */
static bool is_about_backend(int error)
{
	return error == ERR_LAYOUT || error == ERR_UNSUPPORTED;
}

/* The first that can cut the tree and is admitted by the database. The last refusal is the one to be told. */
static int choose_backend(struct worker_job *job, int snapshot_fd, struct layout *layout, struct db *db,
			  struct reason *why)
{
	int error = reason_set(why, ERR_UNSUPPORTED, "set backend: auto", "this release has no such backend");
	const struct snap_ops *snap;

	for (size_t i = 0; (snap = snap_candidate(job->cluster->backend, i)); i++) {
		struct reason refusal = {0};

		error = snap->probe(job, snapshot_fd, &refusal);
		if (error == 0)
			error = db->ops->admit(db, snap, layout, &refusal);
		if (error == 0) {
			layout->snap = snap;
			*why = (struct reason){0};
			return 0;
		}
		*why = refusal;
		if (!is_about_backend(error))
			return error;
		layout_add_line(layout->why_not, sizeof(layout->why_not), "%s: %s", snap->name, refusal.cause);
	}
	return error;
}

int layout_examine(struct worker_job *job, int snapshot_fd, const char *snapshot_dir, struct layout *ret_layout,
		   struct db **ret_db, struct reason *why)
{
	struct layout *layout = ret_layout;
	struct db *db = NULL;
	int error;

	*layout = (struct layout){.snapshot_fd = snapshot_fd, .expected = {.cut_us = -1}};
	add_known_parts(job, snapshot_fd, snapshot_dir, layout);
	error = choose_database(job, &layout->db, why);
	if (error == 0)
		error = refuse_read_only(snapshot_fd, snapshot_dir, why);
	if (error == 0)
		error = layout_check_inside(job, why);
	if (error == 0)
		error = layout->db->open(job, layout, &db, why);
	if (error == 0)
		error = choose_backend(job, snapshot_fd, layout, db, why);
	if (error == 0)
		*ret_db = db;
	else if (db)
		db->ops->close(db);
	return error;
}

int layout_check_again(struct worker_job *job, const struct layout *layout, struct reason *why)
{
	int error = layout->snap->probe(job, -1, why);

	return error < 0 ? error : refuse_mounts(job, why);
}
