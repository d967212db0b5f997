/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A socket that nobody answers at is a dead daemon's and may be replaced; one
 * where somebody does is another daemon's and ends our start.
 */
#include "daemon/engine/listen.h"

#include "common/err.h"
#include "common/log.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { BACKLOG = 1024, ORPHAN_WAIT_MS = 2000 };

static void warn_mode(const struct conf_listen *conf)
{
	struct stat st;

	if (stat(conf->path, &st) < 0)
		return;
	if ((st.st_mode & 0777) != conf->mode)
		log_warning("%s has mode %04o as its socket unit says, listen.mode is %04o", conf->path,
			    (unsigned)(st.st_mode & 0777), (unsigned)conf->mode);
	if (st.st_gid != conf->gid)
		log_warning("%s belongs to group %u as its socket unit says, listen.group is %s", conf->path,
			    (unsigned)st.st_gid, conf->group);
}

/* The configured socket that an inherited one is, or NULL, logged. */
static const struct conf_listen *find_inherited(const struct conf *conf, int fd, size_t *ret_number)
{
	struct sockaddr_un address = {0};
	socklen_t size = sizeof(address) - 1;

	if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
		log_error("expected listening Unix stream sockets from the socket unit, and nothing else");
		return NULL;
	}
	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
		log_error("the socket unit's socket has no name: %s", strerror(errno));
		return NULL;
	}
	for (size_t i = 0; i < conf->listen_count; i++) {
		if (strcmp(address.sun_path, conf->listens[i].path) == 0) {
			*ret_number = i;
			return &conf->listens[i];
		}
	}
	log_error("the socket unit listens at \"%s\", listen.path is %s%s: make them the same", address.sun_path,
		  conf->listens[0].path, conf->listen_count > 1 ? " (or another of the list)" : "");
	return NULL;
}

static int inherit(const struct conf *conf, int count, struct listens *listens)
{
	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; fd++) {
		size_t number;
		const struct conf_listen *at = find_inherited(conf, fd, &number);

		if (!at)
			return ERR_MISMATCH;
		if (listens->at[number].fd >= 0) {
			log_error("the socket unit hands on two sockets at %s", at->path);
			return ERR_MISMATCH;
		}
		warn_mode(at);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		listens->at[number].fd = fd;
	}
	return 0;
}

static void fill_address(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, strlen(path) + 1);
}

/* Without a login session there is no folder of the user's for what runs. */
static const char *remedy_for(int error)
{
	if (geteuid() == 0 || (error != ENOENT && error != EACCES))
		return "";
	return "; set XDG_RUNTIME_DIR to a folder of your own, or listen.path in dbsnapd.yaml";
}

static int make_parent(const char *path)
{
	char parent[CONF_SOCKET_SIZE];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return 0;
	*slash = '\0';
	if (mkdir(parent, 0755) == 0)
		/* The umask has taken bits away. */
		return chmod(parent, 0755) < 0 ? err_from_errno(errno) : 0;
	if (errno == EEXIST)
		return 0;
	log_error("cannot make the folder %s for the socket: %s%s", parent, strerror(errno), remedy_for(errno));
	return err_from_errno(errno);
}

/*
 * A file beside the socket, 0600, because anybody may lock what he can open. Held only while a name is
 * taken or given up: two that start at once would each take the other's socket for a dead one. The lock;
 * ERR_BUSY when another has it.
 */
static int lock_name(const char *path)
{
	scope_close int fd = -1;
	char beside[CONF_SOCKET_SIZE + 8];
	struct stat st;

	snprintf(beside, sizeof(beside), "%s.lock", path);
	fd = open(beside, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_from_errno(errno);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return ERR_UNTRUSTED;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? ERR_BUSY : err_from_errno(errno);
	return scope_take_fd(fd);
}

static void log_lock(const char *path, int error)
{
	if (error == ERR_BUSY)
		log_error("another dbsnapd starts or stops at %s: stop it, or give this one a listen.path of "
			  "its own", path);
	else
		log_error("cannot lock %s.lock: %s", path, err_text(error));
}

/* Also before the lock's file is made: a start that cannot work leaves nothing new. */
static int check_name(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || S_ISSOCK(st.st_mode))
		return 0;
	log_error("%s is there and is no socket", path);
	return ERR_EXISTS;
}

/* Somebody answers, but whoever listened is gone: his front, on its way to its end, which is waited for. */
static bool ends_soon(int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	struct pollfd item = {.fd = fd, .events = POLLRDHUP};

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0 && kill(peer.pid, 0) < 0 &&
	       errno == ESRCH && poll(&item, 1, ORPHAN_WAIT_MS) > 0;
}

