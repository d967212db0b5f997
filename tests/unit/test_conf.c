/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole configurations from files in a folder of the test's own: defaults,
 * the samples, checks between keys and between files, trust, names, reload.
 */
#include "common/conf.h"

#include "common/conf_parts.h"
#include "common/err.h"
#include "common/scope.h"
#include "tests/unit/cmocka_all.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
	char top[64], file[128], clusters[128], policies[128];
	struct conf *conf;
	struct conf_errors errors;
};

static const char *path_of(const char *folder, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
}

/* A group that exists everywhere, and folders of our own; then what the test wants. */
static void write_daemon(struct fixture *f, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text), "clusters_dir: %s\npolicies_dir: %s\n%s%s", f->clusters, f->policies,
		 geteuid() == 0 && !strstr(more, "listen") ? "listen: {group: root}\n" : "", more);
	write_file(f->file, text);
}

static void add_cluster(struct fixture *f, const char *name, const char *text)
{
	write_file(path_of(f->clusters, name), text);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strncpy(f->top, "/tmp/dbsnap-conf.XXXXXX", sizeof(f->top) - 1);
	assert_non_null(mkdtemp(f->top));
	snprintf(f->file, sizeof(f->file), "%s/dbsnapd.yaml", f->top);
	snprintf(f->clusters, sizeof(f->clusters), "%s/clusters.d", f->top);
	snprintf(f->policies, sizeof(f->policies), "%s/policies.d", f->top);
	assert_int_equal(mkdir(f->clusters, 0755) | mkdir(f->policies, 0755), 0);
	write_daemon(f, "");
	*state = f;
	return 0;
}

/* Files of the folder, then the folder. */
static void remove_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			unlink(path_of(folder, entry->d_name));
	}
	if (dir)
		closedir(dir);
	rmdir(folder);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->conf = conf_free(f->conf);
	conf_errors_clear(&f->errors);
	remove_folder(f->clusters);
	remove_folder(f->policies);
	remove_folder(f->top);
	free(f);
	return 0;
}

static const struct conf *load(struct fixture *f)
{
	f->conf = conf_free(f->conf);
	conf_errors_clear(&f->errors);
	if (conf_load(f->file, &f->errors, &f->conf) < 0)
		fail_msg("refused: %s", f->errors.count ? f->errors.lines[0] : "without an error");
	assert_int_equal(f->errors.count, 0);
	return f->conf;
}

/* Refused by exactly these lines (parts of them), in this order. */
static void refused_by(struct fixture *f, const char *const *want)
{
	struct conf *conf = NULL;
	size_t count = 0;

	conf_errors_clear(&f->errors);
	assert_int_equal(conf_load(f->file, &f->errors, &conf), ERR_INVALID);
	assert_null(conf);
	for (; want[count]; count++) {
		if (count >= f->errors.count || !strstr(f->errors.lines[count], want[count]))
			fail_msg("wanted \"%s\", got \"%s\"", want[count],
				 count < f->errors.count ? f->errors.lines[count] : "nothing");
	}
	if (f->errors.count != count)
		fail_msg("too many: \"%s\"", f->errors.lines[count]);
}

#define REFUSED(f, ...) refused_by(f, (const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
	struct fixture *f = *state;
	const struct conf *conf = load(f);

	assert_int_equal(conf->cluster_count, 0);
	assert_int_equal(conf->listens[0].mode, geteuid() == 0 ? 0660 : 0600);
	assert_int_equal(conf->listens[0].gid, getegid());
	assert_string_equal(conf->region_id, "local");
	assert_string_equal(conf->account_id, "local");
	assert_int_equal(conf->quota.manual_per_day, 3);
	assert_int_equal(conf->quota.manual_retained, 3);
	assert_int_equal(conf->quota.creates_per_day, 100);
	assert_int_equal(conf->quota.utc_offset_min, 0);
	assert_true(conf->quota.refund_deleted);
	assert_int_equal(conf->client_token_ttl_ms, 24 * 3600 * 1000);
	assert_int_equal(conf->jobs_max_running, 2);
	assert_int_equal(conf->jobs_timeout_ms, 3600 * 1000);
	assert_int_equal(conf->limits_connections, 1024);
	assert_int_equal(conf->limits_connections_per_uid, 256);
	assert_int_equal(conf->limits_request_timeout_ms, 10 * 1000);
	assert_int_equal(conf->limits_body, 65536);
	assert_int_equal(conf->store_map_size, 1 << 30);
	assert_true(conf->store_history_ms == INT64_C(400) * 86400 * 1000);
	if (geteuid() != 0)
		return;
	assert_string_equal(conf->listens[0].path, "/run/dbsnap/dbsnapd.sock");
	assert_string_equal(conf->state_dir, DBSNAP_LOCALSTATEDIR "/lib/dbsnap");
}

