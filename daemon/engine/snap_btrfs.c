/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs: one ioctl is the cut, and one more each tablespace that is a subvolume. Subvolumes below
 * another are not part of its snapshot, so one with such is refused. What a tree contains is
 * asked by number (ioctls on root references), never by the names in it, which
 * are the database user's.
 */
#include "daemon/engine/snap_walk.h"

#include "common/err.h"
#include "common/scope.h"
#include "daemon/engine/names.h"
#include "daemon/engine/volume.h"

#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* What the file system takes for a handle (fs/btrfs/export.h): without a generation any will do. */
enum { FILEID_BTRFS = 0x4d };
struct btrfs_handle {
	uint64_t inode;
	uint64_t subvolume;
	uint32_t generation;
} __attribute__((packed));

/* Where fd was opened, for messages. */
static void path_of(int fd, char *path, size_t size)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, size - 1);
	path[length < 0 ? 0 : length] = '\0';
}

static int refuse_other_type(int fd, const struct volume *volume, struct reason *why)
{
	char path[MSG_PATH_SIZE / 2];

	path_of(fd, path, sizeof(path));
	return reason_set(why, ERR_UNSUPPORTED, "set backend: auto, or move it into a subvolume of a btrfs file system",
			  "%s lies on %s, not on btrfs", path, volume->name);
}

/*
 * For a command that root is shown, in single quotes. The owner of the folder above may have renamed what is open:
 * false for a path that a terminal would not show as it is, or with a quote in it.
 */
static bool quote_path(int fd, char *quoted, size_t size)
{
	char path[MSG_PATH_SIZE / 2];

	path_of(fd, path, sizeof(path));
	for (const char *c = path; *c; c++) {
		if (*c < 0x20 || *c > 0x7e || *c == '\'')
			return false;
	}
	snprintf(quoted, size, "'%s'", path);
	return true;
}

static int refuse_plain_folder(int data_fd, struct reason *why)
{
	char path[MSG_PATH_SIZE / 2], quoted[MSG_PATH_SIZE / 2 + 2], remedy[MSG_TEXT_SIZE];

	path_of(data_fd, path, sizeof(path));
	if (quote_path(data_fd, quoted, sizeof(quoted)))
		snprintf(remedy, sizeof(remedy),
			 "stop the server, then: D=%s; btrfs subvolume create \"$D.new\" && "
			 "cp -a --reflink=always \"$D/.\" \"$D.new/\" && chown --reference=\"$D\" \"$D.new\" && "
			 "chmod --reference=\"$D\" \"$D.new\" && mv \"$D\" \"$D.old\" && mv \"$D.new\" \"$D\"",
			 quoted);
	else
		snprintf(remedy, sizeof(remedy), "stop the server and copy the directory into a new subvolume");
	return reason_set(why, ERR_LAYOUT, remedy,
			  "%s is a plain folder on btrfs, not a subvolume: there is nothing to snapshot", path);
}

/* The name of one nested subvolume, from data_fd. "" if the kernel does not tell. */
static void name_nested(int data_fd, uint64_t directory, uint64_t id, char *name, size_t size)
{
	struct btrfs_ioctl_ino_lookup_user_args lookup = {.dirid = directory, .treeid = id};

	name[0] = '\0';
	if (ioctl(data_fd, BTRFS_IOC_INO_LOOKUP_USER, &lookup) == 0)
		snprintf(name, size, "%.250s%.250s", lookup.path, lookup.name);
}

static int refuse_nested(int data_fd, struct reason *why)
{
	struct btrfs_ioctl_get_subvol_rootref_args refs = {0};
	char path[MSG_PATH_SIZE / 4], name[MSG_PATH_SIZE / 2];

	/* EOVERFLOW: more than fit, so there are some. */
	if (ioctl(data_fd, BTRFS_IOC_GET_SUBVOL_ROOTREF, &refs) < 0 && errno != EOVERFLOW)
		return reason_set_errno(why, errno, "cannot ask for nested subvolumes");
	if (refs.num_items == 0)
		return 0;
	path_of(data_fd, path, sizeof(path));
	name_nested(data_fd, refs.rootref[0].dirid, refs.rootref[0].treeid, name, sizeof(name));
	return reason_set(why, ERR_LAYOUT,
			  "make it a plain folder (stop the server, move the subvolume away, copy its files back), or "
			  "move it out of there",
			  "%s holds the nested subvolume %s, which a snapshot would leave out", path, name);
}

