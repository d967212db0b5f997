/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The PostgreSQL and backend parts of the engine as a program, without engine,
 * place and manifest around them, so that a test reaches each verb by itself:
 *   pg_driver check DATA_DIR USER LIBEXEC CONNINFO
 *   pg_driver cut DATA_DIR USER LIBEXEC CONNINFO FOLDER [held]
 *   pg_driver clone IMAGE USER FOLDER NAME
 *   pg_driver destroy FOLDER NAME
 *   pg_driver measure FOLDER USER
 * Prints "key: value" lines; exit status 1 and cause and remedy when refused. cut makes FOLDER/data and FOLDER/config;
 * with "held" it waits before and after the cut: prints a line and reads one. The environment's DRIVER_BACKEND and
 * DRIVER_TYPE stand for the cluster file's backend and database.type; both are auto without.
 */
#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/db.h"
#include "daemon/engine/manifest.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FREEZE_MS = 10000 };

static struct conf_cluster cluster;
static struct worker_job job;

static int fail(const struct reason *why)
{
	printf("code: %s\ncause: %s\nremedy: %s\nretry: %d\n", err_name(why->code), why->cause, why->remedy, why->retry);
	return 1;
}

static int open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		perror(path);
	return fd;
}

/* A job as the engine makes them, but for the other end of its link. */
static bool prepare(const char *user)
{
	static int pair[2];

	job = (struct worker_job){.cluster = &cluster, .data_fd = -1, .lock_fd = -1, .as_root = geteuid() == 0,
				  .pid = getpid()};
	job.order.job = job.order.backup = 7;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	job.link = pair[0];
	cluster.identity_known = proc_identity_of(user, &cluster.identity) == 0;
	job.identity = cluster.identity;
	return cluster.identity_known;
}

/* What a cluster's file would say. */
static void configure(void)
{
	const char *backend = getenv("DRIVER_BACKEND"), *type = getenv("DRIVER_TYPE");

	cluster.database.max_freeze_ms = MAX_FREEZE_MS;
	for (int i = CONF_BACKEND_AUTO; backend && i <= CONF_BACKEND_COPY; i++) {
		if (strcmp(backend, conf_backend_name((enum conf_backend)i)) == 0)
			cluster.backend = (enum conf_backend)i;
	}
	for (int i = CONF_DATABASE_AUTO; type && i <= CONF_DATABASE_NONE; i++) {
		if (strcmp(type, conf_database_name((enum conf_database)i)) == 0)
			cluster.database.type = (enum conf_database)i;
	}
}

static void hold(const char *where, bool held)
{
	char line[16];

	printf("at: %s\n", where);
	fflush(stdout);
	if (held && !fgets(line, sizeof(line), stdin))
		_exit(3);
}

