/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Btrfs subvolumes.
 *
 *   remove   list all that is nested, outermost first; make each writable; delete in reverse order
 *
 * The library's own recursive deletion stops at a subvolume inside a read-only one (EROFS), and follows
 * whole paths, symlinks included, through a tree that a container wrote.
 */
#include "kernel/subvolume.h"

#include <btrfsutil.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/probe.h"

DEFINE_CLEANUP(iterator, struct btrfs_util_subvolume_iterator,
	       btrfs_util_destroy_subvolume_iterator)
#define cleanup_iterator __attribute__((cleanup(cleanup_iterator_at)))

int subvolume_create(int dir_fd, const char *name, struct snapdrv_error *err)
{
	if (btrfs_util_create_subvolume_fd(dir_fd, name, 0, NULL, NULL))
		return fail_errno(err, "make subvolume %s", quote(name).text);
	return 0;
}

int subvolume_snapshot(int source_fd, int dir_fd, const char *name, int read_only,
		       struct snapdrv_error *err)
{
	int flags = read_only ? BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY : 0;

	if (btrfs_util_create_snapshot_fd2(source_fd, dir_fd, name, flags, NULL, NULL))
		return fail_errno(err, "make snapshot %s", quote(name).text);
	return 0;
}

int subvolume_freeze(int fd, struct snapdrv_error *err)
{
	if (btrfs_util_set_subvolume_read_only_fd(fd, true))
		return fail_errno(err, "make a subvolume read-only");
	return 0;
}

int subvolume_is_frozen(int fd, struct snapdrv_error *err)
{
	bool is_frozen;

	if (btrfs_util_get_subvolume_read_only_fd(fd, &is_frozen))
		return fail_errno(err, "look whether a subvolume is read-only");
	return is_frozen;
}

/* Paths of nested subvolumes, relative to `fd`; each stands before those that are nested in it. */
static int list_nested(int fd, struct strings *list, struct snapdrv_error *err)
{
	cleanup_iterator struct btrfs_util_subvolume_iterator *iterator = NULL;

	if (btrfs_util_create_subvolume_iterator_fd(fd, 0, 0, &iterator))
		return fail_errno(err, "list nested subvolumes");
	for (;;) {
		cleanup_free char *path = NULL;
		enum btrfs_util_error code =
			btrfs_util_subvolume_iterator_next(iterator, &path, NULL);
		int ret;

		if (code == BTRFS_UTIL_ERROR_STOP_ITERATION)
			return 0;
		if (code)
			return fail_errno(err, "list nested subvolumes");
		ret = strings_add(list, path, err);
		if (ret)
			return ret;
	}
}

int subvolume_thaw(int fd)
{
	bool read_only;

	return btrfs_util_get_subvolume_read_only_fd(fd, &read_only) ||
	       (read_only && btrfs_util_set_subvolume_read_only_fd(fd, false));
}

/*
 * A deleted subvolume's own quota group stays behind before Linux 6.10. From there on the cleaner takes
 * it along with the last blocks, and whoever comes earlier is told EBUSY. ENOTCONN (EINVAL before 5.3):
 * quotas are off. None of this makes the removal fail.
 */
static void remove_quota_group(int dir_fd, uint64_t id)
{
	struct btrfs_ioctl_qgroup_create_args args = {.create = 0, .qgroupid = id};

	(void)ioctl(dir_fd, BTRFS_IOC_QGROUP_CREATE, &args);
}

static int delete_one(int dir_fd, const char *name, struct snapdrv_error *err)
{
	cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint64_t id;

	if (fd < 0 || btrfs_util_subvolume_id_fd(fd, &id) ||
	    btrfs_util_delete_subvolume_fd(dir_fd, name, 0))
		return fail_errno(err, "delete subvolume %s", quote(name).text);
	remove_quota_group(dir_fd, id);
	return 0;
}

static int delete_nested(int top_fd, const char *path, struct snapdrv_error *err)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *parent = slash ? strndup(path, (size_t)(slash - path)) : strdup("");
	cleanup_fd int dir_fd = -1;

	if (!parent)
		return fail_memory(err);
	dir_fd = file_open_below(top_fd, parent);
	if (dir_fd < 0)
		return fail_errno(err, "open directory %s", quote(parent).text);
	return delete_one(dir_fd, slash ? slash + 1 : path, err);
}

