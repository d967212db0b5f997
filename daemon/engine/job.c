/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A worker's order, its way back to the engine, and the opening of its source. */
#include "daemon/engine/job.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fill(struct reason *why, int code, bool retry, const char *remedy, const char *format, va_list args)
{
	why->code = code;
	why->retry = retry;
	vsnprintf(why->cause, sizeof(why->cause), format, args);
	snprintf(why->remedy, sizeof(why->remedy), "%s", remedy ? remedy : "");
	return code;
}

int reason_set(struct reason *why, int code, const char *remedy, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(why, code, false, remedy, format, args);
	va_end(args);
	return code;
}

int reason_set_retry(struct reason *why, int code, const char *remedy, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(why, code, true, remedy, format, args);
	va_end(args);
	return code;
}

static const char *remedy_of(int errno_value)
{
	switch (errno_value) {
	case ENOSPC:
	case EDQUOT:
		return "make room on the file system, or delete a backup, and try again";
	case EROFS:
		return "mount the file system for writing";
	case EIO:
		return "look in the kernel's log: the disk or its file system is in trouble";
	default:
		return NULL;
	}
}

static bool may_pass(int errno_value)
{
	return errno_value == ENOMEM || errno_value == EAGAIN || errno_value == EINTR || errno_value == EBUSY ||
	       errno_value == EMFILE || errno_value == ENFILE || errno_value == EIO;
}

int reason_set_errno(struct reason *why, int errno_value, const char *format, ...)
{
	char said[MSG_TEXT_SIZE - 200];
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	reason_set(why, err_from_errno(errno_value), remedy_of(errno_value), "%s: %s", said,
		   strerror(errno_value));
	why->retry = may_pass(errno_value);
	return why->code;
}