static int cut(struct db *db, const struct layout *layout, const char *folder, bool held, struct reason *why)
{
	scope_close int parent = open_folder(folder), image = -1, config = -1;
	struct snap_order order = {.job = &job, .to_fd = parent};
	struct snap_made made;
	struct db_position position;
	struct db_walk walk;
	int64_t begin;
	int error = db->ops->before(db, &position, why);

	hold("before", held);
	if (error == 0)
		error = layout->snap->flush(job.data_fd, why);
	begin = clock_measure_us();
	db->ops->walk(db, &walk);
	order.plan = walk.plan;
	order.tablespaces = walk.tablespaces;
	order.tablespace_count = walk.tablespace_count;
	order.adds = walk.adds;
	if (error == 0)
		error = layout->snap->cut(&order, &made, why);
	printf("cut_us: %" PRId64 "\n", clock_measure_us() - begin);
	hold("after", held);
	if (error == 0)
		error = db->ops->after(db, parent, &position, why);
	if (error == 0 && position.added && layout->snap->seal)
		error = layout->snap->seal(parent, why);
	if (error == 0)
		error = layout_check_again(&job, layout, why);
	if (error < 0)
		return error;
	image = openat(parent, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(parent, "config", 0700);
	config = openat(parent, "config", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = db->ops->check_image(db, image, &position, why);
	if (error == 0 && db->ops->save_config)
		error = db->ops->save_config(db, config, why);
	printf("floor: %s\nposition: %s\nsystem_identifier: %s\nuuid: %s\nread_only: %d\n", position.floor,
	       position.position, position.system_identifier, made.image.uuid, made.image.read_only);
	return error;
}

static int examine(char **args, bool to_cut)
{
	static struct layout layout;
	struct reason why = {0};
	struct db *db = NULL;
	int error;

	snprintf(cluster.data_dir, sizeof(cluster.data_dir), "%s", args[0]);
	snprintf(cluster.database.conninfo, sizeof(cluster.database.conninfo), "%s", args[3]);
	job.libexec_dir = args[2];
	configure();
	error = job_open_source(&job, &why);
	if (error == 0)
		error = layout_examine(&job, -1, "", &layout, &db, &why);
	if (error == 0) {
		printf("procedure: %s\npromise: %s\nserver: %s\nweakened: %s\n", layout.procedure, layout.promise,
		       layout.server, layout.weakened);
		if (to_cut)
			error = cut(db, &layout, args[4], args[5] != NULL, &why);
		db->ops->close(db);
	}
	return error < 0 ? fail(&why) : 0;
}

/* The one that the environment names; auto: the first. */
static const struct snap_ops *backend(void)
{
	configure();
	return snap_candidate(cluster.backend, 0);
}

static int clone(char **args)
{
	static struct manifest manifest;
	scope_close int image = open_folder(args[0]), parent = open_folder(args[2]), made = -1;
	scope_close int backup = openat(image, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct snap_identity identity;
	struct db_clone answer;
	struct reason why = {0};
	char path[MSG_PATH_SIZE];
	int error = backend()->clone(&job, backup, parent, args[3], &identity, &why);

	if (error < 0)
		return fail(&why);
	snprintf(path, sizeof(path), "%s/%s", args[2], args[3]);
	made = open_folder(path);
	if (faccessat(image, "backup_label", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		snprintf(manifest.facts.procedure, sizeof(manifest.facts.procedure), "%s",
			 faccessat(backup, "wal", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? "C" : "B");
	error = db_postgresql.make_clone(&job, &manifest, made, path, &answer, &why);
	if (error < 0)
		return fail(&why);
	printf("socket_dir: %s\nport: %" PRIu32 "\n", answer.socket_dir, answer.port);
	return 0;
}

static int destroy(char **args)
{
	scope_close int parent = open_folder(args[0]);
	struct reason why = {0};
	int error = backend()->destroy(&job, parent, args[1], &why);

	if (error == 0)
		error = backend()->sync(parent, &why);
	return error < 0 ? fail(&why) : 0;
}

static int measure(char **args)
{
	scope_close int root = open_folder(args[0]);
	struct reason why = {0};
	uint64_t bytes;
	int error = walker_measure(&job, root, &bytes, &why);

	if (error < 0)
		return fail(&why);
	printf("bytes: %" PRIu64 "\n", bytes);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 3 ? argv[1] : "";

	/* Whose the tree is, its folder tells. */
	if (strcmp(verb, "destroy") == 0)
		return prepare("root") ? destroy(argv + 2) : 2;
	if (argc < 4 || !prepare(argv[3]))
		return 2;
	if (strcmp(verb, "measure") == 0)
		return measure(argv + 2);
	if (strcmp(verb, "clone") == 0 && argc == 6)
		return clone(argv + 2);
	if (strcmp(verb, "check") == 0 && argc == 6)
		return examine(argv + 2, false);
	if (strcmp(verb, "cut") == 0 && argc >= 7)
		return examine(argv + 2, true);
	return 2;
}
