/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside the cell: starts the server on the clone and lets the database's own programs look at all of it.
 *
 * The first start is in single-user mode: nothing but recovery has written then, so the last checkpoint tells where
 * recovery ended, and a role to connect by can be made whatever roles the database has.
 *
 * Settings come by -c, which no file overrides, and for what a database or role can set by the connection's options. The
 * files of the clone's own are taken away: nothing that its owner had written there is run.
 */
#include "daemon/engine/pg_verify.h"

#include "common/err.h"
#include "common/ident.h"
#include "common/scope.h"
#include "daemon/engine/cell.h"
#include "daemon/engine/examine.h"
#include "daemon/engine/layout.h"
#include "daemon/engine/pg_control.h"
#include "daemon/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGS_MAX = 128, NAMES_MAX = 4096, NAME_SIZE = 64 };

struct run {
	const struct pg_verify *question;
	struct examine x;
	int root;
	uint32_t major;
	struct pg_control control;
	char role[64];
	char settings[8][64]; /* by release and cluster */
	char *args[ARGS_MAX];
	size_t fixed;       /* args that every server is started with */
	bool ready;         /* the server accepts connections */
	bool killed;        /* one of the server's processes was, by nobody of ours: trouble says so */
	bool severe_only;   /* of what the tool says: the server's */
	bool errors_only;   /* a program's own */
	bool lists;         /* the tool's lines are names of databases */
	unsigned page, segment_pages; /* as the server was built; 0 not known */
	uint64_t reached;   /* LSN at which recovery ended; 0 not known */
	char (*names)[NAME_SIZE]; /* databases; owned */
	size_t name_count;
};

static const char *const settings[] = {
	"data_directory=" CELL_ROOT, "config_file=" CELL_ROOT "/dbsnap.conf", "hba_file=" CELL_ROOT "/dbsnap_hba.conf",
	"ident_file=" CELL_ROOT "/dbsnap.conf", "external_pid_file=", "unix_socket_directories=.", "unix_socket_group=",
	"unix_socket_permissions=0700", "listen_addresses=", "port=5432", "bonjour=off", "ssl=off",
	"shared_preload_libraries=", "session_preload_libraries=", "local_preload_libraries=", "dynamic_library_path=$libdir",
	"jit=off", "archive_mode=off", "archive_command=", "archive_cleanup_command=", "recovery_end_command=",
	"restore_command=", "primary_conninfo=", "primary_slot_name=", "synchronous_standby_names=",
	"max_logical_replication_workers=0", "max_wal_senders=0", "max_connections=20", "autovacuum=off", "fsync=off",
	"restart_after_crash=off", "logging_collector=off", "log_destination=stderr", "log_line_prefix=",
	"log_min_messages=warning", "lc_messages=C", "dynamic_shared_memory_type=sysv", "huge_pages=off",
	"shared_buffers=128MB", "maintenance_work_mem=256MB", "max_parallel_workers=0",
};

/* What ALTER DATABASE and ALTER ROLE can set weighs more than -c, and less than this. */
#define CLIENT_OPTIONS \
	"-c session_preload_libraries= -c local_preload_libraries= -c dynamic_library_path=$libdir -c statement_timeout=0 " \
	"-c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off -c role=none " \
	"-c zero_damaged_pages=off -c ignore_checksum_failure=off -c jit=off -c lc_messages=C"

static char *const server_env[] = {"LC_ALL=C", NULL};
static char *const client_env[] = {"LC_ALL=C", "PGOPTIONS=" CLIENT_OPTIONS, "PGCONNECT_TIMEOUT=60", NULL};

/* ---- what programs say ---- */

static bool is_severe(const char *line)
{
	return strncmp(line, "FATAL:", 6) == 0 || strncmp(line, "PANIC:", 6) == 0 || strncmp(line, "ERROR:", 6) == 0;
}

/* "12/345 relations (3%), 678/9012 pages (7%)" */
static bool take_progress(struct run *run, const char *line)
{
	const char *pages = strstr(line, " relations (") ? strstr(line, " pages (") : NULL;
	unsigned percent;

	if (!pages || sscanf(pages, " pages (%u%%)", &percent) != 1)
		return false;
	examine_set_done(&run->x, 20 + (percent > 100 ? 100 : percent) * 6 / 10);
	return true;
}

