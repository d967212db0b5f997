/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The folder is root's, 0700, and its entries are a closed list: images, which
 * their backend removes whole; config/, flat files of ours; and papers, which also say
 * which backend that is.
 */
#include "daemon/engine/remnant.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/snap_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order of their going: the manifest outlives everything, the intent outlives the manifest. */
static const char *const papers[] = {"intent.new", "manifest.json.new", "manifest.json", "intent"};
enum { PAPERS = sizeof(papers) / sizeof(papers[0]) };

static bool is_paper(const char *name)
{
	for (int i = 0; i < PAPERS; i++) {
		if (strcmp(name, papers[i]) == 0)
			return true;
	}
	return false;
}

static bool is_known(const char *name)
{
	static const char *const folders[] = {"data", "tblspc", "wal", "config"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (strcmp(name, folders[i]) == 0)
			return true;
	}
	return is_paper(name);
}

/* Before anything is touched. */
static int check_entries(int fd, const char *folder, struct reason *why)
{
	scope_closedir DIR *dir = names_open(fd);
	const char *name;
	int more = -1;

	while (dir && (more = names_next(dir, &name)) > 0) {
		if (!is_known(name))
			return reason_set(why, ERR_FOREIGN, "look at it, and move away what is not dbsnap's",
					  "%s holds %.255s, which dbsnap did not make: nothing was removed", folder,
					  name);
	}
	return more < 0 ? reason_set_errno(why, errno, "cannot read the folder %s", folder) : 0;
}

static int remove_config(int fd, struct reason *why)
{
	scope_close int config = openat(fd, "config", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	scope_closedir DIR *dir = NULL;
	const char *name;
	int more = -1;

	if (config < 0)
		return errno == ENOENT ? 0 : reason_set_errno(why, errno, "cannot open config");
	dir = names_open(config);
	while (dir && (more = names_next(dir, &name)) > 0) {
		if (unlinkat(config, name, 0) < 0)
			return reason_set_errno(why, errno, "cannot remove config/%.255s", name);
	}
	if (more < 0)
		return reason_set_errno(why, errno, "cannot read config");
	return unlinkat(fd, "config", AT_REMOVEDIR) < 0 ? reason_set_errno(why, errno, "cannot remove config")
							: 0;
}

/* Each tablespace is an image; the folder that holds them is ours, and stays. */
static int remove_tablespaces(struct worker_job *job, const struct snap_ops *snap, int fd, struct reason *why)
{
	scope_close int folder = openat(fd, "tblspc", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	scope_closedir DIR *dir = NULL;
	const char *name;
	int error = 0, more = -1;

	if (folder < 0)
		return errno == ENOENT ? 0 : reason_set_errno(why, errno, "cannot open tblspc");
	dir = names_open(folder);
	while (error == 0 && dir && (more = names_next(dir, &name)) > 0)
		error = snap->destroy(job, folder, name, why);
	return error == 0 && more < 0 ? reason_set_errno(why, errno, "cannot read tblspc") : error;
}

/* What made the images; where no paper says so there is nothing in them, and any backend removes that. */
static int find_backend(const struct worker_job *job, const struct place *place, const char *name,
			const struct snap_ops **ret_snap, struct reason *why)
{
	struct place_look look;
	int error = place_look_at(job, place, name, NULL, &look, NULL, why);

	if (error < 0)
		return error;
	*ret_snap = look.backend[0] ? snap_find(look.backend) : &snap_btrfs;
	if (!*ret_snap)
		return reason_set(why, ERR_UNSUPPORTED, "use the release that made it",
				  "this release cannot remove what %s made", look.backend);
	return 0;
}

static int remove_papers(int fd, struct reason *why)
{
	for (int i = 0; i < PAPERS; i++) {
		if (unlinkat(fd, papers[i], 0) < 0 && errno != ENOENT)
			return reason_set_errno(why, errno, "cannot remove %s", papers[i]);
	}
	return 0;
}

static int empty_folder(struct worker_job *job, const struct place *place, const char *name, struct reason *why)
{
	scope_close int fd = openat(place->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	const struct snap_ops *snap = NULL;
	int error;

	if (fd < 0)
		return errno == ENOENT ? 1 : reason_set_errno(why, errno, "cannot open the folder %s", name);
	error = check_entries(fd, name, why);
	if (error == 0)
		error = find_backend(job, place, name, &snap, why);
	if (error == 0)
		error = snap->destroy(job, fd, "data", why);
	if (error == 0)
		error = remove_tablespaces(job, snap, fd, why);
	/* Never a snapshot, whatever made the others. */
	if (error == 0)
		error = snap_walk_destroy(job, fd, "wal", why);
	/*
	 * Committed before a folder may go: btrfs cannot replay a log in which a folder goes in the
	 * transaction in which its subvolume went, and any fsync beside us could write such a log. After a
	 * power cut the file system could not be mounted.
	 */
	if (error == 0)
		error = remnant_sync(place, why);
	if (error == 0 && unlinkat(fd, "tblspc", AT_REMOVEDIR) < 0 && errno != ENOENT)
		error = reason_set_errno(why, errno, "cannot remove tblspc");
	if (error == 0)
		error = remove_config(fd, why);
	return error == 0 ? remove_papers(fd, why) : error;
}

int remnant_sync(const struct place *place, struct reason *why)
{
	if (volume_is_btrfs(&place->volume))
		return snap_btrfs.sync(place->fd, why);
	return syncfs(place->fd) < 0 ? reason_set_errno(why, errno, "cannot sync %s", place->path) : 0;
}

int remnant_remove(struct worker_job *job, const struct place *place, const char *name, struct reason *why)
{
	int error = empty_folder(job, place, name, why);

	if (error < 0)
		return error;
	if (error == 0 && unlinkat(place->fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return reason_set_errno(why, errno, "cannot remove the folder %s", name);
	return remnant_sync(place, why);
}
