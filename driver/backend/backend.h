/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends: how a tree of files over other trees is made, frozen, mounted and dropped. A new backend is
 * one file and one line in the table of backend.c.
 *
 * A tree is a directory, in layers/ or active/ or, while it is made, in a session of staging/. What is
 * inside is the backend's own business. Paths of trees are relative to layers/: "12", "../active/13".
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stddef.h>

#include "base/text.h"
#include "kernel/changes.h"
#include "kernel/idmap.h"
#include "kernel/usage.h"
#include "snapdrv.h"

/** enum tree_kind - what a tree is made for. */
enum tree_kind {
	TREE_LAYER,  /* a layer is unpacked into it, then it is frozen */
	TREE_ACTIVE, /* a container writes into it */
	TREE_VIEW    /* it only shows its parents */
};

/** struct tree_ref - a tree and what the graph knows of it. */
struct tree_ref {
	char path[64];	 /* relative to layers/ */
	int root_given;	 /* its layer says what attributes the root directory has */
	int root_opaque; /* its layer hides all that is below it */
};

/** struct tree_stack - trees over each other, the topmost first. */
struct tree_stack {
	struct tree_ref *trees;
	size_t count;
};

struct backend {
	const struct backend_ops *ops;
	int layers_fd; /* ROOT/layers; borrowed from the store */
};

/**
 * struct backend_ops - what a backend answers. Nothing here knows of images, tars or the database.
 *
 * Operations are called from several threads and processes at once, never twice for one tree.
 */
/**
 * enum tree_safety - what a container's new tree needs against a power cut.
 * @SAFE_EMPTY:  nothing: it holds nothing yet, and where it is lost it is made again. What was synced in
 *               it later kept the directories above that; others may be lost, and mount() makes them.
 * @SAFE_MADE:   nothing: make() over parents commits it, and all that was made before it, to the disk. Only its
 *               move to active/ can be lost. One without parents is as SAFE_EMPTY (BTRFS_IOC_SUBVOL_CREATE commits
 *               nothing since Linux 6.5).
 * @SAFE_SYNCED: its files have to be synced.
 */
enum tree_safety { SAFE_EMPTY, SAFE_MADE, SAFE_SYNCED };

struct backend_ops {
	const char *name;

	/*
	 * Layers are unpacked into a tree of their own, without their parents, and deletions are marked
	 * in it. Otherwise a layer's tree starts as its parents' and deletions are carried out.
	 */
	int is_layered;

	/*
	 * What a tree shows of its parents is theirs, extents and all: only what changes() reports is its own.
	 * Otherwise all that is in it is.
	 */
	int shares_parents;

	/* What a container's new tree needs, to be there after a power cut if its row is. */
	enum tree_safety active_safety;

	/*
	 * Files of layers may be made unwritable for good (fs-verity): whoever writes in a container writes to
	 * files of its own, which were copied.
	 */
	int can_seal;

	/*
	 * Try for real whether the backend works on the filesystem of `dir_fd`, an empty directory, and
	 * leave it empty. 0, or a negative errno value with what is missing and what to do.
	 */
	int (*probe)(int dir_fd, struct snapdrv_error *err);

	/*
	 * Make a tree at `name` in `dir_fd`. `parents` is what it stands on; for a layer of a layered
	 * backend it is empty. Fails with -EEXIST when the name is taken. Leaves nothing on failure.
	 */
	int (*make)(const struct backend *backend, int dir_fd, const char *name,
		    enum tree_kind kind, const struct tree_stack *parents,
		    struct snapdrv_error *err);

	/* Open the directory of a tree that files are written to. A descriptor, or negative. */
	int (*open)(const struct backend *backend, int dir_fd, const char *name,
		    struct snapdrv_error *err);

	/* The tree becomes read-only and may be a parent. Doing it twice is no error. */
	int (*freeze)(const struct backend *backend, int dir_fd, const char *name,
		      struct snapdrv_error *err);

	/* Whether what freeze() did still holds. 1, 0, or negative. NULL: there is nothing that could be undone. */
	int (*is_frozen)(const struct backend *backend, int dir_fd, const char *name,
			 struct snapdrv_error *err);

	/*
	 * Remove a tree, also a half-made one. Nothing there is no error. Takes as long as the
	 * filesystem needs: not to be called with a lock held.
	 */
	int (*drop)(const struct backend *backend, int dir_fd, const char *name,
		    struct snapdrv_error *err);

	/*
	 * Mount `tree` over `parents` on a directory. Read-only for a TREE_VIEW; a TREE_ACTIVE that was
	 * mounted before shows what was written then. `shift` shifts the owners that are seen, and is NULL
	 * for none; nothing is copied or changed for it.
	 */
	int (*mount)(const struct backend *backend, const struct tree_ref *tree,
		     enum tree_kind kind, const struct tree_stack *parents,
		     const struct id_shift *shift, int target_fd, struct snapdrv_error *err);

