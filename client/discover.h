/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finds the PostgreSQL and MariaDB servers that run on this host, by looking at /proc. What
 * a server's folder says is its user's word and only proposed, never trusted:
 * dbsnapd asks the socket's peer itself.
 */
#ifndef DBSNAP_CLIENT_DISCOVER_H
#define DBSNAP_CLIENT_DISCOVER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum server_kind { SERVER_NONE, SERVER_POSTGRESQL, SERVER_MARIADB };

struct server {
	enum server_kind kind;
	pid_t pid;
	uid_t uid;
	char user[64];		   /* its name; "" when it has none */
	char data_dir[PATH_MAX];   /* absolute, real */
	char socket_dir[PATH_MAX]; /* PostgreSQL's; "" when it has no Unix socket, or postmaster.pid cannot be read */
	char socket[PATH_MAX];	   /* MariaDB's; "" when it has none, or it is not ours to look at */
	unsigned port;		   /* PostgreSQL's */
	char version[16];	   /* "15", "10.11.19" */
};

struct servers {
	struct server *list;
	size_t count;
	size_t hidden; /* processes whose executable this user may not look at */
};

/* "PostgreSQL". A static string. */
const char *server_kind_name(enum server_kind kind);

/* 0, ERR_IO (no /proc), ERR_NOMEM. servers_free() whatever it returns. */
int discover_servers(struct servers *servers);
void servers_free(struct servers *servers);

#endif
