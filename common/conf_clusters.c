/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The folder of clusters: one file a cluster, in the order of their names. */
#include "common/conf_parts.h"

#include "common/err.h"
#include "common/scope.h"

#include <dirent.h>
#include <string.h>

static int is_yaml_file(const struct dirent *entry)
{
	return conf_file_ends(entry->d_name, ".yaml") || conf_file_ends(entry->d_name, ".yml");
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
	    !conf_file_ends(name, ".yaml")) {
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
	int count = conf_file_list(draft->conf->clusters_dir, is_yaml_file, draft->errors, &dir, &files);
	int error = 0;

	if (count > CONF_CLUSTERS_MAX)
		conf_errors_add(draft->errors, draft->conf->clusters_dir, 0, NULL,
				"expected at most %d cluster files, found %d", CONF_CLUSTERS_MAX, count);
	for (int i = 0; error == 0 && i < count && i < CONF_CLUSTERS_MAX; i++)
		error = read_cluster(draft, dir, files[i]->d_name);
	conf_file_free_list(files, count);
	return error;
}
