/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The postmaster is the process whose executable is named postgres while its
 * parent's is not; a MariaDB is one process. Their working folder is the data directory. Files in there
 * belong to the database's user: opened without following links or waiting.
 */
#include "client/discover.h"

#include "client/listening.h"

#include "common/err.h"
#include "common/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_SIZE = 8192 };

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The target of /proc/PID/name. 0 or a negative code (ERR_DENIED: not ours to look at). */
static int read_proc_link(pid_t pid, const char *name, char *ret_target, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	length = readlink(path, ret_target, size - 1);
	if (length < 0)
		return err_from_errno(errno);
	ret_target[length] = '\0';
	return 0;
}

const char *server_kind_name(enum server_kind kind)
{
	return kind == SERVER_MARIADB ? "MariaDB" : "PostgreSQL";
}

static enum server_kind kind_of(const char *program)
{
	static const struct {
		const char *program;
		enum server_kind kind;
	} known[] = {{"postgres", SERVER_POSTGRESQL}, {"postmaster", SERVER_POSTGRESQL}, {"mariadbd", SERVER_MARIADB},
		     {"mysqld", SERVER_MARIADB}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(program, known[i].program) == 0)
			return known[i].kind;
	}
	return SERVER_NONE;
}

/* An enum server_kind, or a negative code. */
static int kind_of_process(pid_t pid)
{
	char target[PATH_MAX];
	char *base, *deleted;
	int r = read_proc_link(pid, "exe", target, sizeof(target));

	if (r < 0)
		return r;
	/* An upgraded package leaves the running server's executable without a name. */
	deleted = strstr(target, " (deleted)");
	if (deleted && deleted[10] == '\0')
		*deleted = '\0';
	base = strrchr(target, '/');
	return base ? (int)kind_of(base + 1) : SERVER_NONE;
}

/* A small regular file below dir, as a string. ERR_INVALID: something else lies there. */
static int read_file(int dir, const char *name, char text[static FILE_SIZE])
{
	scope_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	ssize_t length;

	if (fd < 0)
		return err_from_errno(errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return ERR_INVALID;
	length = read(fd, text, FILE_SIZE - 1);
	if (length < 0)
		return ERR_IO;
	text[length] = '\0';
	return 0;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], text[FILE_SIZE];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (read_file(AT_FDCWD, path, text) < 0 || !(line = strstr(text, "\nPPid:")))
		return 0;
	return (pid_t)strtol(line + 6, NULL, 10);
}

/* Pid, data directory, start time, port, socket directory: a line each. */
static void read_postmaster_pid(int dir, struct server *server)
{
	char text[FILE_SIZE], *rest = text, *lines[5] = {NULL};

	if (read_file(dir, "postmaster.pid", text) < 0)
		return;
	for (int i = 0; i < 5 && rest; i++)
		lines[i] = strsep(&rest, "\n");
	if (!lines[4] || strtol(lines[0], NULL, 10) != server->pid)
		return;
	server->port = (unsigned)strtoul(lines[3], NULL, 10);
	if (lines[4][0] == '/' && strlen(lines[4]) < sizeof(server->socket_dir))
		memcpy(server->socket_dir, lines[4], strlen(lines[4]) + 1);
}

/* A relative path is from the data directory, where the server works. */
static void find_socket(struct server *server)
{
	char path[PATH_MAX];

	if (listening_path(server->pid, path, sizeof(path)) == 0 &&
	    snprintf(server->socket, sizeof(server->socket), "%s%s%s", path[0] == '/' ? "" : server->data_dir,
		     path[0] == '/' ? "" : "/", path) >= (int)sizeof(server->socket))
		server->socket[0] = '\0';
}

static void read_version(int dir, const char *name, struct server *server)
{
	char text[FILE_SIZE];
	size_t length;

	if (read_file(dir, name, text) < 0)
		return;
	length = strspn(text, "0123456789.");
	snprintf(server->version, sizeof(server->version), "%.*s", (int)(length < 15 ? length : 15), text);
}

/* Whether the path means here what it means to the server: one in a container has a tree of its own. */
static bool is_same_tree(pid_t pid, int dir)
{
	char path[64];
	struct stat theirs, ours;

	snprintf(path, sizeof(path), "/proc/%d/cwd/.", (int)pid);
	return stat(path, &theirs) == 0 && fstat(dir, &ours) == 0 && theirs.st_dev == ours.st_dev &&
	       theirs.st_ino == ours.st_ino;
}

static int look_at(pid_t pid, enum server_kind kind, struct server *ret_server)
{
	struct server server = {.kind = kind, .pid = pid};
	const struct passwd *user;
	scope_close int dir = -1;
	char proc[64];
	struct stat st;
	int r = read_proc_link(pid, "cwd", server.data_dir, sizeof(server.data_dir));

	if (r < 0)
		return r;
	snprintf(proc, sizeof(proc), "/proc/%d", (int)pid);
	dir = open(server.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || stat(proc, &st) < 0 || !is_same_tree(pid, dir))
		return ERR_NOT_FOUND;
	server.uid = st.st_uid;
	user = getpwuid(st.st_uid);
	if (user && strlen(user->pw_name) < sizeof(server.user))
		memcpy(server.user, user->pw_name, strlen(user->pw_name) + 1);
	read_version(dir, kind == SERVER_MARIADB ? "mysql_upgrade_info" : "PG_VERSION", &server);
	if (kind == SERVER_MARIADB)
		find_socket(&server);
	else
		read_postmaster_pid(dir, &server);
	*ret_server = server;
	return 0;
}

static int consider(struct servers *servers, pid_t pid)
{
	struct server server, *grown;
	int kind = kind_of_process(pid);

	if (kind == ERR_DENIED)
		servers->hidden++;
	if (kind <= 0 || kind_of_process(parent_of(pid)) == kind || look_at(pid, (enum server_kind)kind, &server) < 0)
		return 0;
	grown = reallocarray(servers->list, servers->count + 1, sizeof(*grown));
	if (!grown)
		return ERR_NOMEM;
	servers->list = grown;
	servers->list[servers->count++] = server;
	return 0;
}

int discover_servers(struct servers *servers)
{
	__attribute__((cleanup(close_dir))) DIR *proc = opendir("/proc");
	const struct dirent *entry;
	int r = 0;

	*servers = (struct servers){0};
	if (!proc)
		return ERR_IO;
	while (r == 0 && (entry = readdir(proc))) {
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name))
			r = consider(servers, (pid_t)strtol(entry->d_name, NULL, 10));
	}
	return r;
}

void servers_free(struct servers *servers)
{
	free(servers->list);
	*servers = (struct servers){0};
}
