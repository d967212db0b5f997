/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What went wrong with a call, in words that end with what to do. */
#include "client/call.h"
#include "client/field.h"
#include "client/near.h"
#include "client/text.h"
#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void advise_start(const char *socket)
{
	if (strncmp(socket, "/run/dbsnap/", 12) == 0)
		text_advise("start it: systemctl start dbsnapd.socket%s",
			    geteuid() == 0 ? "" : " (as root; for databases of your own run dbsnapd as yourself)");
	else
		text_advise("start dbsnapd, or name another socket with --socket or $DBSNAP_SOCKET");
}

static void advise_group(const char *socket)
{
	const struct passwd *user = getpwuid(geteuid());
	const struct group *group = NULL;
	struct stat st;

	if (stat(socket, &st) == 0)
		group = getgrgid(st.st_gid);
	text_advise("ask the administrator for: usermod -aG %s %s (and log in again)",
		    group && group->gr_gid != 0 ? group->gr_name : "dbsnap", user ? user->pw_name : "USER");
}

static void explain_offline(const struct client *client)
{
	const char *socket = rpc_socket(client->rpc);
	int error = rpc_probe(client->rpc, NULL);

	switch (error) {
	case ENOENT:
	case ENOTDIR:
		text_complain("dbsnapd is not running: there is no socket %s", socket);
		advise_start(socket);
		break;
	case ECONNREFUSED:
		text_complain("dbsnapd is not running: nobody listens on %s", socket);
		advise_start(socket);
		break;
	case EACCES:
	case EPERM:
		text_complain("no permission to use the socket %s", socket);
		advise_group(socket);
		break;
	default:
		text_complain("cannot connect to %s: %s", socket,
			      error ? strerror(error) : "the connection was refused");
		advise_start(socket);
	}
}

int call_explain_silence(const struct client *client, int error)
{
	const char *socket = rpc_socket(client->rpc);

	switch (error) {
	case ERR_OFFLINE:
		explain_offline(client);
		break;
	case ERR_TIMEOUT:
		text_complain("dbsnapd does not answer on %s", socket);
		text_advise("it may still be starting, or hang: systemctl status dbsnapd");
		break;
	case ERR_CLOSED:
		text_complain("the connection to %s broke before the answer came: the request may have been "
			      "accepted",
			      socket);
		text_advise("look with 'dbsnap job list' before repeating it; systemctl status dbsnapd");
		break;
	case ERR_INVALID:
	case ERR_TOO_LONG:
		text_complain("what answers on %s is not dbsnapd: its answer is not understood", socket);
		break;
	default:
		text_complain("cannot ask dbsnapd: %s", err_text(error));
	}
	return STATUS_UNREACHABLE;
}

static const char *param_value(const struct rpc_param *params, const char *name)
{
	for (; params->name; params++) {
		if (strcmp(params->name, name) == 0)
			return params->value;
	}
	return NULL;
}

/* The ids of all clusters that are near to typed (or all, if few), joined by commas; the caller's. */
static char *join_clusters(json_t *clusters, const char *typed, size_t *ret_count)
{
	char *joined = text_format("%s", "");
	json_t *item;
	size_t i;

	*ret_count = 0;
	json_array_foreach(clusters, i, item) {
		scope_free char *before = NULL;
		const char *id = field_str(item, "DBClusterId");

		if (typed && !near_is_near(typed, id))
			continue;
		before = joined;
		joined = text_format("%s%s%s", before, *ret_count ? ", " : "", id);
		(*ret_count)++;
	}
	return joined;
}

static void advise_cluster(struct client *client, const char *typed)
{
	enum { SHOWN = 10 };
	struct answer answer = {0};
	json_t *clusters = NULL;

	if (rpc_call(client->rpc, "DescribeDBClusters", RPC_PARAMS({"PageSize", "100"}), RPC_REPEATABLE,
		     &answer) == 0)
		clusters = field_items(answer.json, "DBCluster");
	if (clusters && typed) {
		size_t near_count, all_count;
		scope_free char *near = join_clusters(clusters, typed, &near_count);
		scope_free char *all = join_clusters(clusters, NULL, &all_count);

		if (near_count > 0 && near_count <= SHOWN)
			text_advise("did you mean %s?", near);
		else if (all_count == 0)
			text_advise("no cluster is registered yet: 'dbsnap cluster add' does it");
		else if (all_count <= SHOWN)
			text_advise("the clusters are: %s", all);
		else
			text_advise("'dbsnap cluster list' shows the clusters");
	}
	answer_clear(&answer);
}

struct hint {
	const char *code; /* the beginning of one */
	const char *text;
};

static const char *hint_of(const char *code)
{
	static const struct hint hints[] = {
		{"InvalidBackupSetID.", "'dbsnap backup list' shows the backups"},
		{"InvalidBackupId.", "'dbsnap backup list' shows the backups"},
		{"InvalidJobId.", "'dbsnap job list' shows the jobs"},
		{"InvalidBackupJobId.", "'dbsnap job list' shows the jobs"},
		{"InvalidCloneName.NotFound", "'dbsnap clone list' shows the clones"},
		{"InvalidCloneName.Malformed", "a clone's name: 1 to 63 of a-z, 0-9 and -, not - first"},
		{"BackupTimesExceeded",
		 "'dbsnap status' shows what is left; deleting a backup frees its place"},
		{"Forbidden.RAM", "without policy files root may do everything, a member of the socket's "
				  "group create and look"},
		{"OperationDenied.DiskFull", "'dbsnap status' shows the space; deleting backups frees it"},
		{"ServiceUnavailable", "'dbsnap status' says why; systemctl status dbsnapd"},
		{"IdempotentParameterMismatch",
		 "a token belongs to one request: leave --token out for a new one"},
	};

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		if (strncmp(code, hints[i].code, strlen(hints[i].code)) == 0)
			return hints[i].text;
	}
	return NULL;
}

int call_explain_refusal(struct client *client, const struct answer *answer, const struct rpc_param *params)
{
	const char *code = answer_code(answer), *hint = hint_of(code);

	if (client->options.json)
		field_print_json(answer->json);
	if (!code[0])
		text_complain("dbsnapd answered with HTTP status %ld", answer->http_status);
	else
		text_complain("%s: %s", code, field_str(answer->json, "Message"));
	if (strncmp(code, "InvalidDBClusterId.", 19) == 0)
		advise_cluster(client, param_value(params, "DBClusterId"));
	if (strcmp(code, "OperationDenied.Layout") == 0 && param_value(params, "DBClusterId"))
		text_advise("'dbsnap cluster check %s' shows the layout", param_value(params, "DBClusterId"));
	if (hint)
		text_advise("%s", hint);
	return STATUS_REFUSED;
}