static void keep_name(struct run *run, const char *line)
{
	if (run->name_count < NAMES_MAX && strlen(line) < NAME_SIZE)
		memcpy(run->names[run->name_count++], line, strlen(line) + 1);
}

/* What single-user mode answers: "	 1: redo_lsn = "0/3000148"	(typeid = ...". */
static void take_facts(struct run *run, const char *line)
{
	const char *name = strstr(line, ": ");
	unsigned high, low;

	if (!name)
		return;
	if (sscanf(name, ": redo_lsn = \"%X/%X\"", &high, &low) == 2)
		run->reached = (uint64_t)high << 32 | low;
	sscanf(name, ": database_block_size = \"%u\"", &run->page);
	sscanf(name, ": blocks_per_segment = \"%u\"", &run->segment_pages);
}

static void hear_tool(void *arg, const char *line)
{
	struct run *run = arg;

	take_facts(run, line);
	if (take_progress(run, line))
		return;
	examine_take_trouble(&run->x, line);
	if (run->lists)
		keep_name(run, line);
	else if ((!run->severe_only || is_severe(line)) && (!run->errors_only || strstr(line, "error:")))
		layout_add_line(run->x.said, sizeof(run->x.said), "%.400s", line);
}

static void hear_server(void *arg, const char *line)
{
	struct run *run = arg;

	if (strstr(line, "database system is ready to accept connections"))
		run->ready = true;
	run->killed |= strstr(line, EXAMINE_KILLED) != NULL;
	if (!examine_take_trouble(&run->x, line) && (strncmp(line, "PANIC:", 6) == 0 || (!run->ready && is_severe(line))))
		layout_add_line(run->x.answer->found, sizeof(run->x.answer->found), "the server says %.400s", line);
}

/* ---- what became of it ---- */

static int refuse_trouble(struct run *run)
{
	bool missing = strstr(run->x.trouble, "could not open extension") || strstr(run->x.trouble, "$libdir");

	return examine_refuse_trouble(&run->x, missing ? "install the extension amcheck (postgresql-contrib in some distributions)" :
							 NULL);
}

/* The tool's end. 0: it is content, or there is a verdict; or a code. */
static int judge_tool(struct run *run, const char *what)
{
	if (run->x.trouble[0] && !program_succeeded(&run->x.tool))
		return refuse_trouble(run);
	return examine_judge_tool(&run->x, what);
}

/* ---- running one ---- */

/* Runs a tool to its end, while the server (if there is one) is heard. */
static int run_tool(struct run *run, const char *name, char *argv[], char *const env[], const char *input)
{
	return examine_run_tool(&run->x, run->question->bindir, name, argv, env, input, hear_tool, run);
}

/* ---- preparing ---- */

