/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nobody parses the source's configuration here: it may include other files,
 * inside and outside. It is left as it is, and everything that could reach the
 * source or the outside is set once more in the file that the server reads last.
 * One setting that file cannot override is data_directory: a server
 * started on the clone would go and serve the source. The last one in
 * postgresql.conf wins, so where there may be one, ours is appended.
 *
 * shared_preload_libraries is emptied: pg_cron and its like would run the source's
 * jobs, some against the source itself. Whoever needs a library in
 * the clone takes it from the source's setting, knowing that.
 */
#include "daemon/engine/pg_clone.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CONFIG_MAX = 1 << 20, TEXT_MAX = 32768, DEFAULT_PORT = 5432 };

struct text {
	char bytes[TEXT_MAX];
	size_t used;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text->bytes + text->used, sizeof(text->bytes) - text->used, format, args);
	va_end(args);
	/* All texts are ours and bounded: paths of 1 KiB, a dozen of them. */
	text->used += length > 0 ? (size_t)length : 0;
	if (text->used >= sizeof(text->bytes))
		abort();
}

/* key = 'value' with a path in it: quotes and backslashes doubled, as the server reads them. */
static void add_path(struct text *text, const char *key, const char *path, const char *below)
{
	add(text, "%s = '", key);
	for (; *path; path++) {
		if (*path == '\'' || *path == '\\')
			add(text, "%c", *path);
		add(text, "%c", *path);
	}
	add(text, "%s'\n", below);
}

/* If line sets key: what follows the key, without blanks, "=" and a quote. Else NULL. */
static const char *value_of(const char *line, const char *key)
{
	size_t length = strlen(key);

	line += strspn(line, " \t\r");
	if (strncasecmp(line, key, length) != 0 || !strchr(" \t\r='", line[length]) || !line[length])
		return NULL;
	line += length;
	return line + strspn(line, " \t\r='");
}

/* Does one of the lines set one of these keys? */
static bool mentions(const char *config, const char *const keys[], size_t count)
{
	while (config && *config) {
		for (size_t i = 0; i < count; i++) {
			if (value_of(config, keys[i]))
				return true;
		}
		config = strchr(config, '\n');
		config += config != NULL;
	}
	return false;
}

static bool leads_away(const char *config)
{
	static const char *const keys[] = {"data_directory", "hba_file",          "ident_file",
					   "include",        "include_if_exists", "include_dir"};

	return mentions(config, keys, sizeof(keys) / sizeof(keys[0]));
}

static uint32_t port_in(const char *config, uint32_t port)
{
	while (config && *config) {
		const char *value = value_of(config, "port");
		unsigned long number = value ? strtoul(value, NULL, 10) : 0;

		if (number >= 1 && number <= 65535)
			port = (uint32_t)number;
		config = strchr(config, '\n');
		config += config != NULL;
	}
	return port;
}

/* "" when there is none. The caller frees. */
static int read_config(int root_fd, const char *name, char **ret_config, bool *ret_there, struct reason *why)
{
	scope_free char *config = malloc(CONFIG_MAX);
	int size = config ? tree_read(root_fd, name, config, CONFIG_MAX) : ERR_NOMEM;

	if (size < 0 && size != ERR_NOT_FOUND)
		return reason_set(why, size, NULL, "the clone's %s cannot be read: %s", name, err_text(size));
	*ret_there = size >= 0;
	if (size < 0)
		config[0] = '\0';
	*ret_config = scope_take_ptr(config);
	return 0;
}

static int append(int root_fd, const char *name, const struct text *text, struct reason *why)
{
	scope_close int fd = tree_open(root_fd, name, O_WRONLY | O_APPEND | O_CREAT, 0600);
	ssize_t done = fd < 0 ? -1 : write(fd, text->bytes, text->used);

	if (done == (ssize_t)text->used)
		return 0;
	return reason_set_errno(why, done < 0 ? errno : ENOSPC, "cannot write the clone's %s", name);
}

