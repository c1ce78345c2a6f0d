/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for a mount and taking it down (libmount reads the table). */
#include "kernel/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/namespace.h"

#define LEAVING_TRIES 20 /* to unmount what nobody is seen to use, */
#define LEAVING_MS 50	 /* so far apart */

DEFINE_CLEANUP(table, struct libmnt_table, mnt_unref_table)
DEFINE_CLEANUP(iter, struct libmnt_iter, mnt_free_iter)
#define cleanup_table __attribute__((cleanup(cleanup_table_at)))
#define cleanup_iter __attribute__((cleanup(cleanup_iter_at)))

/* The number of the mount that a descriptor is on (Linux 3.15), or a negative errno value. */
static int mount_id(int fd)
{
	char path[64], text[512], *line;
	cleanup_fd int info_fd = -1;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info_fd = open(path, O_RDONLY | O_CLOEXEC);
	length = info_fd < 0 ? -1 : read(info_fd, text, sizeof(text) - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	line = strstr(text, "mnt_id:");
	return line ? atoi(line + strlen("mnt_id:")) : -EINVAL;
}

/* A bind mount may be on the device of its parent, but it has a number of its own. */
static int has_own_number(int dir_fd, const char *name)
{
	cleanup_fd int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int parent = fd < 0 ? -errno : mount_id(dir_fd), own = fd < 0 ? -errno : mount_id(fd);

	if (parent < 0 || own < 0)
		return parent < 0 ? parent : own;
	return own != parent;
}

/* STATX_ATTR_MOUNT_ROOT is Linux 5.8, and a filter may keep statx(2) from us. */
int mount_is(int dir_fd, const char *name)
{
	struct statx stx = {0};
	int is = 0;

	if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &stx))
		is = -errno;
	if (is == -ENOSYS || is == -EPERM ||
	    (!is && !(stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)))
		is = has_own_number(dir_fd, name);
	else if (!is)
		is = !!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
	return is == -ENOENT ? 0 : is;
}

/* 1: this kernel, or a filter around this process, lacks the new calls. */
static int bind_new(int source_fd, int target_fd, int read_only, const struct id_shift *shift,
		    struct snapdrv_error *err)
{
	struct mount_attr attr = {.attr_set = read_only ? MOUNT_ATTR_RDONLY : 0,
				  .propagation = MS_PRIVATE};
	cleanup_fd int fd =
		open_tree(source_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
		return errno == ENOSYS || errno == EPERM ? 1 : fail_errno(err, "bind a directory");
	if (shift) {
		int ret = idmap_apply(fd, shift, err);

		if (ret)
			return ret;
	}
	if (move_mount(fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return fail_errno(err, "bind a directory: attach it");
	return 0;
}

/*
 * A bind mount becomes private and read-only in steps of their own, by its path: the descriptor stands
 * for what is now covered. The flags that it has from its source would go with the remount.
 */
static int bind_old(int source_fd, int target_fd, int read_only, struct snapdrv_error *err)
{
	char source[64], target[64], path[PATH_MAX];
	struct statvfs fs;
	ssize_t length;

	snprintf(source, sizeof(source), "/proc/self/fd/%d", source_fd);
	snprintf(target, sizeof(target), "/proc/self/fd/%d", target_fd);
	length = readlink(target, path, sizeof(path) - 1);
	if (length < 0 || fstatvfs(source_fd, &fs) || mount(source, target, NULL, MS_BIND, NULL))
		return fail_errno(err, "bind a directory");
	path[length] = '\0';
	if (!mount(NULL, path, NULL, MS_PRIVATE, NULL) &&
	    (!read_only || !mount(NULL, path, NULL,
				  MS_REMOUNT | MS_BIND | MS_RDONLY |
					  (fs.f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC |
							MS_NOATIME | MS_NODIRATIME)),
				  NULL)))
		return 0;
	fail_errno(err, "bind a directory: set its flags");
	length = -errno;
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	return (int)length;
}

int mount_bind(int source_fd, int target_fd, int read_only, const struct id_shift *shift,
	       struct snapdrv_error *err)
{
	int ret = bind_new(source_fd, target_fd, read_only, shift, err);

	if (ret == 1 && shift)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "shift owners: this kernel has no idmapped mounts (Linux 5.12)");
	return ret == 1 ? bind_old(source_fd, target_fd, read_only, err) : ret;
}

static int is_below(const char *path, const char *top)
{
	size_t length = strlen(top);

	return !strncmp(path, top, length) && (path[length] == '/' || !path[length]);
}

int mount_detach_below(const char *path, struct snapdrv_error *err)
{
	cleanup_table struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	cleanup_iter struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
	struct libmnt_fs *fs;
	int ret = 0;

	if (!table || !iter)
		return fail_errno(err, "read /proc/self/mountinfo");
	while (!mnt_table_next_fs(table, iter, &fs)) {
		const char *target = mnt_fs_get_target(fs);

		if (is_below(target, path) && umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) && !ret)
			ret = fail_errno(err, "unmount %s", quote(target).text);
	}
	return ret;
}

/* A mount on top of a directory inside the mount at `path`. */
static char *mount_on_top(const char *path)
{
	cleanup_table struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	cleanup_iter struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	char *text = NULL;

	if (!table || !iter)
		return NULL;
	while (!mnt_table_next_fs(table, iter, &fs)) {
		const char *target = mnt_fs_get_target(fs);

		if (!is_below(target, path) || !strcmp(target, path))
			continue;
		if (asprintf(&text, "a mount on %s", quote(target).text) < 0)
			return NULL;
		return text;
	}
	return NULL;
}

