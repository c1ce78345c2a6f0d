/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of container runtimes: names and labels for nodes of the graph.
 *
 * A runtime's name is a row of its own. A node may have several, and be an image's besides; it goes when
 * nothing has it any more. A node that a runtime made is called "runtime/NAME" in the graph; one that is
 * known to be an image's layer is called by its ChainID, so that a load finds it.
 *
 * Errors are as snapdrv.h has them.
 */
#ifndef SNAPSHOT_RUNTIME_H
#define SNAPSHOT_RUNTIME_H

#include "base/digest.h"
#include "snapshot/graph.h"

/** struct labels - @count labels; borrowed. */
struct labels {
	const struct snapdrv_label *items;
	size_t count;
};

/** runtime_prepare() - snapdrv_snapshot_prepare(). */
int runtime_prepare(struct graph *graph, const char *key, const char *parent, int kind,
		    const struct labels *labels, struct snapdrv_mounts *ret_mounts,
		    struct snapdrv_error *err);

/** runtime_mounts() - snapdrv_snapshot_mounts(). */
int runtime_mounts(struct graph *graph, const char *key, struct snapdrv_mounts *ret_mounts,
		   struct snapdrv_error *err);

/** runtime_commit() - snapdrv_snapshot_commit(). */
int runtime_commit(struct graph *graph, const char *name, const char *key, const char *parent,
		   const struct labels *labels, struct snapdrv_error *err);

/**
 * runtime_freeze_committed() - for the sweep: what was committed becomes read-only, where a kill came between
 * the two.
 */
int runtime_freeze_committed(struct graph *graph, struct snapdrv_error *err);

/** runtime_remove() - snapdrv_snapshot_remove(). */
int runtime_remove(struct graph *graph, const char *key, struct snapdrv_error *err);

/** runtime_stat() - snapdrv_snapshot_stat(). */
int runtime_stat(struct graph *graph, const char *key, struct snapdrv_snapshot *ret_snapshot,
		 struct snapdrv_error *err);

/** runtime_update() - snapdrv_snapshot_update(). */
int runtime_update(struct graph *graph, const char *key, const struct labels *labels, int replace,
		   struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err);

/** runtime_list() - snapdrv_snapshot_list(). */
int runtime_list(struct graph *graph,
		 int (*each)(void *arg, const struct snapdrv_snapshot *snapshot), void *arg,
		 struct snapdrv_error *err);

/** runtime_usage() - snapdrv_snapshot_usage(). */
int runtime_usage(struct graph *graph, const char *key, uint64_t *ret_bytes, uint64_t *ret_inodes,
		  struct snapdrv_error *err);

/** runtime_snapshot_done() - snapdrv_snapshot_done(). */
void runtime_snapshot_done(struct snapdrv_snapshot *snapshot);

/** enum applied_flags - what else is known of a layer that was unpacked. */
enum applied_flags {
	APPLIED_ROOT_OPAQUE = 1 << 0, /* it hides all that is below it */
	APPLIED_ON_NOTHING =
		1 << 1 /* it may have lower layers when it is committed: marks_settle() */
};

/**
 * runtime_applied() - note what was unpacked into an active snapshot.
 * @dir:  the directory that it was unpacked into, open.
 * @diff: DiffID of the layer; NULL while it is being unpacked, and when something else is written.
 * @flags: enum applied_flags.
 *
 * When it is committed over the ChainID of its parent, its own ChainID is known by this.
 *
 * Return: 1, 0 when the directory is not of an active snapshot of this store, or a negative errno value.
 */
int runtime_applied(struct graph *graph, int dir_fd, const struct digest *diff, unsigned flags,
		    struct snapdrv_error *err);

/**
 * runtime_ref() - the ChainID that an active snapshot is to become, by its label SNAPDRV_LABEL_REF.
 * @dir: the directory that it is written in, open.
 *
 * Return: 1, 0 when nobody has said, or a negative errno value.
 */
int runtime_ref(struct graph *graph, int dir_fd, char ret_ref[DIGEST_TEXT_SIZE],
		struct snapdrv_error *err);

/* ---- shared by the files of this part ------------------------------------------------------- */

/** struct runtime_row - a name's row. */
struct runtime_row {
	enum tree_kind kind;
	int64_t snapshot;
	int root_opaque;
	char diff_id[DIGEST_TEXT_SIZE]; /* "" for none */
	char *parent;			/* or NULL */
};

void runtime_row_done(struct runtime_row *row);
#define cleanup_row __attribute__((cleanup(runtime_row_done)))

/** runtime_find() - a name's row. Return: 0, or a negative errno value; MISSING. */
int runtime_find(struct graph *graph, const char *name, struct runtime_row *ret_row,
		 struct snapdrv_error *err);

/** runtime_check() - whether a name and labels are such. Return: 0, or a negative errno value; USAGE. */
int runtime_check(const char *name, const struct labels *labels, struct snapdrv_error *err);

/** runtime_set_labels() - within a change. @replace: take the others away. */
int runtime_set_labels(struct graph *graph, const char *name, const struct labels *labels,
		       int replace, struct snapdrv_error *err);

/** labels_get() - a label's value, or NULL. */
const char *labels_get(const struct labels *labels, const char *key);

#endif