	/*
	 * What mount() does, in words for somebody else's mount(2): a runtime mounts by itself. `layers` is the
	 * absolute path of layers/. One mount; `ret_mounts` is for mounts_done().
	 */
	int (*describe)(const struct backend *backend, const struct tree_ref *tree,
			enum tree_kind kind, const struct tree_stack *parents, const char *layers,
			struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

	/*
	 * Open the merged tree of a stack for reading, without a mount that anybody else sees.
	 * A descriptor of its root, or a negative errno value.
	 */
	int (*peek)(const struct backend *backend, const struct tree_stack *stack,
		    struct snapdrv_error *err);

	/*
	 * How much of the disk a tree holds that nothing else shares: what would come back, but for
	 * metadata, if it was dropped. Walks the tree where nothing better is known.
	 */
	int (*usage)(const struct backend *backend, int dir_fd, const char *name,
		     struct usage *ret_usage, struct snapdrv_error *err);

	/*
	 * What has changed: the difference of `tree`, a layer's or a container's, over `parents`, reported as
	 * changes_walk() has it. The same difference is reported the same on each backend, also where
	 * what the backend keeps says more (a deletion of what was never there) or less. A TREE_VIEW has
	 * none. The tree may be mounted and written to meanwhile.
	 */
	int (*changes)(const struct backend *backend, const struct tree_ref *tree,
		       enum tree_kind kind, const struct tree_stack *parents, change_fn *report,
		       void *arg, struct snapdrv_error *err);

	/* Most trees that can be mounted over each other on this kernel. */
	size_t (*limit)(const struct backend *backend);
};

/** backends - all of them, the one that is tried first first; the last one's ops are NULL. */
extern const struct backend_ops *const backends[];

/** backend_find() - by name. NULL when there is none. */
const struct backend_ops *backend_find(const char *name);

/**
 * backend_choose() - the first backend that works on the filesystem of @dir_fd, an empty directory.
 * Return: its ops, or NULL with @err filled: each backend's answer.
 */
const struct backend_ops *backend_choose(int dir_fd, struct snapdrv_error *err);

extern const struct backend_ops btrfs_backend;
/** tree_fill - puts into the directory of a new tree what make() of a backend is to put there. */
typedef int tree_fill(const struct backend *backend, int dir_fd, const char *name,
		      enum tree_kind kind, const struct tree_stack *parents,
		      struct snapdrv_error *err);

/** mounts_done() - free what is in @mounts. */
void mounts_done(struct snapdrv_mounts *mounts);

/** SHORT_NAMES_FROM_LAYERS - where trees have short names, symlinks; seen from layers/. */
#define SHORT_NAMES_FROM_LAYERS "../l"

/**
 * describe_path() - append the absolute path of a tree's directory, without `..`.
 * @name: relative to layers/, "12/fs" or "../active/13/fs".
 */
int describe_path(struct bytes *text, const char *layers, const char *name,
		  struct snapdrv_error *err);

/** describe_bind() - for backend_ops.describe: a bind mount of NAME/fs. */
int describe_bind(const char *layers, const char *name, int is_read_only,
		  struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

/** describe_mount() - one mount; all strings are copied. */
int describe_mount(const char *type, const char *source, const struct strings *options,
		   struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

/** backend_make() - for backend_ops.make: a directory, filled; dropped again when that fails. */
int backend_make(const struct backend *backend, int dir_fd, const char *name, enum tree_kind kind,
		 const struct tree_stack *parents, tree_fill *fill, struct snapdrv_error *err);

/** backend_open() - for backend_ops.open: NAME/fs, where all backends so far have their files. */
int backend_open(const struct backend *backend, int dir_fd, const char *name,
		 struct snapdrv_error *err);

/** backend_usage() - for backend_ops.usage: by a walk over what open() gives. */
int backend_usage(const struct backend *backend, int dir_fd, const char *name,
		  struct usage *ret_usage, struct snapdrv_error *err);

/**
 * backend_compare() - for backend_ops.changes: compare a tree that is whole with its topmost parent.
 * @tree_fd: its root. @parent_fd: the parent's, or -1.
 * @changed, @copied: as in struct change_trees, or NULL.
 */
int backend_compare(int tree_fd, int parent_fd, const struct inode_set *changed,
		    const struct timespec *copied, change_fn *report, void *arg,
		    struct snapdrv_error *err);

extern const struct backend_ops overlay_backend;
extern const struct backend_ops vfs_backend;

#endif
