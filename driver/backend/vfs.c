/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfs backend: whole copies, on any filesystem.
 *
 *   tree   ID/fs      a directory: the whole tree, of a layer and all below it; a view has none
 *   make   mkdirat; kernel/copy.h copies the topmost parent, data shared where there are reflinks
 *   mount  a bind mount of the directory, or of the parent's for a view, kernel/mount.h
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

static int open_if_there(int dir_fd, const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/fs", name);
	return openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The directory that shows a tree over its parents: its own, or its parent's. */
static int open_shown(const struct backend *backend, const struct tree_ref *tree,
		      const struct tree_ref *parent, struct snapdrv_error *err)
{
	int fd = open_if_there(backend->layers_fd, tree->path);

	if (fd < 0 && errno == ENOENT && parent)
		return backend_open(backend, backend->layers_fd, parent->path, err);
	return fd < 0 ? fail_errno(err, "open tree %s", tree->path) : fd;
}

static int fill(const struct backend *backend, int dir_fd, const char *name, enum tree_kind kind,
		const struct tree_stack *parents, struct snapdrv_error *err)
{
	cleanup_fd int tree_fd = file_open_dir(dir_fd, name, err), parent_fd = -1, fd = -1;

	if (tree_fd < 0)
		return tree_fd;
	if (!parents->count) {
		if (mkdirat(tree_fd, "fs", 0755))
			return fail_errno(err, "make directory fs");
		fd = file_open_dir(tree_fd, "fs", err);
		return fd < 0 ? fd : copy_blank(fd, err);
	}
	if (kind == TREE_VIEW)
		return 0;
	parent_fd = backend_open(backend, backend->layers_fd, parents->trees[0].path, err);
	return parent_fd < 0 ? parent_fd : copy_tree(parent_fd, tree_fd, "fs", err);
}

static int vfs_make(const struct backend *backend, int dir_fd, const char *name,
		    enum tree_kind kind, const struct tree_stack *parents,
		    struct snapdrv_error *err)
{
	return backend_make(backend, dir_fd, name, kind, parents, fill, err);
}

/* Nothing keeps a directory from being written to; nobody is shown a layer's, but read-only. */
static int vfs_freeze(const struct backend *backend, int dir_fd, const char *name,
		      struct snapdrv_error *err)
{
	cleanup_fd int fd = backend_open(backend, dir_fd, name, err);

	return fd < 0 ? fd : 0;
}

static int vfs_drop(const struct backend *backend, int dir_fd, const char *name,
		    struct snapdrv_error *err)
{
	(void)backend;
	return file_remove_tree(dir_fd, name, err);
}

static int vfs_mount(const struct backend *backend, const struct tree_ref *tree,
		     enum tree_kind kind, const struct tree_stack *parents,
		     const struct id_shift *shift, int target_fd, struct snapdrv_error *err)
{
	int is_view = kind == TREE_VIEW;
	cleanup_fd int fd = open_shown(backend, tree,
				       is_view && parents->count ? &parents->trees[0] : NULL, err);

	return fd < 0 ? fd : mount_bind(fd, target_fd, is_view, shift, err);
}

static int vfs_describe(const struct backend *backend, const struct tree_ref *tree,
			enum tree_kind kind, const struct tree_stack *parents, const char *layers,
			struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	int is_view = kind == TREE_VIEW;

	(void)backend;
	if (is_view && parents->count)
		tree = &parents->trees[0];
	return describe_bind(layers, tree->path, is_view, ret_mounts, err);
}

static int vfs_peek(const struct backend *backend, const struct tree_stack *stack,
		    struct snapdrv_error *err)
{
	return open_shown(backend, &stack->trees[0], stack->count > 1 ? &stack->trees[1] : NULL,
			  err);
}

/*
 * Inodes tell nothing, both trees are looked through. The last thing that happens in a container's directory
 * while it is made is that the copy's links go (kernel/copy.h): what changed later has a later ctime. Of a layer's
 * the copy was not all: what the layer changes came before its directory's last change.
 */
static int vfs_changes(const struct backend *backend, const struct tree_ref *tree,
		       enum tree_kind kind, const struct tree_stack *parents, change_fn *report,
		       void *arg, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1, parent_fd = -1;
	struct stat st;

	if (kind == TREE_VIEW)
		return 0;
	fd = backend_open(backend, backend->layers_fd, tree->path, err);
	if (fd < 0)
		return fd;
	if (fstatat(backend->layers_fd, tree->path, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat tree %s", tree->path);
	if (parents->count)
		parent_fd = backend_open(backend, backend->layers_fd, parents->trees[0].path, err);
	if (parent_fd < -1)
		return parent_fd;
	return backend_compare(fd, parent_fd, NULL, kind == TREE_LAYER ? NULL : &st.st_mtim, report,
			       arg, err);
}

/* Each tree is whole: nothing is mounted over anything. */
static size_t vfs_limit(const struct backend *backend)
{
	(void)backend;
	return 100000;
}

const struct backend_ops vfs_backend = {
	.name = "vfs",
	.is_layered = 0,
	.active_safety = SAFE_SYNCED,
	.can_seal = 1,
	/* Reflinks are not asked for: btrfs, xfs (reflink=1) and bcachefs have them, a copy will do. */
	.probe = copy_probe,
	.make = vfs_make,
	.open = backend_open,
	.freeze = vfs_freeze,
	.drop = vfs_drop,
	.mount = vfs_mount,
	.describe = vfs_describe,
	.peek = vfs_peek,
	.usage = backend_usage,
	.changes = vfs_changes,
	.limit = vfs_limit,
};