static int write_file(int root, const char *name, const char *text, struct reason *why)
{
	scope_close int fd = -1;

	if (unlinkat(root, name, 0) < 0 && errno != ENOENT)
		return reason_set_errno(why, errno, "cannot remove the clone's %s", name);
	fd = tree_open(root, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		return 0;
	return reason_set_errno(why, errno, "cannot write the clone's %s", name);
}

static int prepare_files(struct run *run)
{
	static const char *const own[] = {"postgresql.auto.conf", "postgresql.conf"};
	int error = write_file(run->root, "dbsnap.conf", "", run->x.why);

	if (error == 0)
		error = write_file(run->root, "dbsnap_hba.conf", "local all all trust\n", run->x.why);
	for (size_t i = 0; error == 0 && i < sizeof(own) / sizeof(own[0]); i++) {
		if (unlinkat(run->root, own[i], 0) < 0 && errno != ENOENT)
			error = reason_set_errno(run->x.why, errno, "cannot remove the clone's %s", own[i]);
	}
	return error;
}

/* It was read when the clone was made startable, and was sound then. */
static int read_control(struct run *run)
{
	char bytes[16384], text[32];
	unsigned major = 0;
	int size = tree_read(run->root, "global/pg_control", bytes, sizeof(bytes));
	int error = size < 0 ? size : pg_control_parse(bytes, (size_t)size, &run->control);

	if (error == 0 && (tree_read(run->root, "PG_VERSION", text, sizeof(text)) <= 0 || sscanf(text, "%u", &major) != 1))
		error = ERR_CORRUPT;
	run->major = major;
	return error < 0 ? reason_set(run->x.why, error, NULL, "the clone's pg_control or PG_VERSION cannot be read") : 0;
}

static void add_arg(struct run *run, const char *arg)
{
	if (run->fixed < ARGS_MAX - 8)
		run->args[run->fixed++] = (char *)(uintptr_t)arg;
}

static void add_setting(struct run *run, const char *setting)
{
	add_arg(run, "-c");
	add_arg(run, setting);
}

/* args[0] is the program, args[1] free for --single. */
static void make_args(struct run *run)
{
	size_t own = 0;

	run->fixed = 2;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		add_setting(run, settings[i]);
	snprintf(run->settings[own++], 64, "max_prepared_transactions=%" PRIu32, run->control.max_prepared_transactions);
	snprintf(run->settings[own++], 64, "max_locks_per_transaction=%" PRIu32, run->control.max_locks_per_transaction);
	snprintf(run->settings[own++], 64, "max_worker_processes=%" PRIu32, run->control.max_worker_processes);
	if (run->major >= 15)
		snprintf(run->settings[own++], 64, "archive_library=");
	if (run->major < 16)
		snprintf(run->settings[own++], 64, "promote_trigger_file=");
	if (run->major < 15)
		snprintf(run->settings[own++], 64, "stats_temp_directory=pg_stat_tmp");
	if (run->major >= 17)
		snprintf(run->settings[own++], 64, "event_triggers=off");
	for (size_t i = 0; i < own; i++)
		add_setting(run, run->settings[i]);
}

static void make_role(struct run *run)
{
	char hex[IDENT_HEX_SIZE];
	struct nonce nonce;

	nonce_make(&nonce);
	nonce_format(&nonce, hex);
	snprintf(run->role, sizeof(run->role), "dbsnap_%s", hex);
}

/* ---- the steps ---- */

/* "postgres (PostgreSQL) 15.18" */
static int check_version(struct run *run)
{
	char *argv[] = {NULL, "--version", NULL};
	unsigned major = 0;
	int error = run_tool(run, "postgres", argv, server_env, NULL);
	const char *number = strstr(run->x.said, "(PostgreSQL) ");

	if (error < 0)
		return error;
	if (number && sscanf(number, "(PostgreSQL) %u", &major) == 1 && major == run->major)
		return 0;
	return reason_set(run->x.why, ERR_VERSION, "install that release, or set database.bindir to where its programs are",
			  "the backup is of PostgreSQL %" PRIu32 ", and %s holds other programs: %.200s", run->major,
			  run->question->bindir, run->x.said);
}

static int recover_in(struct run *run, const char *database)
{
	char input[512];
	int error;

	snprintf(input, sizeof(input), "SELECT redo_lsn FROM pg_control_checkpoint()\n"
		 "SELECT database_block_size, blocks_per_segment FROM pg_control_init()\n"
		 "CREATE ROLE %s SUPERUSER LOGIN\n", run->role);
	run->args[1] = "--single";
	run->args[run->fixed] = (char *)(uintptr_t)database;
	run->args[run->fixed + 1] = NULL;
	run->severe_only = true;
	error = run_tool(run, "postgres", run->args, server_env, input);
	run->severe_only = false;
	return error;
}

/* Recovery, to where it has to come. */
static int recover(struct run *run)
{
	int error = recover_in(run, "template1");

	/* Nobody is forced to keep it. */
	if (error == 0 && strstr(run->x.said, "database \"template1\" does not exist"))
		error = recover_in(run, "postgres");
	if (error == 0)
		error = judge_tool(run, "the server cannot be started");
	if (error < 0 || examine_is_over(&run->x))
		return error;
	if (run->x.said[0] || !run->reached)
		examine_find(&run->x, "the server was started, and its catalogue cannot be used");
	else if (run->reached < run->question->floor)
		layout_add_line(run->x.answer->found, sizeof(run->x.answer->found),
				"recovery ends at %" PRIX32 "/%" PRIX32 ", and the backup has to reach %" PRIX32 "/%" PRIX32,
				(uint32_t)(run->reached >> 32), (uint32_t)run->reached, (uint32_t)(run->question->floor >> 32),
				(uint32_t)run->question->floor);
	examine_set_done(&run->x, 15);
	return 0;
}

static int start_server(struct run *run)
{
	char *argv[ARGS_MAX];
	int error;

	/* Without args[1]. */
	memcpy(argv + 1, run->args + 2, (run->fixed - 2) * sizeof(argv[0]));
	argv[run->fixed - 1] = NULL;
	error = examine_start(&run->x, &run->x.server, run->question->bindir, "postgres", argv, server_env, NULL, hear_server, run);
	if (error == 0 && program_read(&run->x.server, NULL, &run->ready) < 0)
		error = reason_set_retry(run->x.why, ERR_IO, NULL, "cannot listen to the server");
	if (error < 0 || run->ready)
		return error;
	if (run->x.trouble[0])
		return refuse_trouble(run);
	layout_add_line(run->x.answer->found, sizeof(run->x.answer->found), "the server cannot be started");
	return 0;
}

/* A database's name as libpq takes it in a connection string. */
static void quote_name(const char *name, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "dbname='");

	for (; *name && used < size - 3; name++) {
		if (*name == '\'' || *name == '\\')
			text[used++] = '\\';
		text[used++] = *name;
	}
	snprintf(text + used, size - used, "'");
}

