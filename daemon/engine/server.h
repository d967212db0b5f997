/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The database's main process: found by who is at the other end of its socket,
 * held by pidfd, never found by a pid file, which the database's user can write.
 */
#ifndef DBSNAP_ENGINE_SERVER_H
#define DBSNAP_ENGINE_SERVER_H

#include "daemon/engine/job.h"
#include "daemon/engine/stamp.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct server {
	pid_t pid;
	int pidfd;
};

#define SERVER_NONE ((struct server){.pid = 0, .pidfd = -1})

/*
 * Takes hold of the process at the other end of socket_fd and proves that it serves job's data_dir: it is the
 * database's user's, its working directory is that folder, nothing is mounted below it where it runs, and it has the
 * file holds (NULL: none is known) open. Where systemd made the socket, it is the one process that has it open.
 * 0 or a code with why.
 */
int server_hold(const struct worker_job *job, int socket_fd, const struct stamp *holds, struct server *ret_server,
		struct reason *why);
void server_let_go(struct server *server);
/*
 * Is it proved that whoever is at the other end of socket_fd is a process that works in another folder than job's data_dir? Both
 * servers work in theirs. False for one that cannot be seen, too: it may be in namespaces that we are not in.
 */
bool server_is_elsewhere(const struct worker_job *job, int socket_fd);
bool server_is_alive(const struct server *server);

/*
 * What the link below proc_fd (or /proc/PID/fd), "cwd" or a descriptor's number, leads to: of *ret_st its device, inode, kind and
 * number of names. Whoever serves that file is not asked: he may hang. 0, or -1 with errno.
 */
int server_stat(int proc_fd, const char *link, struct stat *ret_st);

/*
 * The rest of the first argument that the process was started with and that begins so, "" if there is none. For people: it
 * is the database user's word.
 */
void server_argument(const struct server *server, const char *begin, char *ret_rest, size_t size);

/* The folder of its executable, as its own mount namespace has it; "" if that cannot be told. */
void server_bindir(const struct server *server, char *path, size_t size);

/* "process 123 (postgres), which is stopped (SIGSTOP)" of the other end of socket_fd, for messages. */
void server_describe(int socket_fd, char *text, size_t size);
/* The same of a process. */
void server_describe_pid(pid_t pid, char *text, size_t size);

/*
 * Looks through all processes but dbsnapd's own for one that works in job's data_dir: a program of that name whose working
 * directory it is, or anybody who has a file that lies there open for writing. 1 with who in text, 0 for nobody, or a
 * code with why: not all could be looked at.
 */
int server_search(struct worker_job *job, const char *program, char *text, size_t size, struct reason *why);

/* The same for anybody but server who has a file there open for writing. */
int server_search_writer(struct worker_job *job, pid_t server, char *text, size_t size, struct reason *why);

#endif