static void test_cluster_defaults(void **state)
{
	struct fixture *f = *state;
	const struct conf_cluster *c;

	add_cluster(f, "a.yaml", "id: pc-1\ndata_dir: /srv/a\ndatabase: {user: nobody}\n");
	c = conf_find_cluster(load(f), "pc-1");
	assert_non_null(c);
	assert_string_equal(c->description, "");
	assert_string_equal(c->data_dir, "/srv/a");
	assert_string_equal(c->snapshot_dir, "");
	assert_int_equal(c->backend, CONF_BACKEND_AUTO);
	assert_int_equal(c->min_free.percent, 5);
	assert_int_equal(c->restore, CONF_RESTORE_OFF);
	assert_int_equal(c->database.type, CONF_DATABASE_AUTO);
	assert_int_equal(c->database.quiesce, CONF_QUIESCE_AUTO);
	assert_string_equal(c->database.conninfo, "");
	assert_string_equal(conf_conninfo(&c->database, c->database.type), "host=/var/run/postgresql dbname=postgres");
	assert_int_equal(c->database.max_freeze_ms, 5000);
	assert_string_equal(c->file, path_of(f->clusters, "a.yaml"));
	assert_string_equal(conf_backend_name(CONF_BACKEND_COPY), "copy");
	assert_string_equal(conf_database_name(CONF_DATABASE_POSTGRESQL), "postgresql");
}

static void test_clusters_are_sorted_and_found(void **state)
{
	struct fixture *f = *state;
	const struct conf *conf;

	add_cluster(f, "1.yaml", "id: zz\ndata_dir: /srv/z\n");
	add_cluster(f, "2.yaml", "id: aa\ndata_dir: /srv/a\n");
	add_cluster(f, "3.yaml", "id: mm\ndata_dir: /srv/m\n");
	add_cluster(f, ".hidden.yaml", "nonsense");
	add_cluster(f, "README", "nonsense");
	add_cluster(f, "4.yaml~", "nonsense");
	conf = load(f);
	unlink(path_of(f->clusters, ".hidden.yaml"));
	assert_int_equal(conf->cluster_count, 3);
	assert_string_equal(conf->clusters[0].id, "aa");
	assert_string_equal(conf->clusters[2].id, "zz");
	assert_ptr_equal(conf_find_cluster(conf, "mm"), &conf->clusters[1]);
	assert_null(conf_find_cluster(conf, "m"));
	assert_null(conf_find_cluster(conf, ""));
}

static void test_every_error_of_every_file(void **state)
{
	struct fixture *f = *state;

	write_daemon(f, "jobs: {max_running: 0}\nbogus: 1\naccess_keys: /x/y\nmetrics: {textfile: \"\"}\n");
	add_cluster(f, "a.yaml", "id: A\ndata_dir: srv\nprotect: {keep: 1}\nrestore: on\n");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /b\nbackend: zfs\ndatabase: {type: mysql, bindir: x, max_freeze: 11min}\nverify: {every: -1d}\n");
	write_file(path_of(f->policies, "p.yaml"), "{}");
	REFUSED(f, "dbsnapd.yaml:", "bogus: unknown", "metrics: not built yet", "a.yaml:1: id: expected", "a.yaml:2: data_dir: expected", "a.yaml:3: protect: not built",
		"a.yaml:4: restore: expected one of off, in-place, got \"on\"", "b.yaml:3: backend: expected one of auto, btrfs, reflink, copy, got \"zfs\"",
		"b.yaml:4: database.type: expected", "b.yaml:4: database.bindir: expected", "b.yaml:4: database.max_freeze: expected",
		"b.yaml:5: verify.every: expected",
		"dbsnapd.yaml:6: access_keys: expected a file, there is no /x/y", "p.yaml:1: principals: missing", "p.yaml:1: policy: missing");
}

#define POLICY(principal, effect, action, resource) \
	"principals: [\"" principal "\"]\npolicy:\n  Version: \"1\"\n  Statement:\n" \
	"  - {Effect: " effect ", Action: \"" action "\", Resource: \"" resource "\"}\n"

static void add_policy(struct fixture *f, const char *name, const char *text)
{
	write_file(path_of(f->policies, name), text);
}

/* The file of keys, named by the daemon's, with this mode. */
static void write_keys(struct fixture *f, const char *text, mode_t mode)
{
	char more[600];

	snprintf(more, sizeof(more), "access_keys: %s\n", path_of(f->top, "keys.yaml"));
	write_file(path_of(f->top, "keys.yaml"), text);
	assert_int_equal(chmod(path_of(f->top, "keys.yaml"), mode), 0);
	write_daemon(f, more);
}

static void test_access_keys(void **state)
{
	struct fixture *f = *state;
	const struct conf *conf;
	char most[512];

	write_keys(f, "access_keys:\n- {id: testid, secret: testsecret}\n"
		   "- {id: \"7\", secret: \"a#b'c\", uid: 4294967294, gid: root}\n- {uid: root, gid: 0, secret: 123, id: A.b_c-9}\n", 0600);
	conf = load(f);
	assert_int_equal(conf->key_count, 3);
	assert_string_equal(conf->keys[0].id, "testid");
	assert_string_equal(conf->keys[0].secret, "testsecret");
	assert_false(conf->keys[0].has_uid || conf->keys[0].has_gid);
	assert_string_equal(conf->keys[1].id, "7");
	assert_string_equal(conf->keys[1].secret, "a#b'c");
	assert_true(conf->keys[1].has_uid && conf->keys[1].has_gid);
	assert_int_equal(conf->keys[1].uid, 4294967294u);
	assert_int_equal(conf->keys[1].gid, 0);
	assert_int_equal(conf->keys[2].uid, 0);
	assert_string_equal(conf->keys[2].secret, "123");
	snprintf(most, sizeof(most), "access_keys: [{id: %064d, secret: %0128d}]", 1, 1);
	write_keys(f, most, 0400);
	assert_int_equal(strlen(load(f)->keys[0].secret), 128);
	write_keys(f, "access_keys: []", 0600);
	assert_int_equal(load(f)->key_count, 0);
}

