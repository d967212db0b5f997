/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From conninfo to a session with the right MariaDB, and the lock in it. */
#include "daemon/engine/db_mariadb.h"

#include "common/clock.h"
#include "common/err.h"
#include "daemon/engine/account.h"
#include "daemon/engine/reach.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	LEAST_MS = 100,
	STATEMENTS_LIMITED = 3 /* of a lock: START, FLUSH, and the two that block */
};

static const char program[] = "dbsnapd-helper-mariadb";

/* What an administrator has to do, with the account's own name. */
struct remedies {
	char rejected[MSG_TEXT_SIZE];
	char forbidden[MSG_TEXT_SIZE];
};

static struct reach reach_of(const struct conf_database_settings *database, struct remedies *remedies)
{
	char account[ACCOUNT_SIZE];

	account_mariadb(database, account);
	snprintf(remedies->rejected, sizeof(remedies->rejected),
		 "as an administrator of it: CREATE USER %.300s IDENTIFIED VIA unix_socket; GRANT RELOAD, BINLOG MONITOR ON *.* TO "
		 "%.300s; (the name is that of database.user, and user= in database.conninfo)", account, account);
	snprintf(remedies->forbidden, sizeof(remedies->forbidden),
		 "as an administrator of it: GRANT RELOAD, BINLOG MONITOR ON *.* TO %.300s", account);
	return (struct reach){"MariaDB", conf_conninfo(database, CONF_DATABASE_MARIADB), remedies->rejected,
			      remedies->forbidden};
}

int my_refuse_served(const struct db_mariadb *my, struct reason *why)
{
	struct worker_job *job = my->job;
	char who[128];
	int found = server_search(job, "mariadbd", who, sizeof(who), why);

	if (found == 0)
		found = server_search(job, "mysqld", who, sizeof(who), why);
	if (found <= 0)
		return found;
	return reason_set(why, ERR_BUSY,
			  "wait until it has started; or correct database.conninfo (socket= is the server's setting "
			  "socket), or stop what works there",
			  "nothing answers at conninfo \"%.200s\", but %s works in %s", my->conninfo, who,
			  job->cluster->data_dir);
}

static int refuse_answer(const struct db_mariadb *my, const struct ask_answer *answer, struct reason *why)
{
	struct remedies remedies;
	struct reach reach = reach_of(&my->job->cluster->database, &remedies);

	return reach_refuse(&reach, answer, why);
}

static int refuse_kind(const struct db_mariadb *my, struct reason *why)
{
	const struct ask_my_facts *facts = &my->facts;
	unsigned major = 0, minor = 0;

	if (!strstr(facts->version, "MariaDB"))
		return reason_set(why, ERR_UNSUPPORTED, NULL,
				  "the server is no MariaDB but %s: MySQL was not tried yet, and is refused until it is",
				  facts->version);
	if (sscanf(facts->version, "%u.%u", &major, &minor) != 2 || major < 10 || (major == 10 && minor < 5))
		return reason_set(why, ERR_UNSUPPORTED, "upgrade the server",
				  "the server is MariaDB %s: this release knows 10.5 and later", facts->version);
	if (facts->encryption[0])
		return reason_set(why, ERR_UNSUPPORTED, NULL,
				  "the server uses encryption at rest (plugin %s): a clone would not have its keys",
				  facts->encryption);
	return 0;
}

static int refuse_settings(const struct db_mariadb *my, struct reason *why)
{
	if (my->facts.flush_log_at_commit == 0)
		return reason_set(why, ERR_LAYOUT,
				  "SET GLOBAL innodb_flush_log_at_trx_commit = 1 (or 2), and in the server's option file",
				  "innodb_flush_log_at_trx_commit is 0: commits of the last second would be missing, and no "
				  "statement writes them out");
	return 0;
}

static void describe(const struct db_mariadb *my, struct layout *layout)
{
	const struct ask_my_facts *facts = &my->facts;

	snprintf(layout->server, sizeof(layout->server), "MariaDB %.*s", (int)strcspn(facts->version, "-"),
		 facts->version);
	if (!facts->may_lock || (facts->log_bin && !facts->may_position))
		layout_add_line(layout->warnings, sizeof(layout->warnings),
				"the account may not hold writers: as soon as there are tables without transactions, "
				"backups fail (GRANT RELOAD, BINLOG MONITOR ON *.*)");
	if (!facts->doublewrite)
		layout_add_line(layout->weakened, sizeof(layout->weakened),
				"innodb_doublewrite was off: a page torn at the cut would not be repaired");
}

static int learn(struct db_mariadb *my, struct layout *layout, struct reason *why)
{
	struct ask_question question = {.type = ASK_MY_FACTS};
	struct ask_answer answer;
	int error = server_hold(my->job, session_socket(my->session), &my->tree.stamps[MY_STAMP_DATA], &my->server, why);

	session_let_socket_go(my->session);
	if (error == 0)
		server_bindir(&my->server, layout->bindir, sizeof(layout->bindir));
	if (error == 0)
		error = session_ask(my->session, &question, REACH_FACTS_MS, &answer, why);
	if (error == 0 && answer.outcome != ASK_DONE)
		error = refuse_answer(my, &answer, why);
	if (error < 0)
		return error;
	my->facts = answer.my;
	describe(my, layout);
	error = refuse_kind(my, why);
	return error < 0 ? error : refuse_settings(my, why);
}