/* The kernel lets the owner of a subvolume snapshot it, and root. */
static int refuse_stranger(const struct worker_job *job, struct reason *why)
{
	struct stat st;

	if (job->as_root || (fstat(job->data_fd, &st) == 0 && st.st_uid == geteuid()))
		return 0;
	return reason_set(why, ERR_UNSUPPORTED, "run dbsnapd as root, or set backend: auto",
			  "%.400s belongs to another user: only he or root can snapshot it", job->cluster->data_dir);
}

/* The database's user has opened it, which he could many a folder: nobody is given a snapshot of what is another's. */
static int refuse_other_owner(const struct worker_job *job, int fd, const char *path, struct reason *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return reason_set_errno(why, errno, "cannot look at %.400s", path);
	if (st.st_uid == (job->as_root ? job->identity.uid : geteuid()))
		return 0;
	return reason_set(why, ERR_LAYOUT, "let it be the database user's", "%.400s does not belong to the database's user",
			  path);
}

static int refuse_other_place(const struct volume *volume, int snapshot_fd, struct reason *why)
{
	struct volume place;
	int error = volume_of(snapshot_fd, &place);

	if (error < 0)
		return reason_set(why, error, NULL, "cannot look at snapshot_dir's file system: %s", err_text(error));
	if (volume_same(volume, &place))
		return 0;
	return reason_set(why, ERR_LAYOUT, "put snapshot_dir on the file system of data_dir",
			  "snapshot_dir lies on another file system than data_dir: btrfs snapshots cannot");
}

static int probe_folder(int fd, struct volume *ret_volume, struct reason *why)
{
	int error = volume_of(fd, ret_volume);

	if (error < 0)
		return reason_set(why, error, NULL, "cannot look at a file system: %s", err_text(error));
	if (!volume_is_btrfs(ret_volume))
		return refuse_other_type(fd, ret_volume, why);
	if (btrfs_util_is_subvolume_fd(fd) != BTRFS_UTIL_OK)
		return refuse_plain_folder(fd, why);
	return refuse_nested(fd, why);
}

static int probe(struct worker_job *job, int snapshot_fd, struct reason *why)
{
	struct volume volume;
	int error = probe_folder(job->data_fd, &volume, why);

	if (error == 0)
		error = refuse_stranger(job, why);
	return error < 0 || snapshot_fd < 0 ? error : refuse_other_place(&volume, snapshot_fd, why);
}

static int probe_part(struct worker_job *job, int fd, const char *path, struct reason *why)
{
	struct volume volume, data;
	int error = probe_folder(fd, &volume, why);

	if (error == 0)
		error = refuse_other_owner(job, fd, path, why);
	if (error < 0)
		return error;
	error = volume_of(job->data_fd, &data);
	if (error < 0)
		return reason_set(why, error, NULL, "cannot look at data_dir's file system: %s", err_text(error));
	return volume_same(&volume, &data) ? 0 :
	       reason_set(why, ERR_LAYOUT, "set backend: copy (or auto)",
			  "%.400s lies on another file system than data_dir: btrfs snapshots cannot", path);
}

/* By the ioctl for everybody: the library's way needs CAP_SYS_ADMIN when the caller is root. */
int snap_btrfs_identify(int fd, struct snap_identity *ret_identity, struct reason *why)
{
	struct btrfs_ioctl_get_subvol_info_args info = {0};
	struct snap_identity identity = {0};
	static const uint8_t none[16];

	if (btrfs_util_is_subvolume_fd(fd) != BTRFS_UTIL_OK)
		return reason_set(why, ERR_LAYOUT, NULL, "this is not the root of a subvolume");
	if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &info) < 0)
		return reason_set_errno(why, errno, "cannot ask what this subvolume is");
	identity.id = info.treeid;
	identity.read_only = info.flags & BTRFS_ROOT_SUBVOL_RDONLY;
	uuid_format(info.uuid, identity.uuid);
	if (memcmp(info.parent_uuid, none, sizeof(none)) != 0)
		uuid_format(info.parent_uuid, identity.parent);
	*ret_identity = identity;
	return 0;
}

