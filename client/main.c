/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap(1): reads the command line, finds the command in its table and runs it. */
#include "client/client.h"
#include "client/near.h"
#include "client/rpc.h"
#include "client/text.h"
#include "common/err.h"
#include "common/ident.h"
#include "common/scope.h"
#include "common/xdg.h"

#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* The options that a command takes besides --socket, as bits. */
enum {
	TAKES_JSON = 1 << 0,
	TAKES_TOKEN = 1 << 1,
	TAKES_WAIT = 1 << 2,   /* and --timeout */
	TAKES_ADD = 1 << 3,    /* those of cluster add alone */
	TAKES_CONFIG = 1 << 4, /* --config */
	TAKES_TEST = 1 << 5,   /* those of policy test alone */
	TAKES_YES = 1 << 6,    /* --yes */
	TAKES_SET = 1 << 7,    /* those of policy set alone */
	TAKES_DRY_RUN = 1 << 8, /* --dry-run */
	TAKES_START = 1 << 9   /* those of clone create alone */
};

struct command {
	const char *words; /* "backup create" */
	const char *args;
	const char *summary;
	unsigned takes;
	size_t min, max; /* arguments */
	command_fn *run;
};

enum { MANY = 1000 };

static const struct command commands[] = {
	{"backup create", "CLUSTER", "Back up a running cluster", TAKES_JSON | TAKES_TOKEN | TAKES_WAIT, 1, 1,
	 cmd_backup_create},
	{"backup list", "[CLUSTER]", "List backups, newest first", TAKES_JSON, 0, 1, cmd_backup_list},
	{"backup show", "ID", "Show all that is known of a backup", TAKES_JSON, 1, 1, cmd_backup_show},
	{"backup delete", "ID...", "Delete backups: all of them, or none", TAKES_JSON | TAKES_WAIT, 1, MANY,
	 cmd_backup_delete},
	{"backup verify", "ID", "Prove that a backup can be started and is whole", TAKES_JSON | TAKES_WAIT, 1, 1,
	 cmd_backup_verify},
	{"backup hold", "ID", "Keep a backup from being deleted by anybody", TAKES_JSON, 1, 1, cmd_backup_hold},
	{"backup unhold", "ID", "Let a held backup be deleted again", TAKES_JSON, 1, 1, cmd_backup_unhold},
	{"clone create", "ID NAME", "Make a writable copy of a backup",
	 TAKES_JSON | TAKES_START | TAKES_TOKEN | TAKES_WAIT, 2, 2, cmd_clone_create},
	{"clone list", "[CLUSTER]", "List clones", TAKES_JSON, 0, 1, cmd_clone_list},
	{"clone delete", "NAME", "End a clone's server, and delete the clone", TAKES_JSON | TAKES_WAIT, 1, 1, cmd_clone_delete},
	{"restore", "ID", "Put a backup in the place of its cluster's data directory, which is kept",
	 TAKES_JSON | TAKES_WAIT | TAKES_DRY_RUN | TAKES_YES, 1, 1, cmd_restore},
	{"cluster list", "", "List the registered clusters", TAKES_JSON, 0, 0, cmd_cluster_list},
	{"cluster check", "ID", "Show how a cluster lies on disk and what a backup of it promises",
	 TAKES_JSON, 1, 1, cmd_cluster_check},
	{"cluster add", "", "Find a running PostgreSQL server and register it", TAKES_ADD | TAKES_CONFIG | TAKES_YES, 0, 0,
	 cmd_cluster_add},
	{"policy show", "CLUSTER", "Show when automated backups are made and how long they are kept",
	 TAKES_JSON, 1, 1, cmd_policy_show},
	{"policy set", "CLUSTER", "Change when automated backups are made and how long they are kept",
	 TAKES_JSON | TAKES_SET | TAKES_DRY_RUN | TAKES_YES, 1, 1, cmd_policy_set},
	{"policy test", "PRINCIPAL ACTION CLUSTER", "Show what the policy files on disk allow, and which statement decides",
	 TAKES_JSON | TAKES_CONFIG | TAKES_TEST, 3, 3, cmd_policy_test},
	{"job list", "[CLUSTER]", "List jobs, newest first", TAKES_JSON, 0, 1, cmd_job_list},
	{"job show", "ID", "Show all that is known of a job", TAKES_JSON, 1, 1, cmd_job_show},
	{"job cancel", "ID", "Ask a job to stop", TAKES_JSON, 1, 1, cmd_job_cancel},
	{"quarantine list", "[CLUSTER]", "List what lies beside the backups and is in no record", TAKES_JSON, 0, 1,
	 cmd_quarantine_list},
	{"quarantine adopt", "CLUSTER NAME", "Take a complete backup of the quarantine into the catalogue", TAKES_JSON, 2,
	 2, cmd_quarantine_adopt},
	{"quarantine delete", "CLUSTER NAME", "Remove what dbsnap itself made from the quarantine",
	 TAKES_JSON | TAKES_WAIT, 2, 2, cmd_quarantine_delete},
	{"status", "", "Show the daemon, its clusters, quotas and space", TAKES_JSON, 0, 0, cmd_status},
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

enum {
	OPT_SOCKET = 256,
	OPT_JSON,
	OPT_TOKEN,
	OPT_WAIT,
	OPT_TIMEOUT,
	OPT_DATA_DIR,
	OPT_ID,
	OPT_CLUSTERS_DIR,
	OPT_CONFIG,
	OPT_YES,
	OPT_MODE,
	OPT_TIME,
	OPT_DAYS,
	OPT_HOUR,
	OPT_KEEP,
	OPT_KEEP_LONGER,
	OPT_EVERY,
	OPT_ON_REMOVAL,
	OPT_ON,
	OPT_OFF,
	OPT_DRY_RUN,
	OPT_START,
	OPT_TTL,
	OPT_VERSION
};

static const struct option longs[] = {
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"json", no_argument, NULL, OPT_JSON},
	{"token", required_argument, NULL, OPT_TOKEN},
	{"wait", no_argument, NULL, OPT_WAIT},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"data-dir", required_argument, NULL, OPT_DATA_DIR},
	{"id", required_argument, NULL, OPT_ID},
	{"clusters-dir", required_argument, NULL, OPT_CLUSTERS_DIR},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"yes", no_argument, NULL, OPT_YES},
	{"mode", required_argument, NULL, OPT_MODE},
	{"time", required_argument, NULL, OPT_TIME},
	{"days", required_argument, NULL, OPT_DAYS},
	{"hour", required_argument, NULL, OPT_HOUR},
	{"keep", required_argument, NULL, OPT_KEEP},
	{"keep-longer", required_argument, NULL, OPT_KEEP_LONGER},
	{"every", required_argument, NULL, OPT_EVERY},
	{"on-removal", required_argument, NULL, OPT_ON_REMOVAL},
	{"on", no_argument, NULL, OPT_ON},
	{"off", no_argument, NULL, OPT_OFF},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"start", no_argument, NULL, OPT_START},
	{"ttl", required_argument, NULL, OPT_TTL},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* What a command line says, before it is known to make sense. */
