/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing what nothing needs.
 *
 *   rows    blobs that no image names, then unreferenced layers, the oldest first, in one change;
 *           graph_flush() makes it last and removes the files
 *   steps   of builds go with their layers, all but those that an image has; none while somebody builds
 *   caches  directories that steps keep, all that nobody uses
 *   strays  what stands in the store's directories without a row is moved away under the writer's lock
 *
 * A dry run makes the same change and gives it up. Who is just bringing in a layer that goes here finds that
 * out when it commits, and unpacks it.
 */
#include "snapshot/gc.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/caches.h"
#include "store/content.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/reserve.h"

/* A layer that nothing needs. */
struct idle {
	int64_t id, parent_id;
	uint64_t bytes;
	struct idle *parent; /* or NULL: none, or one that is needed */
	size_t children;
	int is_gone;
};

struct idles {
	struct idle *items; /* the oldest first */
	size_t count;
};

static void idles_done(struct idles *idles)
{
	free(idles->items);
}

static int find_idle(struct graph *graph, struct idles *idles, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "WITH RECURSIVE " NEEDED_SNAPSHOTS "SELECT s.id, s.parent, t.bytes FROM "
			 "snapshot s JOIN tree t ON t.id = s.tree"
			 " WHERE s.kind = 'c' AND s.id NOT IN needed ORDER BY s.created_ns, s.id",
			 "");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		struct idle *items =
			reallocarray(idles->items, idles->count + 1, sizeof(*idles->items));

		if (!items)
			return fail_memory(err);
		idles->items = items;
		items[idles->count++] = (struct idle){
			.id = query_int(query, 0),
			.parent_id = query_int(query, 1),
			.bytes = (uint64_t)query_int(query, 2),
		};
		ret = 0;
	}
	return ret;
}

/* What the layers and blobs that nothing needs hold; trees that others share do not count. */
static int idle_bytes(struct graph *graph, uint64_t *ret_bytes, struct snapdrv_error *err)
{
	int64_t bytes = 0;
	int ret = db_get_int(
		graph->store.db, &bytes, err,
		"WITH RECURSIVE " NEEDED_SNAPSHOTS
		"SELECT (SELECT ifnull(sum(bytes), 0) FROM tree WHERE key IS NOT NULL AND id NOT IN"
		" (SELECT tree FROM snapshot WHERE id IN needed))"
		" + (SELECT ifnull(sum(size), 0) FROM blob WHERE NOT EXISTS"
		" (SELECT 1 FROM image_blob WHERE digest = blob.digest))",
		"");

	*ret_bytes = (uint64_t)bytes;
	return ret < 0 ? ret : 0;
}

static void count_freed(struct snapdrv_gc_count *count, uint64_t bytes, uint64_t *idle)
{
	count->count++;
	count->bytes += bytes;
	*idle -= bytes < *idle ? bytes : *idle;
}

static int free_blobs(struct graph *graph, uint64_t keep, uint64_t *idle, struct doomed *doomed,
		      struct snapdrv_gc_count *count, struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		"SELECT digest, size FROM blob WHERE NOT EXISTS"
		" (SELECT 1 FROM image_blob WHERE digest = blob.digest) AND NOT EXISTS"
		" (SELECT 1 FROM build_step WHERE diff_id = blob.digest) ORDER BY size DESC",
		"");
	size_t first = doomed->blobs.count;
	int ret = query ? 0 : -EIO;

	while (!ret && (!keep || *idle > keep) && (ret = query_next(query, err)) == 1) {
		count_freed(count, (uint64_t)query_int(query, 1), idle);
		ret = strings_add(&doomed->blobs, query_text(query, 0), err);
	}
	for (size_t i = first; i < doomed->blobs.count && ret >= 0; i++)
		ret = content_forget(&graph->store, doomed->blobs.items[i], err);
	return ret < 0 ? ret : 0;
}

static void link_idle(struct idles *idles)
{
	for (size_t i = 0; i < idles->count; i++) {
		struct idle *idle = &idles->items[i];

		for (size_t j = 0; j < idles->count && idle->parent_id && !idle->parent; j++) {
			if (idles->items[j].id == idle->parent_id)
				idle->parent = &idles->items[j];
		}
		if (idle->parent)
			idle->parent->children++;
	}
}

/* The oldest on which nothing stands any more; there always is one while any are left. */
static struct idle *take_oldest(struct idles *idles)
{
	for (size_t i = 0; i < idles->count; i++) {
		struct idle *idle = &idles->items[i];

		if (idle->is_gone || idle->children)
			continue;
		idle->is_gone = 1;
		if (idle->parent)
			idle->parent->children--;
		return idle;
	}
	return NULL;
}

static int free_layers(struct graph *graph, uint64_t keep, uint64_t *idle, struct doomed *doomed,
		       struct snapdrv_gc_count *count, struct snapdrv_error *err)
{
	__attribute__((cleanup(idles_done))) struct idles idles = {0};
	struct idle *next;
	int ret = find_idle(graph, &idles, err);

	link_idle(&idles);
	while (!ret && (!keep || *idle > keep) && (next = take_oldest(&idles))) {
		size_t trees = doomed->count;
		int64_t parent;

		ret = snapshot_release_one(graph, next->id, doomed, &parent, err);
		/* A tree that another layer has too stays. */
		if (ret == 1 && doomed->count > trees)
			count_freed(count, next->bytes, idle);
		ret = ret < 0 ? ret : 0;
	}
	return ret;
}

