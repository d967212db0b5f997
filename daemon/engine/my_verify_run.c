/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside the cell: starts the server on the clone, lets it check every table, and stops it.
 *
 * The server is started by its command line alone: no option file is read. It gets no accounts (skip-grant-tables): what
 * is in the clone's tables of accounts, functions and plugins is data to be checked, and nothing of it lets anybody in or is
 * loaded; nobody but this process reaches its socket. Every check runs so. Tables are repaired by nobody before they were
 * looked at (the recover-options).
 *
 * Right after a recovery InnoDB's purge is still at work, and CHECK TABLE takes what it has not got to yet for damage: the
 * look waits for it, and what is found is looked at again before it is believed.
 */
#include "daemon/engine/my_verify.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/db_mariadb.h"
#include "daemon/engine/examine.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 96, LIST_SIZE = 4096, SQL_SIZE = 12288, LOG_LINES_MAX = 5 };

/* Numbers of tables: "3,17". More than fit: all. */
struct list {
	char text[LIST_SIZE];
	size_t count;
	bool all;
};

struct run {
	const struct my_verify *question;
	struct examine x;
	int root;
	char *args[ARGS_MAX];
	size_t arg_count;
	char settings[MANIFEST_LINES_SIZE + ARGS_MAX * 4]; /* the manifest's, as arguments */
	char log_size[64];
	bool ready;       /* the server takes connections */
	bool ending;      /* it was told to go */
	char log[MSG_TEXT_SIZE]; /* lines of its log that speak of damage, or of why it does not start */
	unsigned lines;   /* in it */
	uint64_t reached; /* LSN at which recovery ended; 0: not known */

	bool second;      /* this look is to be believed */
	bool ended;       /* the look came to its end */
	unsigned tables, number; /* in all; of the one that is looked at */
	char name[256];   /* its name, escaped */
	bool odd, unclosed, foreign;
	unsigned foreigns;
	struct list odds, torn; /* tables to look at again; of them those to be repaired before */
	char gtid[512];   /* the server's gtid_binlog_pos */
	unsigned files;   /* with checksums */
};

static char *const env[] = {"LC_ALL=C", "HOME=/nonexistent", NULL};

/* Of both servers and clients: what an option file of this machine says is not for them. */
static const char *const fixed[] = {
	"--no-defaults", "--datadir=" CELL_ROOT, "--socket=" CELL_ROOT "/" MY_CLONE_SOCKET, "--pid-file=" CELL_ROOT "/mariadb.pid",
	"--tmpdir=" CELL_ROOT "/.dbsnap-tmp", "--ignore-db-dir=.dbsnap-tmp", "--skip-networking", "--skip-grant-tables",
	"--plugin-load=", "--init-file=", "--init-connect=", "--event-scheduler=DISABLED", "--skip-slave-start",
	"--relay-log=dbsnap-relay-bin", "--server-id=1", "--myisam-recover-options=OFF", "--aria-recover-options=OFF",
	"--loose-performance-schema=OFF", "--innodb-buffer-pool-size=128M", "--loose-innodb-buffer-pool-load-at-startup=OFF",
	"--loose-innodb-buffer-pool-dump-at-shutdown=OFF", "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0",
	"--loose-innodb-use-native-aio=OFF", "--master-verify-checksum=ON", "--max-connections=20",
	"--loose-innodb-buffer-pool-size-max=128M",
};

/*
 * Views have no data. A name is quoted by the server itself. What is not checked is said with a row of one or two columns,
 * which no row of a check has. Rows of other looks than the first: only of the tables that are asked for.
 */
