/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names and papers of clones. The folder is root's, so nobody else renames in it. */
#include "daemon/engine/clones.h"

#include "common/err.h"
#include "common/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 5000, LOCK_PAUSE_MS = 20 };

void clones_name(const char *clone, struct clone_names *ret_names)
{
	snprintf(ret_names->whole, sizeof(ret_names->whole), "%.63s", clone);
	snprintf(ret_names->making, sizeof(ret_names->making), ".%.63s", clone);
	snprintf(ret_names->paper, sizeof(ret_names->paper), ".%.63s.json", clone);
}

int clones_open(const struct place *place, bool make, struct reason *why)
{
	int fd;

	if (!make) {
		fd = openat(place->fd, "clones", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno == ENOENT)
			return ERR_NOT_FOUND;
		return fd >= 0 ? fd : reason_set_errno(why, errno, "cannot open %s/clones", place->path);
	}
	fd = place_make_dir(place->fd, "clones", PLACE_DIR_MODE, why);
	if (fd >= 0 && place_sync(place->fd, why) < 0) {
		close(fd);
		return why->code;
	}
	return fd;
}

static int exists(int dir_fd, const char *name, bool *ret_there)
{
	struct stat st;
	int failed = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW);

	if (failed && errno != ENOENT)
		return err_from_errno(errno);
	*ret_there = !failed;
	return 0;
}

static int read_paper(int clones_fd, const char *name, struct intent *ret_intent)
{
	scope_free char *text = NULL;
	size_t size;
	int error = place_read_file(clones_fd, name, &text, &size);

	return error < 0 ? error : intent_decode(text, size, ret_intent);
}

static void judge(const struct worker_job *job, const char *clone, const struct nonce *nonce, struct clone_look *look)
{
	const struct intent *intent = &look->intent;
	bool is_wanted = strcmp(intent->clone, clone) == 0 && (!nonce || nonce_equal(&intent->nonce, nonce));

	if (!nonce_equal(&intent->install, &job->install))
		look->owner = OWNER_INSTALL;
	else
		look->owner = strcmp(intent->cluster, job->cluster->id) == 0 ? OWNER_OURS : OWNER_CLUSTER;
	look->paper = look->owner == OWNER_OURS && is_wanted ? PAPER_OURS : PAPER_OTHER;
}

int clones_look(const struct worker_job *job, int clones_fd, const char *clone, const struct nonce *nonce,
		struct clone_look *ret_look, struct reason *why)
{
	struct clone_look look = {.paper = PAPER_NONE};
	struct clone_names names;
	int error;

	clones_name(clone, &names);
	error = exists(clones_fd, names.whole, &look.has_whole);
	if (error == 0)
		error = exists(clones_fd, names.making, &look.has_making);
	if (error == 0)
		error = read_paper(clones_fd, names.paper, &look.intent);
	if (error == ERR_IO || error == ERR_NOMEM || error == ERR_DENIED)
		return reason_set_retry(why, error, NULL, "cannot look at clone %s: %s", clone,
					err_text(error));
	if (error == 0)
		judge(job, clone, nonce, &look);
	else if (error != ERR_NOT_FOUND)
		look.paper = PAPER_OTHER;
	*ret_look = look;
	return 0;
}

int clones_lock(int clones_fd, const char *clone, struct reason *why)
{
	scope_close int fd = -1;
	struct clone_names names;
	int failed;

	clones_name(clone, &names);
	fd = openat(clones_fd, names.paper, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return reason_set_errno(why, errno, "cannot open the paper of clone %s", clone);
	/* The server of an engine that was killed is being killed too. */
	failed = flock(fd, LOCK_EX | LOCK_NB);
	for (int waited = 0; failed && errno == EWOULDBLOCK && waited < LOCK_WAIT_MS; waited += LOCK_PAUSE_MS) {
		nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000000L}, NULL);
		failed = flock(fd, LOCK_EX | LOCK_NB);
	}
	if (failed && errno == EWOULDBLOCK)
		return reason_set_retry(why, ERR_BUSY, "see which process has its files open (fuser), and end it",
					"a server still runs on clone %s", clone);
	return failed ? reason_set_errno(why, errno, "cannot lock clone %s", clone) : scope_take_fd(fd);
}
