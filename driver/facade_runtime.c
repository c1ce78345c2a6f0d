/* SPDX-License-Identifier: Apache-2.0 */
/* The façade: the snapshots of a container runtime. */
#include <errno.h>

#include "facade.h"
#include "image/differ.h"
#include "snapshot/runtime.h"

PUBLIC void snapdrv_mounts_done(struct snapdrv_mounts *mounts)
{
	mounts_done(mounts);
}

PUBLIC void snapdrv_snapshot_done(struct snapdrv_snapshot *snapshot)
{
	runtime_snapshot_done(snapshot);
}

PUBLIC int snapdrv_snapshot_prepare(struct snapdrv_store *store, const char *key,
				    const char *parent, int kind,
				    const struct snapdrv_label *labels, size_t n_labels,
				    struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	const struct labels all = {labels, n_labels};
	struct snapdrv_error own;

	return runtime_prepare(&store->graph, key, parent, kind, &all, ret_mounts,
			       or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_mounts(struct snapdrv_store *store, const char *key,
				   struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_mounts(&store->graph, key, ret_mounts, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_commit(struct snapdrv_store *store, const char *name, const char *key,
				   const char *parent, const struct snapdrv_label *labels,
				   size_t n_labels, struct snapdrv_error *err)
{
	const struct labels all = {labels, n_labels};
	struct snapdrv_error own;

	return runtime_commit(&store->graph, name, key, parent, &all, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_remove(struct snapdrv_store *store, const char *key,
				   struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_remove(&store->graph, key, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_stat(struct snapdrv_store *store, const char *key,
				 struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_stat(&store->graph, key, ret_snapshot, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_update(struct snapdrv_store *store, const char *key,
				   const struct snapdrv_label *labels, size_t n_labels, int replace,
				   struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err)
{
	const struct labels all = {labels, n_labels};
	struct snapdrv_error own;

	return runtime_update(&store->graph, key, &all, replace, ret_snapshot, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_list(struct snapdrv_store *store,
				 int (*each)(void *arg, const struct snapdrv_snapshot *snapshot),
				 void *arg, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_list(&store->graph, each, arg, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_usage(struct snapdrv_store *store, const char *key, uint64_t *ret_bytes,
				  uint64_t *ret_inodes, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_usage(&store->graph, key, ret_bytes, ret_inodes, or_own(err, &own));
}

PUBLIC int snapdrv_cleanup(struct snapdrv_store *store, struct snapdrv_error *err)
{
	struct snapdrv_error own, left = {0};
	int ret = graph_flush(&store->graph, or_own(err, &own));

	if (!ret)
		ret = graph_sweep(&store->graph, &left, or_own(err, &own));
	return !ret && left.errnum ? fail_as(or_own(err, &own), &left) : ret;
}

PUBLIC void snapdrv_applied_done(struct snapdrv_applied *applied)
{
	differ_applied_done(applied);
}

PUBLIC int snapdrv_apply(struct snapdrv_store *store, const struct snapdrv_mount *mounts,
			 size_t n_mounts, ssize_t (*read)(void *arg, void *data, size_t size),
			 void *arg, const char *media_type, unsigned flags,
			 struct snapdrv_applied *ret_applied, struct snapdrv_error *err)
{
	const struct differ_mounts all = {mounts, n_mounts};
	const struct differ_input input = {read, arg, media_type};
	struct snapdrv_error own;

	return differ_apply(&store->graph, &all, &input, flags, ret_applied, or_own(err, &own));
}

PUBLIC int snapdrv_diff_mounts(struct snapdrv_store *store, const struct snapdrv_mount *left,
			       size_t n_left, const struct snapdrv_mount *right, size_t n_right,
			       int compression,
			       int (*write)(void *arg, const void *data, size_t size), void *arg,
			       struct snapdrv_applied *ret_applied, struct snapdrv_error *err)
{
	const struct differ_mounts below = {left, n_left}, above = {right, n_right};
	const struct differ_output output = {write, arg, compression};
	struct snapdrv_error own;

	return differ_diff(&store->graph, &below, &above, &output, ret_applied, or_own(err, &own));
}
