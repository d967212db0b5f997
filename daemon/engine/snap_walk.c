/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Images that are walked. This process makes the folders, which are the
 * database user's and lie below one that is root's alone; every name in
 * them is the walker's. Who is to empty such a folder is told by its owner,
 * so that a lost manifest or another database.user keeps nobody from it.
 */
#include "daemon/engine/snap_walk.h"

#include "common/err.h"
#include "common/ident.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/tree.h"
#include "daemon/engine/volume.h"
#include "daemon/engine/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGE_MODE = 0700, TABLESPACES_MAX = TREE_ROOTS_MAX - 1 };

static const char tblspc[] = "tblspc";

/* A folder below dir_fd, no link followed, no mount entered. The descriptor, or a code with why. */
static int open_below(int dir_fd, const char *name, struct reason *why)
{
	int fd = tree_open(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);

	return fd >= 0 ? fd : reason_set_errno(why, errno, "cannot open %s", name);
}

static int make_folder(int dir_fd, const char *name, struct reason *why)
{
	if (mkdirat(dir_fd, name, IMAGE_MODE) == 0)
		return open_below(dir_fd, name, why);
	if (errno == EEXIST)
		return reason_set(why, ERR_EXISTS, NULL, "%s is there already", name);
	return reason_set_errno(why, errno, "cannot make the folder %s", name);
}

int snap_walk_make_image(const struct worker_job *job, int dir_fd, const char *name, struct reason *why)
{
	scope_close int fd = make_folder(dir_fd, name, why);

	if (fd < 0)
		return fd;
	if (job->as_root && fchown(fd, job->identity.uid, job->identity.gid) < 0)
		return reason_set_errno(why, errno, "cannot give %s to the database's user", name);
	return scope_take_fd(fd);
}

/* What a walk works on: pairs of folders, each closed at its end; -1 is for the walker to open or to make. */
struct roots {
	struct tree_root at[TREE_ROOTS_MAX];
	uint32_t oids[TREE_ROOTS_MAX]; /* of the tablespaces, which begin at 1 */
	size_t count;
};

static void close_roots(struct roots *roots)
{
	for (size_t i = 0; i < roots->count; i++) {
		if (roots->at[i].from >= 0)
			close(roots->at[i].from);
		if (roots->at[i].to >= 0)
			close(roots->at[i].to);
	}
}

#define scope_roots __attribute__((cleanup(close_roots))) struct roots

/* What goes into the walker, which is a fork: pointers are good there. */
struct question {
	struct tree_plan plan;
	const struct roots *roots;
	const struct snap_tablespace *tablespaces; /* a cut's: where those of the roots lie */
};

static void name_tablespace(uint32_t oid, char name[static 16])
{
	snprintf(name, 16, "%" PRIu32, oid);
}

/* As an administrator finds it, from data_dir on. */
static void name_in_source(uint32_t oid, char name[static TREE_ROOT_NAME_SIZE])
{
	snprintf(name, TREE_ROOT_NAME_SIZE, "pg_tblspc/%" PRIu32, oid);
}

