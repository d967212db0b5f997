/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs: one ioctl is the cut. Subvolumes below another are not part of its
 * snapshot, so a data directory with such is refused. What a tree contains is
 * asked by number (ioctls on root references), never by the names in it, which
 * are the database user's.
 */
#include "daemon/engine/snap_walk.h"

#include "common/err.h"
#include "common/scope.h"
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

static int refuse_other_type(int data_fd, const struct volume *volume, struct reason *why)
{
	char path[MSG_PATH_SIZE / 2];

	path_of(data_fd, path, sizeof(path));
	return reason_set(why, ERR_UNSUPPORTED,
			  "set backend: auto, or move the data directory into a subvolume of a btrfs file system",
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
			  "move it out of the data directory",
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

static int probe(struct worker_job *job, int snapshot_fd, struct reason *why)
{
	int data_fd = job->data_fd;
	struct volume volume;
	int error = volume_of(data_fd, &volume);

	if (error < 0)
		return reason_set(why, error, NULL, "cannot look at data_dir's file system: %s", err_text(error));
	if (!volume_is_btrfs(&volume))
		return refuse_other_type(data_fd, &volume, why);
	if (btrfs_util_is_subvolume_fd(data_fd) != BTRFS_UTIL_OK)
		return refuse_plain_folder(data_fd, why);
	error = refuse_nested(data_fd, why);
	if (error == 0)
		error = refuse_stranger(job, why);
	return error < 0 || snapshot_fd < 0 ? error : refuse_other_place(&volume, snapshot_fd, why);
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

static int cut(const struct snap_order *order, struct snap_made *ret_made, struct reason *why)
{
	struct snap_made made = {0};
	int error = snapshot(order->job->data_fd, order->to_fd, "data", BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY,
			     &made.image, why);

	if (error == 0)
		*ret_made = made;
	return error;
}

static int clone(struct worker_job *job, int backup_fd, int parent_fd, const char *name,
		 struct snap_identity *ret_identity, struct reason *why)
{
	scope_close int image_fd = open_below(backup_fd, "data");

	(void)job;
	if (image_fd < 0)
		return reason_set_errno(why, errno, "cannot open the backup's data");
	return snapshot(image_fd, parent_fd, name, 0, ret_identity, why);
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
	.flush = flush,
	.cut = cut,
	.clone = clone,
	.destroy = destroy,
	.sync = sync_all,
};