/* None of these repeats what may be a secret. */
static void test_access_keys_that_are_none(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"", "keys.yaml:1: expected a map of keys, got an empty file"},
		{"- {id: a, secret: TOPSECRET}", "keys.yaml:1: expected a map with access_keys, got a list"},
		{"{}", "keys.yaml:1: access_keys: missing"},
		{"TOPSECRET: [{id: a, secret: x}]", "keys.yaml:1: unknown key; expected access_keys"},
		{"access_keys: []\naccess_keys: []", "keys.yaml:2: expected no more than access_keys, once"},
		{"access_keys: TOPSECRET", "access_keys: expected a list of keys, got a single value"},
		{"access_keys: [TOPSECRET]", "access_keys: expected a map with id and secret, got a single value"},
		{"access_keys:\n- {secret: TOPSECRET}", "keys.yaml:2: access_keys.id: missing"},
		{"access_keys:\n- {id: a}", "keys.yaml:2: access_keys.secret: missing"},
		{"access_keys:\n- id: a\n  secret: \"TOPSECRET \"", "keys.yaml:3: access_keys.secret: expected 1 to 128 printable"},
		{"access_keys:\n- id: a\n  secret: \"TOP\u00e9SECRET\"", "keys.yaml:3: access_keys.secret: expected 1 to 128 printable"},
		{"access_keys:\n- id: a\n  secret:", "access_keys.secret: expected 1 to 128 printable"},
		{"access_keys:\n- id: a\n  secret: [TOPSECRET]", "keys.yaml:3: access_keys.secret: expected 1 to 128 printable"},
		{"access_keys:\n- id: a/b\n  secret: TOPSECRET", "keys.yaml:2: access_keys.id: expected 1 to 64 of"},
		{"access_keys:\n- id: \"\"\n  secret: TOPSECRET", "keys.yaml:2: access_keys.id: expected 1 to 64 of"},
		{"access_keys:\n- {id: a, secret: TOPSECRET, TOPSECRET: x}", "keys.yaml:2: access_keys: unknown key; expected one of id, secret, uid, gid"},
		{"access_keys:\n- {id: a, secret: TOPSECRET, secret: x}", "keys.yaml:2: access_keys: secret is given twice for one key"},
		{"access_keys:\n- {id: a, secret: x}\n- {id: b, secret: x}\n- {id: a, secret: TOPSECRET}", "keys.yaml:4: access_keys.id: expected an id of its own, the key in line 2 has the same"},
		{"access_keys:\n- {id: a, secret: TOPSECRET, uid: -1}", "access_keys.uid: there is no such user here"},
		{"access_keys:\n- {id: a, secret: TOPSECRET, uid: 4294967295}", "access_keys.uid: expected the number or the name of a user"},
		{"access_keys:\n- {id: a, secret: TOPSECRET, gid: no-such-group}", "access_keys.gid: there is no such group here"},
		{"access_keys:\n- {id: a, secret: TOPSECRET, gid: [1]}", "access_keys.gid: expected the number or the name of a group"},
		{"access_keys:\n- &TOPSECRET {id: a, secret: x}", "keys.yaml:2: expected a value without anchors"},
		{"access_keys:\n- {id: a, secret: \"TOPSECRET}", "expected YAML"},
		{"access_keys: []\n---\naccess_keys: []", "expected the end of the file after one document"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_keys(f, cases[i].text, 0600);
		REFUSED(f, cases[i].error);
		assert_null(strstr(f->errors.lines[0], "TOP"));
	}
}

static void test_access_keys_of_others(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0660, 0610, 0601, 0644};
	struct fixture *f = *state;
	char link[600];

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_keys(f, "access_keys: []", modes[i]);
		REFUSED(f, modes[i] & 022 ? "keys.yaml: expected to be writable by its owner alone" :
					    "keys.yaml: expected to be its owner's alone");
	}
	write_keys(f, "access_keys: []", 0600);
	snprintf(link, sizeof(link), "%s", path_of(f->top, "link.yaml"));
	assert_int_equal(symlink("keys.yaml", link), 0);
	snprintf(link, sizeof(link), "access_keys: %s\n", path_of(f->top, "link.yaml"));
	write_daemon(f, link);
	REFUSED(f, "link.yaml: cannot be opened");
	if (geteuid() != 0)
		return;
	write_keys(f, "access_keys: []", 0600);
	assert_int_equal(chown(path_of(f->top, "keys.yaml"), 1, 0), 0);
	REFUSED(f, "keys.yaml: expected to be owned by root, is owned by uid 1");
}

/* Only who names it misses it; and nobody who only asks about policies reads it. */
static void test_access_keys_missing(void **state)
{
	struct fixture *f = *state;
	struct conf *conf = NULL;

	assert_int_equal(load(f)->key_count, 0);
	write_daemon(f, "access_keys: /no/such/file\n");
	REFUSED(f, "access_keys: expected a file, there is no /no/such/file");
	conf_errors_clear(&f->errors);
	assert_int_equal(conf_load_policies(f->file, &f->errors, &conf), 0);
	conf_free(conf);
}