/* In the walker. The server has named it, and it is its user who opens it: by whatever links, they are his rights. */
static int open_tablespace(const struct snap_tablespace *tablespace, struct reason *why)
{
	int fd = open(tablespace->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

	return fd >= 0 ? fd
		       : reason_set_errno(why, errno, "cannot open tablespace %" PRIu32 " at %.400s", tablespace->oid,
					  tablespace->path);
}

/* In the walker: a clone is its user's folder, so nobody else makes names in it. */
static int make_tablespace(int clone_fd, uint32_t oid, struct reason *why)
{
	scope_close int folder = -1;
	char name[16];

	if (mkdirat(clone_fd, tblspc, IMAGE_MODE) < 0 && errno != EEXIST)
		return reason_set_errno(why, errno, "cannot make %s in the clone", tblspc);
	folder = open_below(clone_fd, tblspc, why);
	if (folder < 0)
		return folder;
	name_tablespace(oid, name);
	return make_folder(folder, name, why);
}

/* In the walker. fds: of each root where it is from and where to; of what it is to open or make, those of root 0. */
static int copy(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct question *question = arg;
	const struct roots *known = question->roots;
	struct tree_root roots[TREE_ROOTS_MAX];

	for (size_t i = 0; i < known->count; i++) {
		roots[i] = known->at[i];
		roots[i].from = fds[2 * i];
		roots[i].to = fds[2 * i + 1];
		if (known->at[i].from < 0)
			roots[i].from = open_tablespace(&question->tablespaces[i - 1], why);
		if (roots[i].from >= 0 && known->at[i].to < 0)
			roots[i].to = make_tablespace(roots[0].to, known->oids[i], why);
		if (roots[i].from < 0 || roots[i].to < 0)
			return roots[i].from < 0 ? roots[i].from : roots[i].to;
	}
	return tree_copy(roots, known->count, &question->plan, answer, why);
}

static int run(struct worker_job *job, const struct question *question, struct tree_report *ret_report,
	       struct reason *why)
{
	const struct roots *roots = question->roots;
	int fds[2 * TREE_ROOTS_MAX];

	for (size_t i = 0; i < roots->count; i++) {
		fds[2 * i] = roots->at[i].from >= 0 ? roots->at[i].from : roots->at[0].from;
		fds[2 * i + 1] = roots->at[i].to >= 0 ? roots->at[i].to : roots->at[0].to;
	}
	return walker_run(job, copy, question, fds, 2 * roots->count, ret_report, sizeof(*ret_report), why);
}

/* In the walker. */
static int measure_tablespace(const struct snap_order *order, size_t number, uint64_t *ret_bytes, struct reason *why)
{
	const struct snap_tablespace *tablespace = &order->tablespaces[number];
	scope_close int fd = open_tablespace(tablespace, why);
	char name[TREE_ROOT_NAME_SIZE];
	struct reason below = *why;
	int error;

	if (fd < 0)
		return fd;
	error = tree_measure(fd, number + 1, order->plan.judge, order->plan.arg, ret_bytes, &below);
	if (error == 0)
		return 0;
	*why = below;
	name_in_source(tablespace->oid, name);
	snprintf(why->cause, sizeof(why->cause), "in %s: %.*s", name, (int)(sizeof(why->cause) - sizeof(name) - 8),
		 below.cause);
	return error;
}

/* In the walker. A folder that is only emptied counts: pg_wal, of which the WAL is taken later. */
static int measure(const void *arg, const int *fds, void *answer, struct reason *why)
{
	const struct snap_order *order = arg;
	const struct tree_plan *plan = &order->plan;
	uint64_t sum = 0, bytes;
	int error = tree_measure(fds[0], 0, plan->judge, plan->arg, &sum, why);

	for (size_t i = 0; error == 0 && i < order->tablespace_count; i++) {
		error = measure_tablespace(order, i, &bytes, why);
		sum += error == 0 ? bytes : 0;
	}
	*(uint64_t *)answer = sum;
	return error;
}

int snap_walk_measure(const struct snap_order *order, uint64_t *ret_bytes, struct reason *why)
{
	return walker_run(order->job, measure, order, &order->job->data_fd, 1, ret_bytes, sizeof(*ret_bytes), why);
}

static int add_tablespaces(const struct snap_order *order, struct roots *roots, struct reason *why)
{
	scope_close int folder = -1;
	char name[16];

	if (order->tablespace_count == 0)
		return 0;
	if (order->tablespace_count > TABLESPACES_MAX)
		return reason_set(why, ERR_LAYOUT, NULL, "there are more than %d tablespaces", TABLESPACES_MAX);
	folder = make_folder(order->to_fd, tblspc, why);
	if (folder < 0)
		return folder;
	for (size_t i = 0; i < order->tablespace_count; i++) {
		int to;

		name_tablespace(order->tablespaces[i].oid, name);
		to = snap_walk_make_image(order->job, folder, name, why);
		if (to < 0)
			return to;
		roots->at[roots->count] = (struct tree_root){.from = -1, .to = to};
		name_in_source(order->tablespaces[i].oid, roots->at[roots->count++].name);
	}
	return 0;
}

/* Lines of the walker: the database user's word, for people. */
static void tidy(struct tree_report *report)
{
	report->lines[sizeof(report->lines) - 1] = '\0';
	for (char *c = report->lines; *c; c++) {
		if (*c != '\n' && (*c < 0x20 || *c > 0x7e))
			*c = '?';
	}
}

/* The lines of the second walk after those of the first, as far as there is room. */
static void add_lines(struct tree_report *to, const struct tree_report *first)
{
	char lines[sizeof(to->lines)];
	int length = snprintf(lines, sizeof(lines), "%s%s%s", first->lines, first->lines[0] && to->lines[0] ? "\n" : "",
			      to->lines);

	memcpy(to->lines, length < (int)sizeof(lines) ? lines : first->lines, sizeof(lines));
	to->skipped += first->skipped;
}

static int walk_source(const struct snap_order *order, enum file_way way, enum tree_stage stage,
		       struct snap_made *ret_made, struct reason *why)
{
	scope_roots roots = {.count = 0};
	struct question question = {.plan = order->plan, .roots = &roots, .tablespaces = order->tablespaces};
	scope_free struct snap_made *made = calloc(1, sizeof(*made));
	int image, from, error;

	if (!made)
		return reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
	image = stage == TREE_FILL ? open_below(order->to_fd, "data", why) :
				     snap_walk_make_image(order->job, order->to_fd, "data", why);
	if (image < 0)
		return image;
	question.plan.way = way;
	question.plan.stage = stage;
	question.plan.lives = true;
	question.plan.done = order->job->gauge.done;
	from = fcntl(order->job->data_fd, F_DUPFD_CLOEXEC, 3);
	roots.at[roots.count++] = (struct tree_root){.from = from, .to = image};
	if (from < 0)
		return reason_set_errno(why, errno, "cannot keep the data directory open");
	error = add_tablespaces(order, &roots, why);
	if (error == 0)
		error = run(order->job, &question, &made->report, why);
	if (error < 0)
		return error;
	tidy(&made->report);
	if (stage == TREE_FILL)
		add_lines(&made->report, &ret_made->report);
	*ret_made = *made;
	return 0;
}

int snap_walk_prepare(const struct snap_order *order, struct snap_made *ret_made, struct reason *why)
{
	return walk_source(order, FILE_CLONE, TREE_PREPARE, ret_made, why);
}

int snap_walk_cut(const struct snap_order *order, enum file_way way, struct snap_made *ret_made, struct reason *why)
{
	return walk_source(order, way, order->held ? TREE_FILL : TREE_AT_ONCE, ret_made, why);
}

/* tblspc/ of a backup is root's folder, and so its names are ours. */
static int add_images(int backup_fd, struct roots *roots, struct reason *why)
{
	scope_close int folder = tree_open(backup_fd, tblspc, O_RDONLY | O_DIRECTORY, 0);
	scope_closedir DIR *dir = folder < 0 ? NULL : names_open(folder);
	const char *name;
	uint64_t oid;
	int more = 0;

	if (folder < 0 && errno == ENOENT)
		return 0;
	while (dir && (more = names_next(dir, &name)) > 0) {
		int from;

		if (roots->count == TREE_ROOTS_MAX || ident_parse_id(name, &oid) < 0 || oid > UINT32_MAX)
			return reason_set(why, ERR_CORRUPT, NULL, "the backup's %s holds %.64s, which is no tablespace",
					  tblspc, name);
		from = open_below(folder, name, why);
		if (from < 0)
			return from;
		roots->oids[roots->count] = (uint32_t)oid;
		roots->at[roots->count] = (struct tree_root){.from = from, .to = -1};
		snprintf(roots->at[roots->count].name, sizeof(roots->at[0].name), "%s/%" PRIu32, tblspc, (uint32_t)oid);
		roots->count++;
	}
	return !dir || more < 0 ? reason_set_errno(why, errno, "cannot list the backup's %s", tblspc) : 0;
}

/* backup_fd: of the tablespaces that go into the clone as well; -1: the image alone. */
static int clone_roots(struct worker_job *job, int image_fd, int backup_fd, int parent_fd, const char *name, enum file_way way,
		       struct reason *why)
{
	scope_roots roots = {.count = 0};
	struct question question = {.plan = {.way = way, .done = job->gauge.done}, .roots = &roots};
	scope_free struct tree_report *report = calloc(1, sizeof(*report));
	int from = fcntl(image_fd, F_DUPFD_CLOEXEC, 3), error;

	if (from < 0)
		return reason_set_errno(why, errno, "cannot keep the backup open");
	roots.at[roots.count++] = (struct tree_root){.from = from, .to = -1};
	if (!report)
		return reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
	roots.at[0].to = snap_walk_make_image(job, parent_fd, name, why);
	error = roots.at[0].to;
	if (error >= 0 && backup_fd >= 0)
		error = add_images(backup_fd, &roots, why);
	return error < 0 ? error : run(job, &question, report, why);
}

int snap_walk_clone_image(struct worker_job *job, int image_fd, int parent_fd, const char *name, enum file_way way,
			  struct snap_identity *ret_identity, struct reason *why)
{
	int error = clone_roots(job, image_fd, -1, parent_fd, name, way, why);

	if (error == 0)
		*ret_identity = (struct snap_identity){0};
	return error;
}

int snap_walk_clone(struct worker_job *job, int backup_fd, int parent_fd, const char *name, enum file_way way,
		    struct snap_identity *ret_identity, struct reason *why)
{
	scope_close int image_fd = open_below(backup_fd, "data", why);
	int error = image_fd < 0 ? image_fd : clone_roots(job, image_fd, backup_fd, parent_fd, name, way, why);

	if (error == 0)
		*ret_identity = (struct snap_identity){0};
	return error;
}

/* In the walker. */
static int make_below(const void *arg, const int *fds, void *answer, struct reason *why)
{
	scope_close int fd = make_folder(fds[0], arg, why);

	(void)answer;
	return fd < 0 ? fd : 0;
}

int snap_walk_make_below(struct worker_job *job, int dir_fd, const char *name, struct reason *why)
{
	char nothing;

	return walker_run(job, make_below, name, &dir_fd, 1, &nothing, 0, why);
}

/* In the walker. */
static int copy_below(const void *arg, const int *fds, void *answer, struct reason *why)
{
	scope_close int to = make_folder(fds[1], arg, why);
	const struct tree_plan plan = {.way = FILE_EITHER};
	const struct tree_root root = {.from = fds[0], .to = to};

	return to < 0 ? to : tree_copy(&root, 1, &plan, answer, why);
}

int snap_walk_copy_below(struct worker_job *job, int from_fd, int dir_fd, const char *name, struct reason *why)
{
	scope_free struct tree_report *report = calloc(1, sizeof(*report));
	const int fds[] = {from_fd, dir_fd};

	return report ? walker_run(job, copy_below, name, fds, 2, report, sizeof(*report), why) :
			reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
}

static int clear(const void *arg, const int *fds, void *answer, struct reason *why)
{
	(void)arg;
	(void)answer;
	return tree_clear(fds[0], why);
}

int snap_walk_empty(struct worker_job *job, int fd, struct reason *why)
{
	struct proc_identity before = job->identity;
	struct stat st;
	char nothing;
	int error;

	if (fstat(fd, &st) < 0)
		return reason_set_errno(why, errno, "cannot tell whose folder it is");
	if (job->as_root)
		job->identity = (struct proc_identity){.uid = st.st_uid, .gid = st.st_gid};
	else
		proc_identity_self(&job->identity);
	error = walker_run(job, clear, NULL, &fd, 1, &nothing, 0, why);
	job->identity = before;
	return error;
}

/* A subvolume is another backend's, and its inside may be another's tree: only our own kind is emptied. */
static int refuse_subvolume(int fd, const char *name, struct reason *why)
{
	struct snap_identity identity;
	struct reason ignored = {0};
	struct volume volume;

	if (volume_of(fd, &volume) == 0 && volume_is_btrfs(&volume) &&
	    snap_btrfs_identify(fd, &identity, &ignored) == 0)
		return reason_set(why, ERR_FOREIGN, "look at it and remove it by hand",
				  "%s is a btrfs subvolume, not a folder that was filled by a walk", name);
	return 0;
}

int snap_walk_destroy(struct worker_job *job, int parent_fd, const char *name, struct reason *why)
{
	scope_close int fd = tree_open(parent_fd, name, O_RDONLY | O_DIRECTORY, 0);
	int error;

	if (fd < 0)
		return errno == ENOENT ? 0 : reason_set_errno(why, errno, "cannot open %s to remove it", name);
	error = refuse_subvolume(fd, name, why);
	if (error == 0)
		error = snap_walk_empty(job, fd, why);
	if (error == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		error = reason_set_errno(why, errno, "cannot remove the folder %s", name);
	return error;
}

int snap_walk_sync(int fd, struct reason *why)
{
	return syncfs(fd) < 0 ? reason_set_errno(why, errno, "the file system did not write out what was made") : 0;
}