static const char look_sql[] =
	"SET SESSION sql_mode = '', sql_log_bin = 0;\n"
	"DELIMITER //\n"
	"BEGIN NOT ATOMIC\n"
	"DECLARE n INT DEFAULT 0; DECLARE s, t VARCHAR(64) CHARACTER SET utf8; DECLARE q TEXT CHARACTER SET utf8;\n"
	"DECLARE c CURSOR FOR SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN "
	"('information_schema', 'performance_schema') AND COALESCE(TABLE_TYPE, '') <> 'VIEW' ORDER BY BINARY TABLE_SCHEMA, BINARY "
	"TABLE_NAME;\n"
	"WHILE n < 600 AND (n < %d OR (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = "
	"'INNODB_HISTORY_LIST_LENGTH') > 0) DO DO SLEEP(0.1); SET n = n + 1; END WHILE;\n"
	"SET n = 0;\n"
	"OPEN c;\n"
	"SELECT 'tables', FOUND_ROWS();\n"
	"BEGIN\n"
	"DECLARE EXIT HANDLER FOR NOT FOUND BEGIN END;\n"
	"LOOP\n"
	"FETCH c INTO s, t;\n"
	"SET n = n + 1;\n"
	"IF %d OR FIND_IN_SET(n, '%s') THEN BEGIN\n"
	"DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT; SELECT CONCAT(s, '.', t), "
	"'check', 'Error', @m; END;\n"
	"SELECT 'table', n, CONCAT(s, '.', t);\n"
	"SET q = CONCAT('TABLE `', REPLACE(s, '`', '``'), '`.`', REPLACE(t, '`', '``'), '`');\n"
	"IF s = 'mysql' AND FIND_IN_SET(n, '%s') THEN EXECUTE IMMEDIATE CONCAT('REPAIR ', q); END IF;\n"
	"EXECUTE IMMEDIATE CONCAT('CHECK ', q, ' EXTENDED');\n"
	"END; END IF;\n"
	"END LOOP;\n"
	"END;\n"
	"CLOSE c;\n"
	"SELECT 'file', NAME FROM information_schema.INNODB_SYS_TABLES WHERE SPACE <> 0 AND NAME LIKE '%%/%%';\n"
	"SELECT 'gtid', @@GLOBAL.gtid_binlog_pos;\n"
	"SELECT 'end';\n"
	"END//\n";

/* ---- what they say ---- */

static void add(struct list *list, unsigned number)
{
	size_t used = strlen(list->text);
	int length = snprintf(list->text + used, sizeof(list->text) - used, "%s%u", used ? "," : "", number);

	list->count++;
	if (length < 0 || (size_t)length >= sizeof(list->text) - used) {
		list->text[used] = '\0';
		list->all = true;
	}
}

static void find_line(struct run *run, const char *format, const char *line)
{
	char text[480];

	snprintf(text, sizeof(text), format, line);
	layout_add_line(run->x.answer->found, sizeof(run->x.answer->found), "%s", text);
}

/* Of a server that answers: errors that speak of damage, whatever its tables' checks say. */
static bool is_severe(const char *line)
{
	static const char *const words[] = {"orrupt", "checksum", "mismatch", "crc check failed", "unreadable", "was not found at"};

	if (strstr(line, "is in the future"))
		return true;
	for (size_t i = 0; strstr(line, "[ERROR]") && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(line, words[i]))
			return true;
	}
	return false;
}

/* "... InnoDB: log sequence number 27962267; transaction id 40" */
static void take_lsn(struct run *run, const char *line)
{
	const char *at = strstr(line, "log sequence number ");

	if (!run->reached && at && strstr(line, "[Note] InnoDB: ") && strstr(at, "; transaction id"))
		sscanf(at, "log sequence number %" SCNu64, &run->reached);
}

static void hear_server(void *arg, const char *line)
{
	struct run *run = arg;

	take_lsn(run, line);
	/* Of a backup that does not say of which release it is. */
	if (!run->question->major && strstr(line, "Upgrade after a crash is not supported"))
		snprintf(run->x.trouble, sizeof(run->x.trouble), "%.180s: set database.bindir to the programs of its own release", line);
	if (strstr(line, "ready for connections"))
		run->ready = true;
	if (examine_take_trouble(&run->x, line) || run->lines >= LOG_LINES_MAX)
		return;
	/* Before it answers every error is one that keeps it from that; some come in every start. */
	if (is_severe(line) || (!run->ready && strstr(line, "[ERROR] ") && !strstr(line, "[ERROR] Aborting"))) {
		line = strstr(line, "[ERROR]") ? strstr(line, "[ERROR]") : line;
		if (strstr(run->log, line))
			return;
		layout_add_line(run->log, sizeof(run->log), "the server says %.400s", line);
		run->lines++;
	}
}

