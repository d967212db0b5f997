/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A running MariaDB copied by its own program, mariadb-backup, which reads the redo log along with the files and so brings
 * them to one moment; --prepare does that at once. It runs as the database's user, from a folder that only root can write, and
 * reads no option file but the one that it has put into the image itself, without which it would take the files for others.
 * What it says comes from a server that may be hostile: a few lines of it are kept.
 */
#include "daemon/engine/db_mariadb.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/bindir.h"
#include "daemon/engine/my_ddl.h"
#include "daemon/engine/program.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
	VERSION_MS = 10000, /* to say its own version */
	PAUSE_MS = 200,     /* between two looks at the file that grows */
	LINE_SIZE = 300,
	ARG_SIZE = CONF_TARGET_SIZE + 32
};

static const char name[] = "mariadb-backup";

/* The image is the program's third descriptor, and what it prints of paths begins so. */
static const char image_path[] = "/proc/self/fd/3";

/* ---- which program ---- */

static const char *const programs[] = {name, NULL};

/* Distributions that keep servers in sbin have this one in bin. */
static int find_folder(const struct db_mariadb *my, char ret_path[static MSG_PATH_SIZE], struct reason *why)
{
	const char *bindir = my->job->cluster->database.bindir;
	char beside[MSG_PATH_SIZE + 16];
	int error;

	if (!bindir[0])
		return bindir_check(my->job, "/usr/bin", programs, ret_path, why);
	error = bindir_check(my->job, bindir, programs, ret_path, why);
	if (error != ERR_NOT_FOUND)
		return error;
	snprintf(beside, sizeof(beside), "%s/../bin", bindir);
	return bindir_check(my->job, beside, programs, ret_path, why);
}

static int refuse_missing(const struct db_mariadb *my, struct reason *why)
{
	const char *bindir = my->job->cluster->database.bindir;

	return reason_set(why, ERR_NOT_FOUND,
			  "install the package mariadb-backup (MariaDB-backup in MariaDB's own repositories) of the server's release",
			  "a running MariaDB is copied by the program %s, and %.400s%s has none", name,
			  bindir[0] ? bindir : "/usr/bin", bindir[0] ? " (database.bindir)" : "");
}

struct version {
	char line[LINE_SIZE];
	bool late;
};

static void hear_version(void *arg, const char *line)
{
	struct version *version = arg;

	if (!version->line[0] || strstr(line, "MariaDB server"))
		snprintf(version->line, sizeof(version->line), "%.*s", LINE_SIZE - 1, line);
}

static void give_up(void *arg)
{
	((struct version *)arg)->late = true;
}

/* In the walker. */
static int ask_version(const void *arg, const int *fds, void *answer, struct reason *why)
{
	char *argv[] = {(char *)(uintptr_t)arg, "--no-defaults", "--version", NULL};
	struct version *version = answer;
	struct program program;

	(void)fds;
	if (program_start(&program, arg, argv, NULL, NULL, hear_version, version) < 0)
		return reason_set_retry(why, ERR_IO, NULL, "cannot start %s", name);
	program.pause = give_up;
	program.pause_ms = VERSION_MS;
	return program_read(&program, NULL, &version->late);
}

/* "/usr/bin/mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)" */
static bool is_of_server(const char *line, const char *server)
{
	static const char words[] = "based on MariaDB server ";
	const char *own = strstr(line, words);
	unsigned major, minor, other_major, other_minor;

	return own && sscanf(own + strlen(words), "%u.%u.", &major, &minor) == 2 &&
	       sscanf(server, "%u.%u.", &other_major, &other_minor) == 2 && major == other_major && minor == other_minor;
}

static void clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = *text == '\t' ? ' ' : '?';
	}
}

static int check_version(struct db_mariadb *my, struct reason *why)
{
	const char *server = my->facts.version;
	struct version version;
	int error = walker_run(my->job, ask_version, my->backup_program, NULL, 0, &version, sizeof(version), why);

	if (error < 0)
		return error;
	clean(version.line, sizeof(version.line));
	if (is_of_server(version.line, server))
		return 0;
	return reason_set(why, ERR_VERSION,
			  "install the package mariadb-backup of the server's release, or set database.bindir to where it is",
			  "the server is MariaDB %.*s, and %.300s is of another release: %s", (int)strcspn(server, "-"), server,
			  my->backup_program, version.line[0] ? version.line : "it does not say which");
}

