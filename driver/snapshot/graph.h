/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The snapshot graph: nodes over trees of the backend. A layer of an image is a draft that is written,
 * published and committed; a container is an active snapshot. There is no second way.
 */
#ifndef SNAPSHOT_GRAPH_H
#define SNAPSHOT_GRAPH_H

#include <stdint.h>

#include "backend/backend.h"
#include "base/text.h"
#include "store/store.h"

struct tree_record;

/** struct doomed - trees and blobs that have no row any more, for doomed_done(). All zero is none. */
struct doomed {
	struct tree_record *trees;
	size_t count;
	struct strings blobs; /* digests */
	int64_t *removed;     /* snapshots that are only marked */
	size_t n_removed;
	int *mounts; /* descriptors of mount_keep() */
	size_t n_mounts;
	int is_late; /* a change that removed no file is not on disk yet */
};

/** struct graph - a store with its backend. */
struct graph {
	struct store store;
	struct backend backend;
	struct doomed doomed; /* by this handle, until graph_flush() */
};

/**
 * graph_open() - open a store, choose its backend or check it, and remove what dead processes left.
 * @driver: a backend's name or "auto".
 *
 * Return: 0, or a negative errno value; USAGE for an unknown driver, or one that is not the store's.
 */
int graph_open(const char *root, const char *driver, struct graph *ret_graph,
	       struct snapdrv_error *err);

/** graph_close() - flush; whatever this handle was making is gone afterwards. */
void graph_close(struct graph *graph);

/**
 * graph_sweep() - remove the sessions of dead processes, and, when there was one, whatever has no row:
 * such a process may have been stopped between moving a thing to its place and committing its row, or
 * before its files followed a row that it removed. The first time in a boot, whatever has no row goes
 * in any case.
 * @left: what could not be removed, and why; filled for the first one, all zero before. It is garbage, and tried
 * again by the next sweep. Or NULL.
 */
int graph_sweep(struct graph *graph, struct snapdrv_error *left, struct snapdrv_error *err);

/** struct strays - things in the store's directories that have no row. All zero is none. */
struct strays {
	struct stray {
		int dir_fd; /* borrowed from the store */
		char *name;
	} * items;
	size_t count;
};

void strays_done(struct strays *strays);

#define cleanup_strays __attribute__((cleanup(strays_done)))

/** strays_add() - one more; the name is copied. */
int strays_add(struct strays *strays, int dir_fd, const char *name, struct snapdrv_error *err);

/** enum strays_flags - for graph_find_strays(). */
enum strays_flags {
	STRAYS_DRY = 1 << 0, /* leave them where they are */
	STRAYS_ALL = 1 << 1  /* also in content/ and staging/ what nobody has made there */
};

/**
 * graph_find_strays() - find what has no row in layers/, active/, containers/ and content/sha256/.
 * @flags: enum strays_flags. Without STRAYS_DRY the strays are moved into this session's directory, for
 *         graph_empty_session(); rows that are only marked as removed go as well.
 * @ret_strays: what was found, where it is now, for strays_done().
 *
 * Under the writer's lock nobody is between moving a thing to its place and committing its row.
 */
int graph_find_strays(struct graph *graph, unsigned flags, struct strays *ret_strays,
		      struct snapdrv_error *err);

/**
 * graph_empty_session() - remove all that this handle has in its session.
 *
 * Return: 0; or the first error: all else has been removed nevertheless.
 */
int graph_empty_session(struct graph *graph, struct snapdrv_error *err);

/** stray_usage() - bytes on disk of one of them; 0 when it cannot be told. */
uint64_t stray_usage(struct graph *graph, const struct stray *stray);

/* ---- trees -------------------------------------------------------------------------------- */

/** stack_done() - free the array; the stack is empty afterwards. */
void stack_done(struct tree_stack *stack);

/** stack_push() - put a tree on top. */
int stack_push(struct tree_stack *stack, const struct tree_ref *tree, struct snapdrv_error *err);

#define cleanup_stack __attribute__((cleanup(stack_done)))

/** struct draft - a tree in this session's directory that nobody else knows of. All zero is none. */
struct draft {
	struct store_name name;
	int is_made;
	int is_published;    /* within a change that is not committed yet */
	struct tree_ref ref; /* where it is, for a stack */
};

/** draft_make() - as backend->ops->make(). @ret_draft: for draft_drop() or draft_publish(). */
int draft_make(struct graph *graph, enum tree_kind kind, const struct tree_stack *parents,
	       struct draft *ret_draft, struct snapdrv_error *err);

/** draft_open() - the directory to write into. Return: a descriptor, or a negative errno value. */
int draft_open(struct graph *graph, const struct draft *draft, struct snapdrv_error *err);

/**
 * draft_mount() - mount a draft that was made over @parents on a directory; what is mounted has to be
 * unmounted before the draft is dropped or published.
 */
