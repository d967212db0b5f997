/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap cluster add: finds the server, proposes, asks, writes and checks a cluster file. */
#include "client/client.h"
#include "client/discover.h"
#include "client/install.h"
#include "client/propose.h"
#include "client/rpc.h"
#include "client/text.h"
#include "common/err.h"
#include "common/scope.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void list_servers(const struct servers *servers)
{
	for (size_t i = 0; i < servers->count; i++) {
		const struct server *server = &servers->list[i];
		char port[16] = "";

		if (server->port)
			snprintf(port, sizeof(port), "%u", server->port);
		text_advise("%s  (%s %s, process %d, user %s%s%s)", server->data_dir, server_kind_name(server->kind),
			    server->version[0] ? server->version : "?", (int)server->pid,
			    server->user[0] ? server->user : "?", server->port ? ", port " : "", port);
	}
}

static bool is_same_folder(const char *a, const char *b)
{
	struct stat st_a, st_b;

	return stat(a, &st_a) == 0 && stat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev &&
	       st_a.st_ino == st_b.st_ino;
}

static const struct server *find_by_folder(const struct servers *servers, const char *data_dir)
{
	for (size_t i = 0; i < servers->count; i++) {
		if (is_same_folder(servers->list[i].data_dir, data_dir))
			return &servers->list[i];
	}
	return NULL;
}

/* NULL: none, or more than one; told. */
static const struct server *choose_server(const struct servers *servers, const char *data_dir)
{
	const struct server *server = NULL;

	if (data_dir)
		server = find_by_folder(servers, data_dir);
	else if (servers->count == 1)
		server = &servers->list[0];
	if (server)
		return server;
	if (data_dir)
		text_complain("no running PostgreSQL or MariaDB server has the data directory %s%s", data_dir,
			      servers->count ? "; running are:" : "");
	else if (servers->count == 0)
		text_complain("no running PostgreSQL or MariaDB server was found");
	else
		text_complain("several servers run: name one by --data-dir");
	list_servers(servers);
	if (servers->count == 0 && servers->hidden)
		text_advise("%zu processes of other users cannot be looked at: repeat as root",
			    servers->hidden);
	else if (servers->count == 0)
		text_advise(
			"start it first; a cluster file can also be written by hand, see dbsnapd.yaml(5)");
	return NULL;
}

/* The file itself, line by line, escaped: paths in it are the database user's words. */
static void show_text(const char *file, const char *text)
{
	scope_free char *copy = text_format("%s", text);
	char *rest = copy, *line;

	text_say(stdout, "%s:", file);
	while ((line = strsep(&rest, "\n"))) {
		if (line[0])
			text_say(stdout, "    %s", line);
	}
	fflush(stdout);
}

static bool is_confirmed(const struct options *options)
{
	if (options->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		text_complain("nothing is written without --yes, since there is no terminal to ask on");
		return false;
	}
	if (text_is_agreed("Write this file?"))
		return true;
	text_complain("nothing is written");
	return false;
}

static void tell_next(const struct client *client, const char *id)
{
	pid_t pid = 0;
	int away = rpc_probe(client->rpc, &pid);

	if (geteuid() == 0)
		text_say(stdout, "Now: %s",
			 away ? "systemctl enable --now dbsnapd.socket" : "systemctl reload dbsnapd");
	else if (pid > 0)
		text_say(stdout, "Now: kill -HUP %d", (int)pid);
	else
		text_say(stdout, "Now: start dbsnapd, as the user that you are now");
	text_say(stdout, "then: dbsnap cluster check %s", id);
}

static int write_and_check(struct client *client, const struct proposal *proposal, const char *clusters_dir,
			   bool is_default, const char *text)
{
	const struct options *options = &client->options;
	/* Without a configuration of its own to start from, dbsnapd would check other files than this one. */
	bool checkable = options->config || is_default;
	enum install_check check;

	if (checkable && install_check_config(options->config) == INSTALL_REFUSED) {
		text_complain("dbsnapd refuses its configuration as it is now: put that right first; nothing "
			      "is written");
		return STATUS_REFUSED;
	}
	if (install_write_file(clusters_dir, proposal->file, text) < 0)
		return STATUS_REFUSED;
	check = checkable ? install_check_config(options->config) : INSTALL_UNCHECKED;
	if (check == INSTALL_REFUSED) {
		unlink(proposal->file);
		text_complain("dbsnapd refuses the file; %s is removed again", proposal->file);
		return STATUS_REFUSED;
	}
	text_say(stdout, "Written: %s", proposal->file);
	if (check == INSTALL_UNCHECKED)
		text_say(stdout, "Not checked: 'dbsnapd -t' does it%s",
			 checkable ? ", once dbsnapd is installed" : ", with your -c FILE");
	tell_next(client, proposal->id);
	return STATUS_DONE;
}

static int add_server(struct client *client, const struct server *server)
{
	scope_free char *usual = install_clusters_dir(), *text = NULL;
	const char *clusters_dir = client->options.clusters_dir ? client->options.clusters_dir : usual;
	struct proposal proposal;
	bool is_default;
	int r;

	if (!clusters_dir) {
		text_complain("HOME or XDG_CONFIG_HOME is too long a path");
		return STATUS_REFUSED;
	}
	r = propose_cluster(server, client->options.id, clusters_dir, &proposal);
	if (r != 0)
		return r;
	text = propose_text(&proposal);
	show_text(proposal.file, text);
	if (!is_confirmed(&client->options))
		return STATUS_REFUSED;
	is_default = clusters_dir == usual || (usual && is_same_folder(clusters_dir, usual));
	return write_and_check(client, &proposal, clusters_dir, is_default, text);
}

int cmd_cluster_add(struct client *client, char **args, size_t count)
{
	__attribute__((cleanup(servers_free))) struct servers servers;
	const struct server *server;
	int r = discover_servers(&servers);

	(void)args;
	(void)count;
	if (r < 0) {
		text_complain("cannot look for servers in /proc: %s", err_text(r));
		return STATUS_REFUSED;
	}
	server = choose_server(&servers, client->options.data_dir);
	return server ? add_server(client, server) : STATUS_REFUSED;
}