struct line {
	struct options options;
	unsigned used; /* TAKES_* of the options given */
	bool help;
	bool version;
	char **words;
	size_t count;
};

static int take_timeout(struct line *line)
{
	line->used |= TAKES_WAIT;
	if (text_parse_span(optarg, &line->options.timeout_ms) == 0)
		return 0;
	text_complain("--timeout '%s' is no duration: 500ms, 30s, 5m, 1h", optarg);
	return STATUS_USAGE;
}

static int take_ttl(struct line *line)
{
	static char seconds[24];
	int64_t ms;

	line->used |= TAKES_START;
	if (text_parse_span(optarg, &ms) < 0 || ms < 1000) {
		text_complain("--ttl '%s' is no duration of a second or more: 90s, 30m, 2h, 7d", optarg);
		return STATUS_USAGE;
	}
	snprintf(seconds, sizeof(seconds), "%" PRId64, ms / 1000);
	line->options.ttl = seconds;
	return 0;
}

static int take_token(struct line *line)
{
	line->used |= TAKES_TOKEN;
	line->options.token = optarg;
	if (optarg[0] && ident_is_token(optarg))
		return 0;
	text_complain("a token is 1 to 64 printable ASCII characters");
	return STATUS_USAGE;
}

static void take_add(struct line *line, int option)
{
	struct options *options = &line->options;

	line->used |= TAKES_ADD;
	*(option == OPT_DATA_DIR ? &options->data_dir
	  : option == OPT_ID	 ? &options->id
				 : &options->clusters_dir) = optarg;
}

