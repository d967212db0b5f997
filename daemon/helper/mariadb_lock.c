/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * BACKUP STAGE, not FLUSH TABLES WITH READ LOCK: that one queues behind every
 * running write, and every other writer behind it. The limits are set before
 * anything is asked for, so that nothing here can hold a server longer than that,
 * not even a helper that is stopped.
 */
#include "daemon/helper/mariadb_lock.h"

#include "daemon/helper/mariadb_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* Of each statement from now on, and of the pause between two of them. */
static bool set_limits(MYSQL *mysql, int64_t ms, struct ask_answer *answer)
{
	char sql[256];
	int64_t seconds;

	/* 0 would be no limit at all. */
	if (ms < 1)
		ms = 1;
	seconds = (ms + 999) / 1000;
	snprintf(sql, sizeof(sql),
		 "SET SESSION lock_wait_timeout = %" PRId64 ", wait_timeout = %" PRId64 ", max_statement_time = %" PRId64
		 ".%03" PRId64,
		 seconds, seconds + 1, ms / 1000, ms % 1000);
	return maria_run(mysql, sql, answer);
}

static bool ask_gtid(MYSQL *mysql, struct ask_answer *answer)
{
	MYSQL_RES *result = maria_rows(mysql, "SELECT @@GLOBAL.gtid_binlog_pos", 1, answer);
	struct ask_my_position *position = &answer->my_position;
	MYSQL_ROW row;
	bool good = result && maria_next(result, &row) &&
		    maria_copy(result, row, 0, position->gtid, sizeof(position->gtid));

	if (result && !good)
		answer_refuse(answer, ASK_NONSENSE, "the server's position is none, or too long");
	mysql_free_result(result);
	return good;
}

static bool ask_position(MYSQL *mysql, struct ask_answer *answer)
{
	MYSQL_RES *result = maria_rows(mysql, "SHOW MASTER STATUS", 4, answer);
	struct ask_my_position *position = &answer->my_position;
	char offset[32];
	MYSQL_ROW row;
	bool good = result && maria_next(result, &row) &&
		    maria_copy(result, row, 0, position->file, sizeof(position->file)) &&
		    maria_copy(result, row, 1, offset, sizeof(offset)) &&
		    answer_number(offset, INT64_MAX, &position->offset);

	if (result && !good)
		answer_refuse(answer, ASK_NONSENSE, "the server has a binary log and does not say where it is");
	mysql_free_result(result);
	return good;
}

/* Nobody waits for us yet. */
static bool begin(MYSQL *mysql, int64_t limit_ms, struct ask_answer *answer)
{
	return set_limits(mysql, limit_ms, answer) && maria_run(mysql, "BACKUP STAGE START", answer) &&
	       maria_run(mysql, "BACKUP STAGE FLUSH", answer);
}

static bool block(MYSQL *mysql, int64_t begin_us, int64_t limit_ms, struct ask_answer *answer)
{
	return maria_run(mysql, "BACKUP STAGE BLOCK_DDL", answer) &&
	       set_limits(mysql, limit_ms - (now_us() - begin_us) / 1000, answer) &&
	       maria_run(mysql, "BACKUP STAGE BLOCK_COMMIT", answer);
}

void maria_lock(MYSQL *mysql, const struct ask_question *question, bool binlog, struct ask_answer *answer)
{
	struct ask_answer ignored = {0};
	int64_t begin_us;
	bool good = begin(mysql, question->timeout_ms, answer);

	begin_us = now_us();
	good = good && block(mysql, begin_us, question->timeout_ms, answer);
	good = good && (!binlog || (ask_gtid(mysql, answer) && ask_position(mysql, answer)));
	answer->my_position.held_us = (uint64_t)(now_us() - begin_us);
	/* What it had of the lock so far others need not wait for any longer. */
	if (!good)
		maria_run(mysql, "BACKUP STAGE END", &ignored);
}

void maria_unlock(MYSQL *mysql, struct ask_answer *answer)
{
	maria_run(mysql, "BACKUP STAGE END", answer);
}
