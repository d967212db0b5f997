/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The folders of the configuration: one file a cluster, in the order of their names. */
#include "common/conf_parts.h"

#include "common/err.h"
#include "common/scope.h"

#include <dirent.h>
#include <string.h>

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return name[0] != '.' && length > tail && strcmp(name + length - tail, end) == 0;
}

static int is_yaml_file(const struct dirent *entry)
{
	return ends_with(entry->d_name, ".yaml") || ends_with(entry->d_name, ".yml");
}

/* Sorted names of the YAML files in the folder path, and their number: 0 if it is missing. Errors are added. */
static int list_files(const char *path, struct conf_errors *errors, int *ret_dir, struct dirent ***ret_files)
{
	int dir, count;

	if (conf_file_open_dir(path, errors, &dir) < 0)
		return 0;
	count = scandirat(dir, ".", ret_files, is_yaml_file, alphasort);
	if (count < 0) {
		close(dir);
		conf_errors_add(errors, path, 0, NULL, "cannot be listed");
		return 0;
	}
	*ret_dir = dir;
	return count;
}

static void free_files(struct dirent **files, int count)
{
	for (int i = 0; i < count; i++)
		free(files[i]);
	free(files);
}

/* A fresh entry at the end; NULL: no memory. */
static struct conf_entry *new_entry(struct conf_draft *draft)
{
	struct conf_entry *entries, *entry;
	size_t room = draft->entry_room ? 2 * draft->entry_room : 8;

	if (draft->entry_count == draft->entry_room) {
		entries = reallocarray(draft->entries, room, sizeof(entries[0]));
		if (!entries)
			return NULL;
		draft->entries = entries;
		draft->entry_room = room;
	}
	entry = &draft->entries[draft->entry_count++];
	memset(entry, 0, sizeof(*entry));
	return entry;
}

static int read_cluster(struct conf_draft *draft, int dir, const char *name)
{
	scope_free char *bytes = NULL;
	char shown[CONF_PATH_SIZE];
	struct conf_entry *entry;
	size_t size;
	int error;

	if (snprintf(shown, sizeof(shown), "%s/%s", draft->conf->clusters_dir, name) >= (int)sizeof(shown) ||
	    !ends_with(name, ".yaml")) {
		conf_errors_add(draft->errors, shown, 0, NULL, "expected a name that ends in .yaml");
		return 0;
	}
	error = conf_file_read(dir, name, shown, draft->errors, &bytes, &size);
	if (error == ERR_NOT_FOUND)
		conf_errors_add(draft->errors, shown, 0, NULL, "a link to nothing");
	if (error < 0)
		return error == ERR_NOMEM ? error : 0;
	entry = new_entry(draft);
	if (!entry)
		return ERR_NOMEM;
	memcpy(entry->cluster.file, shown, sizeof(shown));
	schema_set_defaults(conf_cluster_table(), &entry->cluster);
	error = schema_parse(conf_cluster_table(), shown, bytes, size, &entry->cluster, draft->errors, &entry->lines);
	return error == ERR_NOMEM ? error : 0;
}

int conf_read_clusters(struct conf_draft *draft)
{
	scope_close int dir = -1;
	struct dirent **files = NULL;
	int count = list_files(draft->conf->clusters_dir, draft->errors, &dir, &files);
	int error = 0;

	if (count > CONF_CLUSTERS_MAX)
		conf_errors_add(draft->errors, draft->conf->clusters_dir, 0, NULL,
				"expected at most %d cluster files, found %d", CONF_CLUSTERS_MAX, count);
	for (int i = 0; error == 0 && i < count && i < CONF_CLUSTERS_MAX; i++)
		error = read_cluster(draft, dir, files[i]->d_name);
	free_files(files, count);
	return error;
}

int conf_refuse_policies(struct conf_draft *draft)
{
	scope_close int dir = -1;
	struct dirent **files = NULL;
	char shown[CONF_PATH_SIZE + NAME_MAX + 2];
	int count = list_files(draft->conf->policies_dir, draft->errors, &dir, &files);

	for (int i = 0; i < count; i++) {
		snprintf(shown, sizeof(shown), "%s/%s", draft->conf->policies_dir, files[i]->d_name);
		conf_errors_add(draft->errors, shown, 0, NULL,
				"policies are not built yet in this release; remove the file");
	}
	free_files(files, count);
	return 0;
}
