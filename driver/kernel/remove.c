/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing whole trees.
 *
 *   directory  unlinkat(2) of what is none in it; those in it are put on a stack, the last one is taken
 *              next; rmdir by whoever removes the last one in it
 *
 * A second thread takes from the stack too once a tree turns out to be big. A directory is open while
 * something is in it, so that no name is resolved twice; one that lies too deep is first moved up into the
 * tree's top, and taken when all that is open is done: some dozens of descriptors do for any depth.
 *
 * On btrfs subvolumes may be nested in each other, read-only ones too. Nothing can be moved out of one, but each can
 * itself: a directory that lies too deep goes up to the top of its subvolume, and a subvolume to the top of all.
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
#include "kernel/file.h"
#include "kernel/subvolume.h"

#define DEPTH_MAX 32
#define SMALL_MAX 1000 /* entries that one thread removes faster than another one starts */

struct dir {
	struct dir *parent; /* NULL for the top */
	struct dir *root;   /* the top of its subvolume, or of all */
	struct dir *next;   /* on the stack */
	DIR *stream;	    /* while it is open */
	unsigned pending;   /* directories in it, and 1 while it is read itself */
	unsigned depth;
	dev_t device; /* on btrfs: the subvolume's */
	int is_read_again;
	int has_failed; /* something in it could not be removed */
	char name[];
};

struct removal {
	int parent_fd; /* holds the top */
	struct dir *top;
	int is_btrfs;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct dir *stack;
	struct dir **bottom;
	size_t n_dirs; /* not removed yet, on the stack or off it */
	size_t n_removed;
	unsigned long n_moved; /* names what is moved up */
	int ret;	       /* the first failure */
	struct snapdrv_error *err;
};

/* @dir: it is in that, or NULL. */
static void remember_failure(struct removal *removal, struct dir *dir, const char *what,
			     const char *name)
{
	int errnum = errno;

	if (errnum == ENOENT)
		return;
	if (dir)
		__atomic_store_n(&dir->has_failed, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&removal->lock);
	errno = errnum;
	if (!removal->ret)
		removal->ret = fail_errno(removal->err, "%s %s", what, quote(name).text);
	pthread_mutex_unlock(&removal->lock);
}

/* What is to be pushed: a directory of @parent, or the top. */
struct found {
	struct dir *parent;
	const char *name;
	dev_t device;
	int is_last; /* it is taken when all others have been */
};

static int push_dir(struct removal *removal, const struct found *found)
{
	struct dir *dir = calloc(1, sizeof(*dir) + strlen(found->name) + 1),
		   *parent = found->parent;

	if (!dir)
		return -1;
	strcpy(dir->name, found->name);
	dir->parent = parent;
	dir->device = found->device;
	dir->root = parent && parent->device == dir->device ? parent->root : dir;
	dir->depth = parent ? parent->depth + 1 : 0;
	dir->pending = 1;
	pthread_mutex_lock(&removal->lock);
	if (parent)
		__atomic_add_fetch(&parent->pending, 1,
				   __ATOMIC_RELAXED); /* let_go() has no lock */
	else
		removal->top = dir;
	if (found->is_last) {
		*removal->bottom = dir;
		removal->bottom = &dir->next;
	} else {
		dir->next = removal->stack;
		removal->stack = dir;
		if (!dir->next)
			removal->bottom = &dir->next;
	}
	removal->n_dirs++;
	pthread_cond_signal(&removal->changed);
	pthread_mutex_unlock(&removal->lock);
	return 0;
}

/* Another one of that name may be there. */
static int move_up(struct removal *removal, int fd, const char *name, struct dir *to,
		   char moved[40])
{
	int to_fd = dirfd(to->stream), ret;

	do {
		snprintf(moved, 40, ".deep.%lu",
			 __atomic_fetch_add(&removal->n_moved, 1, __ATOMIC_RELAXED));
		ret = renameat2(fd, name, to_fd, moved, RENAME_NOREPLACE);
	} while (ret && errno == EEXIST);
	return ret && errno == EINVAL ? renameat(fd, name, to_fd, moved) : ret;
}

