/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which files a MariaDB reads its options from: those that it was told by its first arguments, else the usual ones, and
 * what they include. Followed by the database's user, in a walker.
 */
#include "daemon/engine/db_mariadb.h"

#include "common/log.h"
#include "common/scope.h"
#include "daemon/engine/config_copy.h"
#include "daemon/engine/names.h"
#include "daemon/engine/walker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 65536 };

struct files {
	uint32_t count;
	uint32_t missed; /* that were more than fit */
	char paths[CONFIG_FILES_MAX][CONFIG_PATH_SIZE];
};

static void add(struct files *files, const char *path)
{
	if (path[0] != '/' || strlen(path) >= CONFIG_PATH_SIZE)
		return;
	for (uint32_t i = 0; i < files->count; i++) {
		if (strcmp(files->paths[i], path) == 0)
			return;
	}
	if (files->count >= CONFIG_FILES_MAX) {
		files->missed++;
		return;
	}
	snprintf(files->paths[files->count++], CONFIG_PATH_SIZE, "%s", path);
}

static void add_folder(struct files *files, const char *path)
{
	scope_closedir DIR *dir = opendir(path);
	char file[CONFIG_PATH_SIZE];
	const char *name;

	while (dir && names_next(dir, &name) > 0) {
		size_t length = strlen(name);

		if (length > 4 && strcmp(name + length - 4, ".cnf") == 0 &&
		    snprintf(file, sizeof(file), "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", name) <
			    (int)sizeof(file))
			add(files, file);
	}
}

/* "!includedir /etc/mysql/conf.d/": what stands behind the word, without blanks at either end. */
static char *value_of(char *line, const char *word)
{
	char *end = line + strlen(line);

	line += strspn(line, " \t");
	if (strncmp(line, word, strlen(word)) != 0 || !strchr(" \t", line[strlen(word)]))
		return NULL;
	line += strlen(word);
	line += strspn(line, " \t");
	while (end > line && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return line[0] ? line : NULL;
}

static void follow(struct files *files, const char *path)
{
	scope_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[FILE_MAX], *lines = text, *line, *value;
	struct stat st;
	ssize_t got = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof(text) - 1) : -1;

	text[got < 0 ? 0 : got] = '\0';
	while ((line = strsep(&lines, "\n"))) {
		if ((value = value_of(line, "!includedir")))
			add_folder(files, value);
		else if ((value = value_of(line, "!include")))
			add(files, value);
	}
}

static int find(const void *arg, const int *fds, void *answer, struct reason *why)
{
	struct files *files = answer;

	(void)fds;
	(void)why;
	*files = *(const struct files *)arg;
	for (uint32_t i = 0; i < files->count; i++)
		follow(files, files->paths[i]);
	return 0;
}

static void begin(const struct db_mariadb *my, struct files *files)
{
	char path[CONFIG_PATH_SIZE];

	server_argument(&my->server, "--defaults-file=", path, sizeof(path));
	if (path[0]) {
		add(files, path);
		return;
	}
	add(files, "/etc/my.cnf");
	add(files, "/etc/mysql/my.cnf");
	server_argument(&my->server, "--defaults-extra-file=", path, sizeof(path));
	add(files, path);
}

void my_list_config(const struct db_mariadb *my, struct layout *layout)
{
	struct files files = {0};

	begin(my, &files);
	for (uint32_t i = 0; i < files.count; i++) {
		const char *path = files.paths[i];
		/* What the server was told is not looked at here: it may lead anywhere. */
		bool usual = strcmp(path, "/etc/my.cnf") == 0 || strcmp(path, "/etc/mysql/my.cnf") == 0;

		if (ask_is_clean(path, false) && (!usual || access(path, F_OK) == 0))
			layout_add_part(layout, "configuration", path);
	}
}

static int copy(struct db_mariadb *my, int config_fd, struct files *files, struct reason *why)
{
	struct log_about about = job_about(my->job);
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < files->count && i < CONFIG_FILES_MAX; i++) {
		files->paths[i][CONFIG_PATH_SIZE - 1] = '\0';
		if (ask_is_clean(files->paths[i], false) && files->paths[i][0] == '/')
			error = config_copy(my->job, config_fd, files->paths[i], why);
	}
	if (error == 0 && files->missed)
		log_about(LOG_LEVEL_WARNING, &about, "%u configuration files are not copied: there are more than %d", (unsigned)files->missed,
			  CONFIG_FILES_MAX);
	return error;
}

int my_save_config(struct db_mariadb *my, int config_fd, struct reason *why)
{
	struct files first = {0}, files;
	int error;

	if (my->mode != MY_MODE_RUNNING)
		return 0;
	begin(my, &first);
	error = walker_run(my->job, find, &first, NULL, 0, &files, sizeof(files), why);
	return error == 0 ? copy(my, config_fd, &files, why) : error;
}
