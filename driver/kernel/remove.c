/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing whole trees. Depth is no limit: a directory that lies too deep is first moved up beside the
 * tree's top, so that only DEPTH_MAX descriptors are open at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/subvolume.h"

#define DEPTH_MAX 32

struct removal {
	int top_fd;	     /* where too deep directories go */
	unsigned long moved; /* how many went there: names them */
	dev_t device;	     /* on btrfs: the subvolume's; each nested one is removed by itself */
	int ret;	     /* the first failure */
	struct snapdrv_error *err;
};

static void remember_failure(struct removal *removal, const char *what, const char *name)
{
	if (errno == ENOENT || removal->ret)
		return;
	removal->ret = fail_errno(removal->err, "%s %s", what, quote(name).text);
}

static void remove_dir(struct removal *removal, int dir_fd, const char *name, int depth);

/* A nested subvolume: nothing can be moved out of it, and it may be read-only. */
static int is_elsewhere(const struct removal *removal, int dir_fd, const char *name)
{
	struct stat st;

	return !fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) && st.st_dev != removal->device;
}

static void remove_entry(struct removal *removal, int dir_fd, const char *name, int is_dir,
			 int depth)
{
	char moved[40];

	if (!is_dir) {
		if (!unlinkat(dir_fd, name, 0))
			return;
		if (errno != EISDIR) {
			remember_failure(removal, "remove", name);
			return;
		}
	}
	if (removal->device && is_elsewhere(removal, dir_fd, name)) {
		int ret = file_remove_tree(dir_fd, name, removal->ret ? NULL : removal->err);

		removal->ret = removal->ret ? removal->ret : ret;
		return;
	}
	if (depth < DEPTH_MAX) {
		remove_dir(removal, dir_fd, name, depth);
		return;
	}
	snprintf(moved, sizeof(moved), ".deep.%lu", removal->moved++);
	if (renameat(dir_fd, name, removal->top_fd, moved))
		remember_failure(removal, "move up", name);
}

static void remove_dir(struct removal *removal, int dir_fd, const char *name, int depth)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		remember_failure(removal, "open", name);
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		remove_entry(removal, fd, entry->d_name, entry->d_type == DT_DIR, depth + 1);
	}
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) && errno == ENOTEMPTY && !removal->ret) {
		/* Some filesystems skip entries when a directory shrinks under readdir(3). */
		rewinddir(dir);
		while ((entry = readdir(dir))) {
			if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
				remove_entry(removal, fd, entry->d_name, entry->d_type == DT_DIR,
					     depth + 1);
		}
		if (unlinkat(dir_fd, name, AT_REMOVEDIR))
			remember_failure(removal, "remove", name);
	}
}

int file_remove_tree(int dir_fd, const char *name, struct snapdrv_error *err)
{
	struct removal removal = {.err = err};
	cleanup_fd int top_fd = -1;
	struct statfs fs;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail_errno(err, "stat %s", quote(name).text);
	if (!S_ISDIR(st.st_mode)) {
		remove_entry(&removal, dir_fd, name, 0, 0);
		return removal.ret;
	}
	top_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top_fd < 0)
		return fail_errno(err, "open %s", quote(name).text);
	removal.top_fd = top_fd;
	if (!fstatfs(top_fd, &fs) && fs.f_type == BTRFS_SUPER_MAGIC) {
		removal.device = st.st_dev;
		if (st.st_ino == BTRFS_FIRST_FREE_OBJECTID)
			subvolume_thaw(top_fd);
	}
	/* What was moved up is in the way of the last rmdir(2): then there is one more round. */
	for (unsigned long moved = 0;; moved = removal.moved) {
		remove_dir(&removal, dir_fd, name, 0);
		if (removal.ret != -ENOTEMPTY || removal.moved == moved)
			return removal.ret;
		removal.ret = 0;
	}
}