/* Without a file of the source's: defaults, and what its WAL needs to be replayed. */
static void write_minimal(const struct pg_clone *clone, struct text *text)
{
	const struct pg_control *control = &clone->control;

	add(text, "# Made by dbsnap: the source keeps its postgresql.conf elsewhere (see config/ of the backup).\n");
	add(text, "max_connections = %" PRIu32 "\n", control->max_connections);
	add(text, "max_worker_processes = %" PRIu32 "\n", control->max_worker_processes);
	add(text, "max_wal_senders = %" PRIu32 "\n", control->max_wal_senders);
	add(text, "max_prepared_transactions = %" PRIu32 "\n", control->max_prepared_transactions);
	add(text, "max_locks_per_transaction = %" PRIu32 "\n", control->max_locks_per_transaction);
}

static int write_main(int root_fd, const struct pg_clone *clone, bool there, bool away, struct reason *why)
{
	struct text text = {.used = 0};

	if (!there)
		write_minimal(clone, &text);
	if (away) {
		add(&text, "\n# Added by dbsnap: whatever stands above, this server's data is here.\n");
		add_path(&text, "data_directory", clone->path, "");
	}
	return text.used ? append(root_fd, "postgresql.conf", &text, why) : 0;
}

static int write_if_missing(int root_fd, const char *name, const char *content, struct reason *why)
{
	struct text text = {.used = 0};

	if (faccessat(root_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	add(&text, "%s", content);
	return append(root_fd, name, &text, why);
}

static void add_fixed(struct text *text)
{
	add(text, "unix_socket_directories = '.'\n"
		  "unix_socket_group = ''\n"
		  "listen_addresses = ''\n"
		  "bonjour = off\n"
		  "ssl = off\n"
		  "external_pid_file = ''\n"
		  "log_directory = 'log'\n"
		  "huge_pages = try\n"
		  "archive_mode = off\n"
		  "archive_command = ''\n"
		  "archive_cleanup_command = ''\n"
		  "recovery_end_command = ''\n"
		  "restore_command = ''\n"
		  "primary_conninfo = ''\n"
		  "primary_slot_name = ''\n"
		  "synchronous_standby_names = ''\n"
		  "max_logical_replication_workers = 0\n");
	add(text, "# The source's libraries are in its own shared_preload_libraries; some (pg_cron) run jobs.\n"
		  "shared_preload_libraries = ''\n");
}

static void add_by_release(struct text *text, uint32_t major)
{
	if (major >= 15)
		add(text, "archive_library = ''\n");
	if (major < 16)
		add(text, "promote_trigger_file = ''\n");
	if (major < 15)
		add(text, "stats_temp_directory = 'pg_stat_tmp'\n");
	if (major >= 17)
		add(text, "sync_replication_slots = off\n");
}

static int write_overrides(int root_fd, const struct pg_clone *clone, bool away, uint32_t port, struct reason *why)
{
	const char *name = strrchr(clone->path, '/');
	struct text text = {.used = 0};

	add(&text, "\n# Added by dbsnap: this is a clone. These lines keep it from touching its source.\n");
	add_fixed(&text);
	add_by_release(&text, clone->major);
	add(&text, "port = %" PRIu32 "\n", port);
	add_path(&text, "cluster_name", name ? name + 1 : clone->path, "");
	if (away) {
		add_path(&text, "hba_file", clone->path, "/pg_hba.conf");
		add_path(&text, "ident_file", clone->path, "/pg_ident.conf");
	}
	return append(root_fd, "postgresql.auto.conf", &text, why);
}

int pg_clone_configure(int root_fd, const struct pg_clone *clone, uint32_t *ret_port, struct reason *why)
{
	scope_free char *main_config = NULL, *auto_config = NULL;
	bool has_main, has_auto, away;
	uint32_t port;
	int error = read_config(root_fd, "postgresql.conf", &main_config, &has_main, why);

	if (error == 0)
		error = read_config(root_fd, "postgresql.auto.conf", &auto_config, &has_auto, why);
	if (error < 0)
		return error;
	away = leads_away(main_config) || leads_away(auto_config);
	port = port_in(auto_config, port_in(main_config, DEFAULT_PORT));
	error = write_main(root_fd, clone, has_main, away, why);
	if (error == 0)
		error = write_if_missing(root_fd, "pg_hba.conf", "# Made by dbsnap.\nlocal all all peer\n", why);
	if (error == 0)
		error = write_if_missing(root_fd, "pg_ident.conf", "# Made by dbsnap.\n", why);
	if (error == 0)
		error = write_overrides(root_fd, clone, away, port, why);
	if (error == 0)
		*ret_port = port;
	return error;
}