static void test_policies_in_order(void **state)
{
	struct fixture *f = *state;
	const struct conf *conf = load(f);

	assert_null(conf->policy);
	add_policy(f, "b.yaml", POLICY("*", "Allow", "*", "*"));
	add_policy(f, "B.yaml", POLICY("*", "Deny", "ecs:*", "*"));
	add_policy(f, ".hidden.yaml", "x");
	conf = load(f);
	unlink(path_of(f->policies, ".hidden.yaml"));
	assert_int_equal(policy_count(conf->policy), 2);
	assert_string_equal(policy_statement_file(policy_at(conf->policy, 0)), "B.yaml");
	assert_string_equal(policy_statement_file(policy_at(conf->policy, 1)), "b.yaml");
	assert_int_equal(conf->warnings.count, 1);
	assert_non_null(strstr(conf->warnings.lines[0], "B.yaml:5: Action: \"ecs:*\" is no action"));
}

static void test_policies_refused(void **state)
{
	struct fixture *f = *state;

	add_policy(f, "a.json", POLICY("*", "Allow", "*", "*"));
	add_policy(f, "b.yml", POLICY("*", "Allow", "*", "*"));
	add_policy(f, "c.yaml", POLICY("user:no-such-user", "Allow", "*", "*"));
	add_policy(f, "d.yaml", POLICY("group:no-such-group", "Allow", "*", "x"));
	add_policy(f, "e.yaml", POLICY("*", "Allow", "*", "*"));
	assert_int_equal(chmod(path_of(f->policies, "e.yaml"), 0666), 0);
	assert_int_equal(symlink("nowhere", path_of(f->policies, "f.yaml")), 0);
	REFUSED(f, "a.json: expected a name that ends in .yaml", "b.yml: expected a name that ends in .yaml",
		"c.yaml:1: principals: expected a user of this host, there is no user \"no-such-user\"",
		"d.yaml:1: principals: expected a group of this host, there is no group \"no-such-group\"",
		"d.yaml:5: Resource: expected", "e.yaml: expected to be writable by its owner alone",
		"f.yaml: a link to nothing");
}

/* As many warnings as words, each with its own, in this order. */
static void warned(const struct conf *conf, const char *const *words)
{
	size_t count = 0;

	for (; words[count]; count++) {
		if (count >= conf->warnings.count || !strstr(conf->warnings.lines[count], words[count]))
			fail_msg("warning %zu: %s\nexpected: %s", count,
				 count < conf->warnings.count ? conf->warnings.lines[count] : "none", words[count]);
	}
	assert_int_equal(conf->warnings.count, count);
}

#define WARNED(conf, ...) warned(conf, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void test_policies_that_lock_out(void **state)
{
	struct fixture *f = *state;
	const char *who = geteuid() == 0 ? ": root may not do on every cluster: " :
					   ": the user who runs dbsnapd may not do on every cluster: ";
	char text[512], all[256];

	snprintf(all, sizeof(all), "%sanything; to get back in, edit or move the files in this folder and reload (", who);
	add_policy(f, "a.yaml", POLICY("accesskey:AK", "Allow", "*", "*"));
	WARNED(load(f), all);
	/* One cluster is not every one. */
	add_policy(f, "a.yaml", POLICY("*", "Allow", "*", "acs:polardb:*:*:dbcluster/pc-a"));
	WARNED(load(f), all);
	snprintf(text, sizeof(text), "principals: [uid:%u]%s", (unsigned)geteuid(),
		 strchr(POLICY("*", "Allow", "*", "*"), '\n'));
	add_policy(f, "a.yaml", text);
	WARNED(load(f));
	add_policy(f, "b.yaml",
		   POLICY("*", "Deny", "polardb:ModifyBackupPolicy", "acs:polardb:*:*:dbcluster/pc-a"));
	WARNED(load(f), "may not do on every cluster: ModifyBackupPolicy; to get back in");
}

static void test_policies_that_do_nothing(void **state)
{
	struct fixture *f = *state;

	add_policy(f, "a.yaml", POLICY("*", "Allow", "*", "*"));
	add_policy(f, "b.yaml", POLICY("*", "Allow", "*", "acs:polardb:cn-hangzhou:*:dbcluster/*"));
	add_policy(f, "notes", "x");
	add_policy(f, "a.yaml.bak", "x");
	WARNED(load(f), "a.yaml.bak: is not read: its name does not end in .yaml", "notes: is not read",
	       "b.yaml:5: this statement does nothing: none of its resources is acs:polardb:local:local:dbcluster/ID");
	write_daemon(f, "region_id: cn-hangzhou\n");
	WARNED(load(f), "a.yaml.bak: is not read", "notes: is not read");
}

static void test_policies_alone(void **state)
{
	struct fixture *f = *state;

	add_cluster(f, "a.yaml", "x");
	write_daemon(f, "region_id: r1\n");
	add_policy(f, "a.yaml", POLICY("*", "Allow", "*", "*"));
	assert_int_equal(conf_load_policies(f->file, &f->errors, &f->conf), 0);
	assert_string_equal(f->conf->region_id, "r1");
	assert_int_equal(policy_count(f->conf->policy), 1);
	f->conf = conf_free(f->conf);
	add_policy(f, "a.yaml", POLICY("*", "allow", "*", "*"));
	assert_int_equal(conf_load_policies(f->file, &f->errors, &f->conf), ERR_INVALID);
	assert_int_equal(f->errors.count, 1);
	assert_null(f->conf);
}

/* What the store would round up is refused: the page and usage would tell two sizes. */
static void test_least_map_size(void **state)
{
	struct fixture *f = *state;

	write_daemon(f, "store: {map_size: 4095KiB}\n");
	REFUSED(f, "store.map_size: expected a size from 4MiB");
	write_daemon(f, "store: {map_size: 4MiB}\n");
	assert_int_equal(load(f)->store_map_size, 4 << 20);
}

