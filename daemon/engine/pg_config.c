/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files of a PostgreSQL configure it: the server names them. */
#include "daemon/engine/db_postgresql.h"

#include "daemon/engine/config_copy.h"

#include <stdio.h>
#include <string.h>

void pg_list_config(const struct db_postgresql *pg, struct layout *layout)
{
	const char *file = pg->facts.config_file, *dir = pg->facts.data_directory;
	size_t length = strlen(dir);

	if (file[0] && (strncmp(file, dir, length) != 0 || file[length] != '/'))
		layout_add_part(layout, "configuration", file);
}

int pg_save_config(struct db_postgresql *pg, int config_fd, struct reason *why)
{
	const char *const named[] = {pg->facts.config_file, pg->facts.hba_file, pg->facts.ident_file};
	char lines[ASK_LINES_SIZE], *state = NULL;
	int error = 0, count = 0;

	if (pg->mode != PG_MODE_RUNNING)
		return 0;
	for (size_t i = 0; error == 0 && i < sizeof(named) / sizeof(named[0]); i++)
		error = config_copy(pg->job, config_fd, named[i], why);
	snprintf(lines, sizeof(lines), "%s", pg->facts.sources);
	for (char *path = strtok_r(lines, "\n", &state); path && error == 0 && count < CONFIG_FILES_MAX;
	     path = strtok_r(NULL, "\n", &state), count++)
		error = config_copy(pg->job, config_fd, path, why);
	return error;
}