/* Trees that no node has: nothing makes such, but what is there has to be accounted for. */
static int free_trees(struct graph *graph, struct doomed *doomed, struct snapdrv_gc_count *count,
		      uint64_t *idle, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "SELECT id, in_active, bytes FROM tree WHERE NOT EXISTS"
			 " (SELECT 1 FROM snapshot WHERE tree = tree.id)",
			 "");
	size_t first = doomed->count;
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		const struct tree_record tree = {.id = query_int(query, 0),
						 .is_active = (int)query_int(query, 1)};

		count_freed(count, (uint64_t)query_int(query, 2), idle);
		ret = doomed_add_tree(doomed, &tree, err);
	}
	for (size_t i = first; i < doomed->count && ret >= 0; i++)
		ret = db_run(graph->store.db, err, "DELETE FROM tree WHERE id = ?", "i",
			     doomed->trees[i].id);
	return ret < 0 ? ret : 0;
}

/* What steps of builds came to, where no image has it; with room to keep, they go with their layers. */
static int forget_steps(struct graph *graph, uint64_t keep, struct snapdrv_error *err)
{
	int ret = keep ? 0
		       : db_run(graph->store.db, err,
				"WITH RECURSIVE " NEEDED_SNAPSHOTS
				" DELETE FROM build_step WHERE snapshot IS NULL"
				" OR snapshot NOT IN needed",
				"");

	return ret < 0 ? ret : 0;
}

static int free_rows(struct graph *graph, uint64_t keep, struct doomed *doomed,
		     struct snapdrv_gc *gc, struct snapdrv_error *err)
{
	uint64_t idle;
	int ret = graph_release_removed(graph, doomed, err);

	if (!ret)
		ret = idle_bytes(graph, &idle, err);
	if (!ret)
		ret = forget_steps(graph, keep, err);
	if (!ret)
		ret = free_trees(graph, doomed, &gc->layers, &idle, err);
	if (!ret)
		ret = free_blobs(graph, keep, &idle, doomed, &gc->blobs, err);
	if (!ret)
		ret = free_layers(graph, keep, &idle, doomed, &gc->layers, err);
	/* Those of steps that went with their layers. */
	if (!ret && keep)
		ret = free_blobs(graph, keep, &idle, doomed, &gc->blobs, err);
	if (!ret)
		gc->kept_bytes = idle;
	return ret;
}

static int gc_rows(struct graph *graph, const struct snapdrv_gc_options *options,
		   struct snapdrv_gc *gc, struct snapdrv_error *err)
{
	cleanup_doomed struct doomed doomed = {0};
	int ret = store_begin_lazy(&graph->store, err);

	if (ret)
		return ret;
	ret = free_rows(graph, options->keep_storage, &doomed, gc, err);
	if (ret || options->dry_run) {
		store_rollback(&graph->store);
		return ret;
	}
	ret = store_commit(&graph->store, err);
	if (ret)
		return ret;
	graph_bury(graph, &doomed);
	return graph_flush(graph, err);
}

/* Layers that a build has just made, or found, are nobody's but its own for a while. */
static int gc_unless_building(struct graph *graph, const struct snapdrv_gc_options *options,
			      struct snapdrv_gc *gc, struct snapdrv_error *err)
{
	int found = lock_builds_stop(&graph->store, err), ret;

	if (found <= 0)
		return found;
	ret = gc_rows(graph, options, gc, err);
	lock_builds_leave(&graph->store);
	return ret;
}

static int gc_strays(struct graph *graph, int is_dry, struct snapdrv_gc_count *count,
		     struct snapdrv_error *err)
{
	cleanup_strays struct strays strays = {0};
	int ret = graph_find_strays(graph, STRAYS_ALL | (is_dry ? STRAYS_DRY : 0), &strays, err);

	if (ret)
		return ret;
	/* What has come of blobs in part is kept for whoever asks for them again, until now. */
	ret = partials_sweep(&graph->store, is_dry, &count->count, &count->bytes, err);
	if (ret)
		return ret;
	count->count += strays.count;
	for (size_t i = 0; i < strays.count; i++)
		count->bytes += stray_usage(graph, &strays.items[i]);
	return is_dry ? 0 : graph_empty_session(graph, err);
}

int graph_gc(struct graph *graph, const struct snapdrv_gc_options *options,
	     struct snapdrv_gc *ret_gc, struct snapdrv_error *err)
{
	static const struct snapdrv_gc_options no_options;
	struct snapdrv_error left = {0};
	struct snapdrv_gc gc = {0};
	int ret = graph_sweep(graph, &left, err);

	if (!options)
		options = &no_options;
	if (!ret)
		ret = reserve_session(&graph->store, err) < 0 ? -EIO : 0;
	if (!ret)
		ret = gc_unless_building(graph, options, &gc, err);
	if (!ret)
		ret = caches_sweep(&graph->store, options->dry_run, &gc.caches.count,
				   &gc.caches.bytes, err);
	if (!ret)
		ret = gc_strays(graph, options->dry_run, &gc.strays, err);
	if (!ret && left.errnum)
		ret = fail_as(err, &left);
	if (ret)
		return fail_within(err, ret, "gc");
	*ret_gc = gc;
	return 0;
}