static void test_listen_as_a_list(void **state)
{
	struct fixture *f = *state;

	const struct conf *conf;

	write_daemon(f, "listen:\n- {path: /run/a, group: root}\n- {path: /run/b, mode: \"0600\", group: root, require_signature: true}\n");
	conf = load(f);
	assert_int_equal(conf->listen_count, 2);
	assert_string_equal(conf->listens[0].path, "/run/a");
	assert_false(conf->listens[0].require_signature);
	assert_string_equal(conf->listens[1].path, "/run/b");
	assert_int_equal(conf->listens[1].mode, 0600);
	assert_int_equal(conf->listens[1].gid, 0);
	assert_true(conf->listens[1].require_signature);
	write_daemon(f, "listen:\n- {path: /run/a, group: root}\n- {path: /run/a, group: no-such-group}\n");
	REFUSED(f, "dbsnapd.yaml:5: listen.path: expected a path of its own, another socket has /run/a",
		"dbsnapd.yaml:5: listen.group: there is no group");
}

static void test_clusters_on_each_other(void **state)
{
	struct fixture *f = *state;

	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /srv/a\nsnapshot_dir: /srv/snap\n");
	add_cluster(f, "b.yaml", "id: aa\ndata_dir: /srv/b\n");
	REFUSED(f, "b.yaml:1: id: expected an id of its own");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /srv/a\n");
	REFUSED(f, "b.yaml:2: data_dir: expected a path of its own");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /srv/b\nsnapshot_dir: /srv/a/x\n");
	REFUSED(f, "b.yaml:3: snapshot_dir: expected a path outside the data_dir of cluster aa");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /srv/snap\nsnapshot_dir: /srv/x\n");
	REFUSED(f, "a.yaml:3: snapshot_dir: expected a path outside the data_dir of cluster bb");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /srv/b\nsnapshot_dir: /srv/snap\n");
	REFUSED(f, "b.yaml:3: snapshot_dir: expected a path outside the snapshot_dir of cluster aa");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /srv/b\nsnapshot_dir: /srv/snap/b\n");
	REFUSED(f, "b.yaml:3: snapshot_dir: expected a path outside the snapshot_dir of cluster aa");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /srv/b\nsnapshot_dir: /srv\n");
	REFUSED(f, "a.yaml:3: snapshot_dir: expected a path outside the snapshot_dir of cluster bb");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /srv/b\nsnapshot_dir: /srv/b/x\n");
	REFUSED(f, "b.yaml:3: snapshot_dir: expected a path outside data_dir");
	/* Neighbours whose names begin alike are no trouble; a clone of aa may be a cluster. */
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /srv/ab\nsnapshot_dir: /srv/a-snap\n");
	add_cluster(f, "c.yaml", "id: cc\ndata_dir: /srv/snap/clones/x\n");
	assert_int_equal(load(f)->cluster_count, 3);
}

static void test_state_dir_inside_a_source(void **state)
{
	struct fixture *f = *state;

	write_daemon(f, "state_dir: /srv/a/state\n");
	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /srv/a\n");
	REFUSED(f, "a.yaml:2: data_dir: expected a path that does not hold state_dir (/srv/a/state)");
	write_daemon(f, "state_dir: /srv/ab\n");
	load(f);
}