/*
 * What a process may use: the mount on a path, and the device of the filesystem that is mounted. A bind
 * mount may have the device of what is around it; then the root has to be the very directory. When such
 * a mount is read-only, others may show the same directory, and nobody can tell whose root it is.
 */
struct used {
	const char *path;
	dev_t device;
	ino_t inode; /* 0: any on the device */
	int is_shared;
};

static int get_used(const char *path, struct used *ret_used)
{
	cleanup_free char *above = text_format(NULL, "%s/..", path);
	struct used used = {.path = path};
	struct stat st, st_above;
	struct statvfs fs;

	if (!above || lstat(path, &st) || lstat(above, &st_above) || statvfs(path, &fs))
		return 0;
	used.device = st.st_dev;
	if (st.st_dev == st_above.st_dev) {
		used.inode = st.st_ino;
		used.is_shared = !!(fs.f_flag & ST_RDONLY);
	}
	*ret_used = used;
	return 1;
}

static int link_is_below(int dir_fd, const char *name, const char *path)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (length < 0)
		return 0;
	target[length] = '\0';
	return is_below(target, path);
}

static const char *has_root_on(int proc_fd, const char *pid, const struct used *used)
{
	struct stat st;
	char root[32];

	snprintf(root, sizeof(root), "%.20s/root", pid);
	if (!used->is_shared && !fstatat(proc_fd, root, &st, 0) && st.st_dev == used->device &&
	    (!used->inode || st.st_ino == used->inode))
		return "has its root in it";
	return NULL;
}

static int any_is_below(int process_fd, const char *links, const char *path)
{
	cleanup_dir DIR *dir = file_list(process_fd, links);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (link_is_below(dirfd(dir), entry->d_name, path))
			return 1;
	}
	return 0;
}

static const char *uses(int proc_fd, const char *pid, const struct used *used)
{
	cleanup_fd int process_fd = openat(proc_fd, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *path = used->path;

	if (process_fd < 0)
		return NULL;
	if (link_is_below(process_fd, "cwd", path))
		return "has its working directory in it";
	if (link_is_below(process_fd, "root", path))
		return "has its root in it";
	if (link_is_below(process_fd, "exe", path))
		return "runs a program from it";
	if (any_is_below(process_fd, "fd", path))
		return "has a file of it open";
	return any_is_below(process_fd, "map_files", path) ? "has a file of it mapped" : NULL;
}

static char *find_process(const char *path, const char *(*question)(int proc_fd, const char *pid,
								    const struct used *used))
{
	cleanup_dir DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct used used;

	if (!get_used(path, &used))
		return NULL;
	while (proc && (entry = readdir(proc))) {
		char name[32] = "?", comm[32], *text = NULL;
		cleanup_fd int comm_fd = -1;
		const char *use;
		ssize_t length;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    atoi(entry->d_name) == getpid())
			continue;
		use = question(dirfd(proc), entry->d_name, &used);
		if (!use)
			continue;
		snprintf(comm, sizeof(comm), "%.20s/comm", entry->d_name);
		comm_fd = openat(dirfd(proc), comm, O_RDONLY | O_CLOEXEC);
		length = comm_fd < 0 ? 0 : read(comm_fd, name, sizeof(name) - 1);
		if (length > 0)
			name[length - 1] = '\0';
		if (asprintf(&text, "process %s (%s) %s", entry->d_name, name, use) < 0)
			return NULL;
		return text;
	}
	return NULL;
}

char *mount_options(const char *path)
{
	cleanup_table struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_fs *fs = table ? mnt_table_find_target(table, path, MNT_ITER_BACKWARD) : NULL;

	return fs ? mnt_fs_strdup_options(fs) : NULL;
}

char *mount_holder(const char *path)
{
	char *holder = mount_on_top(path);

	return holder ? holder : find_process(path, uses);
}

int mount_keep(const char *path)
{
	return open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
}

/* A process that is killed lets go of its files after nobody can see them any more. */
static int unmount_soon(const char *path)
{
	for (int tries = LEAVING_TRIES;; tries--) {
		if (!umount2(path, UMOUNT_NOFOLLOW))
			return 0;
		if (errno != EBUSY || !tries)
			return -errno;
		poll(NULL, 0, LEAVING_MS);
	}
}

int mount_remove(const char *path, struct snapdrv_error *err)
{
	/* A runtime's container has the mount in a namespace of its own: umount(2) here would not mind. */
	cleanup_free char *holder =
		namespace_may_share(path) ? find_process(path, has_root_on) : NULL;
	int ret = 0;

	if (!holder) {
		ret = umount2(path, UMOUNT_NOFOLLOW) ? -errno : 0;
		holder = ret == -EBUSY ? mount_holder(path) : NULL;
		if (ret == -EBUSY && !holder)
			ret = unmount_soon(path);
	}
	if (holder || ret == -EBUSY)
		return fail(err, SNAPDRV_BUSY, EBUSY, "in use: %s",
			    holder ? holder : "by an unknown process");
	return ret && ret != -EINVAL && ret != -ENOENT ? fail_ret(err, ret, "unmount") : 0;
}