static int flush(int data_fd, struct reason *why)
{
	return syncfs(data_fd) < 0 ? reason_set_errno(why, errno, "cannot write out what is dirty") : 0;
}

/* A folder by one name. Links, other mounts and ".." are refused by the kernel. */
static int open_below(int parent_fd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, parent_fd, name, &how, sizeof(how));
}

static int snapshot(int source_fd, int parent_fd, const char *name, int flags, struct snap_identity *ret_identity,
		    struct reason *why)
{
	scope_close int fd = -1;

	if (btrfs_util_create_snapshot_fd2(source_fd, parent_fd, name, flags, NULL, NULL) != BTRFS_UTIL_OK)
		return reason_set_errno(why, errno, "btrfs cannot make the snapshot %s", name);
	fd = open_below(parent_fd, name);
	if (fd < 0)
		return reason_set_errno(why, errno, "cannot open the snapshot %s just made", name);
	return snap_btrfs_identify(fd, ret_identity, why);
}

static const char tblspc[] = "tblspc";

/* Nothing may have been put below it meanwhile: a snapshot leaves that out. */
static int cut_tablespace(const struct snap_tablespace *tablespace, int folder, char uuid[static IDENT_UUID_SIZE],
			  struct reason *why)
{
	struct snap_identity identity;
	char name[16];
	int error;

	snprintf(name, sizeof(name), "%" PRIu32, tablespace->oid);
	error = snapshot(tablespace->fd, folder, name, BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY, &identity, why);
	if (error == 0)
		error = refuse_nested(tablespace->fd, why);
	if (error == 0)
		memcpy(uuid, identity.uuid, IDENT_UUID_SIZE);
	return error;
}

static int cut_tablespaces(const struct snap_order *order, struct snap_made *made, struct reason *why)
{
	scope_close int folder = -1;
	int error = 0;

	if (order->tablespace_count == 0)
		return 0;
	if (order->tablespace_count > SNAP_TABLESPACES_MAX)
		return reason_set(why, ERR_LAYOUT, NULL, "there are more than %d tablespaces", SNAP_TABLESPACES_MAX);
	folder = mkdirat(order->to_fd, tblspc, 0700) < 0 ? -1 : open_below(order->to_fd, tblspc);
	if (folder < 0)
		return reason_set_errno(why, errno, "cannot make the folder %s", tblspc);
	for (size_t i = 0; error == 0 && i < order->tablespace_count; i++)
		error = cut_tablespace(&order->tablespaces[i], folder, made->spaces[i], why);
	return error;
}

/* The data directory last: its pg_control is then no older than any other file of the database. */
static int cut(const struct snap_order *order, struct snap_made *ret_made, struct reason *why)
{
	int flags = order->adds ? 0 : BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY;
	struct snap_made made = {0};
	int error = cut_tablespaces(order, &made, why);

	if (error == 0)
		error = snapshot(order->job->data_fd, order->to_fd, "data", flags, &made.image, why);
	if (error == 0)
		*ret_made = made;
	return error;
}

static int seal(int to_fd, struct reason *why)
{
	scope_close int fd = open_below(to_fd, "data");
	uint64_t flags = BTRFS_SUBVOL_RDONLY;

	if (fd < 0)
		return reason_set_errno(why, errno, "cannot open the snapshot to close it");
	return ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags) < 0 ?
	       reason_set_errno(why, errno, "cannot make the snapshot read-only") : 0;
}

