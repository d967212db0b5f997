/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dbsnap policy test: judges by the policy files on disk, as the daemon will once it has read them. No daemon is
 * asked, so it also works before a reload, and for who is locked out.
 */
#include "client/client.h"
#include "client/field.h"
#include "client/near.h"
#include "client/text.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/ident.h"
#include "common/scope.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>

/* Of somebody of whom nothing is known: no user and no group has it. */
#define NOBODY UINT32_MAX

struct asker {
	struct policy_caller caller;
	struct proc_identity identity; /* what the caller's groups lie in */
};

static int complain_principal(const char *text)
{
	text_complain("'%s' is no principal: user:NAME, group:NAME, uid:NUMBER or accesskey:ID", text);
	return STATUS_USAGE;
}

static int read_user(const char *name, struct asker *ret)
{
	int error = proc_identity_of(name, &ret->identity);

	if (error == ERR_NOT_FOUND)
		text_complain("there is no user '%s' on this host", name);
	else if (error < 0)
		text_complain("user '%s' cannot be looked up: %s", name, err_text(error));
	if (error < 0)
		return STATUS_USAGE;
	ret->caller.uid = ret->identity.uid;
	ret->caller.gid = ret->identity.gid;
	ret->caller.groups = ret->identity.groups;
	ret->caller.group_count = ret->identity.group_count;
	return 0;
}

static int read_group(const char *name, struct asker *ret)
{
	int error = conf_resolve_id(name, true, &ret->caller.gid);

	if (error == 0)
		return 0;
	if (error == ERR_NOT_FOUND)
		text_complain("there is no group '%s' on this host", name);
	else
		text_complain("group '%s' cannot be looked up: %s", name, err_text(error));
	return STATUS_USAGE;
}

static int read_uid(const char *text, const char *number, struct asker *ret)
{
	uint64_t id = 0;

	if (strcmp(number, "0") != 0 && (ident_parse_id(number, &id) < 0 || id >= NOBODY))
		return complain_principal(text);
	ret->caller.uid = (uint32_t)id;
	return 0;
}

static int read_principal(const char *text, struct asker *ret)
{
	*ret = (struct asker){.caller = {.uid = NOBODY, .gid = NOBODY}};
	if (strncmp(text, "user:", 5) == 0)
		return read_user(text + 5, ret);
	if (strncmp(text, "group:", 6) == 0)
		return read_group(text + 6, ret);
	if (strncmp(text, "uid:", 4) == 0)
		return read_uid(text, text + 4, ret);
	if (strncmp(text, "accesskey:", 10) != 0 || !policy_is_key_id(text + 10))
		return complain_principal(text);
	ret->caller.key_id = text + 10;
	return 0;
}

/* "CreateBackup", or with its prefix; in any case. */
static bool is_named(enum operation operation, const char *text)
{
	return strcasecmp(text, operation_name(operation)) == 0 || strcasecmp(text, operation_action(operation)) == 0;
}

