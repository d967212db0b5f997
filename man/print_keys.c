/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prints the key lists of dbsnapd.yaml(5) from the tables that the daemon parses by. Runs at build time only. */
#include "common/conf.h"

#include <string.h>

int main(int argc, char **argv)
{
	if (argc != 2 || (strcmp(argv[1], "daemon") != 0 && strcmp(argv[1], "cluster") != 0)) {
		fputs("usage: print_keys daemon|cluster\n", stderr);
		return 2;
	}
	schema_print_mdoc(argv[1][0] == 'd' ? conf_daemon_table() : conf_cluster_table(), stdout);
	return fclose(stdout) == 0 ? 0 : 1;
}