/* 0: nobody; 1: somebody who has just ended; ERR_EXISTS: somebody, or it cannot be told. */
static int look_behind(const char *path)
{
	scope_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	fill_address(path, &address);
	if (fd < 0)
		return ERR_EXISTS;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == ECONNREFUSED ? 0 : ERR_EXISTS;
	return ends_soon(fd) ? 1 : ERR_EXISTS;
}

/* 0 when the name is free now. */
static int clear_name(const char *path)
{
	struct stat st;
	int behind;

	if (check_name(path) < 0)
		return ERR_EXISTS;
	if (lstat(path, &st) < 0)
		return 0;
	behind = look_behind(path);
	if (behind > 0)
		behind = look_behind(path);
	if (behind == 0)
		return unlink(path) < 0 ? err_from_errno(errno) : 0;
	log_error("another dbsnapd answers at %s: stop it first, or give this one a listen.path of its own",
		  path);
	return ERR_EXISTS;
}

/* By the name's own descriptor: whoever owns the folder may have put a link in the socket's place. */
static int open_to(const struct conf_listen *conf, struct stat *ret_st)
{
	scope_close int fd = open(conf->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char self[64];

	if (fd < 0 || fstat(fd, ret_st) < 0)
		return err_from_errno(errno);
	if (!S_ISSOCK(ret_st->st_mode) || ret_st->st_uid != geteuid())
		return ERR_UNTRUSTED;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", (uid_t)-1, conf->gid, AT_EMPTY_PATH) < 0 || chmod(self, conf->mode) < 0)
		return err_from_errno(errno);
	return 0;
}

static bool is_ours(const struct listen *listen)
{
	struct stat st;

	return lstat(listen->path, &st) == 0 && st.st_dev == listen->device && st.st_ino == listen->inode;
}

static int bind_at(const struct conf_listen *conf, int fd, struct listen *listen_at)
{
	struct sockaddr_un address;
	struct stat st;
	int error;

	fill_address(conf->path, &address);
	/* Under the engine's umask nobody else gets in before the group and the mode are right. */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_from_errno(errno);
	error = open_to(conf, &st);
	if (error == 0 && listen(fd, BACKLOG) < 0)
		error = err_from_errno(errno);
	if (error < 0) {
		unlink(conf->path);
		return error;
	}
	listen_at->device = st.st_dev;
	listen_at->inode = st.st_ino;
	return 0;
}

static int bind_own(const struct conf_listen *conf, struct listen *listen)
{
	scope_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	scope_close int lock = -1;
	int error = fd < 0 ? err_from_errno(errno) : make_parent(conf->path);

	if (error == 0)
		error = check_name(conf->path);
	if (error < 0)
		return error;
	lock = lock_name(conf->path);
	if (lock < 0) {
		log_lock(conf->path, lock);
		return lock;
	}
	error = clear_name(conf->path);
	if (error < 0)
		return error;
	error = bind_at(conf, fd, listen);
	if (error < 0) {
		log_error("cannot listen at %s: %s", conf->path, err_text(error));
		return error;
	}
	listen->fd = scope_take_fd(fd);
	listen->bound = true;
	return 0;
}

int listens_open(const struct conf *conf, struct listens *ret_listens)
{
	int count = sd_listen_fds(1), error;

	ret_listens->count = conf->listen_count;
	for (size_t i = 0; i < conf->listen_count; i++) {
		ret_listens->at[i] = (struct listen){.fd = -1};
		memcpy(ret_listens->at[i].path, conf->listens[i].path, sizeof(ret_listens->at[i].path));
	}
	error = inherit(conf, count > 0 ? count : 0, ret_listens);
	for (size_t i = 0; error == 0 && i < conf->listen_count; i++) {
		if (ret_listens->at[i].fd < 0)
			error = bind_own(&conf->listens[i], &ret_listens->at[i]);
	}
	return error;
}

/* Another daemon may have taken the name since; one that is about to replaces what is left. */
static void unlink_own(const struct listen *listen)
{
	scope_close int lock = lock_name(listen->path);

	if (lock >= 0 && is_ours(listen))
		unlink(listen->path);
}

void listens_close(struct listens *listens)
{
	for (size_t i = 0; i < listens->count; i++) {
		if (listens->at[i].fd >= 0)
			close(listens->at[i].fd);
		if (listens->at[i].bound)
			unlink_own(&listens->at[i]);
	}
	listens->count = 0;
}