static void test_conninfo(void **state)
{
	static const char *const good[] = {"host=/tmp", "  host = '/tmp/a b' port=5433 dbname=postgres ", "host=/tmp passfile=/x",
					   "", "user=a\\ b", "application_name='it\\'s password=x'"};
	static const char *const bad[] = {"password=x", "host=/tmp password = 'x y'", "PASSWORD=x", "sslpassword=x",
					  "postgresql://a:b@/c", "postgres://", "POSTGRES://x", "dbname='password=x'",
					  "dbname=postgres://x", "host=localhost", "host=", "host=@abstract", "host=/tmp,db.example", "hostaddr=::1",
					  "service=x", "nonsense", "host=/tmp x", "=x", "host='/tmp", "host"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (conf_check_conninfo(good[i]))
			fail_msg("%s: refused: %s", good[i], conf_check_conninfo(good[i]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!conf_check_conninfo(bad[i]))
			fail_msg("%s: accepted", bad[i]);
	}
}

static void test_conninfo_of_mariadb(void **state)
{
	static const char *const good[] = {"socket=/run/mysqld/mysqld.sock user=mysql", "  socket = '/tmp/a b' ", "user=dbsnap", ""};
	static const char *const bad[] = {"password=x", "user=a passwd=b", "Password = 'x y'", "host=/tmp", "socket=tmp", "socket=",
					  "socket=@abstract", "user=", "mysql://a:b@/c", "nonsense", "socket='/tmp", "=x", "plugin-dir=/x"};
	struct conf_database_settings database = {.type = CONF_DATABASE_MARIADB};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (conf_check_conninfo_mariadb(good[i]))
			fail_msg("%s: refused: %s", good[i], conf_check_conninfo_mariadb(good[i]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!conf_check_conninfo_mariadb(bad[i]))
			fail_msg("%s: accepted", bad[i]);
	}
	assert_string_equal(conf_conninfo(&database, database.type), "socket=/run/mysqld/mysqld.sock user=mysql");
	assert_null(conf_check_conninfo_mariadb(conf_conninfo(&database, database.type)));
}

static void test_mariadb(void **state)
{
	struct fixture *f = *state;
	const struct conf *conf;

	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /srv/a\ndatabase: {type: mariadb, max_freeze: 1500ms}\n");
	conf = load(f);
	assert_string_equal(conf->clusters[0].database.user, geteuid() ? conf->clusters[0].database.user : "mysql");
	assert_int_equal(conf->clusters[0].database.max_freeze_ms, 1500);
	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /srv/a\ndatabase: {type: mariadb, conninfo: \"host=/tmp\"}\n");
	REFUSED(f, "a.yaml:3: database.conninfo: expected socket=PATH and user=NAME");
}

static void test_password_is_refused_and_not_shown(void **state)
{
	struct fixture *f = *state;

	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /srv/a\ndatabase: {conninfo: \"host=/tmp password=hunter2\"}\n");
	REFUSED(f, "a.yaml:3: database.conninfo: expected no password in it: use peer authentication, or a passfile=FILE");
	assert_null(strstr(f->errors.lines[0], "hunter2"));
}

static void test_who_may_write(void **state)
{
	struct fixture *f = *state;

	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /srv/a\n");
	chmod(path_of(f->clusters, "a.yaml"), 0664);
	REFUSED(f, "a.yaml: expected to be writable by its owner alone, has mode 0664");
	chmod(path_of(f->clusters, "a.yaml"), 0602);
	REFUSED(f, "a.yaml: expected to be writable by its owner alone");
	chmod(path_of(f->clusters, "a.yaml"), 0600);
	load(f);
	chmod(f->clusters, 0777);
	REFUSED(f, "clusters.d: expected to be writable by its owner alone");
	chmod(f->clusters, 0755);
	chmod(f->file, 0620);
	conf_errors_clear(&f->errors);
	f->conf = conf_free(f->conf);
	assert_int_equal(conf_load(f->file, &f->errors, &f->conf), ERR_INVALID);
	assert_non_null(strstr(f->errors.lines[0], "dbsnapd.yaml: expected to be writable by its owner alone, has mode 0620"));
}

static void test_who_owns(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /srv/a\n");
	assert_int_equal(chown(path_of(f->clusters, "a.yaml"), getpwnam("nobody")->pw_uid, 0), 0);
	REFUSED(f, "a.yaml: expected to be owned by root, is owned by uid");
}

static void test_strange_files(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifo(path_of(f->clusters, "a.yaml"), 0600), 0);
	assert_int_equal(symlink("/nonexistent", path_of(f->clusters, "b.yaml")), 0);
	add_cluster(f, "c.yml", "id: cc\ndata_dir: /srv/c\n");
	REFUSED(f, "a.yaml: expected a regular file", "b.yaml: a link to nothing",
		"c.yml: expected a name that ends in .yaml");
}

static void test_file_size(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(SCHEMA_BYTES_MAX + 2);

	assert_non_null(text);
	memset(text, '#', SCHEMA_BYTES_MAX + 1);
	text[SCHEMA_BYTES_MAX + 1] = '\0';
	text[1000] = '\n';
	memcpy(text, "id: aa\ndata_dir: /a\n#", 21);
	add_cluster(f, "a.yaml", text);
	REFUSED(f, "a.yaml: expected at most 1048576 bytes");
	text[SCHEMA_BYTES_MAX] = '\0';
	add_cluster(f, "a.yaml", text);
	assert_int_equal(load(f)->cluster_count, 1);
	free(text);
}

static void test_number_of_clusters(void **state)
{
	struct fixture *f = *state;
	char name[32], text[64];

	for (int i = 0; i <= CONF_CLUSTERS_MAX; i++) {
		snprintf(name, sizeof(name), "%03d.yaml", i);
		snprintf(text, sizeof(text), "id: c%03d\ndata_dir: /srv/%d\n", i, i);
		add_cluster(f, name, text);
	}
	REFUSED(f, "clusters.d: expected at most 256 cluster files, found 257");
	unlink(path_of(f->clusters, "256.yaml"));
	assert_int_equal(load(f)->cluster_count, CONF_CLUSTERS_MAX);
	assert_non_null(conf_find_cluster(f->conf, "c255"));
	assert_non_null(conf_find_cluster(f->conf, "c000"));
}

static void test_missing_places(void **state)
{
	struct fixture *f = *state;
	struct conf *conf = NULL;

	rmdir(f->clusters);
	rmdir(f->policies);
	assert_int_equal(load(f)->cluster_count, 0);
	assert_int_equal(conf_load("/nonexistent/dbsnapd.yaml", &f->errors, &conf), ERR_INVALID);
	assert_non_null(strstr(f->errors.lines[0], "/nonexistent/dbsnapd.yaml: expected the configuration, there is no such file"));
}

static void test_group(void **state)
{
	struct fixture *f = *state;

	write_daemon(f, "listen: {group: no-such-group}\n");
	REFUSED(f, "dbsnapd.yaml:3: listen.group: there is no group \"no-such-group\"; make it with: groupadd --system no-such-group");
	write_daemon(f, "listen: {group: \"\"}\n");
	if (geteuid() == 0)
		REFUSED(f, "listen.group: expected the name of a group");
	else
		assert_int_equal(load(f)->listens[0].gid, getegid());
}

