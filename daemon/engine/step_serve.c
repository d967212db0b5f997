/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A clone's server. It is no job: the lock of the place is for jobs and is given up before the server starts, so that it
 * holds up no look at the disk; the clone's own lock keeps its removal away.
 */
#include "daemon/engine/step.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/clones.h"
#include "daemon/engine/serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whoever asked removes the clone at that time; this is for the case that nobody does. */
enum { GRACE_MS = 5000 };

/* Whose the clone is has to be whose the database is, if that can be told. */
static int settle_identity(struct worker_job *job, int root_fd, struct reason *why)
{
	struct reason source = {0};
	struct stat st;

	if (fstat(root_fd, &st) < 0)
		return reason_set_errno(why, errno, "cannot look at the clone");
	if (job_open_source(job, &source) < 0) {
		if (!job->as_root)
			proc_identity_self(&job->identity);
		else if (job->retired && job->cluster->identity_known)
			job->identity = job->cluster->identity;
		else
			job->identity = (struct proc_identity){.uid = st.st_uid, .gid = st.st_gid};
	}
	if (st.st_uid != job->identity.uid || (job->as_root && st.st_uid == 0))
		return reason_set(why, ERR_DENIED, "start it by hand, as its owner", "the clone belongs to uid %u, not to the database's user",
				  (unsigned)st.st_uid);
	return 0;
}

/* What the clone's paper says. */
struct found {
	char path[MSG_PATH_SIZE];
	char bindir[MSG_PATH_SIZE];
};

static int find_clone(struct serve *s, struct place *place, struct found *found, struct reason *why)
{
	struct worker_job *job = s->job;
	scope_close int fd = clones_open(place, false, why);
	struct clone_names names;
	struct clone_look look;
	int error = fd == ERR_NOT_FOUND ? reason_set(why, ERR_NOT_FOUND, NULL, "there are no clones in %s", place->path) :
		    fd < 0 ? fd : clones_look(job, fd, job->order.clone, &job->order.nonce, &look, why);

	if (error < 0)
		return error;
	clones_name(job->order.clone, &names);
	if (look.paper != PAPER_OURS || !look.has_whole || !look.intent.made_ms)
		return reason_set(why, ERR_NOT_FOUND, NULL, "the clone is not in %s", place->path);
	s->db = db_find(look.intent.database);
	if (!s->db || !s->db->server)
		return reason_set(why, ERR_UNSUPPORTED, NULL, "there is no server to run on it");
	memcpy(s->clone.socket_dir, look.intent.socket_dir, sizeof(s->clone.socket_dir));
	s->clone.port = look.intent.port;
	memcpy(found->bindir, look.intent.bindir, sizeof(found->bindir));
	snprintf(found->path, sizeof(found->path), "%.900s/clones/%s", place->path, names.whole);
	s->root_fd = place_open_dir(fd, names.whole, why);
	if (s->root_fd < 0)
		return s->root_fd;
	s->lock_fd = clones_lock(fd, job->order.clone, why);
	return s->lock_fd < 0 ? s->lock_fd : 0;
}

static int prepare(struct serve *s, struct reason *why)
{
	struct place place = PLACE_NONE;
	struct found found;
	int error = place_open(s->job, PLACE_SHARED, false, &place, why);

	if (error == 0)
		error = find_clone(s, &place, &found, why);
	place_close(&place);
	s->job->lock_fd = -1;
	if (error == 0)
		error = settle_identity(s->job, s->root_fd, why);
	if (error < 0)
		return error;
	return s->db->server(s->job, &(struct db_place){s->root_fd, found.path, found.bindir}, &s->clone, &s->server, why);
}

static void tell_ready(struct worker_job *job)
{
	struct log_about about = job_about(job);
	struct msg msg = {.type = MSG_SERVING};

	memcpy(msg.u.serving.cluster, job->order.cluster, sizeof(msg.u.serving.cluster));
	memcpy(msg.u.serving.clone, job->order.clone, sizeof(msg.u.serving.clone));
	msg.u.serving.nonce = job->order.nonce;
	log_about(LOG_LEVEL_NOTICE, &about, "the clone's server answers");
	step_send(job, &msg);
}

static void tell_over(const struct worker_job *job, int code, const struct reason *why)
{
	struct msg msg = {.type = MSG_SERVED};
	struct msg_served *served = &msg.u.served;

	memcpy(served->cluster, job->order.cluster, sizeof(served->cluster));
	memcpy(served->clone, job->order.clone, sizeof(served->clone));
	served->nonce = job->order.nonce;
	served->code = code;
	memcpy(served->cause, why->cause, sizeof(served->cause));
	memcpy(served->remedy, why->remedy, sizeof(served->remedy));
	step_send(job, &msg);
}

void step_serve(struct worker_job *job, int64_t ttl_ms)
{
	struct serve serve = {.job = job, .root_fd = -1, .lock_fd = -1, .ttl_ms = ttl_ms ? ttl_ms + GRACE_MS : 0};
	struct reason why = {0};
	int error = prepare(&serve, &why);

	if (error == 0)
		error = serve_run(&serve, tell_ready, &why);
	tell_over(job, error, &why);
}
