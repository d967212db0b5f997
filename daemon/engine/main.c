/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options, then one of: run, check, thaw. */
#include "config.h"

#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/freeze.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

static const char usage[] =
	"Usage: dbsnapd [-c FILE] [-t | --thaw] [--libexec-dir DIR]\n"
	"Takes consistent snapshots of running databases. Runs in the foreground.\n"
	"\n"
	"  -c FILE             the configuration (default: " DBSNAP_SYSCONFDIR "/dbsnap/dbsnapd.yaml,\n"
	"                      without root ~/.config/dbsnap/dbsnapd.yaml)\n"
	"  -t                  check the configuration and exit\n"
	"  --thaw              let servers that a dbsnapd left stopped run again, and exit\n"
	"  --libexec-dir DIR   where dbsnapd-front and the helpers are\n"
	"  --version           print the version and exit\n"
	"  --help              print this and exit\n";

struct options {
	const char *conf_path;
	const char *libexec_dir;
	bool check, thaw;
};

static void print_lines(const struct conf_errors *lines, const char *before, const char *what)
{
	for (size_t i = 0; i < lines->count; i++)
		fprintf(stderr, "%s%s\n", before, lines->lines[i]);
	if (lines->dropped)
		fprintf(stderr, "and %zu more %s\n", lines->dropped, what);
}

/* NULL: the errors are printed. */
static struct conf *load(const char *path)
{
	struct conf_errors errors = {0};
	struct conf *conf = NULL;
	int error = conf_load(path, &errors, &conf);

	print_lines(&errors, "", "errors");
	if (error < 0 && errors.count == 0)
		fprintf(stderr, "dbsnapd: %s\n", err_text(error));
	conf_errors_clear(&errors);
	return conf;
}

/*
 * Must work after anything, so what is wrong with the configuration is no reason not to. Whichever of the sockets was the
 * first when the daemon started: the file may have been changed since.
 */
static int thaw(const char *path)
{
	struct conf *conf = NULL;
	int failed = conf_load_listens(path, &conf);

	if (failed < 0)
		fprintf(stderr, "dbsnapd: the configuration cannot be read: %s\n", err_text(failed));
	for (size_t i = 0; conf && i < conf->listen_count; i++) {
		if (freeze_thaw_all(conf->listens[i].path) < 0)
			failed = ERR_STATE;
	}
	conf_free(conf);
	return failed < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char *argv[], struct options *options)
{
	enum { OPT_THAW = 256, OPT_LIBEXEC, OPT_VERSION, OPT_HELP };
	static const struct option longs[] = {
		{"thaw", no_argument, NULL, OPT_THAW},
		{"libexec-dir", required_argument, NULL, OPT_LIBEXEC},
		{"version", no_argument, NULL, OPT_VERSION},
		{"help", no_argument, NULL, OPT_HELP},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:t", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->conf_path = optarg;
			break;
		case 't':
			options->check = true;
			break;
		case OPT_THAW:
			options->thaw = true;
			break;
		case OPT_LIBEXEC:
			options->libexec_dir = optarg;
			break;
		case OPT_VERSION:
			puts("dbsnapd " PACKAGE_VERSION);
			return EXIT_SUCCESS;
		case OPT_HELP:
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc && !(options->check && options->thaw))
		return -1;
	fputs(usage, stderr);
	return EXIT_USAGE;
}

int main(int argc, char *argv[])
{
	struct options options = {.libexec_dir = DBSNAP_LIBEXECDIR};
	int status = parse(argc, argv, &options);
	struct conf *conf;

	if (status >= 0)
		return status;
	log_open("dbsnapd");
	if (options.thaw)
		return thaw(options.conf_path);
	conf = load(options.conf_path);
	if (!conf)
		return EXIT_FAILURE;
	if (options.check) {
		print_lines(&conf->warnings, "warning: ", "warnings");
		conf_free(conf);
		return EXIT_SUCCESS;
	}
	return engine_run(conf, options.conf_path, options.libexec_dir);
}