static void take_subdir(struct removal *removal, struct dir *dir, const char *name)
{
	struct found found = {.parent = dir, .name = name, .device = dir->device};
	int fd = dirfd(dir->stream);
	struct stat st;
	char moved[40];

	if (removal->is_btrfs && !fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		found.device = st.st_dev;
	if (dir->depth >= DEPTH_MAX)
		found.parent = found.device == dir->device ? dir->root : removal->top;
	if (found.parent != dir) {
		found.name = moved;
		found.is_last = 1;
		if (move_up(removal, fd, name, found.parent, moved)) {
			remember_failure(removal, dir, "move up", name);
			return;
		}
	}
	if (push_dir(removal, &found))
		remember_failure(removal, found.parent, "remove", name);
}

/* Return: how many entries there were. */
static size_t empty_dir(struct removal *removal, struct dir *dir)
{
	struct dirent *entry;
	size_t n = 0;

	while ((entry = file_next(dir->stream))) {
		n++;
		if (entry->d_type != DT_DIR) {
			if (!unlinkat(dirfd(dir->stream), entry->d_name, 0))
				continue;
			if (errno != EISDIR) {
				remember_failure(removal, dir, "remove", entry->d_name);
				continue;
			}
		}
		take_subdir(removal, dir, entry->d_name);
	}
	return n;
}

static int fd_above(const struct removal *removal, const struct dir *dir)
{
	return dir->parent ? dirfd(dir->parent->stream) : removal->parent_fd;
}

/* One thing less is pending in a directory: remove it if it was the last, and so on upwards. */
static void let_go(struct removal *removal, struct dir *dir)
{
	while (dir && !__atomic_sub_fetch(&dir->pending, 1, __ATOMIC_ACQ_REL)) {
		struct dir *parent = dir->parent;

		if (unlinkat(fd_above(removal, dir), dir->name, AT_REMOVEDIR)) {
			/* Some filesystems skip entries when a directory shrinks under readdir(3). */
			if (errno == ENOTEMPTY && dir->stream && !dir->is_read_again &&
			    !__atomic_load_n(&dir->has_failed, __ATOMIC_RELAXED)) {
				rewinddir(dir->stream);
				dir->is_read_again = 1;
				dir->pending = 1;
				empty_dir(removal, dir);
				continue;
			}
			remember_failure(removal, parent, "remove", dir->name);
		}
		if (dir->stream)
			closedir(dir->stream);
		free(dir);
		pthread_mutex_lock(&removal->lock);
		if (!--removal->n_dirs)
			pthread_cond_broadcast(&removal->changed);
		pthread_mutex_unlock(&removal->lock);
		dir = parent;
	}
}

/* A subvolume that is read-only. */
static void thaw(int fd)
{
	struct stat st;

	if (!fstat(fd, &st) && st.st_ino == BTRFS_FIRST_FREE_OBJECTID)
		subvolume_thaw(fd);
}

static void remove_dir(struct removal *removal, struct dir *dir)
{
	size_t n;

	dir->stream = file_list(fd_above(removal, dir), dir->name);
	if (!dir->stream) {
		remember_failure(removal, dir, "open", dir->name);
	} else {
		if (removal->is_btrfs && dir->root == dir)
			thaw(dirfd(dir->stream));
		n = empty_dir(removal, dir);
		__atomic_add_fetch(&removal->n_removed, n, __ATOMIC_RELAXED);
	}
	let_go(removal, dir);
}

static struct dir *next_dir(struct removal *removal)
{
	struct dir *dir;

	pthread_mutex_lock(&removal->lock);
	while (!removal->stack && removal->n_dirs)
		pthread_cond_wait(&removal->changed, &removal->lock);
	dir = removal->stack;
	if (dir)
		removal->stack = dir->next;
	if (!removal->stack)
		removal->bottom = &removal->stack;
	pthread_mutex_unlock(&removal->lock);
	return dir;
}

static void *help(void *arg)
{
	struct dir *dir;

	while ((dir = next_dir(arg)))
		remove_dir(arg, dir);
	return NULL;
}

static void remove_all(struct removal *removal)
{
	int has_helper = 0;
	pthread_t helper;
	struct dir *dir;

	while ((dir = next_dir(removal))) {
		remove_dir(removal, dir);
		if (!has_helper &&
		    __atomic_load_n(&removal->n_removed, __ATOMIC_RELAXED) > SMALL_MAX)
			has_helper = !pthread_create(&helper, NULL, help, removal);
	}
	if (has_helper)
		pthread_join(helper, NULL);
}

static int look_at_filesystem(struct removal *removal, const char *name)
{
	cleanup_fd int fd =
		openat(removal->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return fail_errno(removal->err, "open %s", quote(name).text);
	removal->is_btrfs = !fstatfs(fd, &fs) && fs.f_type == BTRFS_SUPER_MAGIC;
	return 0;
}

int file_remove_tree(int dir_fd, const char *name, struct snapdrv_error *err)
{
	struct removal removal = {.parent_fd = dir_fd, .bottom = &removal.stack, .err = err};
	struct stat st;
	int ret;

	if (!unlinkat(dir_fd, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return fail_errno(err, "remove %s", quote(name).text);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail_errno(err, "stat %s", quote(name).text);
	ret = look_at_filesystem(&removal, name);
	if (ret)
		return ret;
	pthread_mutex_init(&removal.lock, NULL);
	pthread_cond_init(&removal.changed, NULL);
	if (push_dir(&removal, &(struct found){.name = name, .device = st.st_dev}))
		removal.ret = fail_memory(err);
	else
		remove_all(&removal);
	pthread_cond_destroy(&removal.changed);
	pthread_mutex_destroy(&removal.lock);
	return removal.ret;
}
