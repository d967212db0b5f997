/* SPDX-License-Identifier: GPL-3.0-or-later */
/* States, phases and fields of the wire, from records and what the scheduler sees. */
#include "daemon/front/present.h"

#include "common/clock.h"
#include "common/scope.h"
#include "daemon/front/reply.h"
#include "daemon/front/sched.h"
#include "daemon/front/sched_auto.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* RUNNING is never stored: it is PENDING whose job the engine has. */
static enum backup_state shown_state(const struct front *front, const struct record_backup *backup)
{
	struct sched_view view = {0};

	if (backup->state == BACKUP_PENDING)
		sched_view_job(front->sched, backup->id, &view);
	return view.running ? BACKUP_RUNNING : backup->state;
}

static const char *backup_status(enum backup_state state)
{
	switch (backup_group(state)) {
	case BACKUP_GROUP_RUNNING:
		return "Running";
	case BACKUP_GROUP_SUCCESS:
		return "Success";
	default:
		return "Failed";
	}
}

const char *present_mode(enum backup_mode mode)
{
	return mode == BACKUP_AUTOMATED ? "Automated" : "Manual";
}

static void put_failure(json_t *object, const struct record_failure *failure, const char *last_error)
{
	reply_put(object, "Cause", failure->cause[0] ? failure->cause : last_error);
	reply_put(object, "Remedy", failure->remedy);
}

void present_milliseconds(json_t *object, const char *name, uint64_t us)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64, us / 1000, us % 1000);
	reply_put(object, name, text);
}

static void put_verified(json_t *object, const struct record_verified *verified)
{
	json_t *inner;

	if (verified->result == RECORD_UNVERIFIED)
		return;
	inner = json_object();
	reply_put_time(inner, "At", verified->at_ms);
	reply_put(inner, "By", verified->by);
	reply_put(inner, "Result", verified->result == RECORD_VERIFIED_GOOD ? "Good" : "Bad");
	reply_put(inner, "Checked", verified->checked);
	reply_put_lines(inner, "Found", verified->found);
	reply_put_new(object, "Verified", inner);
}

/* Our own fields, apart from the cloud's. */
static json_t *backup_extra(const struct front *front, const struct record_backup *backup)
{
	json_t *object = json_object();

	reply_put(object, "State", backup_state_name(shown_state(front, backup)));
	put_failure(object, &backup->failure, backup->last_error);
	reply_put(object, "Backend", backup->backend);
	reply_put(object, "Procedure", backup->procedure);
	reply_put(object, "Promise", backup->promise);
	reply_put_lines(object, "Weakened", backup->weakened);
	reply_put(object, "Server", backup->server);
	reply_put(object, "Position", backup->position);
	reply_put(object, "Path", backup->path);
	if (backup->consistent_ms) {
		present_milliseconds(object, "CutMs", backup->cut_us);
		present_milliseconds(object, "FreezeMs", backup->freeze_us);
	}
	reply_put_time(object, "SizeTime", backup->size_ms);
	reply_put_bool(object, "Held", backup->held);
	reply_put(object, "Adopted", backup->adopted ? "true" : NULL);
	put_verified(object, &backup->verified);
	return object;
}

/* By the policy in force: what changes there changes what is shown of every backup. */
static void put_expiry(const struct front *front, const struct record_backup *backup, json_t *object)
{
	int64_t goes_ms = sched_auto_expires(front->sched, backup);

	if (goes_ms != SCHEDULE_NEVER)
		reply_put_time(object, "ExpectExpireTime", goes_ms);
	reply_put(object, "ExpectExpireType",
		  goes_ms == SCHEDULE_NEVER ? "NEVER" : goes_ms > clock_wall_ms() ? "EXPIRE" : "EXPIRED");
}

json_t *present_backup(const struct front *front, const struct record_backup *backup)
{
	json_t *object = json_object();

	reply_put_number(object, "BackupId", backup->id);
	reply_put(object, "DBClusterId", backup->cluster);
	reply_put(object, "BackupStatus", backup_status(backup->state));
	reply_put(object, "BackupType", "FullBackup");
	reply_put(object, "BackupMode", present_mode(backup->mode));
	reply_put(object, "BackupMethod", "Snapshot");
	reply_put_time(object, "BackupStartTime", backup->accepted_ms);
	reply_put_time(object, "BackupEndTime", backup->ended_ms);
	reply_put_number(object, "BackupSetSize", backup->size);
	if (backup->consistent_ms)
		reply_put_number(object, "ConsistentTime", (uint64_t)(backup->consistent_ms / CLOCK_MS_PER_S));
	reply_put(object, "StoreStatus", "Disabled");
	reply_put(object, "BackupsLevel", "Level-1");
	reply_put(object, "IsAvail", backup->state == BACKUP_AVAILABLE ? "1" : "0");
	put_expiry(front, backup, object);
	reply_put_new(object, "Dbsnap", backup_extra(front, backup));
	return object;
}

static const char *phase_name(const struct record_job *job, const struct sched_view *view)
{
	if (job->state != JOB_OPEN)
		return "Finished";
	if (!view->running)
		return "NoStart";
	switch (view->phase) {
	case PHASE_CUTTING:
		return "Uploading";
	case PHASE_CHECKING:
		return "Checking";
	default:
		return "Preparing";
	}
}

static unsigned percent(const struct record_job *job, const struct sched_view *view)
{
	if (job->state == JOB_DONE)
		return 100;
	return job->state == JOB_OPEN ? (view->running ? view->percent : 0) : job->percent;
}

static void view_job(const struct front *front, const struct record_job *job, struct sched_view *ret_view)
{
	*ret_view = (struct sched_view){0};
	if (job->state == JOB_OPEN)
		sched_view_job(front->sched, job->id, ret_view);
}

