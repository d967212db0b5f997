/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The folder of policies: its files in the order of their names, and what the whole of them means for root. */
#include "common/conf_parts.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include <string.h>

static int is_not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int look_up(void *arg, const char *name, bool group, uint32_t *ret_id)
{
	(void)arg;
	return conf_resolve_id(name, group, ret_id);
}

/* Is it to be read? A file that was meant to be one and is passed over would be a hole. */
static bool is_policy(struct conf_draft *draft, const char *name, const char *shown)
{
	if (conf_file_ends(name, ".yaml"))
		return true;
	if (conf_file_ends(name, ".yml") || conf_file_ends(name, ".json"))
		conf_errors_add(draft->errors, shown, 0, NULL, "expected a name that ends in .yaml");
	else
		conf_errors_add(&draft->conf->warnings, shown, 0, NULL,
				"is not read: its name does not end in .yaml");
	return false;
}

static int read_policy(struct conf_draft *draft, int dir, const char *name)
{
	struct conf *conf = draft->conf;
	scope_free char *bytes = NULL;
	char shown[CONF_PATH_SIZE + NAME_MAX + 2];
	size_t size;
	int error;

	snprintf(shown, sizeof(shown), "%s/%s", conf->policies_dir, name);
	if (!is_policy(draft, name, shown))
		return 0;
	if (!conf->policy)
		conf->policy = policy_new();
	if (!conf->policy)
		return ERR_NOMEM;
	error = conf_file_read(dir, name, shown, draft->errors, &bytes, &size);
	if (error == ERR_NOT_FOUND)
		conf_errors_add(draft->errors, shown, 0, NULL, "a link to nothing");
	if (error == 0)
		error = policy_parse(conf->policy, shown, bytes, size, look_up, NULL, draft->errors, &conf->warnings);
	return error == ERR_NOMEM ? error : 0;
}

int conf_read_policies(struct conf_draft *draft)
{
	scope_close int dir = -1;
	struct dirent **files = NULL;
	int count = conf_file_list(draft->conf->policies_dir, is_not_hidden, draft->errors, &dir, &files);
	int error = 0;

	for (int i = 0; error == 0 && i < count; i++)
		error = read_policy(draft, dir, files[i]->d_name);
	conf_file_free_list(files, count);
	return error;
}

/* What is written for another region or account does nothing here. */
static void check_resources(struct conf *conf, const struct policy_statement *statement)
{
	char shown[CONF_PATH_SIZE + NAME_MAX + 2];

	if (policy_statement_can_match(statement, conf->region_id, conf->account_id))
		return;
	snprintf(shown, sizeof(shown), "%s/%s", conf->policies_dir, policy_statement_file(statement));
	conf_errors_add(&conf->warnings, shown, policy_statement_line(statement), NULL,
			"this statement does nothing: none of its resources is acs:polardb:%s:%s:dbcluster/ID",
			conf->region_id, conf->account_id);
}

/* The operations that the caller may not do on whichever cluster, as a list; how many. */
static unsigned list_refused(const struct conf *conf, const struct policy_caller *caller, char *list, size_t size)
{
	struct policy_question question = {.caller = *caller, .region_id = conf->region_id,
					   .account_id = conf->account_id, .cluster = "", .mode = "Manual",
					   .now_ms = clock_wall_ms()};
	struct policy_decision decision;
	unsigned count = 0;
	size_t used = 0;

	for (unsigned i = 0; i < OPERATIONS; i++) {
		question.operation = (enum operation)i;
		policy_decide(conf->policy, &question, &decision);
		if (decision.answer == POLICY_ALLOWED)
			continue;
		if (used < size)
			used += (size_t)snprintf(list + used, size - used, "%s%s", count ? ", " : "",
						 operation_name(question.operation));
		count++;
	}
	return count;
}

/* Who may everything while there is no policy may be locked out by the first one. */
static void check_root(struct conf *conf)
{
	struct policy_caller root = {.uid = geteuid(), .gid = getegid()};
	char list[CONF_ERROR_SIZE / 2];
	unsigned count = list_refused(conf, &root, list, sizeof(list));

	if (count == 0)
		return;
	conf_errors_add(&conf->warnings, conf->policies_dir, 0, NULL,
			"%s may not do on every cluster: %s; to get back in, edit or move the files in this folder "
			"and reload (%s)", root.uid == 0 ? "root" : "the user who runs dbsnapd",
			count == OPERATIONS ? "anything" : list,
			root.uid == 0 ? "systemctl reload dbsnapd" : "SIGHUP to dbsnapd");
}

void conf_check_policies(struct conf_draft *draft)
{
	struct conf *conf = draft->conf;

	if (!conf->policy)
		return;
	for (size_t i = 0; i < policy_count(conf->policy); i++)
		check_resources(conf, policy_at(conf->policy, i));
	check_root(conf);
}
