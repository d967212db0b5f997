/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tablespaces lie where the server says: somewhere on the machine, so only its own user opens them. */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/place.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static uint32_t count_of(const struct db_postgresql *pg)
{
	return pg->tablespaces.count < ASK_TABLESPACES_MAX ? pg->tablespaces.count : ASK_TABLESPACES_MAX;
}

/* In the walker. */
static void look(const char *location, const char *own, int data_fd, struct pg_space *space)
{
	scope_close int fd = open(location, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0) {
		space->code = err_from_errno(errno);
		return;
	}
	space->code = volume_of(fd, &space->volume);
	space->has_own = fstatat(fd, own, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
	space->inside = place_is_inside(data_fd, fd);
}

static int look_at_all(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct db_postgresql *pg = arg;
	struct pg_space *spaces = answer;

	(void)why;
	for (uint32_t i = 0; i < count_of(pg); i++)
		look(pg->tablespaces.items[i].location, pg->walk.folder, fds[0], &spaces[i]);
	return 0;
}

/* The walker is the database's user: its words are strings that end and codes that are some. */
static void tidy(struct pg_space *space)
{
	struct volume *volume = &space->volume;

	volume->name[sizeof(volume->name) - 1] = '\0';
	volume->uuid[sizeof(volume->uuid) - 1] = '\0';
	space->has_own = *(unsigned char *)&space->has_own != 0;
	space->inside = *(unsigned char *)&space->inside != 0;
	if (space->code > 0 || space->code < ERR_LAST)
		space->code = ERR_UNKNOWN;
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
	if (space->code < 0)
		return;
	volume_format_device(space->volume.device, part->device);
	snprintf(part->file_system, sizeof(part->file_system), "%s", space->volume.name);
	memcpy(part->fs_uuid, space->volume.uuid, sizeof(part->fs_uuid));
}

int pg_look_at_spaces(struct db_postgresql *pg, struct layout *layout, struct reason *why)
{
	int error = count_of(pg) == 0 ? 0 : walker_run(pg->job, look_at_all, pg, &pg->job->data_fd, 1, pg->spaces,
						       sizeof(pg->spaces), why);

	for (uint32_t i = 0; error == 0 && i < count_of(pg); i++) {
		tidy(&pg->spaces[i]);
		add_part(&pg->tablespaces.items[i], &pg->spaces[i], layout);
	}
	return error;
}
