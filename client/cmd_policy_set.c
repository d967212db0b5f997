/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dbsnap policy set: what would go is shown, and asked about, before anything is changed. */
#include "client/policy.h"

#include "client/call.h"
#include "client/field.h"
#include "client/text.h"
#include "common/scope.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { PARAMS = 10 };

/* What the request says; texts that had to be made are owned. */
struct request {
	struct rpc_param params[PARAMS + 1]; /* the last but one is Dbsnap.DryRun */
	size_t count;
	char *days;
	char *hour;
};

static void add(struct request *request, const char *name, const char *value)
{
	if (value)
		request->params[request->count++] = (struct rpc_param){name, value};
}

static int complain(const char *option, const char *value, const char *form)
{
	text_complain("--%s '%s' is not %s", option, value, form);
	return STATUS_USAGE;
}

/* "Mon", "monday"; NULL: no day. */
static const char *find_day(const char *text, size_t length)
{
	static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

	for (size_t i = 0; i < 7; i++) {
		if ((length == 3 || length == strlen(days[i])) && strncasecmp(text, days[i], length) == 0)
			return days[i];
	}
	return NULL;
}

/* "all", or days with commas between them, each in full or by its first three letters. */
static int read_days(const char *text, char **ret_days)
{
	scope_free char *days = NULL;

	if (strcasecmp(text, "all") == 0)
		text = "Mon,Tue,Wed,Thu,Fri,Sat,Sun";
	for (const char *at = text;; at++) {
		size_t length = strcspn(at, ",");
		const char *day = find_day(at, length);
		char *longer;

		if (!day)
			return complain("days", text, "a list of days: Mon,Thu or all");
		longer = days ? text_format("%s,%s", days, day) : text_format("%s", day);
		free(days);
		days = longer;
		at += length;
		if (!*at)
			break;
	}
	*ret_days = scope_take_ptr(days);
	return 0;
}

static int read_hour(const char *text, char **ret_hour)
{
	size_t length = strlen(text);
	long hour = strtol(text, NULL, 10);

	if (length < 1 || length > 2 || strspn(text, "0123456789") != length || hour > 23)
		return complain("hour", text, "an hour of the day in UTC: 0 to 23");
	*ret_hour = text_format("%02ld:00Z-%02ld:00Z", hour, hour + 1);
	return 0;
}

static int read_every(const char *text, const char **ret_frequency)
{
	static const char *const words[][2] = {{"daily", "Normal"}, {"2h", "2/24H"}, {"3h", "3/24H"}, {"4h", "4/24H"}};

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(text, words[i][0]) == 0) {
			*ret_frequency = words[i][1];
			return 0;
		}
	}
	return complain("every", text, "2h, 3h, 4h or daily");
}

static int read_removal(const char *text, const char **ret_word)
{
	static const char *const words[] = {"ALL", "LATEST", "NONE"};

	for (size_t i = 0; i < 3; i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*ret_word = words[i];
			return 0;
		}
	}
	return complain("on-removal", text, "all, latest or none");
}

/* How many days are allowed the daemon knows. */
static void read_keeping(const struct options *options, struct request *request)
{
	const char *longer = options->keep_longer;

	add(request, "DataLevel1BackupRetentionPeriod", options->keep);
	add(request, "DataLevel2BackupRetentionPeriod", longer && strcmp(longer, "forever") == 0 ? "-1" : longer);
}

static int read_request(const struct options *options, const char *cluster, struct request *request)
{
	const char *every = NULL, *removal = NULL;
	int r = options->days ? read_days(options->days, &request->days) : 0;

	if (r == 0 && options->hour)
		r = read_hour(options->hour, &request->hour);
	if (r == 0 && options->every)
		r = read_every(options->every, &every);
	if (r == 0 && options->on_removal)
		r = read_removal(options->on_removal, &removal);
	if (r == 0 && options->on && options->off) {
		text_complain("--on and --off contradict each other");
		r = STATUS_USAGE;
	}
	add(request, "DBClusterId", cluster);
	add(request, "PreferredBackupPeriod", request->days);
	add(request, "PreferredBackupTime", request->hour);
	add(request, "BackupFrequency", every);
	add(request, "BackupRetentionPolicyOnClusterDeletion", removal);
	add(request, "Dbsnap.Enabled", options->off ? "false" : "true");
	read_keeping(options, request);
	return r;
}

static int try(struct client *client, const struct request *request, json_t **ret_answer)
{
	struct request dry = *request;

	add(&dry, "Dbsnap.DryRun", "true");
	return call_api(client, "ModifyBackupPolicy", dry.params, RPC_REPEATABLE, ret_answer);
}

/* Backups that the policy in force would keep longer are worth a question. */
static bool is_confirmed(const struct options *options, const json_t *planned)
{
	long long sooner = field_int(planned, "Dbsnap.SoonerTotal", 0);

	if (sooner == 0 || options->yes)
		return true;
	if (!options->json) {
		text_say(stdout, "Within seven days this removes what is kept longer now:");
		policy_print_plan(planned, true);
		fflush(stdout);
	}
	if (!isatty(STDIN_FILENO)) {
		text_complain("nothing is changed without --yes, for it removes %lld backups and there is no terminal to ask on", sooner);
		return false;
	}
	if (text_is_agreed("Change the policy?"))
		return true;
	text_complain("nothing is changed");
	return false;
}

static int set(struct client *client, const char *cluster, const struct request *request)
{
	scope_json json_t *planned = NULL, *answer = NULL;
	int r = try(client, request, &planned);

	if (r != 0)
		return r;
	if (client->options.dry_run) {
		client->options.json ? field_print_json(planned) : policy_print(cluster, planned);
		return STATUS_DONE;
	}
	if (!is_confirmed(&client->options, planned))
		return STATUS_REFUSED;
	r = call_api(client, "ModifyBackupPolicy", request->params, RPC_REPEATABLE, &answer);
	if (r != 0)
		return r;
	if (client->options.json)
		field_print_json(answer);
	else
		text_say(stdout, "The policy of %s is set: 'dbsnap policy show %s' shows what it will do", cluster, cluster);
	return STATUS_DONE;
}

int cmd_policy_set(struct client *client, char **args, size_t count)
{
	struct request request = {0};
	int r = read_request(&client->options, args[0], &request);

	(void)count;
	if (r == 0)
		r = set(client, args[0], &request);
	free(request.days);
	free(request.hour);
	return r;
}