static int ask(struct run *run, const char *database, const char *query)
{
	char name[2 * NAME_SIZE + 16];
	char *argv[] = {NULL, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", CELL_ROOT, "-U", run->role, "-d", name, "-c",
			(char *)(uintptr_t)query, NULL};

	quote_name(database, name, sizeof(name));
	return run_tool(run, "psql", argv, client_env, NULL);
}

static int list_databases(struct run *run)
{
	static const char query[] = "SELECT datname FROM pg_database WHERE datallowconn AND datname !~ '[[:cntrl:]]' ORDER BY 1";
	int error;

	run->lists = true;
	error = ask(run, "template1", query);
	if (error == 0 && !program_succeeded(&run->x.tool)) {
		run->name_count = 0;
		error = ask(run, "postgres", query);
	}
	run->lists = false;
	return error < 0 ? error : judge_tool(run, "its databases cannot be listed");
}

/*
 * amcheck looks at what is there: of a table that has become shorter, or has lost one of its files, it sees nothing. The
 * catalogue knows how long it was when it was last vacuumed or analyzed, and all that makes it shorter updates that.
 */
static int check_sizes(struct run *run, const char *database)
{
	static const char query[] =
		"DO $$ BEGIN IF EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck') THEN ALTER EXTENSION amcheck UPDATE; "
		"END IF; END $$; "
		"SELECT format('%s has %s pages of %s', id::regclass, pages, relpages) FROM (SELECT oid AS id, relpages, "
		"pg_relation_size(oid) / current_setting('block_size')::int AS pages FROM pg_class WHERE relkind IN "
		"('r', 't', 'm', 'i') AND relpersistence = 'p' AND relpages > 0) AS s WHERE pages < relpages";
	int error = ask(run, database, query);

	if (error == 0)
		error = judge_tool(run, "a database cannot be used");
	if (error == 0 && program_succeeded(&run->x.tool) && run->x.said[0])
		examine_find(&run->x, "tables or indexes are shorter than they were");
	return error;
}

static int check_all_sizes(struct run *run)
{
	int error = list_databases(run);

	for (size_t i = 0; error == 0 && i < run->name_count; i++)
		error = check_sizes(run, run->names[i]);
	examine_set_done(&run->x, 20);
	return error;
}

