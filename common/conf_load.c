/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loads the configuration, whole or not at all: a draft that any step may find
 * fault with, made into a struct conf only when none did.
 */
#include "common/conf_parts.h"

#include "common/err.h"
#include "common/scope.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

void conf_add_listen_error(struct conf_draft *draft, const struct conf_listen *listen, const char *key,
			   const char *format, ...)
{
	char text[CONF_ERROR_SIZE];
	int row = schema_find(conf_daemon_table(), key);
	/* Of a list the keys' lines are those of its last map. */
	unsigned line = row >= 0 && draft->conf->listen_count == 1 ? draft->lines.at[row] : listen->line;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	conf_errors_add(draft->errors, draft->path, line, key, "%s", text);
}

void conf_add_cluster_error(struct conf_draft *draft, const struct conf_entry *entry, const char *key,
			    const char *format, ...)
{
	char text[CONF_ERROR_SIZE];
	int row = schema_find(conf_cluster_table(), key);
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	conf_errors_add(draft->errors, entry->cluster.file, row < 0 ? 0 : entry->lines.at[row], key, "%s", text);
}

/* The daemon's own file. may_miss: then all defaults. 0 or ERR_NOMEM; everything else is in errors. */
static int read_daemon(struct conf_draft *draft, bool may_miss)
{
	scope_free char *bytes = NULL;
	size_t size;
	int error = conf_file_read(AT_FDCWD, draft->path, draft->path, draft->errors, &bytes, &size);

	if (error == ERR_NOT_FOUND && !may_miss)
		conf_errors_add(draft->errors, draft->path, 0, NULL, "expected the configuration, there is no such file");
	if (error == 0)
		error = schema_parse(conf_daemon_table(), draft->path, bytes, size, draft->conf, draft->errors,
				     &draft->lines);
	return error == ERR_NOMEM ? error : 0;
}

static bool has_errors(const struct conf_draft *draft)
{
	return draft->errors->count > 0 || draft->errors->dropped > 0;
}

/* Every step whatever the one before found, so that one run reports all errors. */
static int fill(struct conf_draft *draft, bool may_miss, bool policies_only)
{
	int error = read_daemon(draft, may_miss);

	if (error == 0 && !policies_only)
		error = conf_read_clusters(draft);
	if (error == 0 && !policies_only)
		error = conf_read_keys(draft);
	if (error == 0)
		error = conf_read_policies(draft);
	if (error < 0)
		return error;
	conf_check(draft);
	conf_resolve(draft);
	if (has_errors(draft))
		return ERR_INVALID;
	conf_check_policies(draft);
	return 0;
}

static int take_clusters(struct conf_draft *draft)
{
	struct conf *conf = draft->conf;

	if (draft->entry_count == 0)
		return 0;
	conf->clusters = calloc(draft->entry_count, sizeof(conf->clusters[0]));
	if (!conf->clusters)
		return ERR_NOMEM;
	for (size_t i = 0; i < draft->entry_count; i++)
		conf->clusters[i] = draft->entries[i].cluster;
	conf->cluster_count = draft->entry_count;
	return 0;
}

static int load(const char *path, bool policies_only, struct conf_errors *errors, struct conf **ret_conf)
{
	char default_path[CONF_PATH_SIZE];
	struct conf_draft draft = {.path = path ? path : default_path, .errors = errors};
	int error = path ? 0 : conf_default_path(default_path, sizeof(default_path));

	draft.conf = calloc(1, sizeof(*draft.conf));
	if (!draft.conf)
		return ERR_NOMEM;
	if (error == 0)
		error = conf_set_defaults(draft.conf);
	if (error < 0)
		conf_errors_add(errors, NULL, 0, NULL, "expected short and clean paths in HOME and the XDG variables");
	if (error == 0)
		error = fill(&draft, path == NULL, policies_only);
	if (error == 0)
		error = take_clusters(&draft);
	free(draft.entries);
	if (error < 0) {
		conf_free(draft.conf);
		return error == ERR_NOMEM ? error : ERR_INVALID;
	}
	*ret_conf = draft.conf;
	return 0;
}

int conf_load(const char *path, struct conf_errors *errors, struct conf **ret_conf)
{
	return load(path, false, errors, ret_conf);
}

int conf_load_policies(const char *path, struct conf_errors *errors, struct conf **ret_conf)
{
	return load(path, true, errors, ret_conf);
}

int conf_load_listens(const char *path, struct conf **ret_conf)
{
	char default_path[CONF_PATH_SIZE];
	struct conf_errors ignored = {0};
	struct conf_draft draft = {.path = path ? path : default_path, .errors = &ignored};
	int error = 0;

	draft.conf = calloc(1, sizeof(*draft.conf));
	if (!draft.conf)
		return ERR_NOMEM;
	conf_set_defaults(draft.conf);
	if (path || conf_default_path(default_path, sizeof(default_path)) == 0)
		error = read_daemon(&draft, true);
	conf_errors_clear(&ignored);
	if (error < 0) {
		conf_free(draft.conf);
		return error;
	}
	/* A list of which nothing could be read: the first is the default still. */
	if (draft.conf->listen_count == 0)
		draft.conf->listen_count = 1;
	*ret_conf = draft.conf;
	return 0;
}