static void test_users(void **state)
{
	struct fixture *f = *state;
	const struct conf *conf;
	const struct conf_cluster *c;

	if (geteuid() != 0)
		skip();
	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /a\ndatabase: {user: no-such-user}\n");
	add_cluster(f, "b.yaml", "id: bb\ndata_dir: /b\ndatabase: {type: none}\n");
	add_cluster(f, "c.yaml", "id: cc\ndata_dir: /c\ndatabase: {type: none, user: nobody}\n");
	add_cluster(f, "d.yaml", "id: dd\ndata_dir: /d\ndatabase: {type: postgresql, user: root}\n");
	add_cluster(f, "e.yaml", "id: ee\ndata_dir: /e\n");
	conf = load(f);
	c = conf_find_cluster(conf, "aa");
	assert_false(c->identity_known || c->identity_from_owner);
	assert_non_null(strstr(c->refusal, "there is no user \"no-such-user\" here"));
	c = conf_find_cluster(conf, "bb");
	assert_true(c->identity_from_owner && !c->identity_known);
	assert_string_equal(c->refusal, "");
	c = conf_find_cluster(conf, "cc");
	assert_true(c->identity_known && !c->identity_from_owner);
	assert_int_equal(c->identity.uid, getpwnam("nobody")->pw_uid);
	c = conf_find_cluster(conf, "dd");
	assert_false(c->identity_known);
	assert_non_null(strstr(c->refusal, "never runs as root"));
	c = conf_find_cluster(conf, "ee");
	assert_string_equal(c->database.user, "postgres");
	assert_int_equal(c->identity_known, getpwnam("postgres") != NULL);
}

/* A sample with its comments taken off the keys: every built key is there, and says the default. */
static void check_sample(const char *path, const struct schema_row *table, const void *want, void *got, size_t size)
{
	char text[8192], *from, *to;
	struct conf_errors errors = {0};
	struct schema_lines lines;
	FILE *file = fopen(path, "r");
	size_t length;

	assert_non_null(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	for (from = to = text; *from; from++) {
		bool begins = from == text || from[-1] == '\n';

		if (!(begins && *from == '#' && from[1] >= 'a' && from[1] <= 'z'))
			*to++ = *from;
	}
	*to = '\0';
	schema_parse(table, path, text, (size_t)(to - text), got, &errors, &lines);
	if (errors.count)
		fail_msg("%s", errors.lines[0]);
	for (int i = 0; table[i].key; i++) {
		if (!table[i].not_built && !lines.at[i])
			fail_msg("%s does not show %s", path, table[i].key);
	}
	assert_memory_equal(want, got, size);
}

static void test_samples(void **state)
{
	static struct conf want, got;
	static struct conf_cluster want_cluster, got_cluster;
	const char *source = getenv("DBSNAP_SRCDIR"), *build = getenv("DBSNAP_BUILDDIR");
	char path[512];

	(void)state;
	if (!source || !build)
		skip();
	schema_set_defaults(conf_daemon_table(), &want);
	got.listen_count = 1; /* which no key says */
	snprintf(path, sizeof(path), "%s/etc/dbsnapd.yaml", build);
	check_sample(path, conf_daemon_table(), &want, &got, sizeof(want));
	schema_set_defaults(conf_cluster_table(), &want_cluster);
	snprintf(want_cluster.id, sizeof(want_cluster.id), "pc-orders");
	snprintf(want_cluster.description, sizeof(want_cluster.description), "Orders");
	snprintf(want_cluster.data_dir, sizeof(want_cluster.data_dir), "/srv/pg/orders");
	snprintf(path, sizeof(path), "%s/etc/clusters.d/pc-orders.yaml", source);
	check_sample(path, conf_cluster_table(), &want_cluster, &got_cluster, sizeof(want_cluster));
}

static int any_id(void *arg, const char *name, bool group, uint32_t *ret_id)
{
	(void)arg;
	(void)name;
	*ret_id = group ? 500 : 0;
	return 0;
}

static void test_sample_keys(void **state)
{
	struct fixture *f = *state;
	const char *source = getenv("DBSNAP_SRCDIR");
	char path[512], text[2048] = "";
	FILE *file;

	if (!source)
		skip();
	snprintf(path, sizeof(path), "%s/etc/access_keys.yaml", source);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_in_range(fread(text, 1, sizeof(text), file), 100, sizeof(text) - 1);
	fclose(file);
	write_keys(f, text, 0600);
	assert_int_equal(load(f)->key_count, 2);
	assert_true(f->conf->keys[0].has_uid);
	assert_int_equal(f->conf->keys[0].uid, 0);
	assert_false(f->conf->keys[1].has_uid);
}

static void test_sample_policy(void **state)
{
	const char *source = getenv("DBSNAP_SRCDIR");
	struct conf_errors lines = {0};
	struct policy *policy = policy_new();
	scope_free char *bytes = NULL;
	char path[512];
	size_t size;

	(void)state;
	if (!source) {
		policy_free(policy);
		skip();
	}
	snprintf(path, sizeof(path), "%s/etc/policies.d/10-dba.yaml", source);
	assert_int_equal(conf_file_read(AT_FDCWD, path, path, &lines, &bytes, &size), 0);
	assert_int_equal(policy_parse(policy, path, bytes, size, any_id, NULL, &lines, &lines), 0);
	assert_int_equal(lines.count, 0);
	assert_int_equal(policy_count(policy), 2);
	policy_free(policy);
}

static void test_table_is_whole(void **state)
{
	const struct schema_row *tables[] = {conf_daemon_table(), conf_cluster_table()};

	(void)state;
	for (int t = 0; t < 2; t++) {
		for (const struct schema_row *row = tables[t]; row->key; row++) {
			const char *dot = strchr(row->key, '.');
			char map[64];

			assert_true(row->doc && row->doc[strlen(row->doc) - 1] == '.');
			assert_int_equal(schema_find(tables[t], row->key), row - tables[t]); /* no key twice */
			if (!dot)
				continue;
			snprintf(map, sizeof(map), "%.*s", (int)(dot - row->key), row->key);
			assert_int_equal(tables[t][schema_find(tables[t], map)].kind, SCHEMA_MAP);
		}
	}
}

static const char *busy;

static bool is_busy(void *arg, const char *cluster)
{
	assert_ptr_equal(arg, &busy);
	return busy && strcmp(cluster, busy) == 0;
}

/* The fixture's present files against old: NULL if accepted. */
static const char *reload(struct fixture *f, const struct conf *old)
{
	static char why[300];
	int error;

	why[0] = '\0';
	error = conf_reload_refusal(old, load(f), is_busy, &busy, why, sizeof(why));
	assert_int_equal(error, why[0] ? ERR_STATE : 0);
	return error < 0 ? why : NULL;
}

static void test_reload_of_fixed_keys(void **state)
{
	struct fixture *f = *state;
	struct conf *old;

	load(f);
	old = scope_take_ptr(f->conf);
	busy = NULL;
	assert_null(reload(f, old));
	write_daemon(f, "state_dir: /elsewhere\n");
	assert_string_equal(reload(f, old), "state_dir is read at start only; restart dbsnapd to change it");
	write_daemon(f, "store: {map_size: 2GiB}\n");
	assert_non_null(strstr(reload(f, old), "store.map_size"));
	write_daemon(f, geteuid() == 0 ? "listen: {group: root, path: /x}\n" : "listen: {path: /x}\n");
	assert_non_null(strstr(reload(f, old), "listen.path"));
	write_daemon(f, geteuid() == 0 ? "listen: {group: root, mode: \"0666\"}\n" : "listen: {mode: \"0666\"}\n");
	assert_non_null(strstr(reload(f, old), "listen.mode"));
	if (geteuid() == 0) {
		write_daemon(f, "listen: {group: daemon}\n");
		assert_non_null(strstr(reload(f, old), "listen.group"));
	}
	write_daemon(f, "quota: {manual_per_day: 9}\njobs: {timeout: 2h}\nlimits: {body: 1KiB}\nstore: {history: 1d}\n");
	assert_null(reload(f, old));
	conf_free(old);
}

static void test_reload_under_a_job(void **state)
{
	static const struct {
		const char *text, *key;
	} rows[] = {
		{"id: aa\ndata_dir: /other\n", "data_dir"},
		{"id: aa\ndata_dir: /a\nsnapshot_dir: /s\n", "snapshot_dir"},
		{"id: aa\ndata_dir: /a\nbackend: btrfs\n", "backend"},
		{"id: aa\ndata_dir: /a\ndatabase: {user: root}\n", "database.user"},
		{"id: bb\ndata_dir: /a\n", "be removed"},
	};
	struct fixture *f = *state;
	struct conf *old;

	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /a\n");
	load(f);
	old = scope_take_ptr(f->conf);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add_cluster(f, "a.yaml", rows[i].text);
		busy = "zz";
		assert_null(reload(f, old));
		busy = "aa";
		assert_non_null(strstr(reload(f, old), "cluster aa has a job in flight"));
		assert_non_null(strstr(reload(f, old), rows[i].key));
	}
	add_cluster(f, "a.yaml", "id: aa\ndata_dir: /a\nmin_free: 1GiB\ndescription: other\ndatabase: {quiesce: none}\n");
	assert_null(reload(f, old));
	conf_free(old);
}