int my_find_backup(struct db_mariadb *my, struct reason *why)
{
	char folder[MSG_PATH_SIZE];
	int error = find_folder(my, folder, why);

	if (error == ERR_NOT_FOUND)
		return refuse_missing(my, why);
	if (error == 0 && snprintf(my->backup_program, sizeof(my->backup_program), "%s/%s", folder, name) >=
				  (int)sizeof(my->backup_program))
		error = reason_set(why, ERR_TOO_LONG, NULL, "the path of %s is too long", name);
	return error < 0 ? error : check_version(my, why);
}

/* ---- what it copies ---- */

enum tree_fate my_judge_backup(const void *arg, size_t root, const char *path, const struct stat *st, struct reason *why)
{
	const struct db_mariadb *my = arg;
	const struct my_part *part = &my->parts[MY_BINLOG];
	size_t length = strlen(part->rest), base = strlen(my_base(my->facts.binlog));

	(void)root;
	(void)st;
	(void)why;
	if (!my->facts.log_bin || !part->inside || strncmp(path, part->rest, length) != 0)
		return TREE_TAKE;
	path += length + (length && path[length] == '/');
	return strncmp(path, my_base(my->facts.binlog), base) == 0 && path[base] == '.' ? TREE_LEAVE_OUT : TREE_TAKE;
}

/* ---- its runs ---- */

struct run {
	const struct db_mariadb *my;
	int image, source;
	int fds[3]; /* what it gets: the image, the place's lock, and what shows that it lives */
	size_t fd_count;
	char first[LINE_SIZE]; /* that speaks of an error; "" none */
	char last[LINE_SIZE];
	int errno_value;         /* that it met and that has a remedy; 0: none */
	char growing[NAME_MAX * 2]; /* the file that is being copied, from the image; "" none */
	uint64_t done;           /* bytes of those before it */
	bool compared;           /* with tables that the server still held: what came of it is in emptied */
	struct reason emptied;
};

static void count(struct run *run)
{
	uint64_t *shared = run->my->job->gauge.done;
	struct stat st = {.st_size = 0};

	if (!shared)
		return;
	if (run->growing[0] && fstatat(run->image, run->growing, &st, AT_SYMLINK_NOFOLLOW) < 0)
		st.st_size = 0;
	__atomic_store_n(shared, run->done + (uint64_t)st.st_size, __ATOMIC_RELAXED);
}

/* "[00] 2026-11-28 12:27:25 Copying ./shop/acct.ibd to /proc/self/fd/3/shop/acct.ibd" */
static void take_progress(struct run *run, const char *line)
{
	const char *copying = strstr(line, " Copying "), *to = copying ? strstr(copying, image_path) : NULL;
	struct stat st;

	if (!to || to[strlen(image_path)] != '/')
		return;
	if (run->growing[0] && fstatat(run->image, run->growing, &st, AT_SYMLINK_NOFOLLOW) == 0)
		run->done += (uint64_t)st.st_size;
	snprintf(run->growing, sizeof(run->growing), "%.*s", (int)sizeof(run->growing) - 1, to + strlen(image_path) + 1);
	count(run);
}

static bool speaks_of_error(const char *line)
{
	static const char *const words[] = {"rror:", "rror ", "ERROR", "enied"};

	/* It says that of itself whenever it gives up. */
	if (strstr(line, "my_thread_global_end"))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(line, words[i]))
			return true;
	}
	return false;
}

