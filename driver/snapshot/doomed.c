/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removal: rows first, files later.
 *
 *   change  the rows go, or only a mark is set; what they stood for is noted; the commit does not wait
 *           for the disk
 *   flush   the marked rows go; one fdatasync(2) for all changes so far; overlays that were unmounted shut
 *           down; then the files are removed, outside every lock
 *
 * Until the flush a power cut brings rows and files back together. A process that dies before it leaves
 * files without rows, which the next opening of the store removes.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "snapshot/graph.h"
#include "store/content.h"

#define WAITING_MAX 64 /* more than these are not left to the end */

/* The filesystems that were kept: a first one syncs, the others find nothing to do. */
static void shut_down(struct doomed *doomed)
{
	while (doomed->n_mounts)
		close(doomed->mounts[--doomed->n_mounts]);
}

void doomed_done(struct doomed *doomed)
{
	shut_down(doomed);
	free(doomed->mounts);
	free(doomed->trees);
	free(doomed->removed);
	strings_done(&doomed->blobs);
	*doomed = (struct doomed){0};
}

int doomed_add_tree(struct doomed *doomed, const struct tree_record *tree,
		    struct snapdrv_error *err)
{
	struct tree_record *trees = reallocarray(doomed->trees, doomed->count + 1, sizeof(*trees));

	if (!trees)
		return fail_memory(err);
	doomed->trees = trees;
	trees[doomed->count++] = *tree;
	return 0;
}

int doomed_add_mount(struct doomed *doomed, int *fd, struct snapdrv_error *err)
{
	int *mounts = reallocarray(doomed->mounts, doomed->n_mounts + 1, sizeof(*mounts));

	if (!mounts)
		return fail_memory(err);
	doomed->mounts = mounts;
	mounts[doomed->n_mounts++] = steal_fd(fd);
	return 0;
}

static int doom(struct doomed *doomed, const struct snapshot *snapshot, struct snapdrv_error *err)
{
	const struct tree_record tree = {.id = snapshot->tree, .is_active = snapshot->is_active};

	return doomed_add_tree(doomed, &tree, err);
}

/* Rows deleted; -EBUSY, which is no error here, when the foreign keys say that something needs it. */
static int drop_row(struct graph *graph, const char *sql, int64_t id, struct snapdrv_error *err)
{
	struct snapdrv_error why = {0};
	int ret = db_run(graph->store.db, &why, sql, "i", id);

	if (ret < 0 && ret != -EBUSY && err)
		*err = why;
	return ret;
}

int snapshot_release_one(struct graph *graph, int64_t id, struct doomed *doomed,
			 int64_t *ret_parent, struct snapdrv_error *err)
{
	struct snapshot snapshot = {0};
	int ret = snapshot_get(graph, id, &snapshot, err);

	if (ret)
		return ret;
	ret = drop_row(graph, "DELETE FROM snapshot WHERE id = ?", id, err);
	if (ret < 0)
		return ret == -EBUSY ? 0 : ret;
	ret = drop_row(graph, "DELETE FROM tree WHERE id = ?", snapshot.tree, err);
	if (ret > 0)
		ret = doom(doomed, &snapshot, err);
	if (ret < 0 && ret != -EBUSY)
		return ret;
	*ret_parent = snapshot.parent;
	return 1;
}

int snapshot_release(struct graph *graph, int64_t id, struct doomed *doomed,
		     struct snapdrv_error *err)
{
	int64_t one;
	int ret = 1;

	while (id && ret == 1) {
		/* What a build may come by again stays until somebody collects garbage. */
		ret = db_get_int(graph->store.db, &one, err,
				 "SELECT 1 FROM build_step WHERE snapshot = ?", "i", id);
		ret = ret ? (ret < 0 ? ret : 0) : snapshot_release_one(graph, id, doomed, &id, err);
	}
	return ret < 0 ? ret : 0;
}

static int note_removed(struct doomed *doomed, int64_t id, struct snapdrv_error *err)
{
	int64_t *removed = reallocarray(doomed->removed, doomed->n_removed + 1, sizeof(*removed));

	if (!removed)
		return fail_memory(err);
	doomed->removed = removed;
	removed[doomed->n_removed++] = id;
	return 0;
}

int snapshot_mark_removed(struct graph *graph, int64_t id, struct doomed *doomed,
			  struct snapdrv_error *err)
{
	int ret = db_run(graph->store.db, err, "UPDATE snapshot SET removed = 1 WHERE id = ?", "i",
			 id);

	return ret < 0 ? ret : note_removed(doomed, id, err);
}

static int take_over(struct doomed *all, const struct doomed *doomed, struct snapdrv_error *err)
{
	int ret = 0;

	all->is_late |= doomed->is_late;
	for (size_t i = 0; i < doomed->count && !ret; i++)
		ret = doomed_add_tree(all, &doomed->trees[i], err);
	for (size_t i = 0; i < doomed->blobs.count && !ret; i++)
		ret = strings_add(&all->blobs, doomed->blobs.items[i], err);
	for (size_t i = 0; i < doomed->n_removed && !ret; i++)
		ret = note_removed(all, doomed->removed[i], err);
	for (size_t i = 0; i < doomed->n_mounts && !ret; i++)
		ret = doomed_add_mount(all, &doomed->mounts[i], err);
	return ret;
}

/* What is forgotten here for want of memory is found by the next opening. */
void graph_bury(struct graph *graph, struct doomed *doomed)
{
	if (take_over(&graph->doomed, doomed, NULL))
		store_leave(&graph->store);
	if (graph->doomed.count + graph->doomed.n_removed + graph->doomed.blobs.count > WAITING_MAX)
		graph_flush(graph, NULL);
}

/* The rows of what was marked, in one change; the next opening of the store would do it too. */
static int release_marked(struct graph *graph, struct snapdrv_error *err)
{
	struct doomed *doomed = &graph->doomed;
	int ret = doomed->n_removed ? store_begin_lazy(&graph->store, err) : 0;

	if (ret || !doomed->n_removed)
		return ret;
	for (size_t i = 0; i < doomed->n_removed && !ret; i++) {
		struct snapshot snapshot;
		int found = snapshot_look(graph, doomed->removed[i], &snapshot, err);

		/* Somebody who needed the name, or the image, may have done it. */
		ret = found == 1 ? snapshot_release(graph, doomed->removed[i], doomed, err) : found;
	}
	return store_end(&graph->store, ret, err);
}

int graph_flush(struct graph *graph, struct snapdrv_error *err)
{
	struct doomed *doomed = &graph->doomed;
	int ret, is_left = 0;

	if (!doomed->count && !doomed->blobs.count && !doomed->n_removed && !doomed->is_late)
		return 0;
	ret = release_marked(graph, err);
	if (!ret)
		ret = store_flush(&graph->store, err);
	shut_down(doomed);
	for (size_t i = 0; i < doomed->blobs.count && !ret; i++)
		is_left |= content_unlink(&graph->store, doomed->blobs.items[i]);
	for (size_t i = 0; i < doomed->count && !ret; i++)
		is_left |= graph->backend.ops->drop(&graph->backend, graph->store.layers_fd,
						    tree_ref_of(&doomed->trees[i]).path, NULL);
	if (ret || is_left)
		store_leave(&graph->store);
	doomed_done(doomed);
	return ret;
}
