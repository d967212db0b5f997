/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A restore in place. Nothing is ever written into the old data directory, or removed from it: a copy is made beside it
 * and made whole, then the two names are exchanged in one call. Whoever finds the folders later knows by their names
 * and the paper in them whether to undo or to finish; which directory is the copy its identity says.
 */
#include "daemon/engine/step.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/holder.h"
#include "daemon/engine/restore_parts.h"
#include "daemon/engine/space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WORK_MODE = 0700 };

struct work {
	struct restore *r;
	int fd; /* the folder, by whichever name; -1 */
	struct intent intent;
	bool has_paper, has_data;
	bool exchanged; /* data_dir is the copy, or what was there before it lies here as data: this restore cannot fail any more */
	bool over;      /* nothing is left to finish or to undo, though it was not done */
};

static bool exists(struct restore *r, const char *name)
{
	struct stat st;

	return fstatat(r->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int rename_to(struct work *w, int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (syscall(SYS_renameat2, from_fd, from, to_fd, to, flags) == 0)
		return 0;
	return reason_set_errno(w->r->why, errno, "cannot rename %s to %s in %s", from, to, w->r->parent);
}

static int commit(struct work *w)
{
	if (syncfs(w->r->parent_fd) == 0)
		return 0;
	return reason_set_errno(w->r->why, errno, "the file system of %s did not commit", w->r->parent);
}

/* Whatever was done so far to names in both folders survives a power cut. */
static int sync_names(struct work *w)
{
	int error = w->fd >= 0 ? place_sync(w->fd, w->r->why) : 0;

	if (error == 0)
		error = place_sync(w->r->parent_fd, w->r->why);
	return error == 0 ? commit(w) : error;
}

static int refuse_work(struct work *w, const char *name)
{
	return reason_set(w->r->why, ERR_FOREIGN, "look at it, and move it away", "%s/%s is there and is not this job's",
			  w->r->parent, name);
}

static int read_paper(struct work *w, const char *name)
{
	char path[MSG_PATH_SIZE];
	int found;

	restore_path(w->r, name, path);
	found = restore_read_paper(w->r, w->fd, path, &w->intent);
	w->has_paper = found > 0;
	return found < 0 ? found : 0;
}

/* 1: it is there and ours; 0: there is none; or a code. */
static int open_work(struct work *w, const char *name)
{
	struct restore *r = w->r;
	struct stat st;
	int error;

	*w = (struct work){.r = r};
	w->fd = openat(r->parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (w->fd < 0 && errno == ENOENT)
		return 0;
	if (w->fd < 0 || fstat(w->fd, &st) < 0)
		return errno == ELOOP || errno == ENOTDIR ? refuse_work(w, name) :
							     reason_set_errno(r->why, errno, "cannot open %s/%s", r->parent, name);
	/* Nobody but who made it so could put anything in it. */
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return refuse_work(w, name);
	error = read_paper(w, name);
	w->has_data = error == 0 && fstatat(w->fd, "data", &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (error == 0 && w->has_data && !w->has_paper)
		error = refuse_work(w, name);
	return error < 0 ? error : 1;
}

static void close_work(struct work *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static int remove_folder(struct work *w, const char *name)
{
	static const char *const papers[] = {RESTORE_SPACES ".new", RESTORE_SPACES, "intent.new", "intent"};

	for (size_t i = 0; i < sizeof(papers) / sizeof(papers[0]); i++) {
		if (unlinkat(w->fd, papers[i], 0) < 0 && errno != ENOENT)
			return reason_set_errno(w->r->why, errno, "cannot remove %s/%s/%s", w->r->parent, name, papers[i]);
	}
	if (unlinkat(w->r->parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return reason_set_errno(w->r->why, errno, "cannot remove %s/%s", w->r->parent, name);
	return sync_names(w);
}

/* A copy that was never exchanged, half or whole, under the name of one in the making. */
static int remove_making(struct work *w)
{
	const struct snap_ops *snap = snap_find(w->intent.backend);
	int error;

	if (w->has_data && !snap)
		return reason_set(w->r->why, ERR_UNSUPPORTED, "use the release that made it", "this release cannot remove a copy on %s",
				  w->intent.backend);
	error = w->has_paper ? restore_remove_parts(w->r, w->fd, w->intent.backend) : 0;
	if (error == 0 && w->has_data)
		error = snap->destroy(w->r->job, w->fd, "data", w->r->why);
	/* Before the folder may go, whichever attempt destroyed what was in it: remnant.c says why. */
	if (error == 0 && w->has_paper)
		error = commit(w);
	return error == 0 ? remove_folder(w, w->r->names.making) : error;
}

/* Is what name shows below dir_fd the copy? 1, 0; or a code with why: it cannot be told. */
static int is_copy(const struct work *w, int dir_fd, const char *name)
{
	scope_close int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct snap_identity identity;
	struct stat st, parent;
	int error;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0 || fstat(w->r->parent_fd, &parent) < 0)
		return reason_set_errno(w->r->why, errno, "cannot look at %s, which may be the copy", name);
	if (!w->intent.subvolume_uuid[0])
		return st.st_ino == w->intent.inode && st.st_dev == parent.st_dev;
	error = snap_btrfs_identify(fd, &identity, w->r->why);
	if (error < 0)
		return error == ERR_LAYOUT ? 0 : error; /* no subvolume */
	return strcmp(identity.uuid, w->intent.subvolume_uuid) == 0;
}

/* ---- after the exchange ---- */

/* Who works in the folder name below dir_fd, which lies at path? As holder_find(). */
static int look_for(struct work *w, int dir_fd, const char *name, const char *path, char *who, size_t size)
{
	scope_close int fd = place_open_dir(dir_fd, name, w->r->why);

	return fd < 0 ? fd : holder_find(w->r->job, fd, path, who, size, w->r->why);
}

/*
 * Somebody may have begun to work in the old directory between the last proof and the exchange. As long as nobody
 * works in the new one they are exchanged back. 0; ERR_BUSY: they were; or another code: it is not known.
 */
static int check_exchange(struct work *w)
{
	struct restore *r = w->r;
	struct log_about about = job_about(r->job);
	char who[MSG_TEXT_SIZE / 2], other[MSG_TEXT_SIZE / 2], path[MSG_PATH_SIZE + 8];
	int found;

	snprintf(path, sizeof(path), "%.700s/%s/data", r->parent, r->names.ready);
	found = look_for(w, w->fd, "data", path, who, sizeof(who));
	if (found <= 0)
		return found;
	found = look_for(w, r->parent_fd, r->base, r->job->cluster->data_dir, other, sizeof(other));
	if (found > 0)
		log_about(LOG_LEVEL_ERROR, &about, "the restore stays: %s; but the old data directory is still used: %s", other, who);
	if (found != 0)
		return found < 0 ? found : 0;
	found = rename_to(w, w->fd, "data", r->parent_fd, r->base, RENAME_EXCHANGE);
	w->exchanged = found < 0;
	if (found == 0)
		found = sync_names(w);
	if (found < 0)
		return found;
	return reason_set(r->why, ERR_BUSY, "stop the server, and keep it stopped until the restore is done",
			  "exchanged back, as somebody had begun to work in the data directory: %s", who);
}

/* The old directory gets its name; with it gone from here the folder goes. */
static int finish(struct work *w)
{
	struct restore *r = w->r;
	int error = w->has_data ? check_exchange(w) : 0;

	if (error == 0)
		error = restore_release_parts(r, w->fd);
	if (error == 0 && w->has_data) {
		error = rename_to(w, w->fd, "data", r->parent_fd, r->names.kept, RENAME_NOREPLACE);
		w->has_data = error < 0;
	}
	if (error == 0)
		error = sync_names(w);
	return error == 0 ? remove_folder(w, r->names.ready) : error;
}

/* Whoever is told why it cannot be finished is told first where the data is that he would miss. */
static enum msg_outcome stay_exchanged(struct work *w)
{
	struct restore *r = w->r;
	struct reason said = *r->why;
	char path[MSG_PATH_SIZE], where[MSG_PATH_SIZE];

	restore_path(r, w->has_data ? r->names.ready : r->names.kept, path);
	snprintf(where, sizeof(where), "%.1000s%s", path, w->has_data ? "/data" : "");
	if (w->has_data || exists(r, r->names.kept))
		reason_set(r->why, said.code, said.remedy, "what was in data_dir before is %s; the restore cannot be finished yet: %s",
			   where, said.cause);
	else
		reason_set(r->why, said.code, said.remedy, "the restore cannot be finished yet: %s", said.cause);
	r->why->retry = said.retry;
	return OUTCOME_UNKNOWN;
}

/* ---- what earlier attempts left ---- */

/*
 * Is data_dir the copy that an earlier attempt of this job made, when nothing else of it is left? Then it was done, and its end was
 * not told. 1, 0; or a code with why. Neither a time nor a name says so: a clock may be set back, and the name of what is
 * kept may be anybody's.
 */
static int was_done(struct work *w)
{
	struct restore *r = w->r;
	scope_free char *text = NULL;
	struct intent intent;
	size_t size;
	int error = place_read_file(r->place.fd, PLACE_RESTORE, &text, &size);

	if (error == 0)
		error = intent_decode(text, size, &intent);
	if (error == ERR_IO || error == ERR_NOMEM)
		return reason_set_retry(r->why, error, NULL, "cannot read %.900s/" PLACE_RESTORE ": %s", r->place.path, err_text(error));
	if (error < 0 || !nonce_equal(&intent.nonce, &r->job->order.nonce))
		return 0;
	w->intent = intent;
	return is_copy(w, r->parent_fd, r->base);
}

/* Back to the name of one in the making, so that no folder without intent is ever taken for one that is done. */
static int undo_ready(struct work *w)
{
	struct restore *r = w->r;
	int error = rename_to(w, r->parent_fd, r->names.ready, r->parent_fd, r->names.making, RENAME_NOREPLACE);

	if (error == 0)
		error = place_sync(r->parent_fd, r->why);
	return error == 0 ? remove_making(w) : error;
}

/* Neither of the two is the copy: somebody has moved one. As long as data is here it is the old one. */
static int refuse_moved(struct work *w)
{
	struct restore *r = w->r;

	w->exchanged = w->has_data;
	w->over = !w->has_data;
	return reason_set(r->why, ERR_MISMATCH, "look at both, and move the right one to data_dir",
			  "neither %s nor %s/%s/data is the copy that was made", r->job->cluster->data_dir, r->parent,
			  r->names.ready);
}

static int settle_exchanged(struct work *w)
{
	int error;

	w->exchanged = true;
	error = finish(w);
	if (error < 0 && !w->exchanged)
		w->over = undo_ready(w) == 0;
	return error < 0 ? error : 1;
}

/* 1: done; 0: undone; or a code. */
static int settle_ready(struct work *w)
{
	struct restore *r = w->r;
	int error, copy;

	if (!w->has_paper) {
		error = remove_folder(w, r->names.ready);
		return error < 0 ? error : 1;
	}
	copy = is_copy(w, r->parent_fd, r->base);
	if (copy != 0)
		return copy < 0 ? copy : settle_exchanged(w);
	copy = w->has_data ? is_copy(w, w->fd, "data") : 0;
	if (copy != 0)
		return copy < 0 ? copy : undo_ready(w);
	return refuse_moved(w);
}

static int settle(struct work *w)
{
	struct restore *r = w->r;
	int there = open_work(w, r->names.making);

	if (there > 0)
		there = remove_making(w);
	close_work(w);
	if (there < 0)
		return there;
	there = open_work(w, r->names.ready);
	if (there > 0)
		there = settle_ready(w);
	else if (there == 0)
		there = was_done(w);
	close_work(w);
	return there;
}

/* ---- an attempt ---- */

static int write_paper(struct work *w)
{
	scope_free char *text = intent_encode(&w->intent);

	if (!text)
		return reason_set_retry(w->r->why, ERR_NOMEM, NULL, "out of memory");
	return place_write_file(w->fd, "intent", text, w->r->why);
}

static void fill_intent(struct work *w)
{
	const struct msg_job *order = &w->r->job->order;

	w->intent = (struct intent){
		.install = w->r->job->install, .backup = order->backup, .nonce = order->nonce, .job = order->job,
		.attempt = order->attempt, .source = order->source,
	};
	memcpy(w->intent.cluster, order->cluster, sizeof(w->intent.cluster));
	snprintf(w->intent.backend, sizeof(w->intent.backend), "%s", w->r->snap->name);
}

/* What the copy is, where it is found after nothing else of the restore is left. There is room for it, or nothing is exchanged. */
static int write_note(struct work *w)
{
	scope_free char *text = intent_encode(&w->intent);

	if (!text)
		return reason_set_retry(w->r->why, ERR_NOMEM, NULL, "out of memory");
	return place_write_file(w->r->place.fd, PLACE_RESTORE, text, w->r->why);
}

/* Before the intent: with that the folders that it names may be there. */
static int write_spaces(struct work *w)
{
	scope_free char *text = restore_list_parts(w->r);

	if (!text)
		return reason_set_retry(w->r->why, ERR_NOMEM, NULL, "out of memory");
	return text[0] ? place_write_file(w->fd, RESTORE_SPACES, text, w->r->why) : 0;
}

/* From here on the disk says that this job has begun. */
static int begin(struct work *w)
{
	struct restore *r = w->r;
	int error;

	*w = (struct work){.r = r, .fd = -1};
	fill_intent(w);
	if (mkdirat(r->parent_fd, r->names.making, WORK_MODE) < 0)
		return reason_set_errno(r->why, errno, "cannot make %s/%s", r->parent, r->names.making);
	w->fd = place_open_dir(r->parent_fd, r->names.making, r->why);
	error = w->fd < 0 ? w->fd : write_spaces(w);
	if (error == 0)
		error = write_paper(w);
	return error == 0 ? place_sync(r->parent_fd, r->why) : error;
}

static int copy_data(struct work *w, int backup_fd)
{
	struct restore *r = w->r;
	scope_close int image_fd = place_open_dir(backup_fd, "data", r->why), fd = -1;
	struct snap_identity identity;
	int error = image_fd < 0 ? image_fd : r->snap->clone_image(r->job, image_fd, w->fd, "data", &identity, r->why);

	if (error < 0)
		return error;
	memcpy(w->intent.subvolume_uuid, identity.uuid, sizeof(w->intent.subvolume_uuid));
	fd = place_open_dir(w->fd, "data", r->why);
	return fd < 0 ? fd : restore_copy_wal(r, backup_fd, fd);
}

static int copy_backup(struct work *w)
{
	struct restore *r = w->r;
	char name[PLACE_ID_SIZE];
	scope_close int backup_fd = -1;
	scope_free char *paper = intent_encode(&w->intent);
	int error;

	place_name(PLACE_WHOLE, r->job->order.backup, name);
	backup_fd = place_open_dir(r->place.fd, name, r->why);
	if (backup_fd < 0 || !paper)
		return backup_fd < 0 ? backup_fd : reason_set_retry(r->why, ERR_NOMEM, NULL, "out of memory");
	gauge_begin(r->job, PHASE_CUTTING, 20, 80, r->needed ? r->needed : r->manifest.facts.size);
	error = restore_make_parts(r, backup_fd, paper);
	if (error == 0)
		error = copy_data(w, backup_fd);
	gauge_end(r->job);
	return error;
}

/* Belongings of the folder as the present one has them; one that is lost leaves the backup's. */
static int give_belongings(struct work *w, int fd)
{
	const struct restore *r = w->r;
	struct stat st;

	if (r->has_old && r->job->as_root && fchown(fd, r->old.st_uid, r->old.st_gid) < 0)
		return reason_set_errno(r->why, errno, "cannot give the copy its owner");
	if (r->has_old && fchmod(fd, r->old.st_mode & 07777) < 0)
		return reason_set_errno(r->why, errno, "cannot give the copy its mode");
	if (fstat(fd, &st) < 0)
		return reason_set_errno(r->why, errno, "cannot look at the copy");
	w->intent.inode = st.st_ino;
	return 0;
}

static int make_source(struct work *w)
{
	struct restore *r = w->r;
	scope_close int fd = place_open_dir(w->fd, "data", r->why);
	scope_free char *spaces = restore_list_parts(r);
	int error = fd < 0 ? fd : !spaces ? reason_set_retry(r->why, ERR_NOMEM, NULL, "out of memory") : 0;

	if (error == 0 && r->db->make_original)
		error = r->db->make_original(r->job, &r->manifest, spaces, fd, r->why);
	return error == 0 ? give_belongings(w, fd) : error;
}

/* Whole and on disk, under its name. */
static int make_copy(struct work *w)
{
	struct restore *r = w->r;
	int error = copy_backup(w);

	job_progress(r->job, PHASE_CHECKING, 80);
	if (error == 0)
		error = make_source(w);
	if (error == 0)
		error = r->snap->sync(w->fd, r->why);
	w->intent.made_ms = clock_wall_ms();
	if (error == 0)
		error = write_paper(w);
	if (error == 0)
		error = write_note(w);
	if (error == 0)
		error = rename_to(w, r->parent_fd, r->names.making, r->parent_fd, r->names.ready, RENAME_NOREPLACE);
	return error == 0 ? place_sync(r->parent_fd, r->why) : error;
}

static int check_same_old(struct work *w)
{
	struct restore *r = w->r;
	struct stat st;
	bool there = fstatat(r->parent_fd, r->base, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (there == r->has_old && (!there || (st.st_dev == r->old.st_dev && st.st_ino == r->old.st_ino)))
		return 0;
	return reason_set(r->why, ERR_STATE, "try again", "data_dir was replaced while the copy was made");
}

static int exchange(struct work *w)
{
	struct restore *r = w->r;
	int error = check_same_old(w);

	if (error == 0)
		error = rename_to(w, w->fd, "data", r->parent_fd, r->base, r->has_old ? RENAME_EXCHANGE : RENAME_NOREPLACE);
	return error;
}

/* Before the exchange. */
static int prepare(struct work *w)
{
	struct restore *r = w->r;
	int error = restore_examine(r);

	job_progress(r->job, PHASE_PREPARING, 10);
	if (error == 0)
		error = restore_prove_stopped(r);
	if (error == 0)
		error = begin(w);
	if (error == 0)
		error = make_copy(w);
	if (error == ERR_FULL && w->fd >= 0)
		space_explain(r->parent_fd, r->parent, r->needed, r->why);
	job_progress(r->job, PHASE_CHECKING, 90);
	if (error == 0)
		error = job_check_cancelled(r->job, r->why);
	if (error == 0)
		error = restore_prove_stopped(r);
	return error;
}

/* Nothing of an attempt that failed may stay; why stays what it failed for. */
static enum msg_outcome undo(struct work *w)
{
	struct restore *r = w->r;
	struct log_about about = job_about(r->job);
	struct reason failed = *r->why;
	int left;

	close_work(w);
	left = settle(w);
	if (left < 0)
		log_about(LOG_LEVEL_WARNING, &about, "what the failed attempt made is not removed yet: %s", r->why->cause);
	*r->why = failed;
	return left < 0 ? OUTCOME_UNKNOWN : left > 0 ? OUTCOME_DONE : step_outcome(&failed);
}

static enum msg_outcome attempt(struct work *w)
{
	int error = prepare(w);

	if (error == 0)
		error = exchange(w);
	if (error < 0)
		return undo(w);
	w->has_data = w->r->has_old;
	w->exchanged = true;
	error = sync_names(w);
	if (error == 0)
		error = finish(w);
	if (error < 0 && !w->exchanged)
		return undo(w);
	return error < 0 ? stay_exchanged(w) : OUTCOME_DONE;
}

/* After attempts that ended in the dark: there will be no other. */
static enum msg_outcome give_up(struct work *w)
{
	reason_set(w->r->why, ERR_UNKNOWN, "look in the journal for what ended it, and restore again",
		   "its attempts were cut off; the data directory is as it was before");
	return OUTCOME_FAILED;
}

/*
 * Nothing of an earlier attempt was found; but where the directory is missing the disk may be that it is on, and then
 * nobody can tell what that attempt has done.
 */
static bool is_unseen(struct restore *r)
{
	return r->job->order.attempt > 1 && !r->has_old && restore_examine(r) == ERR_OFFLINE;
}

/* Of an attempt that could not look. Only the first knows that nothing was begun. */
static enum msg_outcome outcome_unseen(const struct restore *r)
{
	enum msg_outcome outcome = step_place_outcome(&r->place);

	return outcome == OUTCOME_FAILED && r->job->order.attempt > 1 ? OUTCOME_UNKNOWN : outcome;
}

/*
 * What an earlier attempt has made can be neither finished nor undone. It has failed only if nothing of it is left; the first
 * attempt has made nothing.
 */
static enum msg_outcome outcome_unsettled(struct work *w)
{
	const struct restore *r = w->r;

	if (w->exchanged)
		return stay_exchanged(w);
	return !w->over && (r->why->retry || r->job->order.attempt > 1) ? OUTCOME_UNKNOWN : OUTCOME_FAILED;
}

static enum msg_outcome run(struct work *w)
{
	struct restore *r = w->r;
	int error = restore_open(r);

	if (error < 0)
		return outcome_unseen(r);
	job_progress(r->job, PHASE_PREPARING, 5);
	error = settle(w);
	if (error < 0)
		return outcome_unsettled(w);
	if (error > 0)
		return OUTCOME_DONE;
	if (is_unseen(r))
		return OUTCOME_UNKNOWN;
	return r->job->order.settle ? give_up(w) : attempt(w);
}

static void tell_done(struct restore *r, struct msg_result *result)
{
	struct log_about about = job_about(r->job);

	if (exists(r, r->names.kept))
		restore_path(r, r->names.kept, result->kept);
	log_about(LOG_LEVEL_INFO, &about, "%s is backup %llu now%s%s", r->job->cluster->data_dir,
		  (unsigned long long)r->job->order.backup, result->kept[0] ? "; what was there before is " : "", result->kept);
	for (size_t i = 0; i < r->part_count; i++)
		log_about(LOG_LEVEL_INFO, &about, "its tablespace %u is %s; what was there before is %s",
			  (unsigned)r->parts[i].oid, r->parts[i].path, r->parts[i].old);
}

enum msg_outcome step_restore(struct worker_job *job, struct msg_result *result, struct reason *why)
{
	struct work w = {.r = restore_new(job, why), .fd = -1};
	enum msg_outcome outcome = OUTCOME_FAILED;

	if (!w.r)
		return outcome;
	outcome = run(&w);
	if (outcome == OUTCOME_DONE)
		tell_done(w.r, result);
	close_work(&w);
	step_report_space(&w.r->place, result);
	restore_free(w.r);
	return outcome;
}

void step_plan(struct worker_job *job)
{
	struct msg msg = {.type = MSG_CHECKED};
	struct msg_checked *told = &msg.u.checked;
	struct reason why = {0};
	struct restore *r = restore_new(job, &why);
	int error = r ? restore_open(r) : why.code;

	memcpy(told->cluster, job->order.cluster, sizeof(told->cluster));
	told->depth = DEPTH_RESTORE;
	if (error == 0)
		error = restore_examine(r);
	if (r && r->snap) {
		restore_describe(r, told->steps, sizeof(told->steps));
		snprintf(told->backend, sizeof(told->backend), "%s", r->snap->name);
	}
	if (error == 0)
		error = restore_prove_stopped(r);
	told->place = (uint8_t)(r ? r->place.state : PLACE_OFFLINE);
	told->ok = error == 0;
	told->code = error;
	told->retry = why.retry;
	memcpy(told->refusal, why.cause, sizeof(told->refusal));
	memcpy(told->remedy, why.remedy, sizeof(told->remedy));
	step_send(job, &msg);
	restore_free(r);
}
