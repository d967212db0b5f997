/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/engine/pg_clone.h"

#include "common/err.h"
#include "daemon/engine/tree.h"

#include "cmocka_all.h"
#include "folder_fixture.h"

static const struct pg_clone clone_15 = {
	.path = "/srv/it's\\here/c1",
	.major = 15,
	.control = {.max_connections = 77, .max_prepared_transactions = 5},
};

static char content[65536];

static const char *read_back(const struct folder *folder, const char *name)
{
	assert_true(tree_read(folder->fd, name, content, sizeof(content)) >= 0);
	return content;
}

static uint32_t configure(const struct folder *folder, uint32_t major)
{
	struct pg_clone clone = clone_15;
	struct reason why = {0};
	uint32_t port = 0;

	clone.major = major;
	assert_int_equal(pg_clone_configure(folder->fd, &clone, &port, &why), 0);
	return port;
}

static void test_nothing_there(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(configure(folder, 15), 5432);
	assert_non_null(strstr(read_back(folder, "postgresql.conf"), "\nmax_connections = 77\n"));
	assert_non_null(strstr(content, "\nmax_prepared_transactions = 5\n"));
	assert_null(strstr(content, "data_directory"));
	assert_non_null(strstr(read_back(folder, "pg_hba.conf"), "local all all peer\n"));
	read_back(folder, "pg_ident.conf");
	assert_non_null(strstr(read_back(folder, "postgresql.auto.conf"), "\nlisten_addresses = ''\n"));
	assert_null(strstr(content, "hba_file"));
}

static void test_own_files_stay(void **state)
{
	struct folder *folder = *state;

	folder_write(folder, "postgresql.conf", "shared_buffers = 1GB\n#data_directory = '/x'\nport=5433 # ours\n");
	folder_write(folder, "postgresql.auto.conf", "work_mem = '1MB'");
	folder_write(folder, "pg_hba.conf", "local all all trust\n");
	assert_int_equal(configure(folder, 15), 5433);
	assert_string_equal(read_back(folder, "postgresql.conf"),
			    "shared_buffers = 1GB\n#data_directory = '/x'\nport=5433 # ours\n");
	assert_string_equal(read_back(folder, "pg_hba.conf"), "local all all trust\n");
	assert_non_null(strstr(read_back(folder, "postgresql.auto.conf"), "work_mem = '1MB'\n"));
	assert_non_null(strstr(content, "\nport = 5433\n"));
}

/* Whatever may lead elsewhere gets the clone's own path, quoted. */
static void test_ways_out(void **state)
{
	static const char *const lines[] = {
		"data_directory = '/src'\n",  "Data_Directory '/src'\n",   "hba_file='/etc/h'\n", "\t ident_file = '/etc/i'\n",
		"include '/etc/pg/x.conf'\n", "include_dir = 'conf.d'\n", "a = 1\ninclude_if_exists 'y'",
		"\r data_directory\r= '/src'\n",
	};
	struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		folder_write(folder, "postgresql.conf", lines[i]);
		folder_write(folder, "postgresql.auto.conf", "");
		configure(folder, 15);
		assert_non_null(strstr(read_back(folder, "postgresql.conf"),
				       "\ndata_directory = '/srv/it''s\\\\here/c1'\n"));
		assert_non_null(strstr(read_back(folder, "postgresql.auto.conf"),
				       "\nhba_file = '/srv/it''s\\\\here/c1/pg_hba.conf'\n"));
		assert_non_null(strstr(content, "\nident_file = '/srv/it''s\\\\here/c1/pg_ident.conf'\n"));
	}
}

static void test_ports(void **state)
{
	static const struct {
		const char *main, *more;
		uint32_t port;
	} rows[] = {
		{"port = 1\nport = 65535\n", "", 65535}, {"port = 0\n", "", 5432},    {"port = 65536\n", "", 5432},
		{"ports = 7\n", "", 5432},               {"# port = 7\n", "", 5432},  {"port = 7", "port = '8'\n", 8},
		{"PORT 7\n", "", 7},                     {"port\n", "", 5432},
	};
	struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		folder_write(folder, "postgresql.conf", rows[i].main);
		folder_write(folder, "postgresql.auto.conf", rows[i].more);
		assert_int_equal(configure(folder, 15), rows[i].port);
	}
}

/* A server refuses to start over a setting that its release does not know. */
static void test_settings_by_release(void **state)
{
	static const struct {
		const char *setting;
		uint32_t from, to;
	} rows[] = {
		{"\narchive_library = ", 15, 17},
		{"\npromote_trigger_file = ", 13, 15},
		{"\nstats_temp_directory = ", 13, 14},
		{"\nsync_replication_slots = ", 17, 17},
		{"\nshared_preload_libraries = ''\n", 13, 17},
	};
	struct folder *folder = *state;

	for (uint32_t major = 13; major <= 17; major++) {
		folder_write(folder, "postgresql.auto.conf", "");
		configure(folder, major);
		read_back(folder, "postgresql.auto.conf");
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			assert_int_equal(strstr(content, rows[i].setting) != NULL,
					 major >= rows[i].from && major <= rows[i].to);
	}
}

static void test_links_are_not_written_through(void **state)
{
	static const char *const names[] = {"postgresql.conf", "postgresql.auto.conf"};
	struct folder *folder = *state;
	struct reason why = {0};
	uint32_t port;

	folder_write(folder, "victim", "mine");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(symlinkat("victim", folder->fd, names[i]), 0);
		assert_true(pg_clone_configure(folder->fd, &clone_15, &port, &why) < 0);
		assert_int_equal(unlinkat(folder->fd, names[i], 0), 0);
	}
	assert_string_equal(read_back(folder, "victim"), "mine");
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)
	static const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_nothing_there),
		WITH_FOLDER(test_own_files_stay),
		WITH_FOLDER(test_ways_out),
		WITH_FOLDER(test_ports),
		WITH_FOLDER(test_settings_by_release),
		WITH_FOLDER(test_links_are_not_written_through),
	};

	return cmocka_run_group_tests_name("pg_clone_config", tests, NULL, NULL);
}
