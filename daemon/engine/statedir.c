/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the front's store lies, and nobody else reads. */
#include "daemon/engine/statedir.h"

#include "common/err.h"
#include "common/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Parents as anybody would make them; the last one is the front's alone. */
static int make_parents(const char *path)
{
	char part[CONF_PATH_SIZE];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) == 0 && chmod(part, 0755) < 0)
			return err_from_errno(errno);
		if (access(part, F_OK) < 0)
			return err_from_errno(errno);
		*slash = '/';
	}
	return 0;
}

static int make(const char *path, const struct proc_identity *owner)
{
	int error = make_parents(path);

	if (error == 0 && mkdir(path, 0700) < 0)
		error = err_from_errno(errno);
	if (error == 0 && geteuid() == 0 && lchown(path, owner->uid, owner->gid) < 0)
		error = err_from_errno(errno);
	if (error < 0)
		log_error("cannot make state_dir %s: %s", path, err_text(error));
	return error;
}

static int check(const char *path, const struct stat *st, const struct proc_identity *owner)
{
	if (!S_ISDIR(st->st_mode)) {
		log_error("state_dir %s is not a directory: move it away or correct state_dir", path);
		return ERR_UNTRUSTED;
	}
	if (st->st_uid != owner->uid) {
		log_error("state_dir %s belongs to uid %u and must belong to uid %u: chown -R %u:%u %s", path,
			  (unsigned)st->st_uid, (unsigned)owner->uid, (unsigned)owner->uid,
			  (unsigned)owner->gid, path);
		return ERR_UNTRUSTED;
	}
	if (st->st_mode & 077) {
		log_error("state_dir %s has mode %04o and must be private: chmod 0700 %s", path,
			  (unsigned)(st->st_mode & 07777), path);
		return ERR_UNTRUSTED;
	}
	return 0;
}

int statedir_prepare(const struct conf *conf, const struct proc_identity *owner)
{
	struct stat st;

	if (lstat(conf->state_dir, &st) == 0)
		return check(conf->state_dir, &st, owner);
	if (errno != ENOENT) {
		log_error("cannot look at state_dir %s: %s", conf->state_dir, strerror(errno));
		return err_from_errno(errno);
	}
	return make(conf->state_dir, owner);
}