/* Whether the text may have been meant for the name: in any case, which alone tells many letters apart. */
static bool is_near(const char *text, const char *name)
{
	char typed[64], known[64];

	snprintf(typed, sizeof(typed), "%s", text);
	snprintf(known, sizeof(known), "%s", name);
	for (char *c = typed; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (char *c = known; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return near_is_near(typed, known);
}

static int read_action(const char *text, enum operation *ret_operation)
{
	const char *colon = strchr(text, ':'), *name = colon ? colon + 1 : text;

	for (unsigned i = 0; i < OPERATIONS; i++) {
		if (is_named((enum operation)i, text)) {
			*ret_operation = (enum operation)i;
			return 0;
		}
	}
	text_complain("unknown action '%s'", text);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		if (is_near(name, operation_name((enum operation)i)))
			text_advise("did you mean %s?", operation_action((enum operation)i));
	}
	text_advise("dbsnapd-api(7) lists the operations");
	return STATUS_USAGE;
}

static int read_question(const struct client *client, char **args, struct asker *asker,
			 struct policy_question *ret_question)
{
	const struct options *options = &client->options;
	struct policy_question question = {.cluster = args[2], .mode = options->mode, .now_ms = clock_wall_ms()};
	int r = read_principal(args[0], asker);

	if (r == 0)
		r = read_action(args[1], &question.operation);
	if (r != 0)
		return r;
	if (strcmp(args[2], "*") == 0) {
		question.cluster = "";
	} else if (!ident_is_cluster(args[2])) {
		text_complain("'%s' is neither a cluster's id (2 to 63 of a-z, 0-9 and \"-\") nor '*', for all of them",
			      args[2]);
		return STATUS_USAGE;
	}
	if (options->mode && strcmp(options->mode, "Manual") != 0 && strcmp(options->mode, "Automated") != 0) {
		text_complain("--mode '%s' is neither Manual nor Automated", options->mode);
		return STATUS_USAGE;
	}
	/* A create that comes as a request is a manual one. */
	if (!question.mode && question.operation == OPERATION_CREATE_BACKUP)
		question.mode = "Manual";
	if (options->time && clock_parse(options->time, &question.now_ms) < 0) {
		text_complain("--time '%s' is no time such as 2026-01-31T08:00:00Z", options->time);
		return STATUS_USAGE;
	}
	question.caller = asker->caller;
	*ret_question = question;
	return 0;
}

/* What the configuration on disk says; NULL: told why not. */
static struct conf *load(const struct client *client)
{
	struct conf_errors errors = {0};
	struct conf *conf = NULL;
	int error = conf_load_policies(client->options.config, &errors, &conf);

	for (size_t i = 0; i < errors.count; i++)
		text_complain("%s", errors.lines[i]);
	if (errors.dropped)
		text_complain("and %zu more errors", errors.dropped);
	if (error < 0 && errors.count == 0)
		text_complain("%s", err_text(error));
	conf_errors_clear(&errors);
	return conf;
}

static bool in_group(const struct policy_caller *caller, gid_t gid)
{
	if (caller->gid == gid)
		return true;
	for (size_t i = 0; i < caller->group_count; i++) {
		if (caller->groups[i] == gid)
			return true;
	}
	return false;
}

/* While there is no policy file; as the front's default. */
static bool default_allows(const struct client *client, const struct conf *conf, const struct policy_question *question)
{
	const struct policy_caller *caller = &question->caller;

	if (caller->key_id)
		return false;
	/* An ordinary user's own daemon is his. */
	if (caller->uid == 0 || (!client->options.config && caller->uid == geteuid()))
		return true;
	return operation_is_for_group(question->operation) && in_group(caller, conf->listens[0].gid);
}

static void print_verdict(const struct client *client, bool allowed, const char *why, const char *file,
			  const struct policy_statement *by)
{
	scope_free char *line = by ? text_format("%s, line %u: %s", file, policy_statement_line(by), why) : NULL;
	json_t *json;

	if (!client->options.json) {
		text_say(stdout, "%s", allowed ? "allowed" : "denied");
		text_pair(stdout, "Decided by", line ? line : why);
		return;
	}
	json = by ? json_pack("{s:b, s:s, s:s, s:I}", "Allowed", allowed, "Effect", why, "File", file, "Line",
			      (json_int_t)policy_statement_line(by)) :
		    json_pack("{s:b, s:s}", "Allowed", allowed, "Reason", why);
	field_print_json(json);
	json_decref(json);
}

/* A list shows the backups of the modes that it is allowed for: of one is enough. */
static void decide(const struct policy *policy, struct policy_question *question, struct policy_decision *ret_decision)
{
	bool both = !question->mode && operation_lists_backups(question->operation);

	if (both)
		question->mode = "Manual";
	policy_decide(policy, question, ret_decision);
	if (!both || ret_decision->answer == POLICY_ALLOWED)
		return;
	question->mode = "Automated";
	policy_decide(policy, question, ret_decision);
}

static int judge(const struct client *client, const struct conf *conf, struct policy_question *question)
{
	struct policy_decision decision = {.answer = POLICY_SILENT};
	scope_free char *file = NULL;
	bool allowed;

	question->region_id = conf->region_id;
	question->account_id = conf->account_id;
	if (!conf->policy) {
		allowed = default_allows(client, conf, question);
		print_verdict(client, allowed, "the default policy (no policy file)", NULL, NULL);
		return allowed ? STATUS_DONE : STATUS_REFUSED;
	}
	decide(conf->policy, question, &decision);
	allowed = decision.answer == POLICY_ALLOWED;
	if (decision.by)
		file = text_format("%s/%s", conf->policies_dir, policy_statement_file(decision.by));
	print_verdict(client, allowed, !decision.by ? "no statement matches" : allowed ? "Allow" : "Deny", file,
		      decision.by);
	return allowed ? STATUS_DONE : STATUS_REFUSED;
}

int cmd_policy_test(struct client *client, char **args, size_t count)
{
	struct policy_question question;
	struct asker asker;
	struct conf *conf;
	int r = read_question(client, args, &asker, &question);

	(void)count;
	if (r != 0)
		return r;
	conf = load(client);
	if (!conf)
		return STATUS_USAGE;
	r = judge(client, conf, &question);
	conf_free(conf);
	return r;
}
