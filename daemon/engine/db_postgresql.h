/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the PostgreSQL side share; nobody else includes it. */
#ifndef DBSNAP_ENGINE_DB_POSTGRESQL_H
#define DBSNAP_ENGINE_DB_POSTGRESQL_H

#include "daemon/engine/db.h"
#include "daemon/engine/pg_control.h"
#include "daemon/engine/pg_inspect.h"
#include "daemon/engine/server.h"
#include "daemon/engine/session.h"

enum pg_mode {
	PG_MODE_RUNNING, /* a session with the server */
	PG_MODE_STOPPED, /* proved that none runs */
	PG_MODE_UNASKED  /* quiesce: none */
};

struct db_postgresql {
	struct db base;
	struct worker_job *job;
	enum pg_mode mode;
	struct session *session; /* NULL unless running */
	struct server server;
	struct ask_facts facts;
	struct ask_tablespaces tablespaces; /* as the server named them first */
	struct pg_tree tree;       /* the source, as opened */
	struct pg_control control; /* of the same moment */
	uint64_t floor;            /* LSN that the cut is at or over; 0 if not running */
};

/*
 * Reaches the server behind conninfo, proves that it is data_dir's own and that its settings allow a cut;
 * fills session, server, facts and layout's server, warnings and weakened. 1; 0: proved that no server
 * runs; or a code with why.
 */
int pg_connect(struct db_postgresql *pg, struct layout *layout, struct reason *why);

/* 0 if no process serves or writes job's data_dir, else a code with why. */
int pg_refuse_served(const struct worker_job *job, struct reason *why);

/* Makes what was acknowledged so far durable and sets pg->floor. */
int pg_flush(struct db_postgresql *pg, struct reason *why);

/* Copies the configuration that lies outside data_dir, read by the database's user, into the folder config_fd. */
int pg_save_config(struct db_postgresql *pg, int config_fd, struct reason *why);

/* See db_ops.make_clone. */
int pg_make_clone(struct worker_job *job, const struct manifest *manifest, int clone_fd, const char *path,
		  struct db_clone *ret_clone, struct reason *why);

#endif