static void test_own_places(void **state)
{
	char path[256];

	(void)state;
	if (geteuid() == 0) {
		assert_int_equal(conf_default_path(path, sizeof(path)), 0);
		assert_string_equal(path, DBSNAP_SYSCONFDIR "/dbsnap/dbsnapd.yaml");
		assert_int_equal(conf_default_path(path, 5), ERR_TOO_LONG);
		return;
	}
	setenv("XDG_CONFIG_HOME", "/c", 1);
	assert_int_equal(conf_default_path(path, sizeof(path)), 0);
	assert_string_equal(path, "/c/dbsnap/dbsnapd.yaml");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_cluster_defaults),
		TEST(test_clusters_are_sorted_and_found),
		TEST(test_every_error_of_every_file),
		TEST(test_policies_in_order),
		TEST(test_policies_refused),
		TEST(test_policies_that_lock_out),
		TEST(test_policies_that_do_nothing),
		TEST(test_policies_alone),
		TEST(test_least_map_size),
		TEST(test_listen_as_a_list),
		TEST(test_clusters_on_each_other),
		TEST(test_state_dir_inside_a_source),
		TEST(test_conninfo),
		TEST(test_conninfo_of_mariadb),
		TEST(test_mariadb),
		TEST(test_password_is_refused_and_not_shown),
		TEST(test_who_may_write),
		TEST(test_who_owns),
		TEST(test_strange_files),
		TEST(test_file_size),
		TEST(test_number_of_clusters),
		TEST(test_missing_places),
		TEST(test_group),
		TEST(test_users),
		TEST(test_access_keys),
		TEST(test_access_keys_that_are_none),
		TEST(test_access_keys_of_others),
		TEST(test_access_keys_missing),
		TEST(test_samples),
		TEST(test_sample_keys),
		TEST(test_sample_policy),
		TEST(test_table_is_whole),
		TEST(test_reload_of_fixed_keys),
		TEST(test_reload_under_a_job),
		TEST(test_own_places),
	};

	umask(022);
	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