static void take_set(struct line *line, int option)
{
	struct options *options = &line->options;

	line->used |= TAKES_SET;
	if (option == OPT_ON || option == OPT_OFF)
		*(option == OPT_ON ? &options->on : &options->off) = true;
	else
		*(option == OPT_DAYS          ? &options->days
		  : option == OPT_HOUR        ? &options->hour
		  : option == OPT_KEEP        ? &options->keep
		  : option == OPT_KEEP_LONGER ? &options->keep_longer
		  : option == OPT_EVERY       ? &options->every
					      : &options->on_removal) = optarg;
}

static int take_option(struct line *line, int option)
{
	switch (option) {
	case 1:
		line->words[line->count++] = optarg;
		return 0;
	case OPT_SOCKET:
		line->options.socket = optarg;
		return 0;
	case OPT_JSON:
		line->used |= TAKES_JSON;
		line->options.json = true;
		return 0;
	case OPT_TOKEN:
		return take_token(line);
	case OPT_WAIT:
		line->used |= TAKES_WAIT;
		line->options.wait = true;
		return 0;
	case OPT_TIMEOUT:
		return take_timeout(line);
	case OPT_START:
		line->used |= TAKES_START;
		line->options.start = true;
		return 0;
	case OPT_TTL:
		return take_ttl(line);
	case OPT_CONFIG:
	case 'c':
		line->used |= TAKES_CONFIG;
		line->options.config = optarg;
		return 0;
	case OPT_MODE:
	case OPT_TIME:
		line->used |= TAKES_TEST;
		*(option == OPT_MODE ? &line->options.mode : &line->options.time) = optarg;
		return 0;
	case OPT_DRY_RUN:
		line->used |= TAKES_DRY_RUN;
		line->options.dry_run = true;
		return 0;
	case OPT_YES:
		line->used |= TAKES_YES;
		line->options.yes = true;
		return 0;
	case 'h':
		line->help = true;
		return 0;
	case OPT_VERSION:
		line->version = true;
		return 0;
	case '?':
		return STATUS_USAGE;
	default:
		option >= OPT_DAYS && option <= OPT_OFF ? take_set(line, option) : take_add(line, option);
		return 0;
	}
}

/* Options may stand anywhere, whatever $POSIXLY_CORRECT says: a leading '-' gives words in their place. */
static int read_line(int argc, char **argv, struct line *line)
{
	int option, r = 0;

	while (r == 0 && (option = getopt_long(argc, argv, "-hc:", longs, NULL)) != -1)
		r = take_option(line, option);
	for (; r == 0 && optind < argc; optind++)
		line->words[line->count++] = argv[optind];
	return r;
}

static void print_synopsis(FILE *file, const struct command *command, const char *indent)
{
	fprintf(file, "%sdbsnap %s%s%s%s%s%s%s\n", indent, command->words, command->args[0] ? " " : "",
		command->args, command->takes & TAKES_START ? " [--start] [--ttl DURATION]" : "",
		command->takes & TAKES_TOKEN ? " [--token TOKEN]" : "",
		command->takes & TAKES_WAIT ? " [--wait [--timeout DURATION]]" : "",
		command->takes & TAKES_ADD
			? " [--data-dir DIR] [--id ID] [--clusters-dir DIR] [--config FILE] [--yes]"
		: command->takes & TAKES_SET
			? " [--days DAYS] [--hour HH] [--every 2h|3h|4h|daily] [--keep DAYS]\n"
			  "       [--keep-longer DAYS|forever] [--on-removal all|latest|none] [--on|--off] [--dry-run] [--yes]"
		: command->takes & TAKES_DRY_RUN ? " [--dry-run] [--yes]"
		: command->takes & TAKES_TEST ? " [--config FILE] [--mode Manual|Automated] [--time TIME]"
					      : "");
}