static int check_contents(struct run *run)
{
	char *argv[] = {NULL, "--all", "--install-missing", "--heapallindexed", "--parent-check", "--progress", "-h", CELL_ROOT,
			"-U", run->role, NULL};
	int error = run_tool(run, "pg_amcheck", argv, client_env, NULL);

	return error < 0 ? error : judge_tool(run, "pg_amcheck");
}

/* It may have gone already: then what it said is found. */
static int stop_server(struct run *run)
{
	bool alive = run->x.server.pid > 0 && run->x.server.out >= 0;

	if (!alive)
		return 0;
	kill(run->x.server.pid, SIGINT);
	if (program_read(&run->x.server, NULL, NULL) < 0)
		return reason_set_retry(run->x.why, ERR_IO, NULL, "cannot listen to the server");
	if (program_succeeded(&run->x.server))
		return 0;
	if (run->x.trouble[0])
		return refuse_trouble(run);
	layout_add_line(run->x.answer->found, sizeof(run->x.answer->found), "the server does not stop cleanly");
	return 0;
}

static int check_checksums(struct run *run)
{
	char *argv[] = {NULL, "--check", "-D", CELL_ROOT, NULL};
	int error;

	examine_set_done(&run->x, 85);
	if (!run->control.checksums)
		return 0;
	run->errors_only = true;
	error = run_tool(run, "pg_checksums", argv, server_env, NULL);
	run->errors_only = false;
	return error < 0 ? error : judge_tool(run, "pg_checksums");
}

/* With other sizes than usual the files are not read: what is a page in them is another matter. */
static int check_files(struct run *run)
{
	if (!program_succeeded(&run->x.server) || run->page != PG_VERIFY_PAGE || run->segment_pages != PG_VERIFY_SEGMENT_PAGES)
		return 0;
	return pg_verify_files(run->root, run->x.answer->found, sizeof(run->x.answer->found), run->x.why);
}

static void describe(struct run *run)
{
	snprintf(run->x.answer->checked, sizeof(run->x.answer->checked),
		 "recovery to %" PRIX32 "/%" PRIX32 ", pg_amcheck of %zu databases (heapallindexed, parent-check), sizes, %s",
		 (uint32_t)(run->reached >> 32), (uint32_t)run->reached, run->name_count,
		 run->control.checksums ? "pg_checksums" : "no checksums: the cluster has none");
}

/* While the server runs. */
static int check_live(struct run *run)
{
	int error = start_server(run), stopped;

	if (error == 0 && !examine_is_over(&run->x))
		error = check_all_sizes(run);
	/* Even if something was found: whoever has to repair it wants to know all of it. */
	if (error == 0 && run->ready)
		error = check_contents(run);
	if (error < 0)
		return error;
	stopped = stop_server(run);
	/* Whatever the programs found after that: they may have heard of it later than they lost their connections. */
	return stopped == 0 && run->killed ? refuse_trouble(run) : stopped;
}

static int check(struct run *run)
{
	int error = read_control(run);

	if (error == 0)
		error = prepare_files(run);
	if (error < 0)
		return error;
	make_args(run);
	make_role(run);
	error = check_version(run);
	if (error == 0)
		error = recover(run);
	if (error == 0 && !examine_is_over(&run->x))
		error = check_live(run);
	if (error == 0 && run->ready)
		error = check_checksums(run);
	if (error == 0 && run->ready)
		error = check_files(run);
	if (error == 0)
		describe(run);
	return error;
}

int pg_verify_run(const void *arg, const int *fds, void *answer, struct reason *why)
{
	struct run *run = calloc(1, sizeof(*run));
	int error;

	if (!run)
		return reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
	*run = (struct run){.question = arg, .root = fds[0]};
	run->x = (struct examine){.answer = answer, .why = why, .done = run->question->done, .total = run->question->total,
				  .server = {.out = -1}};
	run->names = calloc(NAMES_MAX, sizeof(*run->names));
	error = run->names ? check(run) : reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
	run->x.answer->good = error == 0 && !examine_is_over(&run->x);
	free(run->names);
	free(run);
	return error;
}
