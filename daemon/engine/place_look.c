/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lies at a name in the place: ours by its papers, nobody's, or somebody
 * else's. Whatever this cannot tell for sure is a stranger's and never touched.
 */
#include "daemon/engine/place.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void place_name(enum place_form form, uint64_t backup, char name[static PLACE_ID_SIZE])
{
	static const char *const prefix[] = {[PLACE_MAKING] = ".", [PLACE_WHOLE] = "", [PLACE_GOING] = ".del-"};

	snprintf(name, PLACE_ID_SIZE, "%s%" PRIu64, prefix[form], backup);
}

/* Papers that are missing or damaged are no error: they only prove nothing. */
static int read_manifest(int fd, struct manifest *ret_manifest)
{
	scope_free char *text = NULL;
	size_t size;
	int error = place_read_file(fd, "manifest.json", &text, &size);

	return error < 0 ? error : manifest_decode(text, size, ret_manifest);
}

static int read_intent(int fd, struct intent *ret_intent)
{
	scope_free char *text = NULL;
	size_t size;
	int error = place_read_file(fd, "intent", &text, &size);

	return error < 0 ? error : intent_decode(text, size, ret_intent);
}

/* Has the folder no entry? -1 when it cannot be read. */
static int is_empty(int dir_fd, const char *name)
{
	scope_close int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	scope_closedir DIR *dir = fd < 0 ? NULL : names_open(fd);
	const char *first;
	int more = dir ? names_next(dir, &first) : -1;

	return more < 0 ? -1 : more == 0;
}

/* An entry of a folder that never got its intent: nothing of value can be in it. */
static bool is_harmless(int dir_fd, const char *name)
{
	return strcmp(name, "intent.new") == 0 || (strcmp(name, "data") == 0 && is_empty(dir_fd, name) == 1);
}

static bool holds_nothing(int fd)
{
	scope_closedir DIR *dir = names_open(fd);
	const char *name;
	int more = -1;

	while (dir && (more = names_next(dir, &name)) > 0) {
		if (!is_harmless(fd, name))
			return false;
	}
	return more == 0;
}

static void judge(const struct worker_job *job, const struct nonce *install, const char *cluster,
		  const struct nonce *wanted, struct place_look *look)
{
	bool is_wanted = !wanted || nonce_equal(&look->nonce, wanted);

	if (!nonce_equal(install, &job->install))
		look->owner = OWNER_INSTALL;
	else
		look->owner = strcmp(cluster, job->cluster->id) == 0 ? OWNER_OURS : OWNER_CLUSTER;
	look->thing = look->owner == OWNER_OURS && is_wanted ? THING_OURS : THING_OTHER;
}

static int look_inside(const struct worker_job *job, int fd, const struct nonce *nonce, struct place_look *look,
		       struct manifest *manifest)
{
	struct intent intent;
	int error = read_manifest(fd, manifest);

	if (error == ERR_IO || error == ERR_NOMEM)
		return error;
	look->has_manifest = error == 0;
	error = read_intent(fd, &intent);
	if (error == ERR_IO || error == ERR_NOMEM)
		return error;
	look->has_intent = error == 0;
	if (look->has_manifest) {
		look->nonce = manifest->facts.nonce;
		memcpy(look->backend, manifest->facts.backend, sizeof(look->backend));
		judge(job, &manifest->install, manifest->cluster, nonce, look);
	} else if (look->has_intent) {
		look->nonce = intent.nonce;
		memcpy(look->backend, intent.backend, sizeof(look->backend));
		judge(job, &intent.install, intent.cluster, nonce, look);
	} else {
		look->thing = holds_nothing(fd) ? THING_EMPTY : THING_STRANGER;
	}
	return 0;
}

/* 1: a folder that only root (or this user) may change; 0: not; a code when looking failed. */
static int is_our_kind(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_from_errno(errno);
	return (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & 022);
}

int place_look_at(const struct worker_job *job, const struct place *place, const char *name,
		  const struct nonce *nonce, struct place_look *ret_look, struct manifest *ret_manifest,
		  struct reason *why)
{
	scope_free struct manifest *manifest = calloc(1, sizeof(*manifest));
	struct place_look look = {.thing = THING_STRANGER};
	scope_close int fd = openat(place->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int error;

	if (fd < 0 && errno == ENOENT) {
		*ret_look = (struct place_look){.thing = THING_NONE};
		return 0;
	}
	if (fd < 0 && errno != ENOTDIR && errno != ELOOP)
		return reason_set_errno(why, errno, "cannot look at %s/%s", place->path, name);
	if (!manifest)
		return reason_set_retry(why, ERR_NOMEM, NULL, "out of memory");
	error = fd < 0 ? 0 : is_our_kind(fd);
	if (error > 0)
		error = look_inside(job, fd, nonce, &look, manifest);
	if (error < 0)
		return reason_set_retry(why, error, NULL, "cannot read %s/%s: %s", place->path, name,
					err_text(error));
	if (ret_manifest && look.has_manifest)
		*ret_manifest = *manifest;
	*ret_look = look;
	return 0;
}
