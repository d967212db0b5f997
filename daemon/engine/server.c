/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who serves a data directory. The one difficulty is that a process number may
 * be another process a moment later: everything is read below one descriptor
 * of /proc/PID, and the pidfd is looked at once more afterwards.
 */
#include "daemon/engine/server.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/mounts.h"
#include "daemon/engine/names.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int open_process(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A small file of /proc/PID as a string. False: gone, or not for us. */
static bool read_file(int proc_fd, const char *name, char *text, size_t size)
{
	scope_close int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	text[got < 0 ? 0 : got] = '\0';
	return got >= 0;
}

static bool is_alive(int pidfd)
{
	struct pollfd item = {.fd = pidfd, .events = POLLIN};

	return poll(&item, 1, 0) == 0;
}

bool server_is_alive(const struct server *server)
{
	return server->pidfd >= 0 && is_alive(server->pidfd);
}

void server_let_go(struct server *server)
{
	if (server->pidfd >= 0)
		close(server->pidfd);
	*server = SERVER_NONE;
}

static void read_name(int proc_fd, char name[static 32])
{
	if (!read_file(proc_fd, "comm", name, 32))
		snprintf(name, 32, "?");
	name[strcspn(name, "\n")] = '\0';
	for (char *c = name; *c; c++) {
		if (!isprint((unsigned char)*c))
			*c = '?';
	}
}

int server_stat(int proc_fd, const char *link, struct stat *ret_st)
{
	struct statx found;

	if (statx(proc_fd, link, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO | STATX_NLINK, &found) < 0)
		return -1;
	*ret_st = (struct stat){
		.st_dev = makedev(found.stx_dev_major, found.stx_dev_minor), .st_ino = found.stx_ino, .st_mode = found.stx_mode,
		.st_nlink = found.stx_nlink,
	};
	return 0;
}

static char read_state(int proc_fd)
{
	char text[512];
	const char *end;

	/* "123 (name) S ...": the name may hold anything, so from its last parenthesis. */
	if (!read_file(proc_fd, "stat", text, sizeof(text)))
		return '?';
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : '?';
}

static const char *state_text(char state)
{
	switch (state) {
	case 'T':
		return "which is stopped (SIGSTOP)";
	case 't':
		return "which is stopped by a debugger";
	case 'D':
		return "which waits for a disk that does not answer";
	case 'Z':
		return "which has ended";
	default:
		return "which runs";
	}
}

static bool peer_of(int socket_fd, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);

	return getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, peer, &size) == 0 && peer->pid > 0;
}

void server_describe_pid(pid_t pid, char *text, size_t size)
{
	scope_close int proc_fd = open_process(pid);
	char name[32];

	if (proc_fd < 0) {
		snprintf(text, size, "process %d, which has ended", (int)pid);
		return;
	}
	read_name(proc_fd, name);
	snprintf(text, size, "process %d (%s), %s", (int)pid, name, state_text(read_state(proc_fd)));
}

void server_describe(int socket_fd, char *text, size_t size)
{
	struct ucred peer;

	if (peer_of(socket_fd, &peer))
		server_describe_pid(peer.pid, text, size);
	else
		snprintf(text, size, "the server");
}

