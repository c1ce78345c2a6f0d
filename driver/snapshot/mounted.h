/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees by the mounts that a runtime would make of them, this store's or not: writing a layer into one, and
 * comparing two. Nothing is mounted that anybody sees.
 */
#ifndef SNAPSHOT_MOUNTED_H
#define SNAPSHOT_MOUNTED_H

#include <sys/stat.h>

#include "base/digest.h"
#include "kernel/xattr.h"
#include "snapshot/graph.h"

/**
 * struct mounted - a mount, as it was told; all zero is none.
 * @dir:   the directory that is bound; of an overlay, the upper one, or NULL.
 * @lower: of an overlay, the topmost first.
 * @may_redirect: nobody said that the overlay does not follow redirects and metacopies in its layers.
 */
struct mounted {
	int is_overlay;
	int is_read_only;
	int may_redirect;
	char *dir;
	struct strings lower;
};

/**
 * mounted_read() - understand one overlay or bind mount.
 * @ret_mounted: for mounted_done().
 *
 * Return: 0, or a negative errno value; EOPNOTSUPP for other mounts than one of these, and for shifted
 * owners.
 */
int mounted_read(const struct snapdrv_mount *mounts, size_t n_mounts, struct mounted *ret_mounted,
		 struct snapdrv_error *err);

void mounted_done(struct mounted *mounted);

#define cleanup_mounted __attribute__((cleanup(mounted_done)))

/**
 * struct mounted_tree - a tree that a layer is written into; for mounted_tree_done().
 * @fd, @carries_out, @lower_fd: for tree_writer_new().
 * @may_move: it stands on nothing, and may be put over other layers later.
 */
struct mounted_tree {
	int fd;
	int carries_out;
	int lower_fd;
	int may_move;
	struct stat root; /* of a marked tree: what it had, */
	struct xattr_items xattrs;
};

/**
 * mounted_open() - open what is to be written, and forget what was known to be in it.
 *
 * Where deletions are marked, the layers below are in view from the start: they do not change, and the layer
 * comes by once. The root is blank until mounted_close().
 *
 * Return: 0, or a negative errno value; EOPNOTSUPP when it cannot be written, or is not empty and deletions
 * are marked.
 */
int mounted_open(struct graph *graph, const struct mounted *mounted, struct mounted_tree *ret_tree,
		 struct snapdrv_error *err);

/** mounted_close() - all is written. @root_given: the layer says what the root's attributes are. */
int mounted_close(const struct mounted_tree *tree, int root_given, struct snapdrv_error *err);

/** mounted_sync() - wait until it is on disk. */
int mounted_sync(const struct mounted_tree *tree, struct snapdrv_error *err);

/**
 * mounted_is_lowest() - of a tree that stands on nothing: whether it is known to stay so.
 * @diff: DiffID of the layer in it.
 *
 * A runtime that says which ChainID is to come of it tells by that: it is the DiffID of the lowest layer.
 *
 * Return: 1, 0, or a negative errno value.
 */
int mounted_is_lowest(struct graph *graph, const struct mounted_tree *tree,
		      const struct digest *diff, struct snapdrv_error *err);

void mounted_tree_done(struct mounted_tree *tree);

#define cleanup_mounted_tree __attribute__((cleanup(mounted_tree_done)))

/**
 * mounted_changes() - what leads from one tree to another, reported as changes_walk() has it.
 * @left: or NULL for an empty tree.
 *
 * Return: 0, or a negative errno value; EOPNOTSUPP for overlays that may redirect.
 */
int mounted_changes(struct graph *graph, const struct mounted *left, const struct mounted *right,
		    change_fn *report, void *arg, struct snapdrv_error *err);

#endif
