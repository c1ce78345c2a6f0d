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
	struct dir *next;   /* on the stack */
	DIR *stream;	    /* while it is open */
	unsigned pending;   /* directories in it, and 1 while it is read itself */
	unsigned depth;
	int is_read_again;
	int has_failed; /* something in it could not be removed */
	char name[];
};

struct removal {
	int parent_fd; /* holds the top */
	struct dir *top;
	dev_t device; /* on btrfs: the subvolume's; each nested one is removed by itself */
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

/* @is_last: it is taken when all others have been. */
static int push_dir(struct removal *removal, struct dir *parent, const char *name, int is_last)
{
	struct dir *dir = calloc(1, sizeof(*dir) + strlen(name) + 1);

	if (!dir)
		return -1;
	strcpy(dir->name, name);
	dir->parent = parent;
	dir->depth = parent ? parent->depth + 1 : 0;
	dir->pending = 1;
	pthread_mutex_lock(&removal->lock);
	if (parent)
		__atomic_add_fetch(&parent->pending, 1,
				   __ATOMIC_RELAXED); /* let_go() has no lock */
	else
		removal->top = dir;
	if (is_last) {
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

/* A nested subvolume: nothing can be moved out of it, and it may be read-only. */
static int is_elsewhere(const struct removal *removal, int dir_fd, const char *name)
{
	struct stat st;

	return removal->device && !fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       st.st_dev != removal->device;
}

static void remove_elsewhere(struct removal *removal, struct dir *dir, const char *name)
{
	struct snapdrv_error err;
	int ret = file_remove_tree(dirfd(dir->stream), name, &err);

	if (ret)
		__atomic_store_n(&dir->has_failed, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&removal->lock);
	if (ret && !removal->ret)
		removal->ret = fail_as(removal->err, &err);
	pthread_mutex_unlock(&removal->lock);
}

/* Another one of that name may be there. */
static int move_up(struct removal *removal, int fd, const char *name, char moved[40])
{
	int top_fd = dirfd(removal->top->stream), ret;

	do {
		snprintf(moved, 40, ".deep.%lu",
			 __atomic_fetch_add(&removal->n_moved, 1, __ATOMIC_RELAXED));
		ret = renameat2(fd, name, top_fd, moved, RENAME_NOREPLACE);
	} while (ret && errno == EEXIST);
	return ret && errno == EINVAL ? renameat(fd, name, top_fd, moved) : ret;
}

static void take_subdir(struct removal *removal, struct dir *dir, const char *name)
{
	int fd = dirfd(dir->stream);
	char moved[40];

	if (is_elsewhere(removal, fd, name)) {
		remove_elsewhere(removal, dir, name);
		return;
	}
	if (dir->depth < DEPTH_MAX) {
		if (push_dir(removal, dir, name, 0))
			remember_failure(removal, dir, "remove", name);
		return;
	}
	if (move_up(removal, fd, name, moved) || push_dir(removal, removal->top, moved, 1))
		remember_failure(removal, dir, "move up", name);
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

static void remove_dir(struct removal *removal, struct dir *dir)
{
	size_t n;

	dir->stream = file_list(fd_above(removal, dir), dir->name);
	if (!dir->stream) {
		remember_failure(removal, dir, "open", dir->name);
	} else {
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

/* On btrfs a subvolume may be read-only, and others may be nested in it. */
static int prepare_subvolume(struct removal *removal, const char *name, const struct stat *st)
{
	cleanup_fd int fd =
		openat(removal->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return fail_errno(removal->err, "open %s", quote(name).text);
	if (!fstatfs(fd, &fs) && fs.f_type == BTRFS_SUPER_MAGIC) {
		removal->device = st->st_dev;
		if (st->st_ino == BTRFS_FIRST_FREE_OBJECTID)
			subvolume_thaw(fd);
	}
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
	ret = prepare_subvolume(&removal, name, &st);
	if (ret)
		return ret;
	pthread_mutex_init(&removal.lock, NULL);
	pthread_cond_init(&removal.changed, NULL);
	if (push_dir(&removal, NULL, name, 0))
		removal.ret = fail_memory(err);
	else
		remove_all(&removal);
	pthread_cond_destroy(&removal.changed);
	pthread_mutex_destroy(&removal.lock);
	return removal.ret;
}