/* One component at a time is what the flags give: the kernel refuses any link on the way. */
static int open_without_links(const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static int refuse_link(const char *path, struct reason *why)
{
	scope_free char *real = realpath(path, NULL);

	return reason_set(why, ERR_LAYOUT, "set data_dir to the real path",
			  real ? "data_dir %s is or passes a symbolic link; the real path is %s" :
				 "data_dir %s is or passes a symbolic link%s",
			  path, real ? real : "");
}

static int refuse_source(const char *path, int errno_value, struct reason *why)
{
	if (errno_value == ELOOP)
		return refuse_link(path, why);
	if (errno_value == ENOENT)
		return reason_set_retry(why, ERR_OFFLINE,
					"mount the file system that holds it, or correct data_dir",
					"data_dir %s does not exist", path);
	if (errno_value == ENOTDIR)
		return reason_set(why, ERR_LAYOUT, "correct data_dir", "data_dir %s is not a directory", path);
	return reason_set_errno(why, errno_value, "cannot open data_dir %s", path);
}

static bool is_known_user(uid_t uid)
{
	return uid != (uid_t)-1 && uid != 65534;
}

static int settle_identity(struct worker_job *job, const struct stat *st, struct reason *why)
{
	const struct conf_cluster *cluster = job->cluster;

	if (!job->as_root) {
		proc_identity_self(&job->identity);
		return 0;
	}
	if (cluster->identity_known) {
		job->identity = cluster->identity;
	} else if (cluster->identity_from_owner) {
		job->identity = (struct proc_identity){.uid = st->st_uid, .gid = st->st_gid};
	} else {
		return reason_set(why, ERR_NOT_FOUND, "correct database.user, or create that user, and reload",
				  "%s", cluster->refusal);
	}
	if (is_known_user(job->identity.uid))
		return 0;
	return reason_set(why, ERR_UNTRUSTED, "give data_dir an owner: chown it to the database's user",
			  "data_dir %s is owned by nobody (uid %u)", cluster->data_dir, (unsigned)st->st_uid);
}

int job_open_source(struct worker_job *job, struct reason *why)
{
	scope_close int fd = -1;
	struct stat st;
	int error;

	if (job->retired)
		return reason_set(why, ERR_NOT_FOUND, NULL, "the cluster is retired");
	fd = open_without_links(job->cluster->data_dir);
	if (fd < 0)
		return refuse_source(job->cluster->data_dir, errno, why);
	if (fstat(fd, &st) < 0)
		return reason_set_errno(why, errno, "cannot look at data_dir %s", job->cluster->data_dir);
	error = settle_identity(job, &st, why);
	if (error == 0)
		job->data_fd = scope_take_fd(fd);
	return error;
}

static void send_or_exit(const struct worker_job *job, const struct msg *msg)
{
	if (msg_send_wait(job->link, msg) < 0)
		_exit(1);
}

void job_progress(const struct worker_job *job, enum msg_phase phase, unsigned percent)
{
	struct msg msg = {.type = MSG_PROGRESS};

	msg.u.progress.job = job->order.job;
	msg.u.progress.phase = (uint8_t)phase;
	msg.u.progress.percent = (uint8_t)percent;
	msg.u.progress.bytes_done = job->gauge.told;
	msg.u.progress.bytes_total = job->gauge.total;
	send_or_exit(job, &msg);
}

static void take(struct worker_job *job, const struct msg *msg)
{
	if (msg->type == MSG_CANCEL) {
		job->cancelled = true;
	} else if (msg->type == MSG_HOLD && job->hold == JOB_HOLD_ASKED) {
		job->hold = JOB_HOLD_ON;
	} else if (msg->type == MSG_RELEASE && job->hold != JOB_HOLD_NONE) {
		job->hold = JOB_HOLD_OVER;
		job->hold_code = (int)msg->u.release.code;
		job->held_us = msg->u.release.held_us;
	}
}

/* Takes what the engine says; flags: MSG_DONTWAIT, or 0 to wait for a word. False: there is none. */
static bool listen_to_engine(struct worker_job *job, int flags)
{
	struct msg msg;
	int error = msg_receive(job->link, flags, &msg);

	/* The engine is gone: nobody waits for this job, and its successor must find the marker free. */
	if (error == ERR_CLOSED)
		_exit(1);
	if (error == 0)
		take(job, &msg);
	return error == 0;
}

bool job_is_cancelled(struct worker_job *job)
{
	while (listen_to_engine(job, MSG_DONTWAIT))
		;
	return job->cancelled;
}

static int explain_hold(const struct worker_job *job, struct reason *why)
{
	int max_ms = (int)job->cluster->database.max_freeze_ms;

	switch (job->hold_code) {
	case ERR_TIMEOUT:
		return reason_set(why, ERR_TIMEOUT,
				  "raise database.max_freeze, if the server may stand still for longer; or move the data directory "
				  "into a btrfs subvolume, where nobody waits",
				  "over max_freeze: not all files were taken within %d ms; the server was let go after %" PRIu64 " ms",
				  max_ms, job->held_us / 1000);
	case ERR_BUSY:
		return reason_set_retry(why, ERR_BUSY, "see what they wait for: a disk that does not answer, a debugger",
					"not all threads of the server stood still within a second of being told to");
	case ERR_STATE:
		return reason_set_retry(why, ERR_STATE, "see who sends SIGCONT to the server",
					"the server ran again before all files were taken: somebody has continued it");
	case ERR_NOT_FOUND:
	case ERR_MISMATCH:
		return reason_set_retry(why, ERR_STATE, NULL, "the server ended during the backup");
	case ERR_CANCELLED:
		return reason_set(why, ERR_CANCELLED, NULL, "cancelled on request");
	default:
		return reason_set_retry(why, job->hold_code, NULL, "the server could not be held still: %s",
					err_text(job->hold_code));
	}
}

int job_check_cancelled(struct worker_job *job, struct reason *why)
{
	if (job_is_cancelled(job))
		return reason_set(why, ERR_CANCELLED, NULL, "cancelled on request");
	return job->hold == JOB_HOLD_OVER && job->hold_code < 0 ? explain_hold(job, why) : 0;
}

/* The engine always answers: it waits for nothing itself. */
static int wait_hold(struct worker_job *job, enum job_hold while_it_is, struct reason *why)
{
	while (job->hold == while_it_is)
		listen_to_engine(job, 0);
	return job->hold == JOB_HOLD_OVER && job->hold_code < 0 ? explain_hold(job, why) : 0;
}

int job_hold(struct worker_job *job, pid_t pid, uint64_t start, int64_t max_ms, struct reason *why)
{
	struct msg msg = {.type = MSG_HOLD};

	msg.u.hold.job = job->order.job;
	msg.u.hold.pid = (uint32_t)pid;
	msg.u.hold.pid_start = start;
	msg.u.hold.max_ms = (uint32_t)max_ms;
	job->hold = JOB_HOLD_ASKED;
	send_or_exit(job, &msg);
	return wait_hold(job, JOB_HOLD_ASKED, why);
}

int job_release(struct worker_job *job, uint64_t *ret_held_us, struct reason *why)
{
	struct msg msg = {.type = MSG_RELEASE};
	int error;

	msg.u.release.job = job->order.job;
	if (job->hold == JOB_HOLD_ON)
		send_or_exit(job, &msg);
	error = wait_hold(job, JOB_HOLD_ON, why);
	*ret_held_us = job->held_us;
	return error;
}

int job_time_left_ms(const struct worker_job *job, int limit)
{
	int64_t left = job->deadline_ms ? job->deadline_ms - clock_running_ms() : limit;

	if (left < 1)
		return 1;
	return left < limit ? (int)left : limit;
}

struct log_about job_about(const struct worker_job *job)
{
	return (struct log_about){
		.cluster = job->order.cluster,
		.backup = job->order.backup,
		.job = job->order.job,
		.request = job->order.request,
		.clone = job->order.clone,
	};
}