static int remove_nested(int top_fd, struct snapdrv_error *err)
{
	cleanup_strings struct strings list = {0};
	int ret = list_nested(top_fd, &list, err), more;

	if (list.count && subvolume_thaw(top_fd) && !ret)
		ret = fail_errno(err, "make a subvolume writable");
	for (size_t i = 0; i < list.count; i++) {
		cleanup_fd int fd = file_open_below(top_fd, list.items[i]);

		if ((fd < 0 || subvolume_thaw(fd)) && !ret)
			ret = fail_errno(err, "make subvolume %s writable",
					 quote(list.items[i]).text);
	}
	for (size_t i = list.count; i-- > 0;) {
		more = delete_nested(top_fd, list.items[i], ret ? NULL : err);
		ret = ret ? ret : more;
	}
	return ret;
}

int subvolume_remove(int dir_fd, const char *name, struct snapdrv_error *err)
{
	cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct snapdrv_error why;
	int ret;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : fail_errno(err, "open subvolume %s", quote(name).text);
	if (btrfs_util_is_subvolume_fd(fd))
		return 0;
	ret = remove_nested(fd, &why);
	if (!ret)
		return delete_one(dir_fd, name, err);
	/*
	 * The kernel tells no names of more than 4,080 bytes (ENAMETOOLONG). Removing what can be removed
	 * takes empty subvolumes along (rmdir(2), Linux 4.18) and moves up what lies too deep.
	 */
	if (!subvolume_thaw(fd) && !file_remove_tree(dir_fd, name, NULL))
		return 0;
	ret = remove_nested(fd, NULL);
	return ret ? fail_as(err, &why) : delete_one(dir_fd, name, err);
}

static int try_snapshot(int dir_fd, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	int ret = subvolume_create(dir_fd, "probe", err);

	if (ret)
		return ret;
	fd = file_open_dir(dir_fd, "probe", err);
	if (fd < 0)
		return fd;
	if (mknodat(fd, "file", S_IFREG | 0600, 0))
		return fail_errno(err, "write to a subvolume");
	ret = subvolume_snapshot(fd, dir_fd, "probe.snapshot", 1, err);
	if (!ret && faccessat(dir_fd, "probe.snapshot/file", F_OK, 0))
		ret = fail_errno(err, "read a snapshot");
	return ret;
}

int subvolume_probe(int dir_fd, struct snapdrv_error *err)
{
	struct filesystem_name fs = probe_filesystem(dir_fd);
	int ret, more;

	if (strcmp(fs.text, "btrfs"))
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "%s has no subvolumes: the driver needs btrfs", fs.text);
	ret = try_snapshot(dir_fd, err);
	more = subvolume_remove(dir_fd, "probe.snapshot", ret ? NULL : err);
	ret = ret ? ret : more;
	more = subvolume_remove(dir_fd, "probe", ret ? NULL : err);
	return ret ? ret : more;
}

int subvolume_quota(int fd, uint64_t *ret_bytes, struct snapdrv_error *err)
{
	struct btrfs_ioctl_search_args search = {0};
	struct btrfs_ioctl_search_header *header = (void *)search.buf;
	const struct btrfs_qgroup_info_item *item = (void *)(header + 1);
	uint64_t id;
	enum btrfs_util_error failed = btrfs_util_subvolume_id_fd(fd, &id);

	if (failed)
		return fail_errno(err, "subvolume: %s", btrfs_util_strerror(failed));
	if (syncfs(fd))
		return fail_errno(err, "sync the filesystem");
	search.key = (struct btrfs_ioctl_search_key){
		.tree_id = BTRFS_QUOTA_TREE_OBJECTID,
		.min_type = BTRFS_QGROUP_INFO_KEY,
		.max_type = BTRFS_QGROUP_INFO_KEY,
		.min_offset = id, /* of a level-0 group: the subvolume's */
		.max_offset = id,
		.max_transid = UINT64_MAX,
		.nr_items = 1,
	};
	if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, &search))
		return errno == ENOENT ? 0 : fail_errno(err, "look for a quota group");
	if (!search.key.nr_items || header->len < sizeof(*item))
		return 0;
	*ret_bytes = le64toh(item->excl);
	return 1;
}
