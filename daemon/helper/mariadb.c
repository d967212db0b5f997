/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One session with a MariaDB. Everything that it says is taken for hostile:
 * read into bounded fields, numbers parsed to the end, anything odd is NONSENSE.
 */
#include "common/ask.h"
#include "daemon/helper/helper.h"
#include "daemon/helper/mariadb_connect.h"
#include "daemon/helper/mariadb_lock.h"
#include "daemon/helper/mariadb_query.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char helper_name[] = "dbsnapd-helper-mariadb";

struct helper_session {
	MYSQL *mysql;
	bool usable;
	bool binlog; /* from MY_FACTS */
};

struct helper_session *helper_session_new(void)
{
	return calloc(1, sizeof(struct helper_session));
}

static void disconnect(struct helper_session *session)
{
	if (session->mysql)
		mysql_close(session->mysql);
	session->mysql = NULL;
	session->usable = false;
}

struct helper_session *helper_session_end(struct helper_session *session)
{
	if (session) {
		disconnect(session);
		free(session);
	}
	return NULL;
}

enum kind { KIND_BOOL, KIND_NUMBER, KIND_TEXT };

struct setting {
	const char *name;
	enum kind kind;
	bool may_miss; /* not every build has it */
	size_t offset, size;
};

#define SETTING(name, kind, may_miss, field) \
	{name, kind, may_miss, offsetof(struct ask_my_facts, field), sizeof(((struct ask_my_facts *)0)->field)}

static const struct setting settings[] = {
	SETTING("version", KIND_TEXT, false, version),
	SETTING("datadir", KIND_TEXT, false, data_dir),
	SETTING("innodb_data_home_dir", KIND_TEXT, false, home_dir),
	SETTING("innodb_data_file_path", KIND_TEXT, false, data_files),
	SETTING("innodb_log_group_home_dir", KIND_TEXT, false, redo_dir),
	SETTING("innodb_undo_directory", KIND_TEXT, false, undo_dir),
	SETTING("innodb_flush_log_at_trx_commit", KIND_NUMBER, false, flush_log_at_commit),
	SETTING("innodb_page_size", KIND_NUMBER, false, page_size),
	SETTING("innodb_doublewrite", KIND_BOOL, false, doublewrite),
	SETTING("aria_log_dir_path", KIND_TEXT, true, aria_dir),
	SETTING("aria_block_size", KIND_NUMBER, true, aria_block_size),
	SETTING("aria_recover_options", KIND_TEXT, true, aria_recover),
	SETTING("myisam_recover_options", KIND_TEXT, true, myisam_recover),
	SETTING("lower_case_table_names", KIND_NUMBER, false, lower_case_names),
	SETTING("log_bin", KIND_BOOL, false, log_bin),
	SETTING("log_bin_basename", KIND_TEXT, true, binlog),
	SETTING("log_bin_index", KIND_TEXT, true, binlog_index),
	SETTING("wsrep_on", KIND_BOOL, true, wsrep),
};

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static bool take_value(const struct setting *setting, const char *value, struct ask_my_facts *facts)
{
	char *place = (char *)facts + setting->offset;
	uint64_t number;

	switch (setting->kind) {
	case KIND_BOOL:
		*(bool *)place = strcmp(value, "OFF") != 0 && strcmp(value, "0") != 0;
		return true;
	case KIND_NUMBER:
		if (!answer_number(value, UINT32_MAX, &number))
			return false;
		*(uint32_t *)place = (uint32_t)number;
		return true;
	case KIND_TEXT:
		if (strlen(value) >= setting->size)
			return false;
		memcpy(place, value, strlen(value) + 1);
		return true;
	}
	return false;
}

/* One row of two. False: a setting that matters has an impossible value. */
static bool take_row(MYSQL_RES *result, MYSQL_ROW row, bool found[static SETTINGS], struct ask_answer *answer)
{
	char name[128], value[ASK_PATH_SIZE], text[256];

	for (size_t i = 0; maria_copy(result, row, 0, name, sizeof(name)) && i < SETTINGS; i++) {
		if (strcmp(name, settings[i].name) != 0)
			continue;
		found[i] = maria_copy(result, row, 1, value, sizeof(value)) &&
			   take_value(&settings[i], value, &answer->my);
		if (found[i])
			return true;
		snprintf(text, sizeof(text), "the setting %s has an impossible value", settings[i].name);
		answer_refuse(answer, ASK_NONSENSE, text);
		return false;
	}
	return true;
}