int draft_mount(struct graph *graph, const struct draft *draft, enum tree_kind kind,
		const struct tree_stack *parents, int target_fd, struct snapdrv_error *err);

/** draft_changes() - snapshot_changes() of a TREE_ACTIVE draft over @parents. */
int draft_changes(struct graph *graph, const struct draft *draft, const struct tree_stack *parents,
		  change_fn *report, void *arg, struct snapdrv_error *err);

/** draft_freeze() - it becomes read-only. */
int draft_freeze(struct graph *graph, const struct draft *draft, struct snapdrv_error *err);

/** draft_forget() - the tree is not this session's any more. */
static inline void draft_forget(struct draft *draft)
{
	draft->is_made = draft->is_published = 0;
}

/** draft_drop() - remove the tree, if there is one. */
void draft_drop(struct graph *graph, struct draft *draft);

/** struct tree_record - a tree's row. */
struct tree_record {
	int64_t id;
	int is_active; /* in active/: a container's, or made by a runtime; otherwise in layers/ */
	int root_given;
	int root_opaque;
	int needs_look; /* it holds whiteouts: over other layers it has to be seen whether they fit */
	uint64_t bytes;
	uint64_t entries;
};

/**
 * draft_publish() - within store_begin(): make a draft a tree of the store. When the change is
 * committed the draft is none any more: draft_forget() it.
 * @key:    what the tree is found by, or NULL for one that is not shared.
 * @record: what is known of it; the id is set.
 */
int draft_publish(struct graph *graph, struct draft *draft, const char *key,
		  struct tree_record *record, struct snapdrv_error *err);

/**
 * tree_replace() - put a draft in the place of a published tree that is damaged or missing; its row stays as it is.
 * @draft: complete, frozen and on disk. Afterwards it is the tree that was there, to be dropped, if one was.
 * @ret_is_in_use: somebody may have the old one mounted: it is kept as layers/ID.damaged until nothing is. Never
 *         where a tree has its parents' files itself (shares_parents).
 *
 * Who mounts the tree from now on has the new one. The name is on disk when this returns.
 *
 * Return: 1, 0 when the tree has been removed meanwhile: the draft is what it was; or a negative errno value.
 */
int tree_replace(struct graph *graph, const struct tree_record *record, struct draft *draft,
		 int *ret_is_in_use, struct snapdrv_error *err);

/** TREE_DAMAGED - what the name of a tree that was replaced ends with. */
#define TREE_DAMAGED ".damaged"

/**
 * graph_is_in_use() - whether a container is mounted, or a runtime or a build may have something mounted. 1, 0, or
 * negative. Not for who builds.
 */
int graph_is_in_use(struct graph *graph, struct snapdrv_error *err);

/** tree_find() - a tree by its key. Return: 1 found, 0 not, or a negative errno value. */
int tree_find(struct graph *graph, const char *key, struct tree_record *ret_record,
	      struct snapdrv_error *err);

/** tree_look() - a tree by its id. Return: 1 found, 0 not, or a negative errno value. */
int tree_look(struct graph *graph, int64_t id, struct tree_record *ret_record,
	      struct snapdrv_error *err);

/** tree_get() - a tree by its id, of one that is there. Return: 0, or a negative errno value. */
int tree_get(struct graph *graph, int64_t id, struct tree_record *ret_record,
	     struct snapdrv_error *err);

/** tree_ref_of() - a published tree, for a stack. */
struct tree_ref tree_ref_of(const struct tree_record *record);

/**
 * tree_of_dir() - a tree by its directory of files, ROOT/layers/ID/fs or ROOT/active/ID/fs.
 * @dir_fd: any directory, open.
 *
 * Return: 1 and its id, or 0: it is no tree of this store.
 */
int tree_of_dir(struct graph *graph, int dir_fd, int *ret_is_active, int64_t *ret_id);

/* ---- snapshots ---------------------------------------------------------------------------- */

/** struct snapshot - a node. */
struct snapshot {
	int64_t id;
	enum tree_kind kind;
	int64_t parent; /* 0 for none */
	int64_t tree;
	int is_active;	/* as of its tree */
	unsigned depth; /* trees mounted for it, its own included */
};

/**
 * SNAPSHOT_DEPTH_MAX - nodes that may be below one: no image that comes in has more layers, and in a damaged
 * database, whose parents may go in a circle, nobody follows them further. Several times what a kernel mounts.
 */
#define SNAPSHOT_DEPTH_MAX 4096

/** snapshot_find() - by name. Return: 1 found, 0 not, or a negative errno value. */
int snapshot_find(struct graph *graph, const char *name, struct snapshot *ret_snapshot,
		  struct snapdrv_error *err);

/** snapshot_look() - by id. Return: 1 found, 0 not, or a negative errno value. */
int snapshot_look(struct graph *graph, int64_t id, struct snapshot *ret_snapshot,
		  struct snapdrv_error *err);