static void hear(void *arg, const char *line)
{
	struct run *run = arg;

	take_progress(run, line);
	if (strstr(line, "Finished BACKUP STAGE BLOCK_DDL")) {
		my_ddl_find_emptied(run->source, run->image, &run->emptied);
		run->compared = true;
	}
	if (strstr(line, "No space left on device") || strstr(line, "Disk quota exceeded"))
		run->errno_value = ENOSPC;
	else if (strstr(line, "Too many open files"))
		run->errno_value = EMFILE;
	if (!run->first[0] && speaks_of_error(line))
		snprintf(run->first, sizeof(run->first), "%.*s", LINE_SIZE - 1, line);
	snprintf(run->last, sizeof(run->last), "%.*s", LINE_SIZE - 1, line);
}

static void pause_run(void *arg)
{
	count(arg);
}

static bool is_completed(const struct run *run)
{
	static const char words[] = "completed OK!";
	size_t length = strlen(run->last);

	return length >= strlen(words) && strcmp(run->last + length - strlen(words), words) == 0;
}

static int refuse_run(struct run *run, const char *what, const struct program *program, struct reason *why)
{
	int status = program->status;
	char how[48];

	if (run->errno_value == ENOSPC)
		return reason_set_errno(why, ENOSPC, "%s could not write the image", name);
	if (run->errno_value == EMFILE)
		return reason_set(why, ERR_LAYOUT, "raise the limit (LimitNOFILE= in dbsnapd.service, ulimit -Hn): it opens all tables at once",
				  "%s may not open so many files", name);
	clean(run->first, sizeof(run->first));
	clean(run->last, sizeof(run->last));
	if (program_succeeded(program))
		snprintf(how, sizeof(how), "it did not say \"completed OK!\"");
	else
		snprintf(how, sizeof(how), WIFSIGNALED(status) ? "signal %d" : "status %d",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return reason_set_retry(why, ERR_DATABASE, "see to what it says; it can be run by hand with the same options",
				"%s %s failed (%s): %s%s%s", name, what, how, run->first,
				run->first[0] && run->last[0] ? "; last: " : "", run->last);
}

static int run_program(struct run *run, const char *what, char *const argv[], struct reason *why)
{
	struct program program;

	run->first[0] = run->last[0] = '\0';
	if (program_start_with(&program, argv[0], argv, run->fds, run->fd_count, hear, run) < 0)
		return reason_set_retry(why, ERR_IO, NULL, "cannot start %s", name);
	program.pause = pause_run;
	program.pause_ms = PAUSE_MS;
	if (program_read(&program, NULL, NULL) < 0)
		return reason_set_retry(why, ERR_IO, NULL, "cannot listen to %s", name);
	if (program_succeeded(&program) && is_completed(run))
		return 0;
	return refuse_run(run, what, &program, why);
}

/* As many as there may be: all tables of InnoDB are open at the same time. What it was stays on failure. */
static void raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int copy(struct run *run, struct reason *why)
{
	struct conf_target_mariadb target;
	char socket[ARG_SIZE], user[ARG_SIZE], to[ARG_SIZE];
	char *argv[] = {(char *)(uintptr_t)run->my->backup_program, "--no-defaults", "--backup", to, socket, user, NULL};

	if (!conf_read_conninfo_mariadb(run->my->conninfo, &target))
		return reason_set(why, ERR_INVALID, NULL, "database.conninfo cannot be read");
	snprintf(to, sizeof(to), "--target-dir=%s", image_path);
	snprintf(socket, sizeof(socket), "--socket=%s", target.socket);
	snprintf(user, sizeof(user), "--user=%s", target.user);
	return run_program(run, "--backup", argv, why);
}

static int prepare(struct run *run, struct reason *why)
{
	char options[ARG_SIZE], at[ARG_SIZE];
	char *argv[] = {(char *)(uintptr_t)run->my->backup_program, options, "--prepare", at, NULL};

	/* The size of a page, and what the system tablespace is made of. */
	snprintf(options, sizeof(options), "--defaults-file=%s/backup-my.cnf", image_path);
	snprintf(at, sizeof(at), "--target-dir=%s", image_path);
	return run_program(run, "--prepare", argv, why);
}

/* ---- what came of it ---- */

/* What goes back to the worker. */
struct made {
	uint64_t files, bytes;
	char info[MY_BACKUP_INFO_SIZE]; /* "mysql-bin.000002	1234	0-1-55"; "" without a binary log */
};

static int count_file(void *arg, const struct tree_entry *entry, struct reason *why)
{
	(void)why;
	*(uint64_t *)arg += S_ISREG(entry->st.st_mode);
	return 0;
}

bool my_is_of_backup(const char *file)
{
	return strcmp(file, "backup-my.cnf") == 0 || strncmp(file, "xtrabackup_", 11) == 0 || strncmp(file, "mariadb_backup_", 15) == 0;
}

int my_read_backup_info(int root_fd, char *text, size_t size)
{
	/* The second is its name in later releases. */
	static const char *const files[] = {"xtrabackup_binlog_info", "mariadb_backup_binlog_info"};
	int got = ERR_NOT_FOUND;

	for (size_t i = 0; got == ERR_NOT_FOUND && i < sizeof(files) / sizeof(files[0]); i++)
		got = tree_read(root_fd, files[i], text, size);
	return got;
}

/* Where the binary log was at the image's moment. */
static int read_info(struct run *run, struct made *made, struct reason *why)
{
	int size = my_read_backup_info(run->image, made->info, sizeof(made->info));

	if (size == ERR_NOT_FOUND && !run->my->facts.log_bin)
		return 0;
	return size < 0 ? reason_set_retry(why, size, NULL, "%s did not say where the binary log was: %s", name, err_text(size)) : 0;
}

/* Have tables without transactions come through? */
static int judge(struct run *run, struct reason *why)
{
	int error = my_ddl_judge(run->source, run->image, why);

	/* An earlier release, which copies them while they are held. */
	if (error == 0 && !run->compared)
		return my_ddl_find_emptied(run->source, run->image, why);
	if (error == 0 && run->emptied.code < 0)
		*why = run->emptied;
	return error < 0 ? error : run->emptied.code;
}

/* What the walker gets. */
enum { IMAGE, SOURCE, ALIVE };

/* In the walker. */
static int make(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct db_mariadb *my = arg;
	struct made *made = answer;
	struct run run = {.my = my, .image = fds[IMAGE], .source = fds[SOURCE]};
	int error;

	run.fds[run.fd_count++] = fds[IMAGE];
	run.fds[run.fd_count++] = fds[ALIVE];
	if (my->job->lock_fd >= 0)
		run.fds[run.fd_count++] = my->job->lock_fd;
	raise_limit();
	error = copy(&run, why);
	if (error == 0)
		error = judge(&run, why);
	if (error == 0)
		error = prepare(&run, why);
	if (error == 0)
		error = read_info(&run, made, why);
	if (error == 0)
		error = tree_measure(run.image, 0, NULL, NULL, &made->bytes, why);
	return error < 0 ? error : tree_walk(run.image, count_file, &made->files, why);
}

static void tell(const struct db_mariadb *my, char info[static MY_BACKUP_INFO_SIZE], struct db_position *position)
{
	struct ask_my_position where = {.offset = 0};

	info[MY_BACKUP_INFO_SIZE - 1] = '\0';
	if (my->facts.log_bin)
		sscanf(info, "%255[^\t\n]\t%" SCNu64 "\t%1000[^\n]", where.file, &where.offset, where.gtid);
	clean(where.file, sizeof(where.file));
	clean(where.gtid, sizeof(where.gtid));
	my_tell_position(&where, position);
}

int my_make_image(struct db *db, int image_fd, struct db_position *position, struct tree_report *ret_report, struct reason *why)
{
	struct db_mariadb *my = (struct db_mariadb *)db;
	struct made made;
	int fds[] = {[IMAGE] = image_fd, [SOURCE] = my->job->data_fd};
	int error = walker_run_apart(my->job, make, my, fds, ALIVE, &made, sizeof(made), why);

	if (error == ERR_TIMEOUT)
		return reason_set_retry(why, error, "raise jobs.timeout", "%s took longer than a job may", name);
	if (error < 0)
		return error;
	tell(my, made.info, position);
	*ret_report = (struct tree_report){.files = made.files, .bytes = made.bytes};
	return 0;
}
