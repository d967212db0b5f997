/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From conninfo to a session with the right PostgreSQL. */
#include "daemon/engine/db_postgresql.h"

#include "common/err.h"
#include "daemon/engine/reach.h"

#include <inttypes.h>
#include <stdio.h>

enum { FLUSH_MS = 60000 };

static const char program[] = "dbsnapd-helper-postgresql";

static const char role_remedy[] =
	"as a superuser of it: CREATE ROLE dbsnap LOGIN; GRANT pg_read_all_settings TO dbsnap; and let database.user be "
	"that role: \"local all dbsnap peer map=dbsnap\" in pg_hba.conf, \"dbsnap USER dbsnap\" in pg_ident.conf, "
	"pg_reload_conf(), and user=dbsnap in database.conninfo; or use a role that may log in already";

static const char grant_remedy[] =
	"as a superuser of it: GRANT pg_read_all_settings TO the role of database.conninfo; and EXECUTE on "
	"pg_control_system() if that was revoked";

static const char backup_remedy[] =
	"as a superuser, in the database and for the role of database.conninfo (here dbsnap): ALTER ROLE dbsnap "
	"REPLICATION; and GRANT EXECUTE on the two functions that dbsnapd(8) names";

static const char *conninfo_of(const struct worker_job *job)
{
	return conf_conninfo(&job->cluster->database, CONF_DATABASE_POSTGRESQL);
}

int pg_refuse_served(struct worker_job *job, struct reason *why)
{
	char who[128];
	int found = server_search(job, "postgres", who, sizeof(who), why);

	if (found < 0)
		return found;
	if (found == 0)
		return 0;
	return reason_set(why, ERR_BUSY,
			  "correct database.conninfo (its folder is the server's unix_socket_directories, its port the "
			  "server's), or stop what works there",
			  "nothing answers at conninfo \"%.200s\", but %s works in %s", conninfo_of(job), who,
			  job->cluster->data_dir);
}

static struct reach reach_of(const struct worker_job *job)
{
	return (struct reach){"PostgreSQL", conninfo_of(job), role_remedy, grant_remedy};
}

int pg_ask(struct db_postgresql *pg, const struct ask_question *question, int timeout_ms,
	   struct ask_answer *ret_answer, struct reason *why)
{
	struct reach reach = reach_of(pg->job);
	int error = session_ask(pg->session, question, timeout_ms, ret_answer, why);

	if (error == 0 && ret_answer->outcome == ASK_FORBIDDEN && question->type >= ASK_START)
		return reason_set(why, ERR_DATABASE, backup_remedy, "the server forbids it: %s", ret_answer->text);
	if (error == 0 && ret_answer->outcome != ASK_DONE)
		return reach_refuse(&reach, ret_answer, why);
	return error;
}

/* As reach_server(). Where libpq has refused, or the server, because it is another user's, we say it better. */
static int reach(struct db_postgresql *pg, struct reason *why)
{
	struct reach reach = reach_of(pg->job);
	struct server server = SERVER_NONE;
	struct reason other = {0};
	struct ask_answer answer;
	int reached = reach_server(&reach, pg->session, &answer, why);

	if (reached < 0 && answer.outcome == ASK_FAILED && session_socket(pg->session) >= 0 &&
	    server_hold(pg->job, session_socket(pg->session), NULL, &server, &other) == ERR_MISMATCH) {
		*why = other;
		reached = ERR_MISMATCH;
	}
	server_let_go(&server);
	return reached;
}

static int refuse_facts(const struct db_postgresql *pg, struct reason *why)
{
	const struct ask_facts *facts = &pg->facts;

	if (facts->system_identifier != pg->control.system_identifier)
		return reason_set(why, ERR_MISMATCH, "correct database.conninfo or data_dir",
				  "conninfo reaches another cluster: its system identifier is %" PRIu64 ", that of %s is %" PRIu64,
				  facts->system_identifier, pg->job->cluster->data_dir, pg->control.system_identifier);
	if (facts->version / 10000 != pg->tree.major)
		return reason_set(why, ERR_MISMATCH, "correct database.conninfo or data_dir",
				  "the server says that it is PostgreSQL %" PRIu32 ", its files that they are of %" PRIu32,
				  facts->version / 10000, pg->tree.major);
	if (!facts->fsync)
		return reason_set(why, ERR_LAYOUT, "set fsync = on and reload the server",
				  "fsync is off: a cut of this server may not start");
	return 0;
}

static void describe(const struct db_postgresql *pg, struct layout *layout)
{
	snprintf(layout->server, sizeof(layout->server), "PostgreSQL %.40s", pg->facts.version_text);
	if (!pg->facts.full_page_writes)
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"full_page_writes is off: turn it on unless the disk never tears a page");
	if (pg->facts.in_recovery)
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"the server is a standby: the backup has what it had replayed");
}

static int learn(struct db_postgresql *pg, struct layout *layout, struct reason *why)
{
	struct ask_question question = {.type = ASK_FACTS};
	struct ask_answer answer;
	int error = server_hold(pg->job, session_socket(pg->session), NULL, &pg->server, why);

	session_let_socket_go(pg->session);
	if (error == 0)
		server_bindir(&pg->server, layout->bindir, sizeof(layout->bindir));
	if (error == 0)
		error = pg_ask(pg, &question, REACH_FACTS_MS, &answer, why);
	if (error < 0)
		return error;
	pg->facts = answer.facts;
	pg->tablespaces = answer.tablespaces;
	describe(pg, layout);
	return refuse_facts(pg, why);
}

int pg_connect(struct db_postgresql *pg, struct layout *layout, struct reason *why)
{
	int reached, error = session_start(pg->job, program, &pg->session, why);

	if (error < 0)
		return error;
	reached = reach(pg, why);
	if (reached < 0)
		return reached;
	if (reached == 0) {
		pg->session = session_end(pg->session);
		return pg_refuse_served(pg->job, why);
	}
	error = learn(pg, layout, why);
	return error < 0 ? error : 1;
}

int pg_prove_stopped(struct worker_job *job, struct reason *why)
{
	struct reach reach = reach_of(job);

	return reach_prove_stopped(&reach, job, program, why);
}

int pg_flush(struct db_postgresql *pg, struct reason *why)
{
	struct ask_question question = {.type = ASK_FLUSH, .backup = pg->job->order.backup};
	struct ask_answer answer;
	int error = pg_ask(pg, &question, FLUSH_MS, &answer, why);

	if (error == 0)
		pg->floor = answer.lsn;
	return error;
}