static bool has_all(const bool found[static SETTINGS], struct ask_answer *answer)
{
	char text[128];

	for (size_t i = 0; i < SETTINGS; i++) {
		if (found[i] || settings[i].may_miss)
			continue;
		snprintf(text, sizeof(text), "the server has no setting %s: it runs without InnoDB, or is no MariaDB",
			 settings[i].name);
		answer_refuse(answer, ASK_NONSENSE, text);
		return false;
	}
	return true;
}

static bool ask_settings(MYSQL *mysql, struct ask_answer *answer)
{
	MYSQL_RES *result = maria_rows(mysql, "SHOW GLOBAL VARIABLES", 2, answer);
	bool found[SETTINGS] = {false}, good = result != NULL;
	MYSQL_ROW row;

	while (good && maria_next(result, &row))
		good = take_row(result, row, found, answer);
	mysql_free_result(result);
	return good && has_all(found, answer);
}

/* Encryption at rest: without its plugin's keys nothing of it can be read. */
static bool ask_encryption(MYSQL *mysql, struct ask_answer *answer)
{
	MYSQL_RES *result = maria_rows(mysql,
					 "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = "
					 "'ENCRYPTION' AND PLUGIN_STATUS = 'ACTIVE'",
					 1, answer);
	MYSQL_ROW row;

	if (result && maria_next(result, &row) &&
	    !maria_copy(result, row, 0, answer->my.encryption, sizeof(answer->my.encryption)))
		snprintf(answer->my.encryption, sizeof(answer->my.encryption), "unknown");
	mysql_free_result(result);
	return result != NULL;
}

/* What is flushed by now is in every cut that follows. */
static bool ask_lsn(MYSQL *mysql, struct ask_answer *answer)
{
	MYSQL_RES *result = maria_rows(mysql, "SHOW GLOBAL STATUS LIKE 'Innodb_lsn_flushed'", 2, answer);
	char value[32];
	MYSQL_ROW row;

	if (result && maria_next(result, &row) &&
	    !(maria_copy(result, row, 1, value, sizeof(value)) && answer_number(value, INT64_MAX, &answer->my.lsn)))
		answer_refuse(answer, ASK_NONSENSE, "the server's Innodb_lsn_flushed has an impossible value");
	mysql_free_result(result);
	return answer->outcome == ASK_DONE;
}

/* This account's own rows: one that may read all of them sees others' as well. */
static bool ask_rights(MYSQL *mysql, struct ask_answer *answer)
{
	MYSQL_RES *result = maria_rows(mysql,
					 "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = "
					 "CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')",
					 1, answer);
	char right[64];
	MYSQL_ROW row;

	while (result && maria_next(result, &row)) {
		if (!maria_copy(result, row, 0, right, sizeof(right)))
			continue;
		answer->my.may_lock |= strcmp(right, "RELOAD") == 0;
		answer->my.may_position |= strcmp(right, "BINLOG MONITOR") == 0;
		answer->my.may_watch |= strcmp(right, "PROCESS") == 0;
	}
	mysql_free_result(result);
	return result != NULL;
}

static void do_facts(struct helper_session *session, struct ask_answer *answer)
{
	if (ask_settings(session->mysql, answer) && ask_encryption(session->mysql, answer) &&
	    ask_rights(session->mysql, answer) && ask_lsn(session->mysql, answer))
		session->binlog = answer->my.log_bin;
}

static void do_connect(struct helper_session *session, const struct ask_question *question,
		       void (*new_socket)(int fd), struct ask_answer *answer)
{
	disconnect(session);
	session->mysql = maria_open(question, new_socket, answer);
	session->usable = session->mysql && answer->outcome == ASK_DONE;
}

void helper_session_answer(struct helper_session *session, const struct ask_question *question,
			   void (*new_socket)(int fd), struct ask_answer *ret_answer)
{
	if (question->type == ASK_CONNECT)
		do_connect(session, question, new_socket, ret_answer);
	else if (!session->usable)
		answer_refuse(ret_answer, ASK_LOST, "no connection");
	else if (question->type == ASK_MY_FACTS)
		do_facts(session, ret_answer);
	else if (question->type == ASK_MY_LOCK)
		maria_lock(session->mysql, question, session->binlog, ret_answer);
	else if (question->type == ASK_MY_UNLOCK)
		maria_unlock(session->mysql, ret_answer);
	else
		answer_refuse(ret_answer, ASK_FAILED, "this helper knows no such question");
}