static void end_table(struct run *run)
{
	if (run->number && run->foreign)
		run->foreigns += !run->second;
	else if (run->number && run->odd) {
		add(&run->odds, run->number);
		if (run->unclosed)
			add(&run->torn, run->number);
	}
	run->number = 0;
	run->odd = run->unclosed = run->foreign = false;
}

/* Engines that are programs of their own, which are not loaded here. */
static bool is_foreign(const char *said)
{
	static const char *const engines[] = {"ROCKSDB", "ARCHIVE", "BLACKHOLE", "CONNECT", "FEDERATED", "FEDERATEDX", "Mroonga",
					      "OQGRAPH", "SPHINX", "SPIDER", "S3", "Columnstore", "TokuDB", "CASSANDRA", "EXAMPLE"};
	char text[64];

	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		snprintf(text, sizeof(text), "Unknown storage engine '%s'", engines[i]);
		if (strcasecmp(said, text) == 0)
			return true;
	}
	return false;
}

/* "shop.t<TAB>check<TAB>status<TAB>OK" */
static void take_row(struct run *run, char *row)
{
	char *table = strsep(&row, "\t"), *operation = strsep(&row, "\t"), *kind = strsep(&row, "\t");
	const char *said = row;
	char line[480];

	if (!said) /* no row of a check: the client's own words */
		return layout_add_line(run->x.said, sizeof(run->x.said), "%.400s", table);
	if (strcmp(operation, "repair") == 0 || strcmp(kind, "info") == 0 || strcmp(kind, "note") == 0 ||
	    (strcmp(kind, "status") == 0 && strcmp(said, "OK") == 0))
		return;
	/* Its own header's word; what that may have left is looked for in any case. */
	if (strcmp(kind, "warning") == 0 && strstr(said, "hasn't closed the table properly")) {
		run->unclosed = true;
		return;
	}
	run->unclosed |= strstr(said, "marked as crashed") != NULL;
	run->foreign |= is_foreign(said);
	run->odd = true;
	snprintf(line, sizeof(line), "%.200s: %.250s", table, said);
	if (run->second && !run->foreign)
		find_line(run, "%s", line);
}

