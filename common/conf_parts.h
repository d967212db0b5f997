/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of conf share with each other, and nobody else uses. */
#ifndef DBSNAP_CONF_PARTS_H
#define DBSNAP_CONF_PARTS_H

#include "common/conf.h"

#include <dirent.h>

/* A cluster while it is being loaded. */
struct conf_entry {
	struct conf_cluster cluster;
	struct schema_lines lines;
};

/* A configuration while it is being loaded; owns all but errors and path. */
struct conf_draft {
	const char *path;
	struct conf_errors *errors;
	struct conf *conf;
	struct schema_lines lines;
	struct conf_entry *entries;
	size_t entry_count;
	size_t entry_room;
};

/* conf.c: defaults of the daemon's table, and where things lie without root. 0, ERR_TOO_LONG, ERR_INVALID. */
int conf_set_defaults(struct conf *conf);

/* conf_load.c: an error at a key of a listening socket, or of a cluster's. */
void conf_add_listen_error(struct conf_draft *draft, const struct conf_listen *listen, const char *key,
			   const char *format, ...) __attribute__((format(printf, 4, 5)));
void conf_add_cluster_error(struct conf_draft *draft, const struct conf_entry *entry, const char *key,
			    const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * conf_file.c: the bytes of name in the folder dir (AT_FDCWD for a path), called shown in errors, after a look
 * at who may write it. The caller frees them. 0; ERR_NOT_FOUND (not added to errors); any other (added).
 */
int conf_file_read(int dir, const char *name, const char *shown, struct conf_errors *errors, char **ret_bytes,
		   size_t *ret_size);
/* The same for a file with secrets: no link to it is followed, and it is its owner's alone. The caller wipes the bytes. */
int conf_file_read_secret(const char *path, struct conf_errors *errors, char **ret_bytes, size_t *ret_size);
/* Does the name of a file that is not hidden end so? */
bool conf_file_ends(const char *name, const char *end);
/*
 * The entries of the folder path that filter takes, after the same look, in the order of their names' bytes. Their
 * number, 0 also if the folder is missing or cannot be read (added to errors); if it is not 0 or there is one the
 * caller closes *ret_dir (which stays as it was otherwise), and frees the list in any case.
 */
int conf_file_list(const char *path, int (*filter)(const struct dirent *entry), struct conf_errors *errors,
		   int *ret_dir, struct dirent ***ret_files);
void conf_file_free_list(struct dirent **files, int count);

/* conf_clusters.c: reads every file of clusters_dir. 0 or ERR_NOMEM. */
int conf_read_clusters(struct conf_draft *draft);

/* conf_keys.c: reads the file of access keys. 0 or ERR_NOMEM. */
int conf_read_keys(struct conf_draft *draft);

/* conf_policies.c: reads every file of policies_dir. Of a draft without errors conf_check_policies() says what is odd. */
int conf_read_policies(struct conf_draft *draft);
void conf_check_policies(struct conf_draft *draft);

/* conf_check.c: what no single key can be blamed for. Sorts the entries by id. */
void conf_check(struct conf_draft *draft);

/* conf_resolve.c: names to numbers. */
void conf_resolve(struct conf_draft *draft);

/* conf_conninfo.c: NULL if text may be a conninfo of PostgreSQL, else what was expected. */
const char *conf_check_conninfo(const char *text);

#endif
