/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The btrfs backend.
 *
 *   tree   ID/fs      a subvolume: the whole tree, of a layer and all below it
 *   make   mkdirat; a snapshot of the topmost parent's subvolume, or a new one
 *   freeze the subvolume becomes read-only
 *   mount  a bind mount of the subvolume, kernel/mount.h
 *
 * The plain directory around the subvolume is there to be renamed: a read-only subvolume cannot be moved
 * to another directory (EROFS).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/copy.h"
#include "kernel/file.h"
#include "kernel/mount.h"
#include "kernel/subvolume.h"

static int make_empty(int tree_fd, enum tree_kind kind, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	int ret = subvolume_create(tree_fd, "fs", err);

	if (ret)
		return ret;
	fd = file_open_dir(tree_fd, "fs", err);
	if (fd < 0)
		return fd;
	ret = copy_blank(fd, err);
	return ret || kind != TREE_VIEW ? ret : subvolume_freeze(fd, err);
}

static int fill(const struct backend *backend, int dir_fd, const char *name, enum tree_kind kind,
		const struct tree_stack *parents, struct snapdrv_error *err)
{
	cleanup_fd int tree_fd = file_open_dir(dir_fd, name, err), parent_fd = -1;

	if (tree_fd < 0)
		return tree_fd;
	if (!parents->count)
		return make_empty(tree_fd, kind, err);
	parent_fd = backend_open(backend, backend->layers_fd, parents->trees[0].path, err);
	if (parent_fd < 0)
		return parent_fd;
	return subvolume_snapshot(parent_fd, tree_fd, "fs", kind == TREE_VIEW, err);
}

static int btrfs_drop(const struct backend *backend, int dir_fd, const char *name,
		      struct snapdrv_error *err)
{
	cleanup_fd int tree_fd =
		openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int ret;

	(void)backend;
	/* What is no directory has no subvolume in it. */
	ret = tree_fd < 0 ? 0 : subvolume_remove(tree_fd, "fs", err);
	return ret ? ret : file_remove_tree(dir_fd, name, err);
}

static int btrfs_make(const struct backend *backend, int dir_fd, const char *name,
		      enum tree_kind kind, const struct tree_stack *parents,
		      struct snapdrv_error *err)
{
	return backend_make(backend, dir_fd, name, kind, parents, fill, err);
}

static int btrfs_freeze(const struct backend *backend, int dir_fd, const char *name,
			struct snapdrv_error *err)
{
	cleanup_fd int fd = backend_open(backend, dir_fd, name, err);

	return fd < 0 ? fd : subvolume_freeze(fd, err);
}

static int btrfs_is_frozen(const struct backend *backend, int dir_fd, const char *name,
			   struct snapdrv_error *err)
{
	cleanup_fd int fd = backend_open(backend, dir_fd, name, err);

	return fd < 0 ? fd : subvolume_is_frozen(fd, err);
}

static int btrfs_mount(const struct backend *backend, const struct tree_ref *tree,
		       enum tree_kind kind, const struct tree_stack *parents,
		       const struct id_shift *shift, int target_fd, struct snapdrv_error *err)
{
	cleanup_fd int fd = backend_open(backend, backend->layers_fd, tree->path, err);

	(void)parents;
	return fd < 0 ? fd : mount_bind(fd, target_fd, kind == TREE_VIEW, shift, err);
}

static int btrfs_describe(const struct backend *backend, const struct tree_ref *tree,
			  enum tree_kind kind, const struct tree_stack *parents, const char *layers,
			  struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	(void)backend, (void)parents;
	return describe_bind(layers, tree->path, kind == TREE_VIEW, ret_mounts, err);
}

static int btrfs_peek(const struct backend *backend, const struct tree_stack *stack,
		      struct snapdrv_error *err)
{
	return backend_open(backend, backend->layers_fd, stack->trees[0].path, err);
}

/* Each tree is whole: nothing is mounted over anything. */
static size_t btrfs_limit(const struct backend *backend)
{
	(void)backend;
	return 100000;
}

/* What is not a snapshot of its parent (any more), as after a copy of the store, is looked through. */
static int btrfs_changes(const struct backend *backend, const struct tree_ref *tree,
			 enum tree_kind kind, const struct tree_stack *parents, change_fn *report,
			 void *arg, struct snapdrv_error *err)
{
	cleanup_inode_set struct inode_set changed = {0};
	cleanup_fd int fd = -1, parent_fd = -1;
	int found = 0;

	if (kind == TREE_VIEW)
		return 0;
	fd = backend_open(backend, backend->layers_fd, tree->path, err);
	if (fd < 0)
		return fd;
	if (parents->count) {
		parent_fd = backend_open(backend, backend->layers_fd, parents->trees[0].path, err);
		if (parent_fd < 0)
			return parent_fd;
		found = subvolume_changed(fd, parent_fd, &changed, err);
	}
	return found < 0 ? found
			 : backend_compare(fd, parent_fd, found ? &changed : NULL, NULL, report,
					   arg, err);
}

/* Quota groups know what is exclusive, where the user has them on; a walk over the extents finds it. */
static int btrfs_usage(const struct backend *backend, int dir_fd, const char *name,
		       struct usage *ret_usage, struct snapdrv_error *err)
{
	cleanup_fd int fd = backend->ops->open(backend, dir_fd, name, err);
	struct usage usage = {0};
	uint64_t bytes;
	int found, ret;

	if (fd < 0)
		return fd;
	found = subvolume_quota(fd, &bytes, err);
	ret = found < 0 ? found : usage_of_tree(fd, &usage, err);
	if (ret)
		return ret;
	if (found)
		usage.bytes = bytes;
	*ret_usage = usage;
	return 0;
}

const struct backend_ops btrfs_backend = {
	.name = "btrfs",
	.is_layered = 0,
	.shares_parents = 1,
	.active_safety = SAFE_MADE, /* the ioctl that makes a snapshot commits the transaction */
	.probe = subvolume_probe,
	.make = btrfs_make,
	.open = backend_open,
	.freeze = btrfs_freeze,
	.is_frozen = btrfs_is_frozen,
	.drop = btrfs_drop,
	.mount = btrfs_mount,
	.describe = btrfs_describe,
	.peek = btrfs_peek,
	.usage = btrfs_usage,
	.changes = btrfs_changes,
	.limit = btrfs_limit,
};