/* clone_fd is its user's: a walker makes the folder, and what he puts in its place is at most another of his own. */
static int clone_tablespaces(struct worker_job *job, int backup_fd, int clone_fd, struct reason *why)
{
	scope_close int from = open_below(backup_fd, tblspc), to = -1;
	scope_closedir DIR *dir = from < 0 ? NULL : names_open(from);
	const char *name;
	int error, more = -1;

	if (from < 0)
		return errno == ENOENT ? 0 : reason_set_errno(why, errno, "cannot open the backup's %s", tblspc);
	error = snap_walk_make_below(job, clone_fd, tblspc, why);
	to = error < 0 ? -1 : open_below(clone_fd, tblspc);
	if (to < 0)
		return error < 0 ? error : reason_set_errno(why, errno, "cannot open the clone's %s", tblspc);
	while (error == 0 && dir && (more = names_next(dir, &name)) > 0) {
		scope_close int image_fd = open_below(from, name);
		struct snap_identity identity;

		error = image_fd < 0 ? reason_set_errno(why, errno, "cannot open the backup's %s/%.64s", tblspc, name) :
				       snapshot(image_fd, to, name, 0, &identity, why);
	}
	return error == 0 && more < 0 ? reason_set_errno(why, errno, "cannot list the backup's %s", tblspc) : error;
}

static int clone_wal(struct worker_job *job, int backup_fd, int clone_fd, struct reason *why)
{
	scope_close int from = open_below(backup_fd, "wal");

	if (from < 0)
		return errno == ENOENT ? 0 : reason_set_errno(why, errno, "cannot open the backup's wal");
	return snap_walk_copy_below(job, from, clone_fd, SNAP_WAL, why);
}

static int clone_image(struct worker_job *job, int image_fd, int parent_fd, const char *name, struct snap_identity *ret_identity,
		       struct reason *why)
{
	(void)job;
	return snapshot(image_fd, parent_fd, name, 0, ret_identity, why);
}

static int clone(struct worker_job *job, int backup_fd, int parent_fd, const char *name,
		 struct snap_identity *ret_identity, struct reason *why)
{
	scope_close int image_fd = open_below(backup_fd, "data"), clone_fd = -1;
	int error;

	if (image_fd < 0)
		return reason_set_errno(why, errno, "cannot open the backup's data");
	error = clone_image(job, image_fd, parent_fd, name, ret_identity, why);
	if (error < 0)
		return error;
	clone_fd = open_below(parent_fd, name);
	if (clone_fd < 0)
		return reason_set_errno(why, errno, "cannot open the clone just made");
	error = clone_tablespaces(job, backup_fd, clone_fd, why);
	return error < 0 ? error : clone_wal(job, backup_fd, clone_fd, why);
}

/* One subvolume directly below id, by number. 0: *ret_child, which is 0 when there is none. */
static int first_child(int fd, uint64_t id, uint64_t *ret_child)
{
	struct btrfs_ioctl_search_args search = {.key = {.tree_id = BTRFS_ROOT_TREE_OBJECTID,
							  .min_objectid = id,
							  .max_objectid = id,
							  .max_offset = UINT64_MAX,
							  .max_transid = UINT64_MAX,
							  .min_type = BTRFS_ROOT_REF_KEY,
							  .max_type = BTRFS_ROOT_REF_KEY,
							  .nr_items = 1}};
	struct btrfs_ioctl_search_header header;

	if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, &search) < 0)
		return err_from_errno(errno);
	memcpy(&header, search.buf, sizeof(header));
	*ret_child = search.key.nr_items > 0 ? header.offset : 0;
	return 0;
}

static int destroy_number(int fd, uint64_t id)
{
	struct btrfs_ioctl_vol_args_v2 args = {.flags = BTRFS_SUBVOL_SPEC_BY_ID, .subvolid = id};

	return ioctl(fd, BTRFS_IOC_SNAP_DESTROY_V2, &args) < 0 ? err_from_errno(errno) : 0;
}

