/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing whole trees. Depth is no limit: a directory that lies too deep is first moved up beside the
 * tree's top, so that only DEPTH_MAX descriptors are open at once.
 *
 *   small   one thread, until SMALL_MAX entries are gone
 *   big     the directories down to WIDE_DEPTH are listed; two threads take them one by one and remove
 *           what is in them; one thread removes what is left
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/subvolume.h"

#define DEPTH_MAX 32
#define SMALL_MAX 2000
#define WIDE_DEPTH 3

struct removal {
	int top_fd;	     /* where too deep directories go */
	unsigned long moved; /* how many went there: names them */
	int number;	     /* of the thread: likewise */
	unsigned long
		left; /* entries to be removed before it is given up as a big one; 0 for no end */
	int is_big;
	int files_only; /* directories stay */
	dev_t device;	/* on btrfs: the subvolume's; each nested one is removed by itself */
	int ret;	/* the first failure */
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
	char moved[48];

	if (removal->left && !--removal->left)
		removal->is_big = 1;
	if (!is_dir) {
		if (!unlinkat(dir_fd, name, 0))
			return;
		if (errno != EISDIR) {
			remember_failure(removal, "remove", name);
			return;
		}
	}
	if (removal->files_only)
		return;
	if (removal->device && is_elsewhere(removal, dir_fd, name)) {
		int ret = file_remove_tree(dir_fd, name, removal->ret ? NULL : removal->err);

		removal->ret = removal->ret ? removal->ret : ret;
		return;
	}
	if (depth < DEPTH_MAX) {
		remove_dir(removal, dir_fd, name, depth);
		return;
	}
	snprintf(moved, sizeof(moved), ".deep.%d.%lu", removal->number, removal->moved++);
	if (renameat(dir_fd, name, removal->top_fd, moved))
		remember_failure(removal, "move up", name);
}

static void remove_entries(struct removal *removal, DIR *dir, int depth)
{
	struct dirent *entry;

	while (!removal->is_big && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			remove_entry(removal, dirfd(dir), entry->d_name, entry->d_type == DT_DIR,
				     depth + 1);
	}
}

static void remove_dir(struct removal *removal, int dir_fd, const char *name, int depth)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		remember_failure(removal, "open", name);
		if (fd >= 0)
			close(fd);
		return;
	}
	remove_entries(removal, dir, depth);
	if (removal->is_big)
		return;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) && errno == ENOTEMPTY && !removal->ret) {
		/* Some filesystems skip entries when a directory shrinks under readdir(3). */
		rewinddir(dir);
		remove_entries(removal, dir, depth);
		if (!removal->is_big && unlinkat(dir_fd, name, AT_REMOVEDIR))
			remember_failure(removal, "remove", name);
	}
}

/* The directories of a big tree, down to WIDE_DEPTH; those that are that deep go whole. */
struct wide {
	const struct removal *removal;
	pthread_t first;
	struct strings dirs;
	size_t next;
};

static size_t depth_of(const char *path)
{
	size_t depth = 1;

	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

static int list_dirs(struct wide *wide, const char *path)
{
	int fd = file_open_below(wide->removal->top_fd, path);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int ret = 0;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && !ret && (entry = readdir(dir))) {
		cleanup_free char *below = NULL;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (wide->removal->device && is_elsewhere(wide->removal, fd, entry->d_name))
			continue;
		below = text_format(NULL, "%s%s%s", path, *path ? "/" : "", entry->d_name);
		ret = below ? strings_add(&wide->dirs, below, NULL) : -ENOMEM;
	}
	return ret;
}

static void *remove_dirs(void *arg)
{
	struct wide *wide = arg;
	struct removal removal = *wide->removal;
	size_t next;

	removal.err = NULL;
	removal.number = !pthread_equal(wide->first, pthread_self());
	while ((next = __atomic_fetch_add(&wide->next, 1, __ATOMIC_RELAXED)) < wide->dirs.count) {
		const char *path = wide->dirs.items[next];
		int fd = file_open_below(removal.top_fd, path);
		cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);

		if (!dir && fd >= 0)
			close(fd);
		removal.files_only = depth_of(path) < WIDE_DEPTH;
		if (dir)
			remove_entries(&removal, dir, (int)depth_of(path));
	}
	return NULL;
}

/* What fails here is met again by the one thread that comes after. */
static void remove_wide(const struct removal *removal)
{
	struct wide wide = {.removal = removal, .first = pthread_self()};
	int ret = list_dirs(&wide, "");
	pthread_t other;

	for (size_t i = 0; i < wide.dirs.count && !ret; i++) {
		if (depth_of(wide.dirs.items[i]) < WIDE_DEPTH)
			ret = list_dirs(&wide, wide.dirs.items[i]);
	}
	if (!ret && !pthread_create(&other, NULL, remove_dirs, &wide)) {
		remove_dirs(&wide);
		pthread_join(other, NULL);
	}
	strings_done(&wide.dirs);
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
	removal.left = SMALL_MAX;
	remove_dir(&removal, dir_fd, name, 0);
	if (!removal.is_big && removal.ret != -ENOTEMPTY)
		return removal.ret;
	if (removal.is_big)
		remove_wide(&removal);
	removal.is_big = removal.ret = 0;
	removal.left = 0;
	removal.number = 2;
	/* What was moved up is in the way of the last rmdir(2): then there is one more round. */
	for (unsigned long moved = 0;; moved = removal.moved) {
		remove_dir(&removal, dir_fd, name, 0);
		if (removal.ret != -ENOTEMPTY || removal.moved == moved)
			return removal.ret;
		removal.ret = 0;
	}
}
