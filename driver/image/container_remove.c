/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounting and removing containers. */
#include "image/container.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "snapshot/rootfs.h"
#include "store/reserve.h"

/* The container that goes by a name; with @expected, that one or none. */
static int find_one(struct graph *graph, const char *name, const struct snapshot *expected,
		    struct snapshot *ret_snapshot, struct snapdrv_error *err)
{
	int ret = container_snapshot(graph, name, ret_snapshot, err);

	return !ret && expected && ret_snapshot->id != expected->id
		       ? fail(err, SNAPDRV_MISSING, ENOENT,
			      "container %s: another one has the name", name)
		       : ret;
}

static int unmount(struct graph *graph, const char *name, const struct snapshot *expected,
		   struct doomed *doomed, struct snapdrv_error *err)
{
	struct snapshot snapshot;
	int ret = find_one(graph, name, expected, &snapshot, err);

	if (ret)
		return ret;
	ret = rootfs_umount(graph, name, doomed, err);
	return ret ? fail_within(err, ret, "container %s", name) : 0;
}

int container_umount(struct graph *graph, const char *name, struct snapdrv_error *err)
{
	return unmount(graph, name, NULL, NULL, err);
}

static int remove_in_change(struct graph *graph, const char *name, const struct snapshot *expected,
			    struct doomed *doomed, struct snapdrv_error *err)
{
	struct snapshot snapshot = {0};
	int ret = find_one(graph, name, expected, &snapshot, err);

	if (ret)
		return ret;
	/*
	 * The directory first: a row without it is whole, since mounting makes it again, while a directory
	 * that is left would be in the way of the next container of this name.
	 */
	ret = rootfs_remove(graph, name, err);
	if (ret)
		return fail_within(err, ret, "container %s", name);
	return snapshot_mark_removed(graph, snapshot.id, doomed, err);
}

int container_remove(struct graph *graph, const char *name, const struct snapshot *expected,
		     struct snapdrv_error *err)
{
	cleanup_doomed struct doomed doomed = {0};
	int ret = unmount(graph, name, expected, &doomed, err);

	if (ret)
		return ret;
	ret = reserve_session(&graph->store, err);
	ret = ret < 0 ? ret : store_begin_lazy(&graph->store, err);
	if (ret)
		return ret;
	ret = store_end(&graph->store, remove_in_change(graph, name, expected, &doomed, err), err);
	if (!ret)
		graph_bury(graph, &doomed);
	return ret;
}
