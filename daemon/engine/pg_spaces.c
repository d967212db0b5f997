/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tablespaces and WAL lie where the server says: somewhere on the machine, so only its own user opens them. */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/place.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t count_of(const struct db_postgresql *pg)
{
	return pg->tablespaces.count < ASK_TABLESPACES_MAX ? pg->tablespaces.count : ASK_TABLESPACES_MAX;
}

/* Names as people can read them: they are the database user's. */
static void note_other(int fd, const char *own, struct pg_space *space)
{
	scope_closedir DIR *dir = names_open(fd);
	const char *name;

	while (dir && names_next(dir, &name) > 0) {
		if (strcmp(name, own) != 0) {
			snprintf(space->other, sizeof(space->other), "%.63s", name);
			return;
		}
	}
}

/* In the walker. own: what has to be in it; NULL: it is the WAL's. */
static void look(int fd, const char *own, int data_fd, struct pg_space *space)
{
	struct reason ignored;
	struct stat st;

	if (fd < 0) {
		space->code = err_from_errno(errno);
		return;
	}
	space->code = volume_of(fd, &space->volume);
	if (space->code == 0 && volume_is_btrfs(&space->volume))
		snap_btrfs_identify(fd, &space->subvolume, &ignored);
	space->inside = place_is_inside(data_fd, fd);
	if (!own)
		return;
	space->has_own = fstatat(fd, own, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
	note_other(fd, own, space);
}

/* Here the server's user follows links: they are his. */
static int open_place(int dir_fd, const char *path)
{
	return openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
}

static int look_at_all(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct db_postgresql *pg = arg;
	struct pg_places *places = answer;
	scope_close int wal_fd = open_place(fds[0], "pg_wal");

	(void)why;
	look(wal_fd, NULL, fds[0], &places->wal);
	for (uint32_t i = 0; i < count_of(pg); i++) {
		scope_close int fd = open_place(AT_FDCWD, pg->tablespaces.items[i].location);

		look(fd, pg->walk.folder, fds[0], &places->spaces[i]);
	}
	return 0;
}

/* The walker is the database's user: its words are strings that end and codes that are some. */
static void tidy(struct pg_space *space)
{
	struct volume *volume = &space->volume;

	volume->name[sizeof(volume->name) - 1] = '\0';
	volume->uuid[sizeof(volume->uuid) - 1] = '\0';
	space->subvolume.uuid[sizeof(space->subvolume.uuid) - 1] = '\0';
	space->other[sizeof(space->other) - 1] = '\0';
	for (char *c = space->other; *c; c++)
		*c = *c < 0x21 || *c > 0x7e ? '?' : *c;
	space->has_own = *(unsigned char *)&space->has_own != 0;
	space->inside = *(unsigned char *)&space->inside != 0;
	if (space->code > 0 || space->code < ERR_LAST)
		space->code = ERR_UNKNOWN;
}

static void describe(const struct pg_space *space, struct layout_part *part)
{
	if (space->code < 0)
		return;
	volume_format_device(space->volume.device, part->device);
	snprintf(part->file_system, sizeof(part->file_system), "%s", space->volume.name);
	memcpy(part->fs_uuid, space->volume.uuid, sizeof(part->fs_uuid));
	if (!space->subvolume.id)
		return;
	snprintf(part->subvolume, sizeof(part->subvolume), "id %" PRIu64, space->subvolume.id);
	memcpy(part->subvolume_uuid, space->subvolume.uuid, sizeof(part->subvolume_uuid));
}

static void add_part(const struct ask_tablespace *tablespace, const struct pg_space *space, struct layout *layout)
{
	char role[32];
	struct layout_part *part;

	snprintf(role, sizeof(role), "tablespace %" PRIu32, tablespace->oid);
	part = layout_add_part(layout, role, tablespace->location);
	if (!part)
		return;
	part->oid = tablespace->oid;
	describe(space, part);
}

/* Of a folder inside data_dir it is known already. */
static void describe_wal(const struct pg_space *space, struct layout *layout)
{
	for (size_t i = 0; i < layout->part_count; i++) {
		if (strcmp(layout->parts[i].role, "wal") == 0 && !layout->parts[i].inside)
			describe(space, &layout->parts[i]);
	}
}

int pg_look_at_places(struct db_postgresql *pg, struct layout *layout, struct reason *why)
{
	struct pg_places *places = &pg->places;
	int error;

	if (count_of(pg) == 0 && pg->tree.wal != PG_THING_LINK)
		return 0;
	error = walker_run(pg->job, look_at_all, pg, &pg->job->data_fd, 1, places, sizeof(*places), why);
	if (error < 0)
		return error;
	tidy(&places->wal);
	describe_wal(&places->wal, layout);
	for (uint32_t i = 0; i < count_of(pg); i++) {
		tidy(&places->spaces[i]);
		add_part(&pg->tablespaces.items[i], &places->spaces[i], layout);
	}
	return 0;
}