json_t *present_task(const struct front *front, const struct record_job *job)
{
	json_t *object = json_object();
	struct sched_view view;

	view_job(front, job, &view);
	reply_put_number(object, "BackupJobId", job->id);
	reply_put_time(object, "StartTime", job->accepted_ms);
	reply_put_number(object, "Process", percent(job, &view));
	reply_put(object, "JobMode", present_mode(job->mode));
	reply_put(object, "BackupProgressStatus", phase_name(job, &view));
	reply_put(object, "TaskAction", job->mode == BACKUP_AUTOMATED ? "NormalBackupTask" : "TempBackupTask");
	return object;
}

static const char *kind_name(enum job_kind kind)
{
	switch (kind) {
	case JOB_KIND_CREATE:
		return "CreateBackup";
	case JOB_KIND_DELETE:
		return "DeleteBackup";
	case JOB_KIND_CLONE:
		return "CloneBackup";
	case JOB_KIND_DELETE_CLONE:
		return "DeleteClone";
	case JOB_KIND_VERIFY:
		return "VerifyBackup";
	case JOB_KIND_RESTORE:
		return "RestoreBackup";
	case JOB_KIND_DELETE_QUARANTINED:
		return "DeleteQuarantined";
	default:
		return NULL;
	}
}

static const char *state_name(const struct record_job *job, const struct sched_view *view)
{
	switch (job->state) {
	case JOB_OPEN:
		return view->running ? "Running" : "Pending";
	case JOB_DONE:
		return "Done";
	case JOB_FAILED:
		return "Failed";
	default:
		return "Cancelled";
	}
}

static void put_progress(json_t *object, const struct record_job *job, const struct sched_view *view)
{
	uint64_t done = view->running ? view->bytes_done : job->bytes;

	reply_put(object, "Phase", phase_name(job, view));
	reply_put_number(object, "Percent", percent(job, view));
	reply_put_number(object, "BytesDone", done);
	if (view->running && view->bytes_total)
		reply_put_number(object, "BytesTotal", view->bytes_total);
}

json_t *present_job(const struct front *front, const struct record_job *job)
{
	json_t *object = json_object();
	struct sched_view view;

	view_job(front, job, &view);
	reply_put_number(object, "JobId", job->id);
	reply_put(object, "Kind", kind_name(job->kind));
	reply_put(object, "DBClusterId", job->cluster);
	if (job->backup)
		reply_put_number(object, "BackupId", job->backup);
	if (job->kind != JOB_KIND_VERIFY)
		reply_put(object, "CloneName", job->clone);
	reply_put(object, "KeptPath", job->kept);
	reply_put(object, "State", state_name(job, &view));
	put_progress(object, job, &view);
	reply_put_time(object, "AcceptTime", job->accepted_ms);
	reply_put_time(object, "StartTime", view.running && view.started_ms ? view.started_ms : job->started_ms);
	reply_put_time(object, "EndTime", job->ended_ms);
	reply_put_number(object, "Attempts", (uint64_t)job->attempts + (view.running ? 1 : 0));
	/* A failure that a later attempt made good is no cause of anything. */
	if (job->state != JOB_DONE)
		put_failure(object, &job->failure, NULL);
	reply_put(object, "RequestId", job->origin.request_id);
	return object;
}

static const char *clone_state(enum clone_state state)
{
	switch (state) {
	case CLONE_CREATING:
		return "Creating";
	case CLONE_AVAILABLE:
		return "Available";
	case CLONE_FAILED:
		return "Failed";
	default:
		return "Deleting";
	}
}

/* One word of a shell's command line: quoted unless every character is harmless. */
static void shell_word(FILE *out, const char *word)
{
	static const char harmless[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@%";

	if (word[0] && word[strspn(word, harmless)] == '\0') {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

static void put_connect(json_t *object, const struct record_clone *clone)
{
	scope_free char *text = NULL;
	size_t size;
	FILE *out;

	if (!clone->socket_dir[0])
		return;
	out = open_memstream(&text, &size);
	if (!out)
		return;
	fputs(clone->port ? "psql -h " : "mariadb --socket=", out);
	shell_word(out, clone->socket_dir);
	if (clone->port) /* of PostgreSQL, in whose socket's name it is */
		fprintf(out, " -p %u postgres", clone->port);
	else
		fputs("/mariadb.sock", out);
	fclose(out);
	reply_put(object, "Connect", text);
}

json_t *present_clone(const struct record_clone *clone, bool running)
{
	json_t *object = json_object();

	reply_put(object, "CloneName", clone->name);
	reply_put(object, "DBClusterId", clone->cluster);
	reply_put_number(object, "BackupId", clone->backup);
	reply_put_number(object, "JobId", clone->job);
	reply_put(object, "State", clone_state(clone->state));
	reply_put(object, "ClonePath", clone->path);
	reply_put(object, "SocketDir", clone->socket_dir);
	put_connect(object, clone);
	reply_put_bool(object, "Running", running);
	reply_put_time(object, "CreateTime", clone->created_ms);
	reply_put_time(object, "ExpireTime", clone->expires_ms);
	put_failure(object, &clone->failure, clone->last_error);
	return object;
}

void present_page(json_t *object, const struct param_page *page, uint64_t total, const char *kind, json_t *items)
{
	json_t *wrapped = json_object();

	reply_put_number(object, "TotalRecordCount", total);
	reply_put_number(object, "PageRecordCount", json_array_size(items));
	reply_put_number(object, "PageNumber", page->number);
	reply_put_new(wrapped, kind, items);
	reply_put_new(object, "Items", wrapped);
}

const char *present_version(const char *server)
{
	const char *blank = strchr(server, ' ');

	return blank ? blank + 1 : "";
}