int my_connect(struct db_mariadb *my, struct layout *layout, struct reason *why)
{
	struct remedies remedies;
	struct reach reach = reach_of(&my->job->cluster->database, &remedies);
	struct ask_answer answer;
	int reached, error = session_start(my->job, program, &my->session, why);

	if (error < 0)
		return error;
	reached = reach_server(&reach, my->session, &answer, why);
	if (reached < 0)
		return reached;
	if (reached == 0) {
		my->session = session_end(my->session);
		return my_refuse_served(my, why);
	}
	error = learn(my, layout, why);
	return error < 0 ? error : 1;
}

static int limit_ms(const struct db_mariadb *my)
{
	return (int)my->job->cluster->database.max_freeze_ms;
}

static int refuse_lock(const struct db_mariadb *my, const struct ask_answer *answer, struct reason *why)
{
	if (answer->outcome != ASK_IN_THE_WAY)
		return refuse_answer(my, answer, why);
	return reason_set(why, ERR_TIMEOUT,
			  "see what writes to tables without transactions (SHOW FULL PROCESSLIST), back up when it has "
			  "ended, or raise database.max_freeze",
			  "the server's lock was not to be had within %d ms, for what runs there (nothing of it was ended): %s",
			  limit_ms(my), answer->text);
}

void my_tell_position(const struct ask_my_position *from, struct db_position *position)
{
	if (!from->file[0])
		snprintf(position->position, sizeof(position->position), "no binary log");
	else
		snprintf(position->position, sizeof(position->position), "%s%.60s%s%.40s:%" PRIu64,
			 from->gtid[0] ? "GTID " : "", from->gtid, from->gtid[0] ? ", " : "", from->file, from->offset);
}

static int lock(struct db_mariadb *my, struct db_position *position, struct reason *why)
{
	struct ask_question question = {.type = ASK_MY_LOCK, .timeout_ms = (uint32_t)limit_ms(my)};
	struct ask_answer answer;
	int error;

	error = session_ask(my->session, &question, STATEMENTS_LIMITED * limit_ms(my) + REACH_MARGIN_MS, &answer, why);
	if (error == 0 && answer.outcome != ASK_DONE)
		error = refuse_lock(my, &answer, why);
	if (error < 0)
		return error;
	my->locked_us = clock_measure_us();
	my->waited_us = answer.my_position.held_us;
	my_tell_position(&answer.my_position, position);
	return 0;
}

int my_hold(struct db *db, struct db_position *position, struct reason *why)
{
	struct db_mariadb *my = (struct db_mariadb *)db;
	int error = my->locks ? lock(my, position, why) : 0;

	return error == 0 && my->freezes ? my_freeze(my, why) : error;
}

static int refuse_release(const struct db_mariadb *my, const struct ask_answer *answer, struct reason *why)
{
	return reason_set_retry(why, ERR_TIMEOUT, "raise database.max_freeze, if writers may wait longer than that",
				"the server had let go of the lock before the cut was done (database.max_freeze is %d ms): %s",
				limit_ms(my), answer->text);
}

static int unlock(struct db_mariadb *my, uint64_t *ret_held_us, struct reason *why)
{
	struct ask_question question = {.type = ASK_MY_UNLOCK};
	struct ask_answer answer;
	int left_ms, error;

	left_ms = limit_ms(my) - (int)((uint64_t)(clock_measure_us() - my->locked_us) + my->waited_us) / 1000;
	error = session_ask(my->session, &question, left_ms > LEAST_MS ? left_ms : LEAST_MS, &answer, why);
	/* Whatever it says: with the session nothing of the lock is left. */
	if (error < 0 || answer.outcome != ASK_DONE)
		my->session = session_end(my->session);
	*ret_held_us = (uint64_t)(clock_measure_us() - my->locked_us) + my->waited_us;
	my->locked_us = 0;
	if (error == 0 && answer.outcome != ASK_DONE)
		return refuse_release(my, &answer, why);
	if (error == 0 && *ret_held_us > (uint64_t)limit_ms(my) * 1000)
		return reason_set_retry(why, ERR_TIMEOUT, "raise database.max_freeze, if writers may wait longer than that",
					"writers were held for %" PRIu64 " ms, and database.max_freeze is %d ms",
					*ret_held_us / 1000, limit_ms(my));
	return error;
}

int my_release(struct db *db, uint64_t *ret_held_us, struct reason *why)
{
	struct db_mariadb *my = (struct db_mariadb *)db;
	struct reason second = {0};
	int thawed = my->freezes ? job_release(my->job, ret_held_us, why) : 0, unlocked = 0;

	/* A server that stands still hears nothing, so this comes after it. */
	if (my->locked_us)
		unlocked = unlock(my, ret_held_us, thawed < 0 ? &second : why);
	return thawed < 0 ? thawed : unlocked;
}

int my_prove_stopped(struct worker_job *job, struct reason *why)
{
	struct remedies remedies;
	struct reach reach = reach_of(&job->cluster->database, &remedies);

	return reach_prove_stopped(&reach, job, program, why);
}