void server_argument(const struct server *server, const char *begin, char *ret_rest, size_t size)
{
	scope_close int proc_fd = open_process(server->pid), fd = -1;
	char text[8192];
	ssize_t got;

	ret_rest[0] = '\0';
	if (proc_fd >= 0)
		fd = openat(proc_fd, "cmdline", O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[got < 0 ? 0 : got] = '\0';
	for (char *at = text; server_is_alive(server) && at < text + got; at += strlen(at) + 1) {
		if (strncmp(at, begin, strlen(begin)) != 0)
			continue;
		snprintf(ret_rest, size, "%s", at + strlen(begin));
		return;
	}
}

static bool has_uid(int proc_fd, uid_t uid)
{
	char text[4096], *line;
	unsigned real, effective;

	if (!read_file(proc_fd, "status", text, sizeof(text)))
		return false;
	line = strstr(text, "\nUid:");
	return line && sscanf(line, "\nUid: %u %u", &real, &effective) == 2 && real == uid && effective == uid;
}

static int check_folder(const struct worker_job *job, int proc_fd, pid_t pid, struct reason *why)
{
	char path[MSG_PATH_SIZE / 2] = "an unknown folder";
	struct stat source, works;
	ssize_t length;

	if (fstat(job->data_fd, &source) < 0 || server_stat(proc_fd, "cwd", &works) < 0)
		return reason_set_errno(why, errno, "cannot tell which folder the server (process %d) works in",
					(int)pid);
	if (source.st_dev == works.st_dev && source.st_ino == works.st_ino)
		return 0;
	length = readlinkat(proc_fd, "cwd", path, sizeof(path) - 1);
	if (length > 0)
		path[length] = '\0';
	return reason_set(why, ERR_MISMATCH, "correct database.conninfo or data_dir in the cluster's file",
			  "conninfo reaches another server: process %d, whose data directory is %s, not %s", (int)pid, path,
			  job->cluster->data_dir);
}

/*
 * The server may live in a mount namespace of its own, and under systemd this daemon does. What matters is
 * that it sees the same files: its working directory is ours by device and inode, and nothing is mounted below it there.
 */
static int check_mounts(int proc_fd, pid_t pid, struct reason *why)
{
	char path[MSG_PATH_SIZE], point[MSG_PATH_SIZE / 2], mountinfo[64];
	ssize_t length = readlinkat(proc_fd, "cwd", path, sizeof(path) - 1);
	int found;

	if (length <= 0)
		return reason_set_errno(why, errno, "cannot tell which folder the server (process %d) works in", (int)pid);
	path[length] = '\0';
	snprintf(mountinfo, sizeof(mountinfo), "/proc/%d/mountinfo", (int)pid);
	found = mounts_below(mountinfo, path, point, sizeof(point));
	if (found < 0)
		return reason_set(why, found, NULL, "cannot see what is mounted where the server (process %d) runs: %s",
				  (int)pid, err_text(found));
	if (found == 0)
		return 0;
	return reason_set(why, ERR_LAYOUT, "move what is mounted there out of the data directory",
			  "where the server (process %d) runs, %s is mounted inside its data directory", (int)pid, point);
}

static int check_process(const struct worker_job *job, int proc_fd, const struct ucred *peer, struct reason *why)
{
	int error;

	if (peer->uid != job->identity.uid || !has_uid(proc_fd, job->identity.uid))
		return reason_set(why, ERR_MISMATCH, "set database.user to the user that runs the server",
				  "the server (process %d) is run by uid %u, not by database.user (uid %u)",
				  (int)peer->pid, (unsigned)peer->uid, (unsigned)job->identity.uid);
	error = check_folder(job, proc_fd, peer->pid, why);
	return error < 0 ? error : check_mounts(proc_fd, peer->pid, why);
}

static bool holds_file(int proc_fd, const struct stamp *file)
{
	scope_close int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	const char *number;
	struct stat st;

	while (dir && names_next(dir, &number) > 0) {
		if (server_stat(fd, number, &st) == 0 && st.st_dev == file->device && st.st_ino == file->inode)
			return true;
	}
	return false;
}

/* Who has the file open among the database user's processes; 0: nobody, or more than one. */
static pid_t find_holder(const struct worker_job *job, const struct stamp *file)
{
	scope_closedir DIR *proc = opendir("/proc");
	const char *name;
	pid_t found = 0;

	while (proc && names_next(proc, &name) > 0) {
		scope_close int proc_fd = isdigit((unsigned char)name[0]) ? open_process((pid_t)strtol(name, NULL, 10)) : -1;

		if (proc_fd < 0 || !has_uid(proc_fd, job->identity.uid) || !holds_file(proc_fd, file))
			continue;
		if (found)
			return 0;
		found = (pid_t)strtol(name, NULL, 10);
	}
	return found;
}

/* A socket that systemd made says that it is systemd's. */
static bool server_of(const struct worker_job *job, int socket_fd, const struct stamp *holds, struct ucred *ret_peer)
{
	struct ucred peer;

	if (!peer_of(socket_fd, &peer))
		return false;
	if (peer.pid == 1 && holds) {
		peer.uid = job->identity.uid;
		peer.pid = find_holder(job, holds);
	}
	*ret_peer = peer;
	return peer.pid > 0;
}

int server_hold(const struct worker_job *job, int socket_fd, const struct stamp *holds, struct server *ret_server,
		struct reason *why)
{
	scope_close int pidfd = -1, proc_fd = -1;
	struct ucred peer;
	int error;

	if (!server_of(job, socket_fd, holds, &peer))
		return reason_set(why, ERR_MISMATCH, "run the server on this machine, in sight of this daemon",
				  "the kernel does not tell which process is behind the database's socket");
	pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	proc_fd = open_process(peer.pid);
	if (pidfd < 0 || proc_fd < 0)
		return reason_set_retry(why, ERR_NOT_FOUND, NULL, "the server (process %d) has just ended",
					(int)peer.pid);
	error = check_process(job, proc_fd, &peer, why);
	if (error == 0 && holds && !holds_file(proc_fd, holds))
		error = reason_set(why, ERR_MISMATCH, "correct database.conninfo or data_dir in the cluster's file",
				   "the server (process %d) does not have the files of %s open", (int)peer.pid,
				   job->cluster->data_dir);
	if (!is_alive(pidfd))
		return reason_set_retry(why, ERR_NOT_FOUND, NULL, "the server (process %d) has just ended",
					(int)peer.pid);
	if (error == 0)
		*ret_server = (struct server){.pid = peer.pid, .pidfd = scope_take_fd(pidfd)};
	return error;
}

bool server_is_elsewhere(const struct worker_job *job, int socket_fd)
{
	scope_close int pidfd = -1, proc_fd = -1;
	struct stat source, works;
	struct ucred peer;

	/* The first process has the sockets of others: systemd's. */
	if (job->data_fd < 0 || !peer_of(socket_fd, &peer) || peer.pid == 1)
		return false;
	pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	proc_fd = open_process(peer.pid);
	if (pidfd < 0 || proc_fd < 0 || fstat(job->data_fd, &source) < 0 || server_stat(proc_fd, "cwd", &works) < 0)
		return false;
	return is_alive(pidfd) && (source.st_dev != works.st_dev || source.st_ino != works.st_ino);
}

void server_bindir(const struct server *server, char *path, size_t size)
{
	char link[64], *base;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)server->pid);
	length = readlink(link, path, size - 1);
	path[length > 0 && length < (ssize_t)size - 1 ? length : 0] = '\0';
	base = strrchr(path, '/');
	if (base)
		*base = '\0';
	/* Held by its pidfd, its number was nobody else's while it lived. */
	if (!base || !is_alive(server->pidfd))
		path[0] = '\0';
}