/* The root of a subvolume by its number: the file system's own handle, so no name is looked up. -1 with errno. */
static int open_number(int fd, uint64_t id)
{
	union {
		struct file_handle head;
		char bytes[sizeof(struct file_handle) + sizeof(struct btrfs_handle)];
	} handle = {.head = {.handle_bytes = sizeof(struct btrfs_handle), .handle_type = FILEID_BTRFS}};
	const struct btrfs_handle root = {.inode = BTRFS_FIRST_FREE_OBJECTID, .subvolume = id};

	memcpy(handle.bytes + sizeof(handle.head), &root, sizeof(root));
	return open_by_handle_at(fd, &handle.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int set_writable(int subvolume_fd)
{
	uint64_t flags;

	if (ioctl(subvolume_fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) < 0)
		return err_from_errno(errno);
	if (!(flags & BTRFS_SUBVOL_RDONLY))
		return 0;
	flags &= ~BTRFS_SUBVOL_RDONLY;
	return ioctl(subvolume_fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags) < 0 ? err_from_errno(errno) : 0;
}

/* Nothing can be removed from a read-only subvolume, and its owner may have made it one. */
static int make_writable(int fd, uint64_t id)
{
	scope_close int subvolume_fd = open_number(fd, id);

	return subvolume_fd < 0 ? err_from_errno(errno) : set_writable(subvolume_fd);
}

/* The innermost one below id, on one way down, and the one that it is in. 0: *ret_id, which is 0 when there is none. */
static int find_innermost(int fd, uint64_t id, uint64_t *ret_parent, uint64_t *ret_id)
{
	uint64_t parent = 0, child = id;
	int error = 0;

	*ret_id = 0;
	while (error == 0 && child != 0) {
		*ret_parent = parent;
		*ret_id = parent ? child : 0;
		parent = child;
		error = first_child(fd, parent, &child);
	}
	return error;
}

/* Everything below id, innermost first: the owner of a clone may have made subvolumes in it, as deep as he likes. */
static int destroy_children(int fd, uint64_t id)
{
	uint64_t parent = 0, child = 0;
	int error;

	while ((error = find_innermost(fd, id, &parent, &child)) == 0 && child != 0) {
		error = make_writable(fd, parent);
		if (error == 0)
			error = destroy_number(fd, child);
		if (error < 0)
			return error;
	}
	return error;
}

static int destroy_folder(int parent_fd, const char *name, struct reason *why)
{
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return reason_set(why, ERR_FOREIGN, "look at it and remove it by hand",
				  "%s is a plain folder with something in it, no snapshot", name);
	return reason_set_errno(why, errno, "cannot remove the folder %s", name);
}

/*
 * Without root. The mount option user_subvol_rm_allowed lets the owner remove it whole; elsewhere rmdir takes a
 * subvolume that is empty, as it would a folder, so that a backup never stays for want of a right.
 */
static int destroy_as_owner(struct worker_job *job, int fd, int parent_fd, const char *name, struct reason *why)
{
	int error = set_writable(fd);

	if (error < 0)
		return reason_set_retry(why, error, NULL, "cannot make the snapshot %s writable to remove it: %s", name,
					err_text(error));
	if (btrfs_util_delete_subvolume_fd(parent_fd, name, 0) == BTRFS_UTIL_OK)
		return 0;
	error = snap_walk_empty(job, fd, why);
	if (error == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		error = reason_set_errno(why, errno, "cannot remove the snapshot %s", name);
	return error;
}

static int destroy(struct worker_job *job, int parent_fd, const char *name, struct reason *why)
{
	scope_close int fd = open_below(parent_fd, name);
	struct snap_identity identity;
	int error;

	if (fd < 0)
		return errno == ENOENT ? 0 : reason_set_errno(why, errno, "cannot open %s to remove it", name);
	if (btrfs_util_is_subvolume_fd(fd) != BTRFS_UTIL_OK)
		return destroy_folder(parent_fd, name, why);
	if (!job->as_root)
		return destroy_as_owner(job, fd, parent_fd, name, why);
	error = snap_btrfs_identify(fd, &identity, why);
	if (error < 0)
		return error;
	error = destroy_children(fd, identity.id);
	if (error < 0)
		return reason_set_retry(why, error, NULL, "cannot remove the subvolumes inside %s: %s", name,
					err_text(error));
	if (btrfs_util_delete_subvolume_fd(parent_fd, name, 0) != BTRFS_UTIL_OK && errno != ENOENT)
		return reason_set_errno(why, errno, "cannot remove the snapshot %s", name);
	return 0;
}

static int sync_all(int fd, struct reason *why)
{
	return syncfs(fd) < 0 ? reason_set_errno(why, errno, "the file system did not commit") : 0;
}

const struct snap_ops snap_btrfs = {
	.name = "btrfs",
	.atomic = true,
	.probe = probe,
	.probe_part = probe_part,
	.flush = flush,
	.cut = cut,
	.seal = seal,
	.clone = clone,
	.clone_image = clone_image,
	.destroy = destroy,
	.sync = sync_all,
};