static void print_options(FILE *file, unsigned takes)
{
	fputs("\nOptions:\n  --socket PATH        the daemon's socket (or $DBSNAP_SOCKET)\n", file);
	if (takes & TAKES_JSON)
		fputs("  --json               print the API's answer; with --wait the finished item\n", file);
	if (takes & TAKES_START)
		fputs("  --start              run its server, as the database's user, on a socket of its own;\n"
		      "                       with --wait until it answers\n"
		      "  --ttl DURATION       delete the clone after that time: 90s, 30m, 2h, 7d\n",
		      file);
	if (takes & TAKES_TOKEN)
		fputs("  --token TOKEN        the same token again gives the same job, never a second one\n",
		      file);
	if (takes & TAKES_WAIT)
		fputs("  --wait               until the job has ended\n"
		      "  --timeout DURATION   how long to wait: 30s, 5m, 1h; then exit with status 4\n",
		      file);
	if (takes & TAKES_ADD)
		fputs("  --data-dir DIR       of the server that is meant, when several run\n"
		      "  --id ID              of the cluster; default: from the data directory\n"
		      "  --clusters-dir DIR   where the file goes; default: " DBSNAP_SYSCONFDIR
		      "/dbsnap/clusters.d,\n"
		      "                       without root ~/.config/dbsnap/clusters.d\n",
		      file);
	if (takes & TAKES_SET)
		fputs("  --days DAYS          Mon,Thu or all: at least two\n"
		      "  --hour HH            0 to 23, in UTC: at a minute of this hour\n"
		      "  --every 2h|3h|4h|daily\n"
		      "  --keep DAYS          3 to 14\n"
		      "  --keep-longer DAYS   30 to 7300, or forever; 0: not longer than --keep\n"
		      "  --on-removal WORD    when no file registers the cluster any more: all, latest or none\n"
		      "  --on, --off          make, and remove by age, automated backups; on unless --off is given\n",
		      file);
	if (takes & TAKES_DRY_RUN)
		fputs("  --dry-run            only show what it would do\n", file);
	if (takes & TAKES_YES)
		fputs("  --yes                without asking\n", file);
	if (takes & TAKES_CONFIG)
		fputs("  -c, --config FILE    the configuration, as 'dbsnapd -c'\n", file);
	if (takes & TAKES_TEST)
		fputs("  --mode MODE          Manual or Automated: what dbsnap:BackupMode is\n"
		      "  --time TIME          such as 2026-01-31T08:00:00Z: what acs:CurrentTime is\n",
		      file);
	fputs("  -h, --help           this text\n", file);
}

static void print_exit_statuses(FILE *file)
{
	fputs("\nExit status: 0 done; 1 refused, or the job failed; 2 usage; 3 no daemon answers; 4 gave up "
	      "waiting.\n"
	      "See dbsnap(1).\n",
	      file);
}

/* Whether the command's words begin with the group ("backup"). */
static bool is_in_group(const struct command *command, const char *group)
{
	size_t length = strlen(group);

	return strncmp(command->words, group, length) == 0 &&
	       (command->words[length] == ' ' || command->words[length] == '\0');
}

/* Of all commands, or of one group. */
static void print_help(FILE *file, const char *group)
{
	unsigned takes = 0;

	fputs("Usage: dbsnap [--socket PATH] [--json] COMMAND ...\n\n", file);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		scope_free char *words = NULL;

		if (group && !is_in_group(&commands[i], group))
			continue;
		words = text_format("%s %s", commands[i].words, commands[i].args);
		fprintf(file, "  %-24s %s\n", words, commands[i].summary);
		takes |= commands[i].takes;
	}
	print_options(file, group ? takes : TAKES_JSON | TAKES_WAIT);
	fputs("      --version        the program's version\n'dbsnap COMMAND --help' tells more.\n", file);
	print_exit_statuses(file);
}

static void print_command_help(FILE *file, const struct command *command)
{
	print_synopsis(file, command, "Usage: ");
	fprintf(file, "\n%s.\n", command->summary);
	print_options(file, command->takes);
	print_exit_statuses(file);
}

/* ret_words: how many of the line's words the command's name takes. */
static const struct command *find_command(const struct line *line, size_t *ret_words)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		size_t words = strchr(commands[i].words, ' ') ? 2 : 1;
		scope_free char *said = NULL;

		if (line->count < words)
			continue;
		said = words == 2 ? text_format("%s %s", line->words[0], line->words[1])
				  : text_format("%s", line->words[0]);
		if (strcmp(said, commands[i].words) == 0) {
			*ret_words = words;
			return &commands[i];
		}
	}
	return NULL;
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (is_in_group(&commands[i], word))
			return true;
	}
	return false;
}