/**
 * snapshot_get() - by id, which a row had that was read before. Return: 0, or a negative errno value;
 * MISSING when both have been removed since.
 */
int snapshot_get(struct graph *graph, int64_t id, struct snapshot *ret_snapshot,
		 struct snapdrv_error *err);

/** snapshot_expect() - nobody has removed it. Return: 0, MISSING (-ENOENT) when somebody has, or a negative errno value. */
int snapshot_expect(struct graph *graph, const struct snapshot *snapshot,
		    struct snapdrv_error *err);

/**
 * snapshot_add() - within store_begin(): a node over @parent (NULL for none) with a published tree.
 * @kind: TREE_LAYER is a committed snapshot.
 * @tree: its id. The node's is_active is as draft_publish() makes it for a kind.
 */
int snapshot_add(struct graph *graph, const char *name, enum tree_kind kind,
		 const struct snapshot *parent, int64_t tree, struct snapshot *ret_snapshot,
		 struct snapdrv_error *err);

/**
 * snapshot_stack() - the trees of a node, its own first. @ret_stack: for stack_done().
 */
int snapshot_stack(struct graph *graph, const struct snapshot *snapshot,
		   struct tree_stack *ret_stack, struct snapdrv_error *err);

/** snapshot_mount() - mount a container's or view's tree on a directory. @shift: of owners, or NULL. */
int snapshot_mount(struct graph *graph, const struct snapshot *snapshot,
		   const struct id_shift *shift, int target_fd, struct snapdrv_error *err);

/**
 * snapshot_describe() - as backend->ops->describe() of an active node or a view; its tree is there then.
 */
int snapshot_describe(struct graph *graph, const struct snapshot *snapshot,
		      struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

/** snapshot_usage() - as backend->ops->usage() of a node's own tree. A view holds nothing. */
int snapshot_usage(struct graph *graph, const struct snapshot *snapshot, struct usage *ret_usage,
		   struct snapdrv_error *err);

/**
 * snapshot_changes() - as backend->ops->changes() of a node over its parents.
 */
int snapshot_changes(struct graph *graph, const struct snapshot *snapshot, change_fn *report,
		     void *arg, struct snapdrv_error *err);

/**
 * snapshot_contents() - all that a node's tree shows, reported as additions; the root is a change.
 */
int snapshot_contents(struct graph *graph, const struct snapshot *snapshot, change_fn *report,
		      void *arg, struct snapdrv_error *err);

/* ---- removal ------------------------------------------------------------------------------ */

/**
 * snapshot_release() - within store_begin_lazy(): remove a node that nothing refers to, then its parents
 * likewise. One that is still referred to (a child, an image, a step of a build) stays, and that is no
 * error. A container goes with its node.
 */
int snapshot_release(struct graph *graph, int64_t id, struct doomed *doomed,
		     struct snapdrv_error *err);

/**
 * snapshot_release_one() - snapshot_release() of a node alone, and of the steps of builds that came to it.
 * Return: 1 and *ret_parent (0 for none), 0 it stays, or a negative errno value.
 */
int snapshot_release_one(struct graph *graph, int64_t id, struct doomed *doomed,
			 int64_t *ret_parent, struct snapdrv_error *err);

/**
 * snapshot_mark_removed() - within store_begin_lazy(): a node without children is gone, and the
 * container with it; the rows are for graph_flush(), or for whoever needs the name before.
 */
int snapshot_mark_removed(struct graph *graph, int64_t id, struct doomed *doomed,
			  struct snapdrv_error *err);

/**
 * graph_release_removed() - within store_begin(): snapshot_release() of all that is only marked, by this
 * process or one that died.
 */
int graph_release_removed(struct graph *graph, struct doomed *doomed, struct snapdrv_error *err);

/** doomed_add_tree() - one more tree without a row. */
int doomed_add_tree(struct doomed *doomed, const struct tree_record *tree,
		    struct snapdrv_error *err);

/** doomed_add_mount() - what mount_keep() gave, to be closed before files go. @fd: taken over. */
int doomed_add_mount(struct doomed *doomed, int *fd, struct snapdrv_error *err);

/** doomed_done() - free what is in @doomed; no file is removed. */
void doomed_done(struct doomed *doomed);

#define cleanup_doomed __attribute__((cleanup(doomed_done)))

/**
 * graph_bury() - after store_commit(): the files are to be removed by graph_flush(), which graph_close()
 * calls, and this too when many wait. @doomed is copied.
 */
void graph_bury(struct graph *graph, struct doomed *doomed);

/**
 * graph_flush() - all removals so far are on disk, and then their files are removed. What fails, or is
 * not done when the process dies, is removed by a later sweep.
 */
int graph_flush(struct graph *graph, struct snapdrv_error *err);

#endif