/* What InnoDB's own dictionary has has to be there, with the file that describes it; those of a table half made do not. */
static void take_file(struct run *run, const char *name)
{
	char path[1100], table[1024];
	struct stat st;

	if (strstr(name, "#sql") || strlen(name) >= sizeof(table))
		return;
	snprintf(path, sizeof(path), "%s.ibd", name);
	if (fstatat(run->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		find_line(run, "%.300s is not there, and InnoDB knows it", path);
	/* A partition, and what belongs to a full-text index, is described by its table's. */
	if (strchr(name, '#') || strstr(name, "/FTS_"))
		return;
	snprintf(path, sizeof(path), "%s.frm", name);
	if (fstatat(run->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		find_line(run, "%.300s is not there, and InnoDB knows its table", path);
}

static void begin_table(struct run *run, const char *text)
{
	int name = 0;

	end_table(run);
	sscanf(text, "%u\t%n", &run->number, &name);
	snprintf(run->name, sizeof(run->name), "%.250s", text + name);
	if (run->tables && !run->second)
		examine_set_done(&run->x, 10 + (unsigned)(UINT64_C(75) * run->number / run->tables));
}

static void hear_look(void *arg, const char *line)
{
	struct run *run = arg;
	char row[PROGRAM_LINE_SIZE];

	/* A table's name has a dot in it, and no tab that is not escaped. */
	if (strncmp(line, "table\t", 6) == 0)
		begin_table(run, line + 6);
	else if (strncmp(line, "tables\t", 7) == 0)
		sscanf(line + 7, "%u", &run->tables);
	else if (strncmp(line, "file\t", 5) == 0)
		take_file(run, line + 5);
	else if (strncmp(line, "gtid\t", 5) == 0)
		snprintf(run->gtid, sizeof(run->gtid), "%.500s", line + 5);
	else if (strcmp(line, "end") == 0)
		run->ended = true;
	else {
		snprintf(row, sizeof(row), "%s", line);
		take_row(run, row);
	}
	if (strncmp(line, "file\t", 5) == 0)
		end_table(run);
}

static void hear_tool(void *arg, const char *line)
{
	struct run *run = arg;

	examine_take_trouble(&run->x, line);
	layout_add_line(run->x.said, sizeof(run->x.said), "%.400s", line);
}

/* ---- the server ---- */

static void add_arg(struct run *run, char *arg)
{
	if (run->arg_count < ARGS_MAX - 1)
		run->args[run->arg_count++] = arg;
}

/* "key = value" becomes "--key=value". */
static void add_settings(struct run *run)
{
	const char *lines = run->question->settings;
	size_t used = 0, key, value;

	while (*lines && used < sizeof(run->settings)) {
		size_t length = strcspn(lines, "\n");
		const char *equals = strstr(lines, " = ");

		key = equals ? (size_t)(equals - lines) : length;
		if (key < length) {
			value = length - key - 3;
			add_arg(run, run->settings + used);
			used += (size_t)snprintf(run->settings + used, sizeof(run->settings) - used, "--%.*s=%.*s", (int)key, lines,
						 (int)value, equals + 3) + 1;
		}
		lines += length + (lines[length] == '\n');
	}
}

/* As it is: to make it another size takes time and room. */
static void add_log_size(struct run *run)
{
	char folder[ASK_PATH_SIZE] = "", path[ASK_PATH_SIZE + 16];
	struct stat st;

	my_find_setting(run->question->settings, "innodb-log-group-home-dir", folder);
	snprintf(path, sizeof(path), "%s%sib_logfile0", folder, folder[0] ? "/" : "");
	if (fstatat(run->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size < 1 << 20)
		return;
	snprintf(run->log_size, sizeof(run->log_size), "--innodb-log-file-size=%lld", (long long)st.st_size);
	add_arg(run, run->log_size);
}

/* "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)" */
static int check_version(struct run *run)
{
	const struct my_verify *question = run->question;
	char *argv[] = {NULL, "--no-defaults", "--version", NULL};
	unsigned major = 0, minor = 0;
	int error = examine_run_tool(&run->x, question->bindir, "mariadbd", argv, env, NULL, hear_tool, run);
	const char *number = strstr(run->x.said, " Ver ");

	if (error < 0)
		return error;
	if (number && sscanf(number, " Ver %u.%u", &major, &minor) == 2 &&
	    (!question->major || (major == question->major && minor == question->minor)))
		return 0;
	return reason_set(run->x.why, ERR_VERSION, "install that release, or set database.bindir to where its programs are",
			  "the backup is of MariaDB %u.%u, and %s holds other programs: %.200s", question->major, question->minor,
			  question->bindir, run->x.said);
}

/* It has gone, and nobody had told it to. */
static int judge_server(struct run *run)
{
	if (run->x.trouble[0])
		return examine_refuse_trouble(&run->x, NULL);
	if (WIFSIGNALED(run->x.server.status) && WTERMSIG(run->x.server.status) == SIGKILL)
		return reason_set(run->x.why, ERR_UNKNOWN, "look in the kernel's log: was there enough memory?",
				  "the backup could not be looked at: the server was killed");
	if (!run->ready)
		layout_add_line(run->x.answer->found, sizeof(run->x.answer->found), "the server cannot be started");
	else if (run->number)
		find_line(run, "the server crashes when it checks %.250s", run->name);
	else
		layout_add_line(run->x.answer->found, sizeof(run->x.answer->found), "the server does not stop cleanly");
	return 0;
}

static int start_server(struct run *run)
{
	int error;

	add_arg(run, NULL); /* the program */
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		add_arg(run, (char *)(uintptr_t)fixed[i]);
	add_settings(run);
	add_log_size(run);
	run->args[run->arg_count] = NULL;
	error = examine_start(&run->x, &run->x.server, run->question->bindir, "mariadbd", run->args, env, NULL, hear_server, run);
	if (error == 0 && program_read(&run->x.server, NULL, &run->ready) < 0)
		error = reason_set_retry(run->x.why, ERR_IO, NULL, "cannot listen to the server");
	if (error < 0)
		return error;
	examine_set_done(&run->x, 10);
	return run->ready ? 0 : judge_server(run);
}

static int stop_server(struct run *run)
{
	if (run->x.server.out >= 0)
		kill(run->x.server.pid, SIGTERM);
	if (run->x.server.out >= 0 && program_read(&run->x.server, NULL, NULL) < 0)
		return reason_set_retry(run->x.why, ERR_IO, NULL, "cannot listen to the server");
	return program_succeeded(&run->x.server) ? 0 : judge_server(run);
}

/* ---- what is compared with the manifest ---- */

static void check_floor(struct run *run)
{
	if (run->question->floor && run->reached < run->question->floor)
		layout_add_line(run->x.answer->found, sizeof(run->x.answer->found),
				"recovery ends at LSN %" PRIu64 ", and the backup has to reach %" PRIu64, run->reached,
				run->question->floor);
}

/* "0-1-7" of the list, by its domain; 0: there is none of it. */
static uint64_t sequence_of(const char *list, unsigned long domain)
{
	unsigned long found, server;
	uint64_t sequence;

	for (; list && *list; list = strchr(list, ','), list += list != NULL) {
		if (sscanf(list, "%lu-%lu-%" SCNu64, &found, &server, &sequence) == 3 && found == domain)
			return sequence;
	}
	return 0;
}

/* Each that the manifest has, but one that its text may have cut off. */
static void check_gtid(struct run *run, const char *wanted, size_t length)
{
	unsigned long domain, server;
	uint64_t sequence;
	size_t each;
	char text[64];

	for (size_t at = 0; at < length; at += each + 1) {
		each = strcspn(wanted + at, ", ");
		if (at + each >= 60 || each >= sizeof(text))
			return;
		snprintf(text, sizeof(text), "%.*s", (int)each, wanted + at);
		if (sscanf(text, "%lu-%lu-%" SCNu64, &domain, &server, &sequence) == 3 && sequence_of(run->gtid, domain) < sequence)
			find_line(run, "the binary log ends before GTID %s, which the backup has to hold", text);
	}
}

/* "GTID 0-1-7, mysql-bin.000001:328", of a server whose writers were held. */
static void check_position(struct run *run)
{
	const char *position = run->question->position, *file = position;
	char base[ASK_PATH_SIZE], name[64], path[ASK_PATH_SIZE + 64];
	unsigned long long offset;
	struct stat st;

	if (!my_find_setting(run->question->settings, "log-bin", base))
		return;
	if (strncmp(position, "GTID ", 5) == 0) {
		file = strstr(position, ", ");
		check_gtid(run, position + 5, file ? (size_t)(file - position - 5) : strlen(position + 5));
		/* GTIDs have commas between them, and no blank. */
		file = file ? file + 2 : "";
	}
	if (sscanf(file, "%60[^: ]:%llu", name, &offset) != 2)
		return;
	snprintf(path, sizeof(path), "%.*s%s", (int)(my_base(base) - base), base, name);
	if (fstatat(run->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || (unsigned long long)st.st_size < offset)
		find_line(run, "the binary log ends before %s, which the backup has to hold", file);
}

/* ---- the steps ---- */

static int look(struct run *run)
{
	char *argv[] = {NULL, "--no-defaults", "--batch", "--skip-column-names", "--unbuffered", "--skip-auto-rehash",
			"--skip-reconnect", "--local-infile=0", "--default-character-set=utf8mb4", "--protocol=socket",
			"--socket=" CELL_ROOT "/" MY_CLONE_SOCKET, "--user=root", NULL};
	scope_free char *sql = malloc(SQL_SIZE);
	bool all = !run->second || run->odds.all;
	int error;

	if (!sql)
		return reason_set_retry(run->x.why, ERR_NOMEM, NULL, "out of memory");
	/* Of a second look: some seconds later at least. */
	snprintf(sql, SQL_SIZE, look_sql, run->second ? 20 : 0, all, run->second ? run->odds.text : "", run->torn.text);
	run->odds = run->torn = (struct list){.count = 0};
	run->ended = false;
	error = examine_run_tool(&run->x, run->question->client_dir, "mariadb", argv, env, sql, hear_look, run);
	if (error < 0)
		return error;
	if (run->ended && program_succeeded(&run->x.tool)) {
		end_table(run);
		return 0;
	}
	/* It may be about to end by itself, which says more. */
	error = stop_server(run);
	/* Else it has said why. */
	if (error == 0 && !examine_is_over(&run->x))
		error = run->x.trouble[0] ? examine_refuse_trouble(&run->x, NULL) : examine_judge_tool(&run->x, "the tables cannot be checked");
	if (error == 0 && !examine_is_over(&run->x))
		examine_find(&run->x, "the tables cannot be checked");
	return error;
}

static int look_twice(struct run *run)
{
	int error = look(run);

	if (error < 0 || !run->ended || !run->odds.count)
		return error;
	run->second = true;
	return look(run);
}

static int check_stopped(struct run *run)
{
	int error = stop_server(run);

	examine_set_done(&run->x, 90);
	if (error == 0 && program_succeeded(&run->x.server))
		error = my_verify_pages(run->question, &run->x, run->root, &run->files);
	return error;
}

/* Behind what was found in tables: those it is about. */
static void add_log(struct run *run)
{
	char *lines = run->log, *line;

	while (run->lines > 0 && (line = strsep(&lines, "\n")))
		find_line(run, "%s", line);
}

static void describe(struct run *run)
{
	struct db_verified *answer = run->x.answer;

	if (!run->ready) {
		snprintf(answer->checked, sizeof(answer->checked), "the start of a server on it");
		return;
	}
	snprintf(answer->checked, sizeof(answer->checked),
		 "recovery to LSN %" PRIu64 ", CHECK TABLE EXTENDED of %u tables, page checksums of %u files", run->reached,
		 run->tables - run->foreigns, run->files);
	if (run->foreigns)
		snprintf(answer->checked + strlen(answer->checked), sizeof(answer->checked) - strlen(answer->checked),
			 "; not looked at: %u tables of engines that are not loaded", run->foreigns);
}

static int check(struct run *run)
{
	int error = check_version(run);

	if (error == 0)
		error = start_server(run);
	if (error == 0 && run->ready) {
		check_floor(run);
		/* Even if something was found: whoever has to repair it wants to know all of it. */
		error = look_twice(run);
	}
	if (error == 0 && run->ended) {
		check_position(run);
		error = check_stopped(run);
	}
	if (error == 0) {
		add_log(run);
		describe(run);
	}
	return error;
}

int my_verify_run(const void *arg, const int *fds, void *answer, struct reason *why)
{
	struct run *run = calloc(1, sizeof(*run));
	int error;

	if (!run)
		return reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
	*run = (struct run){.question = arg, .root = fds[0]};
	run->x = (struct examine){.answer = answer, .why = why, .done = run->question->done, .total = run->question->total,
				  .server = {.out = -1}};
	error = check(run);
	run->x.answer->good = error == 0 && !examine_is_over(&run->x);
	free(run);
	return error;
}