static int refuse_unknown(const struct line *line)
{
	bool group = is_group(line->words[0]);
	scope_free char *said = line->count > 1 ? text_format("%s %s", line->words[0], line->words[1])
						: text_format("%s", line->words[0]);

	if (group && line->count == 1)
		text_complain("'%s' wants a command:", said);
	else
		text_complain("unknown command '%s'", said);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (group ? is_in_group(&commands[i], line->words[0])
			  : near_distance(said, commands[i].words) <= 2)
			print_synopsis(stderr, &commands[i], "  ");
	}
	text_advise("'dbsnap --help' lists the commands");
	return STATUS_USAGE;
}

static int check_use(const struct line *line, const struct command *command, size_t count)
{
	unsigned wrong = line->used & ~command->takes;

	if (wrong)
		text_complain("'%s' takes no %s", command->words,
			      wrong & TAKES_JSON    ? "--json"
			      : wrong & TAKES_TOKEN ? "--token"
			      : wrong & TAKES_WAIT  ? "--wait or --timeout"
			      : wrong & TAKES_CONFIG ? "--config"
			      : wrong & TAKES_TEST   ? "--mode or --time"
			      : wrong & TAKES_YES    ? "--yes"
			      : wrong & TAKES_DRY_RUN ? "--dry-run"
			      : wrong & TAKES_SET    ? "option of 'policy set'"
						    : "option of 'cluster add'");
	else if (count < command->min)
		text_complain("'%s' wants %s", command->words, command->args);
	else if (count > command->max)
		text_complain("'%s' takes no further argument", command->words);
	else if (line->options.timeout_ms >= 0 && !line->options.wait)
		text_complain("--timeout makes sense with --wait only");
	else
		return 0;
	print_synopsis(stderr, command, "Usage: ");
	return STATUS_USAGE;
}

/* The caller's. A user's own daemon first, then the host's. */
static char *default_socket(void)
{
	static const char host[] = "/run/dbsnap/dbsnapd.sock";
	const char *named = getenv("DBSNAP_SOCKET");
	char own[PATH_MAX];

	if (named && named[0])
		return text_format("%s", named);
	if (geteuid() != 0 && xdg_path(XDG_SOCKET, own, sizeof(own)) == 0 && access(own, F_OK) == 0)
		return text_format("%s", own);
	return text_format("%s", host);
}

static int run_command(struct line *line, const struct command *command, size_t words)
{
	scope_free char *socket =
		line->options.socket ? text_format("%s", line->options.socket) : default_socket();
	struct client client = {.options = line->options};
	int r;

	if (strlen(socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		text_complain("the socket's path is too long: %s", socket);
		return STATUS_USAGE;
	}
	client.options.socket = socket;
	client.rpc = rpc_new(socket);
	if (!client.rpc) {
		text_complain("%s", err_text(ERR_NOMEM));
		return STATUS_REFUSED;
	}
	r = command->run(&client, line->words + words, line->count - words);
	rpc_free(client.rpc);
	return r;
}

static int run_line(struct line *line)
{
	const struct command *command;
	size_t words = 0;
	int r;

	if (line->version) {
		puts(PACKAGE_STRING);
		return STATUS_DONE;
	}
	if (line->count == 0) {
		print_help(line->help ? stdout : stderr, NULL);
		return line->help ? STATUS_DONE : STATUS_USAGE;
	}
	command = find_command(line, &words);
	if (line->help && (command || (line->count == 1 && is_group(line->words[0])))) {
		command ? print_command_help(stdout, command) : print_help(stdout, line->words[0]);
		return STATUS_DONE;
	}
	if (!command)
		return refuse_unknown(line);
	r = check_use(line, command, line->count - words);
	return r != 0 ? r : run_command(line, command, words);
}

int main(int argc, char **argv)
{
	scope_free char **words = calloc((size_t)argc + 1, sizeof(*words));
	struct line line = {.options = {.timeout_ms = -1}, .words = words};
	int r;

	if (!words)
		return STATUS_REFUSED;
	setlocale(LC_CTYPE, "");
	r = read_line(argc, argv, &line);
	if (r == 0)
		r = run_line(&line);
	else
		text_advise("'dbsnap --help' lists commands and options");
	/* A list that did not reach the disk or the pipe is not "done". */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		text_complain("cannot write to standard output: %s", strerror(errno));
		return r == 0 ? STATUS_REFUSED : r;
	}
	return r;
}
